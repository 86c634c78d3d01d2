"""Visits that recur: shown with every obstacle, then booked, moved and cancelled together, each time in one write."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import (
    BookAppointment,
    DayIsFull,
    DoctorNotAvailable,
    NotInThisState,
    Obstacle,
    ObstacleCode,
    RescheduleAppointment,
    Status,
    TimeIsTaken,
)
from infirmary.contexts.appointments.contract.series import (
    BookSeries,
    CancelSeries,
    MoveSeries,
    Occurrence,
    Preview,
    Series,
    SeriesBlocked,
)
from infirmary.contexts.appointments.domain import holds, hours, series, visits
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.obstacles import NO_OTHER_TIME_HELPS, obstacle
from infirmary.contexts.appointments.domain.participants import ALONE, Company
from infirmary.contexts.appointments.domain.series import KeptSeries, Laid
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables.series import SERIES
from infirmary.contexts.patients.contract import PatientCard
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, Refusal, StaleVersion

from .base import as_staff, count_open, record, there
from .booking import Booking
from .company import company, company_of, may_ask
from .days import Limit, count_in, limit_of, prepare
from .holding import HeldNoMoreError, Room, make_way

TRIES = 5


class Asked(Struct, frozen=True):
    """Whose visits, with whom and what, and what is known of them."""

    caller: Caller
    patient: PatientCard
    schedule: Schedule | None
    by_staff: bool
    open_visits: int
    company: Company = ALONE


class Rooms(NamedTuple):
    """Holds that give way to visits that are taken together, and the days that are counted, by visit."""

    giving_way: Sequence[Hold]
    limits: Mapping[UUID, Limit]


class Recurring(Booking):
    # --- Booking ------------------------------------------------------------------------------------------------------

    async def preview_series(self, caller: Caller, body: BookSeries) -> Preview:
        asked = await self._asked(caller, body)
        laid = series.lay_out(body.starts_at, body.recurrence, self.zone)
        found, _ = await self._tried(asked, body, laid)
        return Preview(rule=laid.rule, occurrences=found, short_months=laid.short_months)

    async def book_series(self, caller: Caller, body: BookSeries) -> Series:
        asked = await self._asked(caller, body)
        laid = series.lay_out(body.starts_at, body.recurrence, self.zone)
        kept = KeptSeries(new_id(), laid.rule, self.clock.now(), caller.account_id, 1)

        async def look() -> tuple[list[Occurrence], dict[int, Visit]]:
            found, made = await self._tried(asked, body, laid)
            return found, {number: replace(visit, series_id=kept.id) for number, visit in made.items()}

        return await self._together(look, partial(self._book_all, asked.caller, kept), patient_id=asked.patient.id,
                                    all_or_none=body.all_or_none)

    async def _asked(self, caller: Caller, body: BookSeries) -> Asked:
        caller = await self.in_place_of(caller, patient_id=body.patient_id, doctor_id=body.doctor_id)
        patient = await self.patients.card(caller, body.patient_id)
        by_staff = as_staff(caller, body.doctor_id)
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, body.doctor_id)
            if schedule is None:
                raise DoctorNotAvailable
            open_visits = 0 if by_staff else await count_open(reading, patient.id, self.clock.now())
            wanted = await company(reading, body.participants or ())
        may_ask(caller, wanted)
        return Asked(caller, patient, schedule, by_staff, open_visits, wanted)

    async def _tried(self, asked: Asked, body: BookSeries, laid: Laid) -> tuple[list[Occurrence], dict[int, Visit]]:
        """Every occurrence that is not left out, and the visits that those without an obstacle would be."""
        elsewhen = {one.number: one.starts_at for one in body.elsewhen}
        found: list[Occurrence] = []
        made: dict[int, Visit] = {}
        for number, starts_at in enumerate(laid.starts, 1):
            at = elsewhen.get(number, starts_at)
            if at is None:
                continue
            wish = BookAppointment(patient_id=body.patient_id, doctor_id=body.doctor_id, starts_at=at,
                                   reason=body.reason, mode=body.mode, minutes=body.minutes,
                                   participants=body.participants)
            blocked: list[Obstacle] = []
            try:
                made[number] = visits.book(
                    wish, visit_id=new_id(), patient=asked.patient, schedule=asked.schedule, by_staff=asked.by_staff,
                    created_by=asked.caller.account_id, open_visits=asked.open_visits + len(made),
                    most_open=self.live.value.booking.most_open_visits, now=self.clock.now(), zone=self.zone,
                    company=asked.company)
            except Refusal as no:
                if "conflicts" not in no.extra:
                    raise
                blocked = list(no.extra["conflicts"])
            one = await self._occurrence(asked, number, at, blocked, body.minutes, set(), made)
            found.append(replace(one, moved_by_clocks=number in laid.moved_by_clocks and number not in elsewhen))
            if found[-1].obstacles:
                made.pop(number, None)
        return found, made

    async def _occurrence(self, asked: Asked, number: int, at: datetime, blocked: list[Obstacle], minutes: int | None,
                          own: set[UUID | None], made: Mapping[int, Visit]) -> Occurrence:
        nearest = []
        if asked.schedule is not None:
            blocked = blocked + await self._taken(asked.caller, asked.schedule, asked.patient.id, at, minutes, own,
                                                   asked.company)
            mine = made.get(number)
            blocked += [obstacle(ObstacleCode.PATIENT_TAKEN, whose="patient", starts_at=one.starts_at, ends_at=one.ends_at)
                        for other, one in made.items() if mine is not None and other != number
                        and one.starts_at < mine.ends_at and one.ends_at > mine.starts_at]
            if blocked and not NO_OTHER_TIME_HELPS & {one.code for one in blocked}:
                nearest = await self._nearest(asked.schedule, asked.patient.id, at, minutes, asked.company)
        return Occurrence(number=number, starts_at=at, local_start=hours.wall_time(at, self.zone), obstacles=blocked,
                          moved_by_clocks=False, nearest=nearest)

    async def _book_all(self, caller: Caller, kept: KeptSeries, found: Sequence[Visit], not_done: Sequence[Occurrence],
                        room: Rooms) -> Series:
        async with self.db.transaction() as tx:
            await make_way(tx, Room(room.giving_way))
            for visit in found:   # those before it count on its day
                if limit := room.limits.get(visit.id):
                    await count_in(tx, limit)
                tables.VISITS.add(tx, visit)
                tables.participants.take_part(tx, visit)
            tables.taken.OCCUPANCY.add(tx, *tables.taken.all_occupied(found))
            SERIES.add(tx, kept)
            for visit in found:
                kind, done = ((events.AppointmentRequested, "requested") if visit.status is Status.REQUESTED else
                              (events.AppointmentBooked, "booked"))
                record(tx, caller, visit, visits.event(kind, visit, caller.account_id, part_of=events.PartOf.SERIES), done)
            _announce(tx, caller, kept, found, events.SeriesChange.BOOKED)
            return tx.answer(series.shown(kept, [visits.shown(one) for one in found], not_done))

    async def _together(self, look: Callable[[], Awaitable[tuple[list[Occurrence], dict[int, Visit]]]],
                        work: Callable[[Sequence[Visit], Sequence[Occurrence], Rooms], Awaitable[Series]], *,
                        patient_id: UUID, all_or_none: bool) -> Series:
        """One write for all that fits. The rows of `occupancy` decide: who was too late looks again, and says so."""
        for _ in range(TRIES):
            found, made = await look()
            not_done = [one for one in found if one.obstacles]
            if (not_done and all_or_none) or not made:
                raise SeriesBlocked(occurrences=to_builtins(not_done))
            try:
                wanted = sorted(made.values(), key=lambda one: one.starts_at)
                return await self.db.retry(work, wanted, not_done, await self._rooms(wanted, patient_id))
            except (HeldNoMoreError, DayIsFull):
                continue
            except UniqueViolation as no:
                if no.on not in (tables.taken.occupancy.name, tables.holds.ONE_HOLD):
                    raise
        raise TimeIsTaken

    async def _rooms(self, wanted: Sequence[Visit], patient_id: UUID) -> Rooms:
        now = self.clock.now()
        async with self.db.reading() as reading:
            held = await reading.all(tables.holds.NO_OBSTACLES, now=now, patient_id=patient_id)
            schedules = {doctor_id: there(await tables.SCHEDULES.get(reading, doctor_id))
                         for doctor_id in {one.doctor_id for one in wanted}}
        limits = {one.id: limit for one in wanted if (limit := limit_of(schedules[one.doctor_id], one, self.zone, now))}
        for limit in limits.values():
            await prepare(self.db, limit)
        return Rooms([hold for hold in held if hold.holder_id == patient_id
                      or any(holds.overlaps(hold, one) for one in wanted)], limits)

    # --- Afterwards ---------------------------------------------------------------------------------------------------

    async def series(self, caller: Caller, series_id: UUID) -> Series:
        _, kept, found = await self._series(caller, series_id)
        return series.shown(kept, [visits.shown(one) for one in found])

    async def _series(self, caller: Caller, series_id: UUID) -> tuple[Caller, KeptSeries, list[Visit]]:
        """With its visits within reach, and the caller as who they are for them."""
        async with self.db.reading() as reading:
            kept = there(await SERIES.get(reading, series_id))
            found = await reading.all(tables.VISITS_OF_SERIES, series_id=series_id)
        reached = None
        for visit in found:
            try:
                reached = await self.in_place_of(caller, patient_id=visit.patient_id, doctor_id=visit.doctor_id)
                break
            except NotFound:
                continue
        caller = there(reached)
        return caller, kept, [one for one in found if caller.reaches(one)]

    async def cancel_series(self, caller: Caller, series_id: UUID, body: CancelSeries) -> Series:
        while True:
            acting, kept, found = await self._series(caller, series_id)
            since = _since(found, body.from_appointment_id)
            now = self.clock.now()
            due = [visits.moved(one, visits.CANCEL, now=now, zone=self.zone, reason=body.reason)
                   for one in found if one.status in visits.MOVABLE and one.starts_at >= max(now, since or now)]
            if not due:
                return series.shown(kept, [visits.shown(one) for one in found])
            try:
                answer = await self.db.retry(self._cancel_all, acting, kept, found, due)
            except StaleVersion:
                continue
            self.freed.set()
            return answer

    async def _cancel_all(self, caller: Caller, kept: KeptSeries, found: Sequence[Visit], due: Sequence[Visit]) -> Series:
        async with self.db.transaction() as tx:
            kept = await SERIES.save(tx, kept)
            for visit in due:
                if not await tables.change_state(tx, visit):
                    raise StaleVersion
                await tables.taken.release(tx, visit, visits.freed(visit))
                record(tx, caller, visit, visits.event(events.AppointmentCancelled, visit, caller.account_id,
                                                       part_of=events.PartOf.SERIES), "cancelled")
            _announce(tx, caller, kept, due, events.SeriesChange.CANCELLED)
            return tx.answer(_with(kept, found, due))

    async def move_series(self, caller: Caller, series_id: UUID, body: MoveSeries) -> Series:
        while True:
            acting, kept, found = await self._series(caller, series_id)
            pivot = there(next((one for one in found if one.id == body.appointment_id), None))
            if pivot.status not in visits.MOVABLE:
                raise NotInThisState(visit_status=pivot.status.value)
            now = self.clock.now()
            due = {number: one for number, one in enumerate(found, 1) if one.status in visits.MOVABLE
                   and one.starts_at >= (now if body.whole else max(now, pivot.starts_at))}
            to = {number: series.shifted(one.starts_at, pivot.starts_at, body.starts_at, self.zone)
                  for number, one in due.items()}
            look = partial(self._moved, acting, due, to, body)
            try:
                answer = await self._together(look, partial(self._move_all, acting, kept, found),
                                              patient_id=pivot.patient_id, all_or_none=body.all_or_none)
            except StaleVersion:
                continue
            self.freed.set()
            return answer

    async def _moved(self, caller: Caller, due: Mapping[int, Visit], to: Mapping[int, datetime], body: MoveSeries,
                     ) -> tuple[list[Occurrence], dict[int, Visit]]:
        """Those that move are not in one another's way; those that stay are, so once more without them."""
        moving = dict(due)
        stuck: dict[int, Occurrence] = {}
        while True:
            own: set[UUID | None] = {one.id for one in moving.values()}
            made: dict[int, Visit] = {}
            found: list[Occurrence] = []
            for number, before in moving.items():
                found.append(await self._one_moved(caller, number, before, to[number], body, own, made))
            blocked = {one.number: one for one in found if one.obstacles}
            stuck |= blocked
            if not blocked or body.all_or_none:
                return sorted([*stuck.values(), *(one for one in found if not one.obstacles)],
                              key=lambda one: one.number), made
            moving = {number: one for number, one in moving.items() if number not in blocked}

    async def _one_moved(self, caller: Caller, number: int, before: Visit, at: datetime, body: MoveSeries,
                         own: set[UUID | None], made: dict[int, Visit]) -> Occurrence:
        by_staff = as_staff(caller, before.doctor_id)
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, before.doctor_id)
            along = await company_of(reading, before)
        minutes = int((before.ends_at - before.starts_at).total_seconds()) // 60 if by_staff else None
        patient = await self.patients.card(caller, before.patient_id)
        blocked: list[Obstacle] = []
        try:
            made[number] = visits.rescheduled(
                before, RescheduleAppointment(starts_at=at, minutes=minutes, reason=body.reason), schedule=schedule,
                by_staff=by_staff, now=self.clock.now(), zone=self.zone, company=along)
        except Refusal as no:
            if "conflicts" not in no.extra:
                raise
            blocked = list(no.extra["conflicts"])
        one = await self._occurrence(Asked(caller, patient, schedule, by_staff, 0, along), number, at, blocked, minutes, own,
                                     made)
        if one.obstacles:
            made.pop(number, None)
        return one

    async def _move_all(self, caller: Caller, kept: KeptSeries, found: Sequence[Visit], moved: Sequence[Visit],
                        not_done: Sequence[Occurrence], room: Rooms) -> Series:
        """All the old times are given back before the new ones are taken: one visit may follow where another was."""
        before = {one.id: one for one in found}
        async with self.db.transaction() as tx:
            kept = await SERIES.save(tx, kept)
            for visit in moved:
                if not await tables.change_time(tx, visit):
                    raise StaleVersion
            await make_way(tx, Room(room.giving_way))
            for visit in moved:
                if limit := room.limits.get(visit.id):
                    await count_in(tx, limit)
                was = before[visit.id]
                await tables.taken.release(tx, was, hours.grains(was.starts_at, was.ends_at))
            tables.taken.OCCUPANCY.add(tx, *tables.taken.all_occupied(moved))
            for visit in moved:
                was = before[visit.id]
                record(tx, caller, visit, visits.event(
                    events.AppointmentRescheduled, visit, caller.account_id, previous_starts_at=was.starts_at,
                    previous_doctor_id=was.doctor_id, previous_participants=was.participants,
                    part_of=events.PartOf.SERIES), "rescheduled")
            _announce(tx, caller, kept, moved, events.SeriesChange.MOVED)
            return tx.answer(replace(_with(kept, found, moved), not_done=list(not_done)))


def _since(found: Sequence[Visit], appointment_id: UUID | None) -> datetime | None:
    if appointment_id is None:
        return None
    return there(next((one.starts_at for one in found if one.id == appointment_id), None))


def _with(kept: KeptSeries, found: Sequence[Visit], changed: Sequence[Visit]) -> Series:
    now = {one.id: one for one in (*found, *changed)}
    return series.shown(kept, [visits.shown(one) for one in now.values()])


def _announce(tx: Transaction, caller: Caller, kept: KeptSeries, changed: Sequence[Visit], what: events.SeriesChange,
              ) -> None:
    one = changed[0]
    tx.emit(events.SeriesChanged(
        aggregate=kept.id, version=kept.version, change=what, patient_id=one.patient_id, patient_name=one.patient_name,
        doctor_id=one.doctor_id, doctor_name=one.doctor_name, department_name=one.department_name,
        starts_at=sorted(visit.starts_at for visit in changed), by_account=caller.account_id))
    tx.audit(f"series.{what.value}", caller, subject_id=one.patient_id, entity=f"series/{kept.id}",
             visits=str(len(changed)))

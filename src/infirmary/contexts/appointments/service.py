"""What can be done with visits."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import to_builtins

from infirmary.contexts.patients.contract import Patients
from infirmary.contexts.patients.events import PatientAmended
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import File, Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.kernel.events import Fact
from infirmary.language import TREATING

from . import events, tables
from .contract import (
    Appointment,
    Appointments,
    Because,
    BookAppointment,
    Opening,
    OpenVisits,
    RescheduleAppointment,
    Slot,
    SlotNotOffered,
    Slots,
    Status,
    Step,
    TimeIsTaken,
    Why,
)
from .domain import hours, visits
from .domain.calendar import calendar_file
from .domain.hours import Schedule
from .domain.visits import Move, Visit

T = TypeVar("T")
LONGEST_QUESTION = timedelta(days=62, hours=2)   # days of wall time may be longer than 24 hours
LOOKED_AHEAD = (2, 8, 31)    # days; most doctors have time soon, and the rest of the month need not be read for them
LOOKED_AROUND = (2, 14, 62)
WHO_IS_TAKEN = {"doctor": "The doctor is taken at that time.", "patient": "The patient has another visit at that time."}


class AppointmentsService(Appointments):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock = kit.db, kit.clock
        self.patients, self.live = kit.ask(Patients), kit.live
        self.hospital, self.zone = kit.settings.hospital, kit.settings.hospital.tz
        self.host = urlsplit(kit.settings.public_url).hostname or "localhost"

    # Free times

    async def slots(self, caller: Caller, from_: datetime, to: datetime, doctor_id: UUID | None = None,
                    department_id: UUID | None = None) -> Slots:
        wrong = []
        if (doctor_id is None) == (department_id is None):
            wrong.append(FieldError("doctor_id", "Name either a doctor or a department."))
        if not from_ <= to <= from_ + LONGEST_QUESTION:
            wrong.append(FieldError("to", "Choose a time after “from”, at most 62 days later."))
        if wrong:
            raise Malformed(errors=wrong)
        since = max(from_, self.clock.now())
        async with self.db.reading() as reading:
            if doctor_id is not None:
                schedules = [_there(await tables.SCHEDULES.get(reading, doctor_id))]
            else:
                schedules = await reading.all(tables.ACTIVE_IN, department_id=department_id)
            busy = await _busy(reading, [one.doctor_id for one in schedules], since, to)
        found = [slot for one in schedules for slot in hours.free(one, since, to, self.zone, busy[one.doctor_id])]
        return Slots(sorted(found, key=lambda slot: (slot.starts_at, slot.doctor_id)))

    async def earliest(self, caller: Caller, department_id: UUID | None = None) -> list[Opening]:
        since = now = self.clock.now()
        found: dict[UUID, Slot] = {}
        async with self.db.reading() as reading:
            schedules = (await reading.all(tables.ACTIVE) if department_id is None else
                         await reading.all(tables.ACTIVE_IN, department_id=department_id))
            for days in LOOKED_AHEAD:
                until, looking = now + timedelta(days=days), [one for one in schedules if one.doctor_id not in found]
                busy = await _busy(reading, [one.doctor_id for one in looking], since, until)
                for one in looking:
                    slot = next(hours.free(one, since, until, self.zone, busy[one.doctor_id]), None)
                    if slot is not None:
                        found[one.doctor_id] = slot
                since = until
        openings = [Opening(
            doctor_id=one.doctor_id, doctor_name=one.doctor_name, specialty=one.specialty,
            department_id=one.department_id, department_name=one.department_name, visit_minutes=one.visit_minutes,
            accepts_first=one.accepts_first, next=found.get(one.doctor_id)) for one in schedules]
        return sorted(openings, key=lambda one: (one.next is None, one.next and one.next.starts_at, one.doctor_name))

    # Booking

    async def book(self, caller: Caller, body: BookAppointment) -> Appointment:
        caller.must_reach(patient_id=body.patient_id, doctor_id=body.doctor_id)
        patient = await self.patients.card(caller, body.patient_id)
        by_staff, now = _by_staff(caller, body.doctor_id), self.clock.now()
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, body.doctor_id)
            # Counted before, not decided by a row: the limit keeps people from hoarding, and if two bookings at once
            # make it twenty-one, nobody comes to harm. Each of them has a time of its own.
            open_visits = 0 if by_staff else await _open_visits(reading, patient.id, now)
        try:
            visit = visits.book(body, visit_id=new_id(), patient=patient, schedule=schedule, by_staff=by_staff,
                                created_by=caller.account_id, open_visits=open_visits,
                                most_open=self.live.value.booking.most_open_visits, now=now, zone=self.zone)
            return await self.db.retry(self._book, caller, visit)
        except (SlotNotOffered, UniqueViolation) as no:
            raise await self._instead(no, schedule, patient.id, body.starts_at, body.minutes) from no

    async def _book(self, caller: Caller, visit: Visit) -> Appointment:
        """Inserts only, so that all of it leaves in one round trip. The rows of `occupancy` decide."""
        kind, done = ((events.AppointmentRequested, "requested") if visit.status is Status.REQUESTED else
                      (events.AppointmentBooked, "booked"))
        async with self.db.transaction() as tx:
            tables.OCCUPANCY.add(tx, *tables.occupied(visit))
            tables.VISITS.add(tx, visit)
            return _recorded(tx, caller, visit, visits.event(kind, visit, caller.account_id), done)

    async def reschedule(self, caller: Caller, appointment_id: UUID, body: RescheduleAppointment,
                         if_match: int | None = None) -> Appointment:
        while True:
            visit = await self._visit(caller, appointment_id, if_match)
            doctor_id = body.doctor_id or visit.doctor_id
            caller.must_reach(patient_id=visit.patient_id, doctor_id=doctor_id)   # the new diary too
            by_staff = _by_staff(caller, visit.doctor_id, doctor_id)
            async with self.db.reading() as reading:
                schedule = await tables.SCHEDULES.get(reading, doctor_id)
            minutes = body.minutes
            try:
                new = visits.rescheduled(visit, body, schedule=schedule, by_staff=by_staff, now=self.clock.now(),
                                         zone=self.zone)
                minutes = (new.ends_at - new.starts_at) // timedelta(minutes=1)
                return await self.db.retry(self._reschedule, caller, visit, new)
            except StaleVersion:
                continue   # somebody was quicker: once more, with what they have made of it
            except (SlotNotOffered, UniqueViolation) as no:
                raise await self._instead(no, schedule, visit.patient_id, body.starts_at, minutes, visit.id) from no

    async def _reschedule(self, caller: Caller, before: Visit, visit: Visit) -> Appointment:
        """The new time is taken before the old one is given back: who is refused keeps what they have."""
        fact = visits.event(events.AppointmentRescheduled, visit, caller.account_id,
                            previous_starts_at=before.starts_at, previous_doctor_id=before.doctor_id)
        async with self.db.transaction() as tx:
            if not await tables.change_time(tx, visit):
                raise StaleVersion
            tables.OCCUPANCY.add(tx, *tables.occupied_anew(before, visit))
            await tables.release(tx, before, hours.grains(before.starts_at, before.ends_at), keeps=visit)
            return _recorded(tx, caller, visit, fact, "rescheduled")

    # Steps

    async def accept(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.ACCEPT)

    async def decline(self, caller: Caller, appointment_id: UUID, body: Because,
                      if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.DECLINE, body.reason)

    async def cancel(self, caller: Caller, appointment_id: UUID, body: Why, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.CANCEL, body.reason)

    async def check_in(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.CHECK_IN)

    async def start(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.START)

    async def complete(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.COMPLETE)

    async def no_show(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.NO_SHOW)

    async def _move(self, caller: Caller, appointment_id: UUID, if_match: int | None, move: Move,
                    reason: str = "") -> Appointment:
        while True:   # again when somebody was quicker; each time round, the visit has got further
            visit = await self._visit(caller, appointment_id, if_match)
            moved = visits.moved(visit, move, now=self.clock.now(), zone=self.zone, reason=reason)
            try:
                return await self.db.retry(self._store, caller, moved, move)
            except StaleVersion:
                continue

    async def _store(self, caller: Caller, visit: Visit, move: Move) -> Appointment:
        """The compare-and-set comes first: only who changes the visit frees its time and says so."""
        async with self.db.transaction() as tx:
            if not await tables.change_state(tx, visit):
                raise StaleVersion
            await tables.release(tx, visit, visits.freed(visit))
            return _recorded(tx, caller, visit, visits.event(move.event, visit, caller.account_id), move.done)

    # Looking

    async def appointments(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                           department_id: UUID | None = None, day: date | None = None, from_: datetime | None = None,
                           to: datetime | None = None, status: Status | None = None, newest_first: bool = False,
                           limit: int = 25, cursor: str | None = None) -> Page[Appointment]:
        within = caller.only(patient_id=patient_id, doctor_id=doctor_id)
        since, until = [from_] if from_ else [], [to] if to else []
        if day is not None:
            since.append(hours.start_of_day(day, self.zone))
            until.append(hours.start_of_day(day + timedelta(days=1), self.zone))
        given = {"department_id": department_id, "status": status, "since": max(since, default=None),
                 "until": min(until, default=None), **within}
        filters = {name: value for name, value in given.items() if value is not None}
        pages = tables.pages(frozenset(filters), newest_first=newest_first)
        async with self.db.reading() as reading:
            rows, following = await pages.page(reading, after=cursor, limit=limit, **filters)
        return Page(rows, following)

    async def appointment(self, caller: Caller, appointment_id: UUID) -> Appointment:
        async with self.db.reading() as reading:
            found = await reading.one(tables.SHOWN, key=appointment_id)
        visit = _there(found)
        caller.must_reach(visit)
        return visit

    async def steps(self, caller: Caller, appointment_id: UUID) -> list[Step]:
        await self._visit(caller, appointment_id)
        async with self.db.reading() as reading:
            rows = await reading.all(tables.STEPS_OF, key=appointment_id)
        return [Step(version=row.version, at=row.at, status=row.status, by=row.by_name, starts_at=row.starts_at,
                     reason=row.reason) for row in rows]

    async def calendar_file(self, caller: Caller, appointment_id: UUID) -> File:
        visit = await self._visit(caller, appointment_id)
        return File(f"visit-{hours.day_of(visit.starts_at, self.zone)}.ics", calendar_file(
            visit, hospital=self.hospital.name, address=self.hospital.address, host=self.host))

    async def open_visits(self, caller: Caller, patient_id: UUID) -> OpenVisits:
        async with self.db.reading() as reading:
            return OpenVisits(await _open_visits(reading, patient_id, self.clock.now()))

    # What others announce

    async def learn_schedule(self, event: ScheduleChanged, fact: Fact) -> None:
        schedule, now = hours.announced(event), self.clock.now()
        async with self.db.transaction(once=fact.id) as tx:
            if not await tables.keep_if_newer(tx, schedule):
                return
            await tx.run(tables.RENAME_DOCTOR, key=schedule.doctor_id, **_ahead(now),
                         new_doctor_name=schedule.doctor_name, new_department_id=schedule.department_id,
                         new_department_name=schedule.department_name)
            moved: dict[str, list[UUID]] = defaultdict(list)
            for visit in await tx.all(tables.VISITS_AHEAD, doctor_id=schedule.doctor_id, **_ahead(now)):
                location = hours.location(schedule, visit.starts_at, self.zone)
                if location not in (None, visit.location):
                    moved[location].append(visit.id)
            for location, ids in sorted(moved.items()):
                await tx.run(tables.RELOCATE, key=schedule.doctor_id, ids=ids, new_location=location)

    async def learn_name(self, event: PatientAmended, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            await tx.run(tables.RENAME_PATIENT, key=event.aggregate, new_patient_name=event.name,
                         **_ahead(self.clock.now()))

    # Shared by the above

    async def _visit(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Visit:
        async with self.db.reading() as reading:
            visit = _there(await tables.VISITS.get(reading, appointment_id))
        caller.must_reach(visit)
        if if_match not in (None, visit.version):
            raise StaleVersion
        return visit

    async def _instead(self, no: SlotNotOffered | UniqueViolation, schedule: Schedule | None, patient_id: UUID,
                       wanted: datetime, minutes: int | None, own: UUID | None = None) -> Exception:
        """The refusal with what blocks, and the nearest times that are free for doctor and patient."""
        if schedule is None or (isinstance(no, UniqueViolation) and no.on != tables.occupancy.name):
            return no
        whose = {"doctor": schedule.doctor_id, "patient": patient_id}
        if isinstance(no, SlotNotOffered):
            return await self._offering(SlotNotOffered, "The doctor does not see patients at that time.", whose, schedule,
                                        wanted, minutes)
        time = hours.grains(wanted, wanted + timedelta(minutes=minutes or schedule.visit_minutes))
        around = visits.LONGEST // timedelta(seconds=hours.GRAIN)
        async with self.db.reading() as reading:
            rows = await reading.all(tables.OCCUPIED, resources=list(whose.values()), since=time.start - around,
                                     until=time.stop + around)
        conflicts = [clash for who, resource in whose.items() for clash in hours.clashes(
            who, time, {row.grain for row in rows if row.resource_id == resource and row.appointment_id != own})]
        why = " ".join(dict.fromkeys(WHO_IS_TAKEN[one.whose] for one in conflicts)) or "This time has just gone."
        return await self._offering(TimeIsTaken, why, whose, schedule, wanted, minutes, conflicts=to_builtins(conflicts))

    async def _offering(self, refusal: type[Refusal], why: str, whose: dict[str, UUID], schedule: Schedule,
                        wanted: datetime, minutes: int | None, **more: Any) -> Refusal:
        found: list[Slot] = []
        for days in LOOKED_AROUND:
            within = timedelta(days=days)
            async with self.db.reading() as reading:
                busy = await _busy(reading, whose.values(), wanted - within, wanted + within)
            found = hours.nearest(schedule, wanted, minutes, self.clock.now(), self.zone, set().union(*busy.values()),
                                  within)
            if len(found) == hours.SHOWN:
                break
        now_what = "Choose one of the nearest free times." if found else "No other time is free near it."
        return refusal(f"{why} {now_what}", alternatives=to_builtins(found), **more)


def _recorded(tx: Transaction, caller: Caller, visit: Visit, fact: events.VisitChanged, done: str) -> Appointment:
    """What every version of a visit leaves behind, in the transaction that makes it."""
    tables.STEPS.add(tx, tables.KeptStep(visit.id, visit.version, visit.status, visit.changed_at, caller.name,
                                         caller.account_id, visit.starts_at, visit.status_reason))
    tx.emit(fact)
    tx.audit(f"appointment.{done}", caller, subject_id=visit.patient_id, entity=f"appointment/{visit.id}",
             status=visit.status, doctor_id=str(visit.doctor_id))
    return tx.answer(visits.shown(visit))


async def _busy(reading: Reading, resources: Iterable[UUID], since: datetime, until: datetime,
                ) -> defaultdict[UUID, set[int]]:
    """Their busy grains, for visits that begin in this time."""
    found: defaultdict[UUID, set[int]] = defaultdict(set)
    if whose := list(resources):
        around = hours.grains(since, until + visits.LONGEST)
        for row in await reading.all(tables.BUSY, resources=whose, since=around.start, until=around.stop):
            found[row.resource_id].add(row.grain)
    return found


async def _open_visits(reading: Reading, patient_id: UUID, now: datetime) -> int:
    return await reading.one(tables.OPEN_VISITS, patient_id=patient_id, **_ahead(now)) or 0


def _ahead(now: datetime) -> dict[str, datetime]:
    return {"now": now, "earliest_start": now - visits.LONGEST}


def _by_staff(caller: Caller, *diaries: UUID) -> bool:
    """As staff: whoever may book for anybody, and doctors in their own diary. Otherwise as the patient."""
    return caller.unlimited or (TREATING in caller.scopes
                                and all(doctor_id == caller.subjects.get(TREATING.field) for doctor_id in diaries))


def _there(found: T | None) -> T:
    if found is None:
        raise NotFound
    return found

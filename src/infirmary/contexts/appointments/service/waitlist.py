"""Waiting for a time to come free, and offering what has."""
from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import (
    BookAppointment,
    DayIsFull,
    DoctorNotAvailable,
    Slot,
    Status,
)
from infirmary.contexts.appointments.contract.waitlist import (
    AlreadyWaiting,
    JoinWaitlist,
    OfferIsGone,
    Standing,
    Waiting,
    WaitIsOver,
)
from infirmary.contexts.appointments.domain import hours, visits, waitlist
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.domain.waitlist import Place
from infirmary.contexts.appointments.tables import waitlist as rows
from infirmary.contexts.patients.events import PatientWasRetired
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, StaleVersion
from infirmary.kernel.events import Fact
from infirmary.language import service

from .base import busy_grains, busy_times, record, there
from .booking import Booking
from .days import limit_of
from .holding import Room, make_way

ME = service("appointments")
LOOKS_EVERY = 15.0   # seconds, when nobody wakes it: for what other processes freed, and for offers that lapse


class Waitlist(Booking):
    async def join_waitlist(self, caller: Caller, body: JoinWaitlist) -> Waiting:
        caller = await self.in_place_of(caller, patient_id=body.patient_id, doctor_id=body.doctor_id)
        patient = await self.patients.card(caller, body.patient_id)
        place = waitlist.join(body, place_id=new_id(), patient=patient, about_name=await self._about(body),
                              now=self.clock.now())
        try:
            waiting = await self.db.retry(self._join, caller, place)
        except UniqueViolation as no:
            if no.on != rows.ONE_WISH:
                raise
            async with self.db.reading() as reading:
                kept = await reading.one(rows.OPEN_PLACE, patient_id=place.patient_id, open_about=place.open_about)
            raise AlreadyWaiting(waiting_id=str(kept.id) if kept else None) from no
        self.freed.set()   # perhaps something is free already
        return waiting

    async def _join(self, caller: Caller, place: Place) -> Waiting:
        async with self.db.transaction() as tx:
            ahead = await _ahead(tx, place)
            rows.PLACES.add(tx, place)
            _audit(tx, caller, place, "joined")
            return tx.answer(waitlist.shown(place, ahead))

    async def _about(self, body: JoinWaitlist) -> str:
        async with self.db.reading() as reading:
            if body.doctor_id is not None:
                schedule = await tables.SCHEDULES.get(reading, body.doctor_id)
                if schedule is None or not schedule.active:
                    raise DoctorNotAvailable
                return schedule.doctor_name
            found = await reading.all(tables.ACTIVE_IN, department_id=body.department_id) if body.department_id else []
        if body.department_id is not None and not found:
            raise NotFound
        return found[0].department_name if found else ""

    async def waiting(self, caller: Caller, waiting_id: UUID) -> Waiting:
        _, place = await self._place(caller, waiting_id)
        async with self.db.reading() as reading:
            return waitlist.shown(place, await _ahead(reading, place))

    async def waitlist(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                       department_id: UUID | None = None, status: Standing | None = None, limit: int = 25,
                       cursor: str | None = None) -> Page[Waiting]:
        caller = await self.asking_for(caller, patient_id)
        within = caller.only(patient_id=patient_id, doctor_id=doctor_id)
        given = {"department_id": department_id, "status": status, **within}
        filters = {name: value for name, value in given.items() if value is not None}
        async with self.db.reading() as reading:
            found, following = await rows.places(frozenset(filters)).page(reading, after=cursor, limit=limit, **filters)
            return Page([waitlist.shown(one, await _ahead(reading, one)) for one in found], following)

    async def accept_offer(self, caller: Caller, waiting_id: UUID) -> Waiting:
        while True:
            acting, place = await self._place(caller, waiting_id)
            if place.status is Standing.BOOKED:
                return waitlist.shown(place, None)
            now = self.clock.now()
            if (place.status is not Standing.OFFERED or place.offer_doctor_id is None or place.offer_starts_at is None
                    or place.offer_expires_at is None or place.offer_expires_at <= now):
                raise OfferIsGone
            wish = BookAppointment(patient_id=place.patient_id, doctor_id=place.offer_doctor_id,
                                   starts_at=place.offer_starts_at)
            try:
                return await self.arrange(acting, wish, partial(self._accept, place), look_first=False)
            except StaleVersion:
                continue   # accepted or lapsed meanwhile

    async def _accept(self, place: Place, caller: Caller, visit: Visit, room: Room) -> Waiting:
        kind, done = ((events.AppointmentRequested, "requested") if visit.status is Status.REQUESTED else
                      (events.AppointmentBooked, "booked"))
        async with self.db.transaction() as tx:
            booked = await rows.PLACES.save(tx, waitlist.over(place, Standing.BOOKED, now=self.clock.now(),
                                                                appointment_id=visit.id))
            if not await give_back(tx, place):
                raise OfferIsGone
            await make_way(tx, room)
            tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied(visit))
            tables.VISITS.add(tx, visit)
            record(tx, caller, visit, visits.event(kind, visit, caller.account_id), done)
            _audit(tx, caller, booked, "accepted")
            return tx.answer(waitlist.shown(booked, None))

    async def leave_waitlist(self, caller: Caller, waiting_id: UUID) -> Waiting:
        while True:
            acting, place = await self._place(caller, waiting_id)
            if place.status is Standing.LEFT:
                return waitlist.shown(place, None)
            if place.status not in (Standing.WAITING, Standing.OFFERED):
                raise WaitIsOver
            try:
                left = await self.db.retry(self._leave, acting, place)
            except StaleVersion:
                continue
            self.freed.set()
            return left

    async def _leave(self, caller: Caller, place: Place) -> Waiting:
        async with self.db.transaction() as tx:
            left = await rows.PLACES.save(tx, waitlist.over(place, Standing.LEFT, now=self.clock.now()))
            await give_back(tx, place)
            _audit(tx, caller, left, "left")
            return tx.answer(waitlist.shown(left, None))

    async def _place(self, caller: Caller, waiting_id: UUID) -> tuple[Caller, Place]:
        """With the caller as who they are for it."""
        async with self.db.reading() as reading:
            place = there(await rows.PLACES.get(reading, waiting_id))
        return await self.in_place_of(caller, patient_id=place.patient_id, doctor_id=place.doctor_id), place

    async def learn_retired(self, event: PatientWasRetired, fact: Fact) -> None:
        """Nobody waits with a record that is closed."""
        async with self.db.transaction(once=fact.id) as tx:
            for place in await tx.all(rows.OPEN_OF, patient_id=event.aggregate):
                left = await rows.PLACES.save(tx, waitlist.over(place, Standing.LEFT, now=self.clock.now()))
                await give_back(tx, place)
                _audit(tx, ME, left, "left")
        self.freed.set()

    # --- Offering -----------------------------------------------------------------------------------------------------

    async def tend_waitlist(self) -> None:
        """Wait until something may have come free, and offer it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_EVERY):
                await self.freed.wait()
        self.freed.clear()
        await self.offer_freed()

    async def offer_freed(self) -> None:
        """End what is overdue, then offer whatever is free to who has waited longest among those whose wish it fits.

        It looks at what is free, not at what was announced, so that nothing is lost while nobody listened. Any number of
        processes may do this at once: the version of the place and the rows of `occupancy` decide.
        """
        now = self.clock.now()
        async with self.db.reading() as reading:
            overdue = await reading.all(rows.OVERDUE, now=now, too_late=now + waitlist.NOTICE)
        for place in overdue:
            with contextlib.suppress(StaleVersion):
                await self.db.retry(self._lapse, place)
        async with self.db.reading() as reading:
            places = await reading.all(rows.WAITING)
            schedules = {one.doctor_id: one for one in await reading.all(tables.ACTIVE)
                         if any(waitlist.wants(place, one) for place in places)} if places else {}
            free = await self._free(reading, schedules, places, now)
        for place in places:
            wanted = [slot for doctor_id, slots in free.items() if waitlist.wants(place, schedules[doctor_id])
                      for slot in slots]
            for slot in await self._fitting(place, wanted, now):
                try:
                    if await self._offer(place, slot, schedules[slot.doctor_id]):
                        free[slot.doctor_id].discard(slot)
                        break
                except StaleVersion:   # somebody else has offered something, or the patient has left
                    break

    async def _fitting(self, place: Place, wanted: list[Slot], now: datetime) -> list[Slot]:
        """The soonest first, and only when the patient is free too."""
        fitting = waitlist.fitting(place, wanted, now=now)
        if not fitting:
            return []
        async with self.db.reading() as reading:
            busy = (await busy_grains(reading, [place.patient_id], fitting[0].starts_at, fitting[-1].starts_at, now=now))
        taken = busy[place.patient_id]
        return [slot for slot in fitting if taken.isdisjoint(hours.grains(slot.starts_at, slot.ends_at))]

    async def _free(self, reading: Reading, schedules: dict[UUID, Schedule], places: list[Place], now: datetime,
                    ) -> dict[UUID, set[Slot]]:
        if not schedules:
            return {}
        until = waitlist.horizon(places)
        busy = await busy_times(reading, schedules.values(), now, until, self.zone, now=now)
        return {doctor_id: set(hours.free(one, now + waitlist.NOTICE, until, self.zone, busy[doctor_id]))
                for doctor_id, one in schedules.items()}

    async def _offer(self, place: Place, slot: Slot, schedule: Schedule) -> bool:
        """False when the slot is not free any more, or not for this patient."""
        lasts = timedelta(minutes=self.live.value.booking.offer_minutes)
        offered = waitlist.offered(place, slot, schedule.doctor_name, now=self.clock.now(), lasts=lasts)
        hold = waitlist.hold(place, slot, new_id(), offered.offer_expires_at or slot.starts_at,
                             schedule.buffer_minutes)
        try:
            await self.taking(hold, partial(self._keep_offer, offered, hold, schedule),
                              Room(limit=limit_of(schedule, hold, self.zone, self.clock.now())), own=None)
        except DayIsFull:
            return False
        except UniqueViolation as no:
            if no.on != tables.taken.occupancy.name:
                raise
            return False
        return True

    async def _keep_offer(self, offered: Place, hold: Hold, schedule: Schedule, room: Room) -> None:
        async with self.db.transaction() as tx:
            kept = await rows.PLACES.save(tx, offered)
            await make_way(tx, room)
            tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied(hold))
            tables.holds.HOLDS.add(tx, hold)
            tx.emit(events.TimeOffered(
                aggregate=kept.id, version=kept.version, patient_id=kept.patient_id, doctor_id=hold.doctor_id,
                doctor_name=schedule.doctor_name, department_name=schedule.department_name, starts_at=hold.starts_at,
                expires_at=hold.expires_at))
            _audit(tx, ME, kept, "offered")

    async def _lapse(self, place: Place) -> None:
        async with self.db.transaction() as tx:
            kept = await rows.PLACES.save(tx, waitlist.over(place, Standing.LAPSED, now=self.clock.now()))
            await give_back(tx, place)
            tx.emit(events.WaitLapsed(aggregate=kept.id, version=kept.version, patient_id=kept.patient_id,
                                      about_name=kept.about_name, offered_at=place.offer_starts_at))
            _audit(tx, ME, kept, "lapsed")


async def give_back(tx: Transaction, place: Place) -> bool:
    """The time that is kept for this place; False when there is none (any more)."""
    hold = await tx.one(tables.holds.HELD_FOR, holder_id=place.id)
    return hold is not None and await tables.holds.let_go(tx, hold)


async def _ahead(reading: Reading, place: Place) -> int | None:
    if place.status is not Standing.WAITING:
        return None
    return await reading.one(rows.AHEAD, open_about=place.open_about, created_at=place.created_at) or 0


def _audit(tx: Transaction, caller: Caller, place: Place, done: str) -> None:
    tx.audit(f"waitlist.{done}", caller, subject_id=place.patient_id, entity=f"waiting/{place.id}", status=place.status)

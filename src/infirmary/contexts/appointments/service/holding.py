"""Taking a time, for good or for a while, and who gives way to whom."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import BookAppointment, DayIsFull, Held, HoldIsGone, HoldSlot, Overbooking
from infirmary.contexts.appointments.domain import holds, visits
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound

from .base import as_staff, count_open, there
from .company import company, may_ask
from .days import Limit, count_in, limit_of, prepare
from .instead import BLOCKED, Instead

T = TypeVar("T")


class HeldNoMoreError(Exception):
    """A hold that was to give way has changed or gone meanwhile: look again."""


class Room(NamedTuple):
    """What has to be made sure of before a time is taken: these holds give way, and the day is not full."""

    giving_way: Sequence[Hold] = ()
    limit: Limit | None = None


class Holding(Instead):
    async def hold(self, caller: Caller, body: HoldSlot) -> Held:
        wish = BookAppointment(patient_id=body.patient_id, doctor_id=body.doctor_id, starts_at=body.starts_at)
        return await self.arrange(caller, wish, self._hold, look_first=True)

    async def _hold(self, caller: Caller, visit: Visit, room: Room) -> Held:
        now, lasts = self.clock.now(), timedelta(minutes=self.live.value.booking.hold_minutes)
        same = next((one for one in room.giving_way if holds.is_for(one, visit, now=now)), None)
        kept = holds.hold(visit, now=now, lasts=lasts) if same is None else holds.again(same, now=now, lasts=lasts)
        async with self.db.transaction() as tx:
            if same is None:
                await make_way(tx, room)
                tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied(kept))
                tables.holds.HOLDS.add(tx, kept)
                tx.audit("appointment.held", caller, subject_id=kept.patient_id, entity=f"hold/{kept.id}",
                         doctor_id=str(kept.doctor_id))
            elif kept is not same and not await tables.holds.renew(tx, kept):
                raise HeldNoMoreError
            return tx.answer(holds.shown(kept))

    async def held(self, caller: Caller, hold_id: UUID) -> Held:
        return holds.shown((await self._living(caller, hold_id))[1])

    async def let_go(self, caller: Caller, hold_id: UUID) -> Done:
        while True:
            if await self.db.retry(self._let_go, *await self._living(caller, hold_id)):
                self.freed.set()
                return Done()

    async def _let_go(self, caller: Caller, kept: Hold) -> bool:
        async with self.db.transaction() as tx:
            if await tables.holds.let_go(tx, kept):
                tx.audit("appointment.let_go", caller, subject_id=kept.patient_id, entity=f"hold/{kept.id}",
                         doctor_id=str(kept.doctor_id))
                tx.answer(Done())
                return True
        return False

    async def _living(self, caller: Caller, hold_id: UUID) -> tuple[Caller, Hold]:
        """With the caller as who they are for it."""
        async with self.db.reading() as reading:
            kept = there(await tables.holds.HOLDS.get(reading, hold_id))
        caller = await self.in_place_of(caller, patient_id=kept.patient_id, doctor_id=kept.doctor_id)
        if kept.expires_at <= self.clock.now() or kept.holder_id != kept.patient_id:   # an offer is left on the waitlist
            raise NotFound
        return caller, kept

    async def tidy_holds(self) -> None:
        """What nobody has taken over. Nothing hangs on when: a lapsed hold is no obstacle, and until it is tidied away
        its holder may still confirm."""
        async with self.db.reading() as reading:
            lapsed = await reading.all(tables.holds.LAPSED, now=self.clock.now() - holds.KEPT)
        for kept in lapsed:
            await self.db.retry(self._tidy, kept)

    async def _tidy(self, kept: Hold) -> None:
        async with self.db.transaction() as tx:
            await tables.holds.let_go(tx, kept)

    async def arrange(self, caller: Caller, body: BookAppointment,
                      work: Callable[[Caller, Visit, Room], Awaitable[T]], *, look_first: bool) -> T:
        """Do this with the time that is asked for, or refuse with what is in the way and the nearest free times.
        `look_first`: the patient may have a hold. Who has none saves a question."""
        caller = await self.in_place_of(caller, patient_id=body.patient_id, doctor_id=body.doctor_id)
        patient = await self.patients.card(caller, body.patient_id)
        by_staff, now = as_staff(caller, body.doctor_id), self.clock.now()
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, body.doctor_id)
            wanted = await company(reading, body.participants or ())
            # Counted before, not decided by a row: the limit keeps people from hoarding, and if two bookings at once
            # make it twenty-one, nobody comes to harm. Each of them has a time of its own.
            open_visits = 0 if by_staff else await count_open(reading, patient.id, now)
        may_ask(caller, wanted)
        try:
            visit = visits.book(body, visit_id=new_id(), patient=patient, schedule=schedule, by_staff=by_staff,
                                created_by=caller.account_id, open_visits=open_visits,
                                most_open=self.live.value.booking.most_open_visits, now=now, zone=self.zone,
                                company=wanted)
            giving_way = await self._giving_way(visit, patient.id) if look_first else []
            if body.hold_id is not None and all(one.id != body.hold_id for one in giving_way):
                raise HoldIsGone
            return await self.laid(visit, body.overbook, there(schedule), partial(work, caller), giving_way)
        except BLOCKED as no:
            raise await self.instead(no, caller, schedule, body, patient.id, body.minutes, wanted) from no

    async def laid(self, visit: Visit, overbook: Overbooking | None, schedule: Schedule,
                   work: Callable[[Visit, Room], Awaitable[T]], giving_way: Sequence[Hold] = ()) -> T:
        """Do this with the visit as it was asked for; or, for who overbooks, over what is there, in the first lane that is
        free. Over others the day may be full."""
        limit = limit_of(schedule, visit, self.zone, self.clock.now())
        for lane in range(1, (schedule.overbook if overbook else 0) + 1):
            try:
                return await self.taking(visit, partial(work, visit), Room(giving_way, limit), own=visit.patient_id)
            except DayIsFull:
                pass
            except UniqueViolation as no:
                if no.on != tables.taken.occupancy.name:
                    raise
            visit, limit = visits.over(visit, lane, overbook), None
        return await self.taking(visit, partial(work, visit), Room(giving_way, limit), own=visit.patient_id)

    async def taking(self, wanted: Visit | Hold, work: Callable[[Room], Awaitable[T]], room: Room = Room(), *,   # noqa: B008 – a value
                     own: UUID | None) -> T:
        """Holds give way when they have lapsed, or are those of `own`, the patient who takes the time. `work` ends those
        it is given in the transaction that takes the time; the rows of `hold` and `occupancy` decide, and this only looks
        again."""
        if room.limit:
            await prepare(self.db, room.limit)
        while True:
            try:
                return await self.db.retry(work, room)
            except HeldNoMoreError:
                room = room._replace(giving_way=await self._giving_way(wanted, own))
            except UniqueViolation as no:
                found = await self._giving_way(wanted, own)
                if found == [*room.giving_way] and no.on != tables.holds.ONE_HOLD:
                    raise   # nobody who is left gives way
                room = room._replace(giving_way=found)

    async def _giving_way(self, wanted: Visit | Hold, own: UUID | None) -> list[Hold]:
        async with self.db.reading() as reading:
            return await giving_way(reading, wanted, own, self.clock.now())


async def giving_way(reading: Reading, wanted: Visit | Hold, own: UUID | None, now: datetime) -> list[Hold]:
    found = await reading.all(
        tables.holds.GIVING_WAY, now=now, holder_id=own, patient_id=wanted.patient_id, doctors=wanted.doctors,
        starts_at=wanted.starts_at - visits.LONGEST_BUFFER, ends_at=wanted.busy_until)
    return [one for one in found if one.holder_id == own or holds.overlaps(one, wanted)]


async def make_way(tx: Transaction, room: Room) -> None:
    for kept in room.giving_way:
        if not await tables.holds.let_go(tx, kept):
            raise HeldNoMoreError
    if room.limit:
        await count_in(tx, room.limit)

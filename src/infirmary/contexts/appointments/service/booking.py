"""Taking a time, and changing it for another."""
from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    BookAppointment,
    RescheduleAppointment,
    Status,
)
from infirmary.contexts.appointments.domain import hours, visits
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.kernel.access import Caller
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.errors import StaleVersion

from .base import as_staff, recorded, there
from .company import company, may_ask
from .holding import Holding, Room, make_way
from .instead import BLOCKED


class Booking(Holding):
    async def book(self, caller: Caller, body: BookAppointment) -> Appointment:
        return await self.arrange(caller, body, self._book, look_first=body.hold_id is not None)

    async def _book(self, caller: Caller, visit: Visit, room: Room) -> Appointment:
        """Without holds inserts only, so that all of it leaves in one round trip. The rows of `occupancy` decide."""
        kind, done = ((events.AppointmentRequested, "requested") if visit.status is Status.REQUESTED else
                      (events.AppointmentBooked, "booked"))
        async with self.db.transaction() as tx:
            await make_way(tx, room)
            tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied(visit))
            tables.VISITS.add(tx, visit)
            tables.participants.take_part(tx, visit)
            return recorded(tx, caller, visit, visits.event(kind, visit, caller.account_id), done)

    async def reschedule(self, caller: Caller, appointment_id: UUID, body: RescheduleAppointment,
                         if_match: int | None = None) -> Appointment:
        while True:
            acting, visit = await self.visit(caller, appointment_id, if_match)
            doctor_id = body.doctor_id or visit.doctor_id
            acting.must_reach(patient_id=visit.patient_id, doctor_id=doctor_id)   # the new diary too
            by_staff = as_staff(acting, visit.doctor_id, doctor_id)
            async with self.db.reading() as reading:
                schedule = await tables.SCHEDULES.get(reading, doctor_id)
                wanted = await company(reading, body.participants if body.participants is not None else
                                       [one.id for one in visit.participants])
            may_ask(acting, wanted, visit.participants)
            minutes = body.minutes
            try:
                new = visits.rescheduled(visit, body, schedule=schedule, by_staff=by_staff, now=self.clock.now(),
                                         zone=self.zone, company=wanted)
                minutes = (new.ends_at - new.starts_at) // timedelta(minutes=1)
                answer = await self.laid(new, body.overbook, there(schedule), partial(self._reschedule, acting, visit))
                self.freed.set()
                return answer
            except StaleVersion:
                continue   # somebody was quicker: once more, with what they have made of it
            except BLOCKED as no:
                raise await self.instead(no, acting, schedule, body, visit.patient_id, minutes, wanted, visit.id) from no

    async def _reschedule(self, caller: Caller, before: Visit, visit: Visit, room: Room) -> Appointment:
        fact = visits.event(events.AppointmentRescheduled, visit, caller.account_id,
                            previous_starts_at=before.starts_at, previous_doctor_id=before.doctor_id,
                            previous_participants=before.participants)
        async with self.db.transaction() as tx:
            await put_elsewhere(tx, before, visit, room)
            return recorded(tx, caller, visit, fact, "rescheduled")


async def put_elsewhere(tx: Transaction, before: Visit, visit: Visit, room: Room) -> None:
    """The new time is taken before the old one is given back: who is refused keeps what they have."""
    if not await tables.change_time(tx, visit):
        raise StaleVersion
    await make_way(tx, room)
    tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied_anew(before, visit))
    await tables.taken.release(tx, before, hours.grains(before.starts_at, before.ends_at), keeps=visit)
    await tables.participants.take_part_anew(tx, before, visit)

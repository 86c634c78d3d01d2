"""Taking a time, and changing it for another."""
from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    BookAppointment,
    RescheduleAppointment,
    SlotNotOffered,
    Status,
)
from infirmary.contexts.appointments.domain import hours, visits
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import StaleVersion

from .base import as_staff, count_open, recorded
from .free_times import FreeTimes


class Booking(FreeTimes):
    async def book(self, caller: Caller, body: BookAppointment) -> Appointment:
        caller.must_reach(patient_id=body.patient_id, doctor_id=body.doctor_id)
        patient = await self.patients.card(caller, body.patient_id)
        by_staff, now = as_staff(caller, body.doctor_id), self.clock.now()
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, body.doctor_id)
            # Counted before, not decided by a row: the limit keeps people from hoarding, and if two bookings at once
            # make it twenty-one, nobody comes to harm. Each of them has a time of its own.
            open_visits = 0 if by_staff else await count_open(reading, patient.id, now)
        try:
            visit = visits.book(body, visit_id=new_id(), patient=patient, schedule=schedule, by_staff=by_staff,
                                created_by=caller.account_id, open_visits=open_visits,
                                most_open=self.live.value.booking.most_open_visits, now=now, zone=self.zone)
            return await self.db.retry(self._book, caller, visit)
        except (SlotNotOffered, UniqueViolation) as no:
            raise await self.instead(no, schedule, patient.id, body.starts_at, body.minutes) from no

    async def _book(self, caller: Caller, visit: Visit) -> Appointment:
        """Inserts only, so that all of it leaves in one round trip. The rows of `occupancy` decide."""
        kind, done = ((events.AppointmentRequested, "requested") if visit.status is Status.REQUESTED else
                      (events.AppointmentBooked, "booked"))
        async with self.db.transaction() as tx:
            tables.OCCUPANCY.add(tx, *tables.occupied(visit))
            tables.VISITS.add(tx, visit)
            return recorded(tx, caller, visit, visits.event(kind, visit, caller.account_id), done)

    async def reschedule(self, caller: Caller, appointment_id: UUID, body: RescheduleAppointment,
                         if_match: int | None = None) -> Appointment:
        while True:
            visit = await self.visit(caller, appointment_id, if_match)
            doctor_id = body.doctor_id or visit.doctor_id
            caller.must_reach(patient_id=visit.patient_id, doctor_id=doctor_id)   # the new diary too
            by_staff = as_staff(caller, visit.doctor_id, doctor_id)
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
                raise await self.instead(no, schedule, visit.patient_id, body.starts_at, minutes, visit.id) from no

    async def _reschedule(self, caller: Caller, before: Visit, visit: Visit) -> Appointment:
        """The new time is taken before the old one is given back: who is refused keeps what they have."""
        fact = visits.event(events.AppointmentRescheduled, visit, caller.account_id,
                            previous_starts_at=before.starts_at, previous_doctor_id=before.doctor_id)
        async with self.db.transaction() as tx:
            if not await tables.change_time(tx, visit):
                raise StaleVersion
            tables.OCCUPANCY.add(tx, *tables.occupied_anew(before, visit))
            await tables.release(tx, before, hours.grains(before.starts_at, before.ends_at), keeps=visit)
            return recorded(tx, caller, visit, fact, "rescheduled")

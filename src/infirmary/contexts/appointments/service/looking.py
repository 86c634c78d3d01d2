"""Visits as people look at them."""
from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    OpenVisits,
    Status,
    Step,
)
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.appointments.domain.calendar import calendar_file
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import File, Page

from .base import Base, count_open, there


class Looking(Base):
    async def appointments(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                           department_id: UUID | None = None, day: date | None = None, from_: datetime | None = None,
                           to: datetime | None = None, status: Status | None = None, newest_first: bool = False,
                           limit: int = 25, cursor: str | None = None) -> Page[Appointment]:
        caller = await self.asking_for(caller, patient_id)
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
        visit = there(found)
        await self.seeing(caller, visit)
        return visit

    async def steps(self, caller: Caller, appointment_id: UUID) -> list[Step]:
        await self.seen(caller, appointment_id)
        async with self.db.reading() as reading:
            rows = await reading.all(tables.STEPS_OF, key=appointment_id)
        return [Step(version=row.version, at=row.at, status=row.status, by=row.by_name, starts_at=row.starts_at,
                     reason=row.reason) for row in rows]

    async def calendar_file(self, caller: Caller, appointment_id: UUID) -> File:
        _, visit = await self.seen(caller, appointment_id)
        return File(f"visit-{hours.day_of(visit.starts_at, self.zone)}.ics", calendar_file(
            visit, hospital=self.hospital.name, address=self.hospital.address, host=self.host))

    async def open_visits(self, caller: Caller, patient_id: UUID) -> OpenVisits:
        async with self.db.reading() as reading:
            return OpenVisits(await count_open(reading, patient_id, self.clock.now()))

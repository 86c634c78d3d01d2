"""What reports does: it takes in the facts of the other contexts, and answers with figures."""
from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import date

from msgspec.structs import asdict

from infirmary.contexts.appointments.events import FeedbackGathered, VisitChanged
from infirmary.contexts.patients.events import PatientRegistered
from infirmary.contexts.staff.events import DepartmentChanged
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Reading
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.events import Fact

from . import domain, tables
from .contract import Day, DepartmentFigures, HospitalFigures, MonthFigures, Period, Reports
from .domain import ratio
from .tables import (
    ANSWERS,
    DEPARTMENTS,
    REGISTRATIONS,
    VISITS,
    AnswerGroup,
    DayCounts,
    Kept,
    KnownDepartment,
    MonthCounts,
    Now,
    Registration,
    Usual,
)


class ReportsService(Reports):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock, self.zone = kit.db, kit.clock, kit.settings.hospital.tz

    async def hospital(self, caller: Caller, period: Period = Period.WEEK) -> HospitalFigures:
        today = self.clock.now().astimezone(self.zone).date()
        days, months = domain.days_until(today, domain.DAYS[period]), domain.months_until(today)
        lately, before = domain.lately(today)
        async with self.db.reading() as reading:
            per_day = {row.day: row for row in await reading.all(tables.PER_DAY, first=days[0], today=today)}
            per_month = {row.month: row for row in await reading.all(tables.PER_MONTH, first=months[0], today=today)}
            usual = await reading.one(tables.USUAL, days=domain.same_weekdays_before(today)) or Usual(0, 0)
            now = await reading.one(tables.NOW, today=today) or Now(0, 0, 0, 0)
            kept = await reading.one(tables.KEPT, lately=lately, before=before, today=today) or Kept(0, 0, 0, 0)
            waits = await reading.all(tables.WAITS, today=today)
            new_patients = await reading.one(tables.NEW_PATIENTS, first=lately, today=today) or 0
            departments = await self._departments(reading, today, days)
        return HospitalFigures(
            today=today, days=[Day(**asdict(per_day.get(day) or DayCounts(day))) for day in days],
            departments=departments, visits_today=now.booked, seen_today=now.seen,
            usual_today=ratio(usual.booked, usual.days), waiting_now=now.waiting, requested_now=now.requested,
            median_wait_minutes=domain.median_wait([(row.checked_in_at, row.started_at) for row in waits]),
            no_show_share_30_days=ratio(kept.no_show, kept.completed + kept.no_show),
            no_show_share_before=ratio(kept.no_show_before, kept.completed_before + kept.no_show_before),
            no_shows_by_month=[MonthFigures(**asdict(per_month.get(month) or MonthCounts(month))) for month in months],
            new_patients_30_days=new_patients)

    async def _departments(self, reading: Reading, today: date, days: Sequence[date]) -> list[DepartmentFigures]:
        """Those that are open, and those that have visits in these days or to come, by name."""
        lately, before = domain.lately(today)
        booked = {(row.department_id, row.day): row.booked
                  for row in await reading.all(tables.BOOKED_THERE, first=days[0], today=today)}
        usual = {row.department_id: row
                 for row in await reading.all(tables.USUAL_THERE, days=domain.same_weekdays_before(today))}
        now = {row.department_id: row for row in await reading.all(tables.NOW_THERE, today=today)}
        kept = {row.department_id: row
                for row in await reading.all(tables.KEPT_THERE, lately=lately, before=before, today=today)}
        busy = {*now, *(department for department, _ in booked)}
        names = {row.id: row.name for row in await reading.all(tables.ALL_DEPARTMENTS) if row.active or row.id in busy}
        if unheard_of := busy - names.keys():   # staff's fact is still on its way
            rows = await reading.all(tables.NAMED_THERE, ids=list(unheard_of))
            names |= {row.department_id: row.name for row in rows}
        said = {row.department_id: row for row in await reading.all(
            tables.RATINGS_THERE, first=today - domain.ANSWERS_COUNT, today=today)}
        figures = []
        for one, name in sorted(names.items(), key=lambda item: (item[1].casefold(), item[0])):
            as_usual, there = usual.get(one, Usual(0, 0)), now.get(one, Now(0, 0, 0, 0))
            came = kept.get(one, Kept(0, 0, 0, 0))
            figures.append(DepartmentFigures(
                department_id=one, name=name, per_day=[booked.get((one, day), 0) for day in days], today=there.booked,
                usual=ratio(as_usual.booked, as_usual.days), waiting=there.waiting, requested=there.requested,
                no_show_share=ratio(came.no_show, came.completed + came.no_show),
                rating=said[one].points / said[one].answers if one in said else None,
                answers=said[one].answers if one in said else 0))
        return figures

    async def record_visit(self, event: VisitChanged, fact: Fact) -> None:
        if event.version == 1:   # nearly always the first we hear of it: one trip to the database, no question
            with contextlib.suppress(UniqueViolation):
                async with self.db.transaction(once=fact.id) as tx:
                    VISITS.add(tx, domain.visit_after(None, event, happened_at=fact.happened_at, zone=self.zone))
                return
        async with self.db.transaction(once=fact.id) as tx:
            before = await VISITS.get(tx, event.aggregate)
            if before is not None:
                if event.version <= before.version:
                    return
                await tx.run(tables.FORGET_VISIT, key=before.visit_id, seen=before.version)
            VISITS.add(tx, domain.visit_after(before, event, happened_at=fact.happened_at, zone=self.zone))

    async def record_feedback(self, event: FeedbackGathered, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            if await ANSWERS.get(tx, event.aggregate) is None:
                ANSWERS.add(tx, AnswerGroup(
                    event.aggregate, event.department_id, fact.happened_at.astimezone(self.zone).date(),
                    sum(event.distribution), sum(n * count for n, count in enumerate(event.distribution, 1))))

    async def record_department(self, event: DepartmentChanged, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            before = await DEPARTMENTS.get(tx, event.aggregate)
            if before is not None:
                if event.version <= before.version:
                    return
                await tx.run(tables.FORGET_DEPARTMENT, key=before.id, seen=before.version)
            DEPARTMENTS.add(tx, KnownDepartment(event.aggregate, event.name, event.active, event.version))

    async def record_patient(self, event: PatientRegistered, fact: Fact) -> None:
        """Only that somebody registered, and on which day: who it was is not needed for a figure."""
        async with self.db.transaction(once=fact.id) as tx:
            if await REGISTRATIONS.get(tx, event.aggregate) is None:
                day = fact.happened_at.astimezone(self.zone).date()
                REGISTRATIONS.add(tx, Registration(event.aggregate, day))

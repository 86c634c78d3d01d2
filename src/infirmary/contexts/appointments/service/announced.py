"""What others announce, as far as it shows on visits."""
from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import Participant, ParticipantKind
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.patients.events import PatientAmended
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.kernel.events import Fact

from .base import ahead
from .lines import Lines


class Announced(Lines):
    async def learn_schedule(self, event: ScheduleChanged, fact: Fact) -> None:
        schedule, now = hours.announced(event), self.clock.now()
        async with self.db.transaction(once=fact.id) as tx:
            if not await tables.SCHEDULES.keep_newest(tx, schedule):
                return
            await tx.run(tables.RENAME_DOCTOR, key=schedule.doctor_id, **ahead(now),
                         new_doctor_name=schedule.doctor_name, new_department_id=schedule.department_id,
                         new_department_name=schedule.department_name)
            await tables.rename_participant(
                tx, Participant(schedule.doctor_id, ParticipantKind.DOCTOR, schedule.doctor_name), **ahead(now))
            moved: dict[str, list[UUID]] = defaultdict(list)
            for visit in await tx.all(tables.VISITS_AHEAD, doctor_id=schedule.doctor_id, **ahead(now)):
                location = hours.location(schedule, visit.starts_at, self.zone)
                if location not in (None, visit.location):
                    moved[location].append(visit.id)
            for location, ids in sorted(moved.items()):
                await tx.run(tables.RELOCATE, key=schedule.doctor_id, ids=ids, new_location=location)
        self.freed.set()
        await self.doctor_changed(schedule.department_id)

    async def learn_name(self, event: PatientAmended, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            await tx.run(tables.RENAME_PATIENT, key=event.aggregate, new_patient_name=event.name,
                         **ahead(self.clock.now()))
            await tx.run(tables.waitlist.RENAME, key=event.aggregate, new_patient_name=event.name)
            await tx.run(tables.queue.RENAME, key=event.aggregate, new_patient_name=event.name)

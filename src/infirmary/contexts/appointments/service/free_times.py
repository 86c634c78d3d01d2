"""When there is room, and what to offer instead of a time that is not."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Opening,
    Slot,
    Slots,
)
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.participants import are_free
from infirmary.kernel.access import Caller
from infirmary.kernel.database.db import Reading
from infirmary.kernel.errors import FieldError, Malformed, NotFound
from infirmary.language import OWN, PATIENT

from .base import Base, busy_grains, busy_times, there
from .company import company

LONGEST_QUESTION = timedelta(days=62, hours=2)   # days of wall time may be longer than 24 hours
LOOKED_AHEAD = (2, 8, 31)    # days; most doctors have time soon, and the rest of the month need not be read for them


class FreeTimes(Base):
    async def slots(self, caller: Caller, from_: datetime, to: datetime, doctor_id: UUID | None = None,
                    department_id: UUID | None = None, with_: str = "") -> Slots:
        return await self._slots(_as_patient(caller), from_, to, doctor_id, department_id, with_)

    async def slots_for(self, caller: Caller, patient_id: UUID, from_: datetime, to: datetime,
                        doctor_id: UUID | None = None, department_id: UUID | None = None, with_: str = "") -> Slots:
        await self.in_place_of(caller, patient_id=patient_id)
        return await self._slots(patient_id, from_, to, doctor_id, department_id, with_)

    async def _slots(self, patient_id: UUID | None, from_: datetime, to: datetime, doctor_id: UUID | None,
                     department_id: UUID | None, with_: str) -> Slots:
        must_be_short(from_, to, *([FieldError("doctor_id", "Name either a doctor or a department.")]
                                   if (doctor_id is None) == (department_id is None) else []))
        since = max(from_, self.clock.now())
        async with self.db.reading() as reading:
            if doctor_id is not None:
                schedules = [there(await tables.SCHEDULES.get(reading, doctor_id))]
            else:
                schedules = await reading.all(tables.ACTIVE_IN, department_id=department_id)
            found = await self._offered(reading, schedules, since, to, patient_id)
            others = await company(reading, map(UUID, filter(None, with_.split(","))))
            theirs = await busy_grains(reading, others.ids, since, to, now=self.clock.now(), patient_id=patient_id)
        if others.unknown:
            raise NotFound
        return Slots(sorted((slot for slots in found.values() for slot in slots
                             if are_free(others, theirs, slot.starts_at, slot.ends_at, self.zone)),
                            key=lambda slot: (slot.starts_at, slot.doctor_id)))

    async def _offered(self, reading: Reading, schedules: Sequence[Schedule], since: datetime, until: datetime,
                    patient_id: UUID | None) -> dict[UUID, Iterator[Slot]]:
        """Of each; for a patient, those at which they have nothing else."""
        busy = await busy_times(reading, schedules, since, until, self.zone, now=self.clock.now(), patient_id=patient_id)
        theirs = busy[patient_id] if patient_id else frozenset()
        return {one.doctor_id: hours.free(one, since, until, self.zone, busy[one.doctor_id], theirs=theirs)
                for one in schedules}

    async def earliest(self, caller: Caller, department_id: UUID | None = None) -> list[Opening]:
        return await self._earliest(_as_patient(caller), department_id)

    async def earliest_for(self, caller: Caller, patient_id: UUID, department_id: UUID | None = None) -> list[Opening]:
        await self.in_place_of(caller, patient_id=patient_id)
        return await self._earliest(patient_id, department_id)

    async def _earliest(self, patient_id: UUID | None, department_id: UUID | None) -> list[Opening]:
        since = now = self.clock.now()
        found: dict[UUID, Slot] = {}
        async with self.db.reading() as reading:
            schedules = (await reading.all(tables.ACTIVE) if department_id is None else
                         await reading.all(tables.ACTIVE_IN, department_id=department_id))
            for days in LOOKED_AHEAD:
                until, looking = now + timedelta(days=days), [one for one in schedules if one.doctor_id not in found]
                for doctor_id, slots in (await self._offered(reading, looking, since, until, patient_id)).items():
                    if (slot := next(slots, None)) is not None:
                        found[doctor_id] = slot
                since = until
        openings = [Opening(
            doctor_id=one.doctor_id, doctor_name=one.doctor_name, specialty=one.specialty,
            department_id=one.department_id, department_name=one.department_name, visit_minutes=one.visit_minutes,
            accepts_first=one.accepts_first, video=one.video, next=found.get(one.doctor_id)) for one in schedules]
        return sorted(openings, key=lambda one: (one.next is None, one.next and one.next.starts_at, one.doctor_name))


def _as_patient(caller: Caller) -> UUID | None:
    """Who looks for themselves. Staff who are patients too look for others."""
    return caller.subjects.get(OWN.field) if caller.roles == {PATIENT} else None


def must_be_short(from_: datetime, to: datetime, *wrong: FieldError) -> None:
    """Refuse what is `wrong` already, and a time that is longer than may be asked for at once."""
    if not from_ <= to <= from_ + LONGEST_QUESTION:
        wrong += (FieldError("to", "Choose a time after “from”, at most 62 days later."),)
    if wrong:
        raise Malformed(errors=list(wrong))

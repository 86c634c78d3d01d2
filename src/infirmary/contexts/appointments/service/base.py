"""What every part of the service needs."""
from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    Appointments,
    DoctorOfVisitDecides,
)
from infirmary.contexts.appointments.domain import hours, visits
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.patients.contract import Patients
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.errors import NotFound, StaleVersion
from infirmary.language import OWN, TREATING

from .days import full_days

T = TypeVar("T")
AROUND = visits.LONGEST // timedelta(seconds=hours.GRAIN)   # what else may reach into a time, in grains


class Base(Appointments):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock = kit.db, kit.clock
        self.patients, self.live = kit.ask(Patients), kit.live
        self.hospital, self.zone = kit.settings.hospital, kit.settings.hospital.tz
        self.freed = asyncio.Event()   # there may be something for the waitlist
        self.planned = asyncio.Event()   # there may be visits to move together
        self.host = urlsplit(kit.settings.public_url).hostname or "localhost"

    async def in_place_of(self, caller: Caller, *, patient_id: UUID | None, doctor_id: UUID | None = None) -> Caller:
        """The caller, if what is this patient's or this doctor's is within their reach; a guardian in the patient's
        place. NotFound for everybody else.

        The register is asked each time and nothing is kept: a guardianship that has ended is over with the next request.
        """
        if (patient_id is not None and OWN in caller.scopes
                and not caller.reaches(patient_id=patient_id, doctor_id=doctor_id)):
            right = (await self.patients.acting(caller, patient_id)).kind
            if right is not None:
                return caller.standing_for(right, patient_id=patient_id)
        caller.must_reach(patient_id=patient_id, doctor_id=doctor_id)
        return caller

    async def asking_for(self, caller: Caller, patient_id: UUID | None) -> Caller:
        """For lists: who asks for one patient's things may be that one's guardian. Narrowed by `only` in any case."""
        if patient_id is not None:
            with contextlib.suppress(NotFound):
                return await self.in_place_of(caller, patient_id=patient_id)
        return caller

    async def seen(self, caller: Caller, appointment_id: UUID) -> tuple[Caller, Visit]:
        """To read it; with the caller as who they are for it."""
        async with self.db.reading() as reading:
            visit = there(await tables.VISITS.get(reading, appointment_id))
        return await self.seeing(caller, visit), visit

    async def seeing(self, caller: Caller, visit: Visit | Appointment) -> Caller:
        """As `in_place_of`: whoever takes part as a doctor sees what its doctor sees."""
        own = caller.subjects.get(TREATING.field)
        doctor_id = own if own in visits.doctors_of(visit) else visit.doctor_id
        return await self.in_place_of(caller, patient_id=visit.patient_id, doctor_id=doctor_id)

    async def visit(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> tuple[Caller, Visit]:
        """To do something with it, which of several doctors is for the first alone: one answers for a visit, and has it in
        the queue and in the video room."""
        caller, visit = await self.seen(caller, appointment_id)
        if not caller.reaches(visit):
            raise DoctorOfVisitDecides
        if if_match not in (None, visit.version):
            raise StaleVersion
        return caller, visit


def recorded(tx: Transaction, caller: Caller, visit: Visit, fact: events.VisitChanged, done: str) -> Appointment:
    """What every version of a visit leaves behind, in the transaction that makes it."""
    record(tx, caller, visit, fact, done)
    return tx.answer(visits.shown(visit))


def record(tx: Transaction, caller: Caller, visit: Visit, fact: events.VisitChanged, done: str) -> None:
    tables.STEPS.add(tx, tables.KeptStep(visit.id, visit.version, visit.status, visit.changed_at, caller.name,
                                         caller.account_id, visit.starts_at, visit.status_reason))
    tx.emit(fact)
    tx.audit(f"appointment.{done}", caller, subject_id=visit.patient_id, entity=f"appointment/{visit.id}",
             status=visit.status, doctor_id=str(visit.doctor_id),
             **({"overbooked": visit.overbooked} if visit.overbooked else {}))


async def busy_grains(reading: Reading, resources: Iterable[UUID], since: datetime, until: datetime, *, now: datetime,
                      patient_id: UUID | None = None) -> defaultdict[UUID, set[int]]:
    """Their busy grains, for visits that begin in this time. Holds are no obstacle once they have lapsed, nor is the
    patient's own to that patient."""
    found: defaultdict[UUID, set[int]] = defaultdict(set)
    if whose := list(resources):
        around = hours.grains(since, until + visits.LONGEST + visits.LONGEST_BUFFER)
        for row in await reading.all(tables.taken.BUSY, resources=whose, since=around.start, until=around.stop):
            found[row.resource_id].update(row.grains())
        for hold in await reading.all(tables.holds.NO_OBSTACLES, now=now, patient_id=patient_id):
            for resource in found.keys() & {hold.doctor_id, hold.patient_id}:
                found[resource].difference_update(hours.grains(
                    hold.starts_at, hold.busy_until if resource == hold.doctor_id else hold.ends_at))
    return found


async def busy_times(reading: Reading, schedules: Collection[Schedule], since: datetime, until: datetime, zone: ZoneInfo, *,
                     now: datetime, patient_id: UUID | None = None) -> defaultdict[UUID, set[int]]:
    """Their busy grains, and the patient's; all of a day is busy when the doctor takes no more visits on it."""
    found = await busy_grains(reading, [*(one.doctor_id for one in schedules), *([patient_id] if patient_id else [])],
                              since, until, now=now, patient_id=patient_id)
    for doctor_id, days in (await full_days(reading, schedules, since, until, zone, now=now,
                                            patient_id=patient_id)).items():
        found[doctor_id].update(*days)
    return found


async def count_open(reading: Reading, patient_id: UUID, now: datetime) -> int:
    return await reading.one(tables.OPEN_VISITS, patient_id=patient_id, **ahead(now)) or 0


def ahead(now: datetime) -> dict[str, datetime]:
    return {"now": now, "earliest_start": now - visits.LONGEST}


def as_staff(caller: Caller, *diaries: UUID) -> bool:
    """As staff: whoever may book for anybody, and doctors in their own diary. Otherwise as the patient."""
    return caller.unlimited or (TREATING in caller.scopes
                                and all(doctor_id == caller.subjects.get(TREATING.field) for doctor_id in diaries))


def there(found: T | None) -> T:
    if found is None:
        raise NotFound
    return found

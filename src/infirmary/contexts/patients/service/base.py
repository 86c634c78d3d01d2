"""What the use cases of the register share."""
from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import date
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.patients.contract import Patient, Patients
from infirmary.contexts.patients.domain.guardians import minors_birth
from infirmary.contexts.patients.domain.people import must_be_open
from infirmary.contexts.patients.tables import guardians, people
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.errors import NotFound, StaleVersion
from infirmary.language import OWN, TREATING

T = TypeVar("T")
S = TypeVar("S", bound="Base")
P = ParamSpec("P")


def retried(use_case: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
            ) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run again as a whole on deadlock: a use case does nothing outside its transaction."""
    @wraps(use_case)
    async def run(self: S, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.db.retry(use_case, self, *args, **given)
    return run


class Base(Patients):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock, self.zone = kit.db, kit.clock, kit.settings.hospital.tz
        self.majority: int = kit.settings.hospital.majority
        self.appointments = kit.ask(Appointments)

    def today(self) -> date:
        return self.clock.now().astimezone(self.zone).date()

    async def reaching(self, reading: Reading, caller: Caller, patient_id: UUID) -> Caller:
        """The patient themself, whoever may reach anybody, and a doctor who treats this patient; a guardian in the
        patient's place. NotFound for everybody else."""
        doctor_id = caller.subjects.get("doctor_id") if TREATING in caller.scopes else None
        if doctor_id and not await people.treats(reading, doctor_id, patient_id, self.clock.now()):
            doctor_id = None
        if OWN in caller.scopes and not caller.reaches(patient_id=patient_id, doctor_id=doctor_id):
            right = await reading.one(guardians.RIGHT, ward_id=patient_id, guardian_id=caller.subjects.get(OWN.field),
                                      **self.these_days())
            if right is not None:
                return caller.standing_for(right.kind, patient_id=patient_id)
        caller.must_reach(patient_id=patient_id, doctor_id=doctor_id)
        return caller

    async def in_reach(self, caller: Caller, patient_id: UUID) -> Caller:
        async with self.db.reading() as reading:
            return await self.reaching(reading, caller, patient_id)

    def these_days(self) -> dict[str, date]:
        """Today, and the birth date after which somebody is a child today."""
        return {"today": self.today(), "minors_birth": minors_birth(self.today(), self.majority)}

    async def known(self, reading: Reading, patient_id: UUID, if_match: int | None = None) -> Patient:
        found = await people.get(reading, patient_id)
        if found is None:
            raise NotFound
        if if_match not in (None, found.version):
            raise StaleVersion
        return found

    async def held(self, tx: Transaction, patient_id: UUID) -> Patient:
        """An open record, for us alone: what hangs on it changes one after the other, and not while it is closed."""
        found = await people.held(tx, patient_id)
        if found is None:
            raise NotFound
        must_be_open(found)
        return found

    async def both(self, tx: Transaction, one: UUID, other: UUID) -> tuple[Patient, Patient]:
        """Two records, held in the order of their ids, so that nobody waits in a circle."""
        found = {each: await people.held(tx, each) for each in sorted((one, other))}
        first, second = found[one], found[other]
        if first is None or second is None:
            raise NotFound
        return first, second

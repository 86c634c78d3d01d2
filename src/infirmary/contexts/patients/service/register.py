"""Entering people in the register, changing what it says, and closing a record."""
from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from msgspec import structs

from infirmary.contexts.patients.contract import AmendPatient, Demographics, Enrol, Patient, VisitsStillOpen
from infirmary.contexts.patients.domain import people as rules
from infirmary.contexts.patients.events import PatientAmended, PatientRegistered, PatientWasRetired
from infirmary.contexts.patients.tables import people as tables
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.language import service

from .base import Base


class Registering(Base):
    async def register(self, caller: Caller, body: Demographics) -> Patient:
        return await self._enter(caller, new_id(), body)

    async def enrol(self, caller: Caller, body: Enrol) -> Patient:
        try:
            return await self._enter(caller, body.patient_id, body.demographics)
        except UniqueViolation:   # of the patient, or of what is announced: the engine chooses which it reports
            async with self.db.reading() as reading:
                before = await tables.get(reading, body.patient_id)
            if before is None:
                raise
            return before   # done before is done

    async def _enter(self, caller: Caller, patient_id: UUID, body: Demographics) -> Patient:
        rules.check_birth_date(body.birth_date, today=self.today())
        try:
            return await self.db.retry(self._entered, caller, patient_id, body)
        except UniqueViolation as clash:
            if clash.on not in tables.FIRST_NUMBER_TAKEN:
                raise
            return await self.db.retry(self._entered, caller, patient_id, body)

    async def _entered(self, caller: Caller, patient_id: UUID, body: Demographics) -> Patient:
        async with self.db.transaction() as tx:
            return tx.answer(await self.entered(tx, caller, patient_id, body))

    async def entered(self, tx: Transaction, caller: Caller, patient_id: UUID, body: Demographics) -> Patient:
        number = await tables.next_number(tx)   # locked from here, until all the rest leaves with the commit
        patient = rules.entered(body, patient_id=patient_id, number=number, at=self.clock.now())
        tables.add(tx, patient)
        tx.emit(PatientRegistered(aggregate=patient.id, version=1, name=patient.name, number=number))
        tx.audit("patient.registered", caller, subject_id=patient.id, entity=f"patient/{patient.id}")
        return patient

    async def replace(self, caller: Caller, patient_id: UUID, body: Demographics, if_match: int) -> Patient:
        caller = await self.in_reach(caller, patient_id)
        return await self.db.retry(self._changed, caller, patient_id, if_match,
                                   lambda patient: rules.replaced(patient, body, today=self.today()))

    async def amend(self, caller: Caller, patient_id: UUID, body: AmendPatient, if_match: int) -> Patient:
        caller = await self.in_reach(caller, patient_id)
        return await self.db.retry(self._changed, caller, patient_id, if_match,
                                   lambda patient: rules.amended(patient, body, today=self.today()))

    async def _changed(self, caller: Caller, patient_id: UUID, if_match: int,
                       change: Callable[[Patient], Patient]) -> Patient:
        async with self.db.transaction() as tx:
            before = await self.known(tx, patient_id, if_match)
            after = change(before)
            if after == before:
                return before
            saved = await tables.save(tx, before, after)
            tx.emit(PatientAmended(aggregate=saved.id, version=saved.version, name=saved.name, number=saved.number))
            tx.audit("patient.amended", caller, subject_id=saved.id, entity=f"patient/{saved.id}",
                     fields=",".join(rules.changed_fields(before, after)))
            return saved

    async def retire(self, caller: Caller, patient_id: UUID, if_match: int) -> Patient:
        async with self.db.reading() as reading:
            await self.known(reading, patient_id, if_match)
        visits = (await self.appointments.open_visits(service("patients"), patient_id)).count
        if visits:
            raise VisitsStillOpen(
                f"This patient still has {'a visit' if visits == 1 else f'{visits} visits'} to come. Cancel "
                f"{'it' if visits == 1 else 'them'} first; the record itself is never destroyed.", count=visits)
        return await self.db.retry(self._retired, caller, patient_id, if_match)

    async def _retired(self, caller: Caller, patient_id: UUID, if_match: int) -> Patient:
        async with self.db.transaction() as tx:
            before = await self.known(tx, patient_id, if_match)
            if before.retired_at is not None:
                return before
            rules.must_be_open(before)
            return await self.closed(tx, caller, before)

    async def closed(self, tx: Transaction, caller: Caller, before: Patient) -> Patient:
        saved = await tables.save(tx, before, structs.replace(before, retired_at=self.clock.now()))
        tx.emit(PatientWasRetired(aggregate=saved.id, version=saved.version, name=saved.name, number=saved.number))
        tx.audit("patient.retired", caller, subject_id=saved.id, entity=f"patient/{saved.id}")
        return saved

    async def reopened(self, tx: Transaction, caller: Caller, before: Patient) -> Patient:
        """A closed record that is needed after all."""
        saved = await tables.save(tx, before, structs.replace(before, retired_at=None))
        tx.emit(PatientAmended(aggregate=saved.id, version=saved.version, name=saved.name, number=saved.number))
        tx.audit("patient.reopened", caller, subject_id=saved.id, entity=f"patient/{saved.id}")
        return saved

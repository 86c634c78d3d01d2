"""Use cases of the register."""
from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date
from uuid import UUID

from msgspec import structs

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.events import VisitChanged
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed, NotFound, StaleVersion
from infirmary.kernel.events import Fact
from infirmary.language import TREATING, service

from . import domain, tables
from .contract import AmendPatient, Demographics, Enrol, Match, Patient, PatientCard, Patients, VisitsStillOpen
from .events import PatientAmended, PatientRegistered, PatientWasRetired


class PatientsService(Patients):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock, self.zone = kit.db, kit.clock, kit.settings.hospital.tz
        self.appointments = kit.ask(Appointments)

    def today(self) -> date:
        return self.clock.now().astimezone(self.zone).date()

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
        domain.check_birth_date(body.birth_date, today=self.today())
        try:
            return await self.db.retry(self._entered, caller, patient_id, body)
        except UniqueViolation as clash:
            if clash.on not in tables.FIRST_NUMBER_TAKEN:
                raise
            return await self.db.retry(self._entered, caller, patient_id, body)

    async def _entered(self, caller: Caller, patient_id: UUID, body: Demographics) -> Patient:
        async with self.db.transaction() as tx:
            number = await tables.next_number(tx)   # locked from here, until all the rest leaves with the commit
            patient = domain.entered(body, patient_id=patient_id, number=number, at=self.clock.now())
            tables.add(tx, patient)
            tx.emit(PatientRegistered(aggregate=patient.id, version=1, name=patient.name, number=number))
            tx.audit("patient.registered", caller, subject_id=patient.id, entity=f"patient/{patient.id}")
            return tx.answer(patient)

    async def search(self, caller: Caller, q: str = "", birth_date: date | None = None, phone: str | None = None,
                     limit: int = 25, cursor: str | None = None) -> Page[Patient]:
        within = caller.only()
        readings = domain.readings(q, today=self.today(), birth_date=birth_date, phone=phone)
        at, after = _place(cursor, len(readings))
        async with self.db.reading() as reading:
            while True:
                found, further = await tables.find(reading, readings[at], doctor_id=within.get("doctor_id"),
                                                   now=self.clock.now(), after=after, limit=limit)
                if found or after or at + 1 == len(readings):
                    break
                at += 1
        async with self.db.transaction() as tx:   # never what was typed: it names people
            tx.audit("patient.searched", caller, entity="patients", found=str(len(found)))
        return Page([one.shown for one in found], further and f"{at}.{further}")

    async def matches(self, caller: Caller, given_name: str = "", family_name: str = "", birth_date: date | None = None,
                      phone: str | None = None, email: str | None = None) -> list[Match]:
        asked = domain.Asked(given_name=given_name, family_name=family_name, birth_date=birth_date, phone=phone,
                             email=email)
        async with self.db.reading() as reading:
            found = domain.matches(asked, await tables.candidates(reading, asked))
        async with self.db.transaction() as tx:
            tx.audit("patient.matched", caller, entity="patients", found=str(len(found)))
        return found

    async def patient(self, caller: Caller, patient_id: UUID) -> Patient:
        async with self.db.reading() as reading:
            await self._must_reach(reading, caller, patient_id)
            found = await self._known(reading, patient_id)
        if caller.subjects.get("patient_id") != patient_id:
            async with self.db.transaction() as tx:
                tx.audit("patient.read", caller, subject_id=patient_id, entity=f"patient/{patient_id}")
        return found

    async def card(self, caller: Caller, patient_id: UUID) -> PatientCard:
        async with self.db.reading() as reading:
            await self._must_reach(reading, caller, patient_id)
            found = await self._known(reading, patient_id)
        return PatientCard(id=found.id, number=found.number, name=found.name, birth_date=found.birth_date,
                           gender=found.gender, retired=found.retired_at is not None)

    async def replace(self, caller: Caller, patient_id: UUID, body: Demographics, if_match: int) -> Patient:
        caller.must_reach(patient_id=patient_id)
        return await self.db.retry(self._changed, caller, patient_id, if_match,
                                   lambda patient: domain.replaced(patient, body, today=self.today()))

    async def amend(self, caller: Caller, patient_id: UUID, body: AmendPatient, if_match: int) -> Patient:
        caller.must_reach(patient_id=patient_id)
        return await self.db.retry(self._changed, caller, patient_id, if_match,
                                   lambda patient: domain.amended(patient, body, today=self.today()))

    async def _changed(self, caller: Caller, patient_id: UUID, if_match: int,
                       change: Callable[[Patient], Patient]) -> Patient:
        async with self.db.transaction() as tx:
            before = await self._known(tx, patient_id, if_match)
            after = change(before)
            if after == before:
                return before
            saved = await tables.save(tx, before, after)
            tx.emit(PatientAmended(aggregate=saved.id, version=saved.version, name=saved.name, number=saved.number))
            tx.audit("patient.amended", caller, subject_id=saved.id, entity=f"patient/{saved.id}",
                     fields=",".join(domain.changed_fields(before, after)))
            return saved

    async def retire(self, caller: Caller, patient_id: UUID, if_match: int) -> Patient:
        async with self.db.reading() as reading:
            await self._known(reading, patient_id, if_match)
        visits = (await self.appointments.open_visits(service("patients"), patient_id)).count
        if visits:
            raise VisitsStillOpen(
                f"This patient still has {'a visit' if visits == 1 else f'{visits} visits'} to come. Cancel "
                f"{'it' if visits == 1 else 'them'} first; the record itself is never destroyed.", count=visits)
        return await self.db.retry(self._retired, caller, patient_id, if_match)

    async def _retired(self, caller: Caller, patient_id: UUID, if_match: int) -> Patient:
        async with self.db.transaction() as tx:
            before = await self._known(tx, patient_id, if_match)
            if before.retired_at is not None:
                return before
            saved = await tables.save(tx, before, structs.replace(before, retired_at=self.clock.now()))
            tx.emit(PatientWasRetired(aggregate=saved.id, version=saved.version, name=saved.name, number=saved.number))
            tx.audit("patient.retired", caller, subject_id=saved.id, entity=f"patient/{saved.id}")
            return saved

    async def visit_arranged(self, event: VisitChanged, fact: Fact) -> None:
        """From now until a year after the visit, its doctor treats this patient."""
        await self._relate(fact, tables.CareRelation(
            event.aggregate, event.doctor_id, event.patient_id, event.ends_at + domain.STAYS_TREATING, event.version))

    async def visit_called_off(self, event: VisitChanged, fact: Fact) -> None:
        await self._relate(fact, tables.CareRelation(
            event.aggregate, event.doctor_id, event.patient_id, None, event.version))

    async def _relate(self, fact: Fact, relation: tables.CareRelation) -> None:
        if relation.version == 1:   # nearly always the first we hear of it: one trip to the database, no question
            with contextlib.suppress(UniqueViolation):
                async with self.db.transaction(once=fact.id) as tx:
                    tables.RELATIONS.add(tx, relation)
                return
        async with self.db.transaction(once=fact.id) as tx:
            await tables.relate(tx, relation)

    async def _must_reach(self, reading: Reading, caller: Caller, patient_id: UUID) -> None:
        """The patient themself, whoever may reach anybody, or a doctor who treats this patient."""
        doctor_id = caller.subjects.get("doctor_id") if TREATING in caller.scopes else None
        if doctor_id and not await tables.treats(reading, doctor_id, patient_id, self.clock.now()):
            doctor_id = None
        caller.must_reach(patient_id=patient_id, doctor_id=doctor_id)

    async def _known(self, reading: Reading, patient_id: UUID, if_match: int | None = None) -> Patient:
        found = await tables.get(reading, patient_id)
        if found is None:
            raise NotFound
        if if_match not in (None, found.version):
            raise StaleVersion
        return found


def _place(cursor: str | None, readings: int) -> tuple[int, str | None]:
    """Which reading of the query the page before was of, and where it ended."""
    at, _, after = (cursor or "0.").partition(".")
    if not (at.isdecimal() and at.isascii() and int(at) < readings and len(at) == 1):
        raise Malformed(errors=[FieldError("cursor", "Use the next_cursor of the page before.")])
    return int(at), after or None

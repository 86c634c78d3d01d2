"""What hangs on a record: whom to call, who pays, and what was agreed to."""
from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from msgspec import structs

from infirmary.contexts.patients.contract import (
    Consent,
    ConsentForm,
    ConsentText,
    ContactForm,
    ContactPerson,
    Coverage,
    CoverageForm,
    GuardianKind,
    NotForCarers,
)
from infirmary.contexts.patients.domain import around as rules
from infirmary.contexts.patients.tables import around as tables
from infirmary.contexts.patients.tables.around import CONSENTS, CONTACTS, COVERAGES
from infirmary.contexts.patients.tables.merging import HELD_BY
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done, Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading
from infirmary.kernel.errors import NotFound, StaleVersion

from .base import Base, retried

K = TypeVar("K", ContactPerson, Coverage)


class Around(Base):
    async def contacts(self, caller: Caller, patient_id: UUID) -> list[ContactPerson]:
        async with self.db.reading() as reading:
            await self.reaching(reading, caller, patient_id)
            await self.known(reading, patient_id)
            return await reading.all(tables.CONTACTS_OF, patient_id=patient_id)

    @retried
    async def add_contact(self, caller: Caller, patient_id: UUID, body: ContactForm) -> ContactPerson:
        caller = await self.in_reach(caller, patient_id)
        form = rules.contact(body)
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)
            kept: list[ContactPerson] = await tx.all(tables.CONTACTS_OF, patient_id=patient_id)
            rules.has_room(kept)
            made = ContactPerson(id=new_id(), patient_id=patient_id, version=1, **structs.asdict(form))
            CONTACTS.add(tx, made)
            tx.audit("contact.added", caller, subject_id=patient_id, entity=f"contact/{made.id}")
            return tx.answer(made)

    @retried
    async def replace_contact(self, caller: Caller, patient_id: UUID, contact_id: UUID, body: ContactForm,
                              if_match: int) -> ContactPerson:
        caller = await self.in_reach(caller, patient_id)
        form = rules.contact(body)
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)
            before = await _as_seen(tx, await CONTACTS.get(tx, contact_id), patient_id, if_match)
            after = await CONTACTS.save(tx, structs.replace(before, **structs.asdict(form)))
            tx.audit("contact.amended", caller, subject_id=patient_id, entity=f"contact/{contact_id}")
            return after

    @retried
    async def remove_contact(self, caller: Caller, patient_id: UUID, contact_id: UUID, if_match: int) -> Done:
        caller = await self.in_reach(caller, patient_id)
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)
            await _as_seen(tx, await CONTACTS.get(tx, contact_id), patient_id, if_match)
            if await tx.run(tables.REMOVE_CONTACT, key=contact_id, seen=if_match) != 1:
                raise StaleVersion
            tx.audit("contact.removed", caller, subject_id=patient_id, entity=f"contact/{contact_id}")
        return Done()

    async def coverages(self, caller: Caller, patient_id: UUID) -> list[Coverage]:
        async with self.db.reading() as reading:
            await self.reaching(reading, caller, patient_id)
            await self.known(reading, patient_id)
            return await reading.all(tables.COVERAGES_OF, patient_id=patient_id)

    async def coverage(self, caller: Caller, patient_id: UUID, coverage_id: UUID) -> Coverage:
        async with self.db.reading() as reading:
            await self.reaching(reading, caller, patient_id)
            return await _as_seen(reading, await COVERAGES.get(reading, coverage_id), patient_id)

    @retried
    async def add_coverage(self, caller: Caller, patient_id: UUID, body: CoverageForm) -> Coverage:
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)   # two of one priority cannot both look before they are added
            others = await tx.all(tables.COVERAGES_OF, patient_id=patient_id)
            rules.has_room(others)
            form = rules.coverage(body, others)
            made = Coverage(id=new_id(), patient_id=patient_id, withdrawn_at=None, version=1, **structs.asdict(form))
            COVERAGES.add(tx, made)
            tx.audit("coverage.added", caller, subject_id=patient_id, entity=f"coverage/{made.id}")
            return tx.answer(made)

    @retried
    async def replace_coverage(self, caller: Caller, patient_id: UUID, coverage_id: UUID, body: CoverageForm,
                               if_match: int) -> Coverage:
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)
            before = await _as_seen(tx, await COVERAGES.get(tx, coverage_id), patient_id, if_match)
            if before.withdrawn_at is not None:
                raise NotFound
            others = [one for one in await tx.all(tables.COVERAGES_OF, patient_id=patient_id) if one.id != coverage_id]
            form = rules.coverage(body, others)
            after = await COVERAGES.save(tx, structs.replace(before, **structs.asdict(form)))
            tx.audit("coverage.amended", caller, subject_id=patient_id, entity=f"coverage/{coverage_id}")
            return after

    @retried
    async def withdraw_coverage(self, caller: Caller, patient_id: UUID, coverage_id: UUID, if_match: int) -> Coverage:
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)
            before = await _as_seen(tx, await COVERAGES.get(tx, coverage_id), patient_id, if_match)
            if before.withdrawn_at is not None:
                return before
            after = await COVERAGES.save(tx, structs.replace(before, withdrawn_at=self.clock.now()))
            tx.audit("coverage.withdrawn", caller, subject_id=patient_id, entity=f"coverage/{coverage_id}")
            return after

    async def consent_texts(self, caller: Caller) -> list[ConsentText]:
        return list(rules.TEXTS)

    async def consents(self, caller: Caller, patient_id: UUID, standing: bool = False, limit: int = 25,
                       cursor: str | None = None) -> Page[Consent]:
        async with self.db.reading() as reading:
            await self.reaching(reading, caller, patient_id)
            await self.known(reading, patient_id)
            if standing:
                entries = await reading.all(tables.STANDING, patient_id=patient_id)
                return Page([*rules.standing(entries).values()])
            return Page(*await tables.CONSENT_PAGES.page(reading, patient_id=patient_id, after=cursor, limit=limit))

    @retried
    async def decide(self, caller: Caller, patient_id: UUID, body: ConsentForm) -> Consent:
        caller = await self.in_reach(caller, patient_id)
        if caller.on_behalf == GuardianKind.CARER:
            raise NotForCarers
        async with self.db.transaction() as tx:
            await self.held(tx, patient_id)
            entries = [one for one in await tx.all(tables.STANDING, patient_id=patient_id)
                       if one.purpose is body.purpose]
            standing = rules.standing(entries).get(body.purpose)
            last = max((one.number for one in entries if one.patient_id == patient_id), default=0)
            entry = rules.decided(body, standing, patient_id=patient_id, at=self.clock.now(), caller=caller,
                                  number=last + 1)
            if entry is None:
                assert standing is not None
                return tx.answer(standing)
            CONSENTS.add(tx, entry)
            tx.audit(f"consent.{entry.decision}", caller, subject_id=patient_id,
                     entity=f"consent/{entry.purpose}/{entry.number}", text_version=entry.text_version)
            return tx.answer(entry)


async def _as_seen(reading: Reading, found: K | None, patient_id: UUID, if_match: int | None = None) -> K:
    """This record's own (or of one merged into it), and as the caller has seen it."""
    if found is None or found.patient_id not in (patient_id, *await reading.all(HELD_BY, patient_id=patient_id)):
        raise NotFound
    if if_match not in (None, found.version):
        raise StaleVersion
    return found

"""Accounts of people whose records are made one, and two again."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.identity import tables
from infirmary.contexts.identity.tables import MERGED, MergedRow
from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.events import Fact
from infirmary.language import service

from .base import Base


class RecordsMadeOne(Base):
    async def learn_merged(self, event: PatientsMerged, fact: Fact) -> None:
        """The account goes with the record, unless the other record has one: then each stays with its own."""
        async with self.db.transaction(once=fact.id) as tx:
            account = await tx.one(tables.OF_PATIENT, patient_id=event.aggregate)
            other = await tx.one(tables.OF_PATIENT, patient_id=event.survivor_id)
            if account is not None and other is None and await MERGED.keep_newest(
                    tx, MergedRow(event.aggregate, account.id, event.version)):
                await self._follow(tx, account.id, event.survivor_id)

    async def learn_unmerged(self, event: PatientsUnmerged, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            known = await MERGED.get(tx, event.aggregate)
            if known is not None and known.account_id is not None and await MERGED.keep_newest(
                    tx, MergedRow(event.aggregate, None, event.version)):
                await self._follow(tx, known.account_id, event.aggregate)

    async def _follow(self, tx: Transaction, account_id: UUID, patient_id: UUID) -> None:
        """Tokens that name the other record are void at once; a new one is signed for the session."""
        await tx.run(tables.FOLLOW, key=account_id, new_patient_id=patient_id)
        await self.void_tokens(tx, account_id)
        tx.audit("account.linked", service("identity"), subject_id=patient_id, entity=f"account/{account_id}")

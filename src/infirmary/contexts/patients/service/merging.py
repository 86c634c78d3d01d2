"""Two records of one person made one, and two again."""
from __future__ import annotations

from uuid import UUID

from msgspec import structs

from infirmary.contexts.patients.contract import (
    Merge,
    MergeForm,
    NotMerged,
    OneGuardsTheOther,
    SameRecord,
    UnmergeForm,
    VisitsCollide,
)
from infirmary.contexts.patients.domain import merging as rules
from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.contexts.patients.tables import around, guardians, merging, people
from infirmary.contexts.patients.tables.merging import MERGES
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import FieldError
from infirmary.language import service

from .base import Base, retried


class Merging(Base):
    async def merge(self, caller: Caller, patient_id: UUID, body: MergeForm) -> Merge:
        """Visits are asked first. What is booked meanwhile is sorted out where visits are kept: nothing overlaps there."""
        if body.duplicate_id == patient_id:
            raise SameRecord(errors=[FieldError("duplicate_id", "Name another record.")])
        colliding = await self.appointments.collisions(service("patients"), patient_id, body.duplicate_id)
        if colliding:
            raise VisitsCollide(appointment_ids=[str(one.id) for one in colliding])
        return await self.db.retry(self._merged, caller, patient_id, body)

    async def _merged(self, caller: Caller, patient_id: UUID, body: MergeForm) -> Merge:
        async with self.db.transaction() as tx:
            survivor, duplicate = await self.both(tx, patient_id, body.duplicate_id)
            held: list[UUID] = await tx.all(merging.HELD_BY, patient_id=duplicate.id)
            rules.must_fit(survivor, duplicate, held,
                           await tx.all(around.COVERAGES_OF, patient_id=survivor.id),
                           await tx.all(around.COVERAGES_OF, patient_id=duplicate.id))
            for ward, guardian in ((survivor, duplicate), (duplicate, survivor)):
                if await tx.one(guardians.BETWEEN, ward_id=ward.id, guardian_id=guardian.id) is not None:
                    raise OneGuardsTheOther
            made = Merge(new_id(), survivor.id, duplicate.id, body.reason.strip(), self.clock.now(), caller.name, None, "", 1)
            MERGES.add(tx, made)
            after = await people.save(tx, duplicate, structs.replace(duplicate, merged_into=survivor.id))
            tx.emit(PatientsMerged(aggregate=after.id, version=after.version, survivor_id=survivor.id, merge_id=made.id))
            for one in (survivor, duplicate):
                tx.audit("patient.merged", caller, subject_id=one.id, entity=f"merge/{made.id}")
            return tx.answer(made)

    @retried
    async def unmerge(self, caller: Caller, patient_id: UUID, body: UnmergeForm) -> Merge:
        async with self.db.transaction() as tx:
            survivor, duplicate = await self.both(tx, patient_id, body.duplicate_id)
            standing = await tx.one(merging.STANDING, survivor_id=survivor.id, duplicate_id=duplicate.id)
            if standing is None or duplicate.merged_into != survivor.id:
                raise NotMerged
            undone = await MERGES.save(tx, structs.replace(standing, undone_at=self.clock.now(), undone_by=caller.name))
            after = await people.save(tx, duplicate, structs.replace(duplicate, merged_into=None))
            tx.emit(PatientsUnmerged(aggregate=after.id, version=after.version, survivor_id=survivor.id,
                                     merge_id=undone.id))
            for one in (survivor, duplicate):
                tx.audit("patient.unmerged", caller, subject_id=one.id, entity=f"merge/{undone.id}")
            return tx.answer(undone)

    async def merges(self, caller: Caller, patient_id: UUID) -> list[Merge]:
        async with self.db.reading() as reading:
            await self.known(reading, patient_id)
            return await reading.all(merging.MERGES_OF, patient_id=patient_id)

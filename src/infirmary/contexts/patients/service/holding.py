"""All that is held about one person."""
from __future__ import annotations

from uuid import UUID

from msgspec import structs

from infirmary.contexts.patients.contract import HeldRecord
from infirmary.contexts.patients.tables import around, guardians, merging
from infirmary.kernel.access import Caller

from .guarding import Guarding


class Holding(Guarding):
    async def held_record(self, caller: Caller, patient_id: UUID) -> HeldRecord:
        async with self.db.reading() as reading:
            caller = await self.reaching(reading, caller, patient_id)
            shown, whose = self._shown, {"patient_id": patient_id}
            merges = await reading.all(merging.MERGES_OF, **whose)
            wards = [] if caller.on_behalf else await reading.all(   # those of a ward are none of a guardian's business
                guardians.WARDS, guardian_id=patient_id, **self.these_days())
            held = HeldRecord(
                made_at=self.clock.now(), patient=await self.known(reading, patient_id),
                parts=[one.shown for one in await reading.all(merging.PARTS_OF, **whose)],
                contacts=await reading.all(around.CONTACTS_OF, **whose),
                coverages=await reading.all(around.EVERY_COVERAGE_OF, **whose),
                consents=await reading.all(around.EVERY_CONSENT_OF, **whose),
                guardians=[shown(caller, one) for one in await reading.all(guardians.EVER_OF_WARD, ward_id=patient_id)],
                wards=[shown(caller, one) for one in wards],
                merges=merges if caller.unlimited else [structs.replace(one, reason="") for one in merges])
        async with self.db.transaction() as tx:
            tx.audit("patient.exported", caller, subject_id=patient_id, entity=f"patient/{patient_id}")
        return held

"""Who stands for whom: named at the desk, over when its time is, and asked by every context that guardians reach."""
from __future__ import annotations

import contextlib
from uuid import UUID

from msgspec import structs

from infirmary.contexts.patients.contract import (
    Acting,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    Guardianship,
    NotForWards,
    OwnGuardian,
)
from infirmary.contexts.patients.domain import guardians as rules
from infirmary.contexts.patients.domain.around import has_room
from infirmary.contexts.patients.domain.guardians import Known
from infirmary.contexts.patients.events import GuardianNamed, GuardianshipEnded
from infirmary.contexts.patients.tables import guardians as tables
from infirmary.contexts.patients.tables.guardians import RELATIONS
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.errors import FieldError, NotFound, StaleVersion
from infirmary.language import OWN, service

from .base import Base, retried

ME = service("patients")
BATCH = 200


class Guarding(Base):
    async def acting(self, caller: Caller, patient_id: UUID) -> Acting:
        found = await self.in_reach(caller, patient_id)
        return Acting(patient_id=patient_id, kind=GuardianKind(found.on_behalf) if found.on_behalf else None)

    async def guardians(self, caller: Caller, patient_id: UUID, standing: bool = False, limit: int = 25,
                        cursor: str | None = None) -> Page[Guardianship]:
        async with self.db.reading() as reading:
            await self.reaching(reading, caller, patient_id)
            await self.known(reading, patient_id)
            found, following = (
                (await reading.all(tables.GUARDIANS_NOW, ward_id=patient_id, **self.these_days()), None) if standing else
                await tables.GUARDIANS.page(reading, ward_id=patient_id, after=cursor, limit=limit))
        return Page([self._shown(caller, one) for one in found], following)

    async def wards(self, caller: Caller, patient_id: UUID) -> list[Guardianship]:
        """One's own only: the wards of a ward are none of a guardian's business."""
        caller.must_reach(patient_id=patient_id)
        async with self.db.reading() as reading:
            await self.known(reading, patient_id)
            found = await reading.all(tables.WARDS, guardian_id=patient_id, **self.these_days())
        return [self._shown(caller, one) for one in {one.ward_now: one for one in found}.values()]

    def _shown(self, caller: Caller, one: Known) -> Guardianship:
        ward = not caller.unlimited and caller.subjects.get(OWN.field) == one.ward_now
        return rules.shown(one, majority=self.majority, in_full=caller.unlimited,
                           yours_to_end=ward and one.ended_at is None and self._is_wards_to_end(one))

    def _is_wards_to_end(self, one: Known) -> bool:
        return rules.is_wards_to_end(one, majority=self.majority, today=self.today())

    @retried
    async def name_guardian(self, caller: Caller, patient_id: UUID, body: GuardianForm) -> Guardianship:
        if body.guardian_id == patient_id:
            raise OwnGuardian(errors=[FieldError("guardian_id", "Name another record.")])
        async with self.db.transaction() as tx:
            ward, guardian = await self.both(tx, patient_id, body.guardian_id)   # nobody else names the same meanwhile
            made = rules.agreed(
                body, relation_id=new_id(), ward=ward, guardian=guardian, majority=self.majority, today=self.today(),
                now=self.clock.now(), by=caller.name,
                between=await tx.all(tables.BETWEEN, ward_id=ward.id, guardian_id=guardian.id))
            of_ward: list[UUID] = await tx.all(tables.OPEN_OF_WARD, ward_id=ward.id)
            of_guardian: list[UUID] = await tx.all(tables.OPEN_OF_GUARDIAN, guardian_id=guardian.id)
            has_room(of_ward)
            has_room(of_guardian)
            RELATIONS.add(tx, made)
            known = await self._known(tx, made.id)
            tx.emit(GuardianNamed(
                aggregate=known.id, version=known.version, ward_id=ward.id, ward_name=known.ward_name,
                guardian_id=guardian.id, guardian_name=known.guardian_name, right=known.kind,
                valid_from=known.valid_from, valid_until=rules.last_day(known, self.majority)))
            _audit(tx, caller, known, "named")
            return tx.answer(self._shown(caller, known))

    @retried
    async def end_guardianship(self, caller: Caller, patient_id: UUID, guardianship_id: UUID, body: EndGuardianship,
                               if_match: int) -> Guardianship:
        caller.must_reach(patient_id=patient_id)   # and who stands for them does not
        async with self.db.transaction() as tx:
            one = await self._known(tx, guardianship_id)
            if patient_id not in (one.ward_id, one.ward_now):
                raise NotFound
            by_ward = not caller.unlimited
            if by_ward and not self._is_wards_to_end(one):
                raise NotForWards
            if one.ended_at is None:
                if if_match != one.version:
                    raise StaleVersion
                # Two stand side by side where records were merged. What ends is that this one acts for that one.
                for each in await tx.all(tables.BETWEEN, ward_id=one.ward_now, guardian_id=one.guardian_now):
                    if not by_ward or each.kind is one.kind:
                        await self._end(tx, caller, each, body.reason.strip(), by_ward=by_ward)
                one = await self._known(tx, guardianship_id)
            return tx.answer(self._shown(caller, one))

    async def end_those_over(self) -> None:
        """Nobody waits for this: a guardianship stands only while its days last. It is told and written down here."""
        async with self.db.reading() as reading:
            over = await reading.all(tables.OVER, limit=BATCH, **self.these_days())
        for one in over:
            with contextlib.suppress(StaleVersion):   # ended by somebody else just now
                await self.db.retry(self._ended_by_itself, one)

    async def _ended_by_itself(self, one: Known) -> None:
        async with self.db.transaction() as tx:
            await self._end(tx, ME, one, "", by_itself=True)

    async def _end(self, tx: Transaction, caller: Caller, one: Known, reason: str, *, by_itself: bool = False,
                   by_ward: bool = False) -> None:
        relation = rules.Relation(**{name: getattr(one, name) for name in rules.Relation.__struct_fields__})
        ended = await RELATIONS.save(tx, structs.replace(
            relation, ended_at=self.clock.now(), ended_by="" if by_itself else caller.name, end_reason=reason))
        tx.emit(GuardianshipEnded(
            aggregate=ended.id, version=ended.version, ward_id=one.ward_now, ward_name=one.ward_name,
            guardian_id=one.guardian_now, guardian_name=one.guardian_name, right=one.kind, by_itself=by_itself, by_ward=by_ward,
            of_age=by_itself and one.of_child and rules.is_grown(one, majority=self.majority, today=self.today())))
        _audit(tx, caller, one, "ended")

    async def _known(self, reading: Reading, guardianship_id: UUID) -> Known:
        one = await reading.one(tables.ONE, key=guardianship_id)
        if one is None:
            raise NotFound
        return one


def _audit(tx: Transaction, caller: Caller, one: Known, done: str) -> None:
    """On both records: the patient's says who acts for them, the guardian's for whom they do."""
    for whose in (one.ward_now, one.guardian_now):
        tx.audit(f"guardianship.{done}", caller, subject_id=whose, entity=f"guardianship/{one.id}", kind=one.kind)

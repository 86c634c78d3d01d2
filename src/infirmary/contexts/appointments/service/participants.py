"""Rooms and equipment, and who and what takes part in a visit."""
from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from msgspec import to_builtins

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import Appointment, TimeIsTaken
from infirmary.contexts.appointments.contract.resources import (
    AmendResource,
    Candidate,
    DepartmentSeesNobody,
    Resource,
    ResourceForm,
    ResourceKind,
    ResourceNameTaken,
    ResourceVisit,
    SetParticipants,
)
from infirmary.contexts.appointments.domain import hours, participants, visits
from infirmary.contexts.appointments.domain.obstacles import whats
from infirmary.contexts.appointments.domain.participants import Company, KeptResource
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables import participants as rows
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed, StaleVersion

from .base import ahead, busy_grains, recorded, there
from .booking import Booking
from .company import company, company_taken, may_ask
from .holding import Room, make_way


class TakingPart(Booking):
    # --- Rooms and equipment ------------------------------------------------------------------------------------------

    async def resources(self, caller: Caller, kind: ResourceKind | None = None, department_id: UUID | None = None,
                        active: bool | None = None, limit: int = 100, cursor: str | None = None) -> Page[Resource]:
        given = {"kind": kind, "department_id": department_id, "active": active}
        filters = {name: value for name, value in given.items() if value is not None}
        async with self.db.reading() as reading:
            found, following = await rows.resources(frozenset(filters)).page(reading, after=cursor, limit=limit, **filters)
        return Page([participants.shown(one) for one in found], following)

    async def resource(self, caller: Caller, resource_id: UUID) -> Resource:
        async with self.db.reading() as reading:
            return participants.shown(there(await rows.RESOURCES.get(reading, resource_id)))

    async def add_resource(self, caller: Caller, body: ResourceForm) -> Resource:
        await self._must_see_patients(body.department_id)
        return await self._named(partial(self._add, caller, participants.added(body, new_id())))

    async def _add(self, caller: Caller, kept: KeptResource) -> Resource:
        async with self.db.transaction() as tx:
            rows.RESOURCES.add(tx, kept)
            return _kept(tx, caller, kept, "added")

    async def amend_resource(self, caller: Caller, resource_id: UUID, body: AmendResource, if_match: int) -> Resource:
        async with self.db.reading() as reading:
            before = there(await rows.RESOURCES.get(reading, resource_id))
        if before.version != if_match:
            raise StaleVersion
        after = participants.amended(before, body)
        if after.department_id != before.department_id:
            await self._must_see_patients(after.department_id)
        return await self._named(partial(self._amend, caller, after, renamed=after.name != before.name))

    async def _amend(self, caller: Caller, after: KeptResource, *, renamed: bool) -> Resource:
        async with self.db.transaction() as tx:
            kept = await rows.RESOURCES.save(tx, after)
            if renamed:
                await tables.rename_participant(tx, kept.participant, **ahead(self.clock.now()))
            return _kept(tx, caller, kept, "amended")

    async def _named(self, work: partial[Any]) -> Resource:
        try:
            kept: Resource = await self.db.retry(work)
        except UniqueViolation as no:
            if no.on != rows.ONE_NAME:
                raise
            raise ResourceNameTaken from no
        return kept

    async def _must_see_patients(self, department_id: UUID | None) -> None:
        if department_id is not None:
            async with self.db.reading() as reading:
                if not await reading.all(tables.ACTIVE_IN, department_id=department_id):
                    raise DepartmentSeesNobody

    async def resource_day(self, caller: Caller, resource_id: UUID, day: date) -> list[ResourceVisit]:
        async with self.db.reading() as reading:
            there(await rows.RESOURCES.get(reading, resource_id))
            return await reading.all(
                tables.WHO_HAS, resource_id=resource_id, since=hours.start_of_day(day, self.zone),
                until=hours.start_of_day(day + timedelta(days=1), self.zone))

    # --- Taking part --------------------------------------------------------------------------------------------------

    async def candidates(self, caller: Caller, from_: datetime, to: datetime) -> list[Candidate]:
        if not from_ < to <= from_ + visits.LONGEST:
            raise Malformed(errors=[FieldError("to", "Choose a time after “from”, at most eight hours later.")])
        now = self.clock.now()
        async with self.db.reading() as reading:
            everybody = Company(sorted(await reading.all(tables.ACTIVE), key=lambda one: one.doctor_name),
                                await reading.all(rows.TO_BE_HAD))
            busy = await busy_grains(reading, everybody.ids, from_, to, now=now)
        return participants.candidates(everybody, busy, from_, to, self.zone)

    async def set_participants(self, caller: Caller, appointment_id: UUID, body: SetParticipants,
                               if_match: int) -> Appointment:
        acting, visit = await self.visit(caller, appointment_id, if_match)
        async with self.db.reading() as reading:
            wanted = await company(reading, body.participants)
        may_ask(acting, wanted, visit.participants)
        after = visits.accompanied(visit, wanted, now=self.clock.now(), zone=self.zone)
        try:
            answer = await self.taking(after, partial(self._set, acting, visit, after), own=None)
        except UniqueViolation as no:
            if no.on != tables.taken.occupancy.name:
                raise
            async with self.db.reading() as reading:
                found = await company_taken(reading, wanted, visit.starts_at, visit.ends_at, {visit.id},
                                            now=self.clock.now(), offers=True)
            raise TimeIsTaken(" ".join(whats(found) or ["This time has just gone."]), conflicts=to_builtins(found)) from no
        self.freed.set()
        return answer

    async def _set(self, caller: Caller, before: Visit, after: Visit, room: Room) -> Appointment:
        """The new ones are taken before the others are given back: who is refused keeps what they have."""
        fact = visits.event(events.ParticipantsChanged, after, caller.account_id, previous_participants=before.participants)
        async with self.db.transaction() as tx:
            if not await tables.change_participants(tx, after):
                raise StaleVersion
            await make_way(tx, room)
            tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied_anew(before, after))
            await tables.taken.release(tx, before, hours.grains(before.starts_at, before.ends_at), keeps=after)
            await rows.take_part_anew(tx, before, after)
            return recorded(tx, caller, after, fact, "participants_changed")


def _kept(tx: Transaction, caller: Caller, kept: KeptResource, done: str) -> Resource:
    tx.audit(f"resource.{done}", caller, entity=f"resource/{kept.id}")
    return tx.answer(participants.shown(kept))

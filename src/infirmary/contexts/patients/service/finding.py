"""Finding people, who may be the same, and who is treated by whom."""
from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID, uuid5

from infirmary.contexts.appointments.contract import Status
from infirmary.contexts.appointments.events import (
    AppointmentRescheduled,
    ParticipantsChanged,
    VisitChanged,
    doctors_among,
)
from infirmary.contexts.patients.contract import Match, Patient, PatientCard
from infirmary.contexts.patients.contract.imports import ExportForm
from infirmary.contexts.patients.domain import alike, finding, sheets
from infirmary.contexts.patients.domain.people import STAYS_TREATING
from infirmary.contexts.patients.tables import imports, merging
from infirmary.contexts.patients.tables import people as tables
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Download, Page
from infirmary.kernel.database.db import Reading
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed
from infirmary.kernel.events import Fact

from .importing import Importing

EXPORTED_AT_ONCE = 500


class Finding(Importing):
    async def search(self, caller: Caller, q: str = "", birth_date: date | None = None, phone: str | None = None,
                     limit: int = 25, cursor: str | None = None) -> Page[Patient]:
        within = caller.only()
        readings = finding.readings(q, today=self.today(), birth_date=birth_date, phone=phone)
        at, after = _place(cursor, len(readings))
        async with self.db.reading() as reading:
            at, found, further = await self._looked(reading, readings, at, after, within, limit)
            people = await merging.led_on(reading, found)
        async with self.db.transaction() as tx:   # never what was typed: it names people
            tx.audit("patient.searched", caller, entity="patients", found=str(len(people)))
        return Page(people, further and f"{at}.{further}")

    async def _looked(self, reading: Reading, readings: Sequence[Sequence[finding.Fragment]], at: int, after: str | None,
                      within: Mapping[str, UUID], limit: int) -> tuple[int, list[tables.Stored], str | None]:
        """A page of the first reading, from this one on, by which anybody is found; and which that is."""
        while True:
            found, further = await tables.find(reading, readings[at], doctor_id=within.get("doctor_id"),
                                               now=self.clock.now(), after=after, limit=limit)
            if found or after or at + 1 == len(readings):
                return at, found, further
            at += 1

    async def matches(self, caller: Caller, given_name: str = "", family_name: str = "", birth_date: date | None = None,
                      phone: str | None = None, email: str | None = None) -> list[Match]:
        asked = alike.Asked(given_name=given_name, family_name=family_name, birth_date=birth_date, phone=phone,
                             email=email)
        async with self.db.reading() as reading:
            found = alike.matches(asked, await tables.candidates(reading, asked))
        async with self.db.transaction() as tx:
            tx.audit("patient.matched", caller, entity="patients", found=str(len(found)))
        return found

    async def duplicates(self, caller: Caller, patient_id: UUID) -> list[Match]:
        async with self.db.reading() as reading:
            asked = alike.known(await self.known(reading, patient_id))
            others = [one for one in await tables.candidates(reading, asked) if one.id != patient_id]
        found = alike.matches(asked, others)
        async with self.db.transaction() as tx:
            tx.audit("patient.matched", caller, subject_id=patient_id, entity=f"patient/{patient_id}",
                     found=str(len(found)))
        return found

    async def export(self, caller: Caller, body: ExportForm) -> Download:
        await self.identity.stepped_up(caller)
        readings = finding.readings(body.q, today=self.today(), birth_date=body.birth_date, phone=body.phone)
        async with self.db.transaction() as tx:   # that it began, should it break off
            tx.audit("register.export_begun", caller, entity="patients", reason=body.reason.strip(),
                     whole="yes" if _all_of_it(readings) else "no")
        return Download(f"patients-{self.today()}.csv", self._as_table(caller, readings))

    async def _as_table(self, caller: Caller, readings: Sequence[Sequence[finding.Fragment]]) -> AsyncIterator[bytes]:
        """In pages by key: so much memory, however many people."""
        yield sheets.BEGINS + sheets.written([sheets.HEAD])
        count, at, after, broken_off = 0, 0, None, "yes"
        led_here: set[UUID] = set()   # merged records lead to one that is, or will be, found by itself
        try:
            while True:
                async with self.db.reading() as reading:
                    at, found, after = await self._looked(reading, readings, at, after, {}, EXPORTED_AT_ONCE)
                    if _all_of_it(readings):
                        people = [one.shown for one in found if one.merged_into is None]
                    else:
                        people = [one for one in await merging.led_on(reading, found) if one.id not in led_here]
                        led_here.update(one.id for one in people)
                count += len(people)
                yield sheets.written([getattr(one, name) for name in sheets.HEAD] for one in people)
                if after is None:
                    broken_off = "no"
                    return
        finally:
            async with self.db.transaction() as tx:
                tx.audit("register.exported", caller, entity="patients", rows=str(count), broken_off=broken_off)

    async def patient(self, caller: Caller, patient_id: UUID) -> Patient:
        async with self.db.reading() as reading:
            reader = await self.reaching(reading, caller, patient_id)
            found = await self.known(reading, patient_id)
        if caller.subjects.get("patient_id") != patient_id:
            async with self.db.transaction() as tx:
                tx.audit("patient.read", reader, subject_id=patient_id, entity=f"patient/{patient_id}")
        return found

    async def card(self, caller: Caller, patient_id: UUID) -> PatientCard:
        async with self.db.reading() as reading:
            await self.reaching(reading, caller, patient_id)
            found = await self.known(reading, patient_id)
        return PatientCard(id=found.id, number=found.number, name=found.name, birth_date=found.birth_date,
                           gender=found.gender, retired=found.closed, merged_into=found.merged_into)

    async def visit_arranged(self, event: VisitChanged, fact: Fact) -> None:
        """From now until a year after the visit, its doctor treats this patient, and so does who takes part in it."""
        await self._relate(fact, relations(event, until=event.ends_at + STAYS_TREATING))

    async def visit_called_off(self, event: VisitChanged, fact: Fact) -> None:
        await self._relate(fact, relations(event, until=None))

    async def visit_as_it_stands(self, event: VisitChanged, fact: Fact) -> None:
        off = event.status in (Status.CANCELLED, Status.DECLINED)
        await (self.visit_called_off if off else self.visit_arranged)(event, fact)

    async def _relate(self, fact: Fact, found: list[tables.CareRelation]) -> None:
        async with self.db.reading() as reading:
            imported = await reading.one(imports.MADE, patient_id=found[0].patient_id) is not None
        if found[0].version == 1 and not imported:   # nearly always the first we hear of it: one trip, no question
            with contextlib.suppress(UniqueViolation):
                async with self.db.transaction(once=fact.id) as tx:
                    tables.RELATIONS.add(tx, *found)
                return
        async with self.db.transaction(once=fact.id) as tx:
            of_visit, *of_others = found
            if await tables.RELATIONS.keep_newest(tx, of_visit) and imported and of_visit.until is not None:
                await self.opened_for_visit(tx, of_visit.patient_id)
            for relation in of_others:
                await tables.RELATIONS.keep_newest(tx, relation)


def relations(event: VisitChanged, *, until: datetime | None) -> list[tables.CareRelation]:
    """Of the visit's doctor under its id; of every further doctor, now and until now, under an id made of both."""
    further = doctors_among(event.participants)
    before = doctors_among(event.previous_participants) if isinstance(
        event, AppointmentRescheduled | ParticipantsChanged) else set()
    return [tables.CareRelation(event.aggregate, event.doctor_id, event.patient_id, until, event.version),
            *(tables.CareRelation(uuid5(event.aggregate, str(one)), one, event.patient_id,
                                  until if one in further else None, event.version) for one in sorted(further | before))]


def _all_of_it(readings: Sequence[Sequence[finding.Fragment]]) -> bool:
    return not readings[0]


def _place(cursor: str | None, readings: int) -> tuple[int, str | None]:
    """Which reading of the query the page before was of, and where it ended."""
    at, _, after = (cursor or "0.").partition(".")
    if not (at.isdecimal() and at.isascii() and int(at) < readings and len(at) == 1):
        raise Malformed(errors=[FieldError("cursor", "Use the next_cursor of the page before.")])
    return int(at), after or None

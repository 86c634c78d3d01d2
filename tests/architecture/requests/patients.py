"""Patients."""
from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from msgspec import to_builtins

from infirmary.contexts.patients.contract import (
    ContactForm,
    CoverageForm,
    Demographics,
    GuardianForm,
    GuardianKind,
    MergeForm,
    Patients,
)
from infirmary.kernel.contract import Upload
from infirmary.kernel.database.columns import new_id
from tests.architecture.world import ROOT, Subject, World

from .making import PERSONS, asks

SOMEBODY = Demographics(given_name="Some", family_name="Body", birth_date=date(1975, 5, 5))


@asks("patients.register")
async def register_patient(world: World, of: Subject) -> dict[str, Any]:
    return {"body": to_builtins(SOMEBODY)}


@asks("patients.enrol")
async def enrol(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"patient_id": new_id(), "demographics": to_builtins(SOMEBODY)}}


@asks("patients.search", about=PERSONS)
async def search(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"q": of.family_name}, "hides": ("q",), "listing": True}


@asks("patients.matches", about=PERSONS)
async def matches(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"family_name": of.family_name}, "hides": ("family_name",)}


@asks("patients.patient", "patients.card", "patients.duplicates", "patients.merges", "patients.held_record",
      about=PERSONS)
async def patient(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


async def version_of(world: World, patient_id: UUID) -> int:
    return (await world.house.ask(Patients).patient(ROOT, patient_id)).version


@asks("patients.replace", about=PERSONS)
async def replace(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "if_match": await version_of(world, of.patient_id),
            "body": {**to_builtins(world.demographics[of.whose]), "language": f"en-{world.count():06}"}}


@asks("patients.amend", about=PERSONS)
async def amend(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "if_match": await version_of(world, of.patient_id),
            "body": {"language": f"de-{world.count():06}"}}


@asks("patients.retire", about=PERSONS)
async def retire(world: World, of: Subject) -> dict[str, Any]:
    """The known people have visits to come, so that nobody can retire them: 409 to whoever may."""
    return {"path": {"patient_id": of.patient_id}, "if_match": await version_of(world, of.patient_id)}


@asks("patients.merge")
async def merge(world: World, of: Subject) -> dict[str, Any]:
    one, other = [await world.house.ask(Patients).register(ROOT, SOMEBODY) for _ in range(2)]
    return {"path": {"patient_id": one.id}, "body": {"duplicate_id": other.id, "reason": "Entered twice."}}


@asks("patients.unmerge")
async def unmerge(world: World, of: Subject) -> dict[str, Any]:
    ask = world.house.ask(Patients)
    one, other = [await ask.register(ROOT, SOMEBODY) for _ in range(2)]
    await ask.merge(ROOT, one.id, MergeForm(duplicate_id=other.id, reason="Entered twice."))
    return {"path": {"patient_id": one.id}, "body": {"duplicate_id": other.id}}


@asks("patients.consent_texts")
async def consent_texts(world: World, of: Subject) -> dict[str, Any]:
    return {}


@asks("patients.contacts", "patients.coverages", "patients.consents", about=PERSONS)
async def what_hangs_on_a_record(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


@asks("patients.add_contact", about=PERSONS)
async def add_contact(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "body": {"name": f"{of.family_name}'s secret"}}


@asks("patients.replace_contact", "patients.remove_contact", about=PERSONS)
async def one_contact(world: World, of: Subject) -> dict[str, Any]:
    ask, form = world.house.ask(Patients), ContactForm(name=f"{of.family_name}'s secret")
    kept = await ask.contacts(ROOT, of.patient_id)
    one = kept[0] if kept else await ask.add_contact(ROOT, of.patient_id, form)
    return {"path": {"patient_id": of.patient_id, "contact_id": one.id}, "body": to_builtins(form),
            "if_match": one.version}


def an_insurance(world: World, of: Subject) -> CoverageForm:
    """Of a day that no other has."""
    day = date(1950, 1, 1) + timedelta(days=world.count())
    return CoverageForm(payer=f"{of.family_name}'s secret", member_number="1", valid_from=day, valid_until=day)


@asks("patients.add_coverage", about=PERSONS)
async def add_coverage(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "body": to_builtins(an_insurance(world, of))}


@asks("patients.coverage", "patients.replace_coverage", "patients.withdraw_coverage", about=PERSONS)
async def one_coverage(world: World, of: Subject) -> dict[str, Any]:
    ask, form = world.house.ask(Patients), an_insurance(world, of)
    kept = await ask.coverages(ROOT, of.patient_id)
    one = kept[0] if kept else await ask.add_coverage(ROOT, of.patient_id, form)
    return {"path": {"patient_id": of.patient_id, "coverage_id": one.id}, "body": to_builtins(form),
            "if_match": one.version}


@asks("patients.decide", about=PERSONS)
async def decide(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id},
            "body": {"purpose": "research", "decision": "given", "text_version": "1"}}


@asks("patients.acting", "patients.guardians", "patients.wards", about=PERSONS)
async def who_stands_for_whom(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


def a_guardian(guardian_id: UUID) -> GuardianForm:
    return GuardianForm(guardian_id=guardian_id, kind=GuardianKind.CARER, reason="Sees to them.", document="A signed consent")


@asks("patients.name_guardian", about=PERSONS)
async def name_guardian(world: World, of: Subject) -> dict[str, Any]:
    somebody = await world.house.ask(Patients).register(ROOT, SOMEBODY)
    return {"path": {"patient_id": of.patient_id}, "body": to_builtins(a_guardian(somebody.id))}


@asks("patients.end_guardianship", about=PERSONS)
async def end_guardianship(world: World, of: Subject) -> dict[str, Any]:
    ask = world.house.ask(Patients)
    somebody = await ask.register(ROOT, SOMEBODY)
    made = await ask.name_guardian(ROOT, of.patient_id, a_guardian(somebody.id))
    return {"path": {"patient_id": of.patient_id, "guardianship_id": made.id}, "if_match": made.version,
            "body": {"reason": "Moved away."}}


def a_table(world: World) -> bytes:
    """Of somebody whom no table has named before."""
    return f"given_name,family_name,birth_date\nNew,Comer{world.count()},1975-05-05\n".encode()


async def an_import(world: World) -> UUID:
    async def chunks() -> AsyncIterator[bytes]:
        yield a_table(world)
    return (await world.house.ask(Patients).begin_import(ROOT, Upload(chunks()))).id


@asks("patients.begin_import")
async def begin_import(world: World, of: Subject) -> dict[str, Any]:
    return {"body": a_table(world)}


@asks("patients.imports")
async def imports(world: World, of: Subject) -> dict[str, Any]:
    return {}


@asks("patients.patient_import", "patients.import_rows", "patients.faulty_rows", "patients.stop_import",
      "patients.undo_import")
async def one_import(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"import_id": await an_import(world)}}


@asks("patients.apply_import", "patients.choose_for_row")
async def checked_import(world: World, of: Subject) -> dict[str, Any]:
    import_id = await an_import(world)
    await world.house.rooms["patients"].service.carry_out_imports()
    return {"path": {"import_id": import_id, "line": 2}, "body": {"choice": "register"}, "if_match": 2}


@asks("patients.export")
async def export(world: World, of: Subject) -> dict[str, Any]:
    for one in world.accounts.values():
        await world.fresh(one.id)
    return {"body": {"reason": "To be looked at."}}

"""Who stands for whom, on each engine: named at the desk, over at once, and by itself when its time is."""
from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.patients.contract import (
    AlreadyGuardian,
    AmendPatient,
    ConsentForm,
    ContactForm,
    Decision,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    Guardianship,
    GuardianshipBackwards,
    MergeForm,
    NotForCarers,
    NotForWards,
    OfAge,
    OneGuardsTheOther,
    OwnGuardian,
    Patient,
    PatientRetired,
    Purpose,
    UnmergeForm,
)
from infirmary.contexts.patients.events import GuardianNamed, GuardianshipEnded
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, Refusal, RoleMayNot, StaleVersion

from .builders import MONDAY, Register, a_doctor_caller, a_patient_caller, nurse, reception

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
SIX = date(2021, 2, 28)      # the age of Emma
GIVEN = ConsentForm(purpose=Purpose.RESEARCH, decision=Decision.GIVEN, text_version="1")


async def a_family(register: Register, born: date = SIX) -> tuple[Patient, Patient, Caller]:
    mother = await register.a_patient("Rosa", "Vega")
    return mother, await register.a_patient("Emma", "Vega", born), a_patient_caller(mother)


async def named(register: Register, ward: Patient, guardian: Patient, kind: GuardianKind = GuardianKind.PARENT,
                **more: Any) -> Guardianship:
    return await register.ask.name_guardian(reception, ward.id, GuardianForm(**{
        "guardian_id": guardian.id, "kind": kind, "reason": " Mother. ", "document": " Birth certificate 7/2021 ", **more}))


async def ended(register: Register, one: Guardianship, reason: str = "The court has decided.") -> Guardianship:
    return await register.ask.end_guardianship(reception, one.ward_id, one.id, EndGuardianship(reason=reason),
                                               if_match=one.version)


async def reaches(register: Register, caller: Caller, patient_id: UUID) -> bool:
    try:
        return (await register.ask.patient(caller, patient_id)).id == patient_id
    except NotFound:
        return False


async def test_a_guardian_reaches_the_record_until_the_moment_it_ends(register: Register) -> None:
    rosa, emma, mother = await a_family(register)
    assert not await reaches(register, mother, emma.id)
    made = await named(register, emma, rosa)
    assert (made.ward_name, made.guardian_name, made.kind, made.valid_from, made.valid_until, made.reason, made.document,
            made.made_by, made.version) == ("Emma Vega", "Rosa Vega", GuardianKind.PARENT, MONDAY.date(),
                                            date(2039, 2, 27), "Mother.", "Birth certificate 7/2021", "The reception", 1)
    assert await reaches(register, mother, emma.id)
    assert not await reaches(register, a_patient_caller(emma), rosa.id)   # it goes one way
    contact = await register.ask.add_contact(mother, emma.id, ContactForm(name="Rosa"))
    assert await register.ask.contacts(mother, emma.id) == [contact]
    changed = await register.ask.amend(mother, emma.id, AmendPatient(address="Hill 1"), if_match=1)
    assert (changed.address, await register.ask.coverages(mother, emma.id)) == ("Hill 1", [])
    decided = await register.ask.decide(mother, emma.id, GIVEN)
    assert (decided.by_account, decided.patient_id) == (mother.account_id, emma.id)
    assert (await register.ask.acting(mother, emma.id)).kind is GuardianKind.PARENT
    assert (await register.ask.acting(mother, rosa.id)).kind is None

    over = await ended(register, made)
    assert (over.ended_at, over.ended_by, over.end_reason) == (MONDAY, "The reception", "The court has decided.")
    for attempt in (register.ask.patient(mother, emma.id), register.ask.card(mother, emma.id),
                    register.ask.contacts(mother, emma.id), register.ask.coverages(mother, emma.id),
                    register.ask.consents(mother, emma.id), register.ask.guardians(mother, emma.id),
                    register.ask.acting(mother, emma.id), register.ask.decide(mother, emma.id, GIVEN),
                    register.ask.amend(mother, emma.id, AmendPatient(address="x"), if_match=2),
                    register.ask.add_contact(mother, emma.id, ContactForm(name="x"))):
        with pytest.raises(NotFound):
            await attempt
    assert await register.ask.wards(mother, rosa.id) == []
    assert await ended(register, made) == over   # ended is ended, and said once
    assert len(await register.facts(GuardianshipEnded)) == 1


async def test_what_a_guardian_does_is_written_down_as_theirs_for_the_patient(register: Register) -> None:
    rosa, emma, mother = await a_family(register)
    made = await named(register, emma, rosa)
    await register.ask.patient(mother, emma.id)
    await register.ask.add_contact(mother, emma.id, ContactForm(name="Rosa"))
    assert [(one.action, one.actor_id, one.subject_id, one.detail) for one in await register.entries()
            if one.actor_id == mother.account_id] == [
        ("patient.read", mother.account_id, emma.id, {"on_behalf": "parent"}),
        ("contact.added", mother.account_id, emma.id, {"on_behalf": "parent"})]
    await ended(register, made)
    assert [(one.action, one.subject_id) for one in await register.entries("guardianship.")] == [
        ("guardianship.named", emma.id), ("guardianship.named", rosa.id),
        ("guardianship.ended", emma.id), ("guardianship.ended", rosa.id)]
    assert await register.facts(GuardianNamed) == [GuardianNamed(
        aggregate=made.id, version=1, ward_id=emma.id, ward_name="Emma Vega", guardian_id=rosa.id,
        guardian_name="Rosa Vega", right=GuardianKind.PARENT, valid_from=MONDAY.date(), valid_until=date(2039, 2, 27))]
    assert await register.facts(GuardianshipEnded) == [GuardianshipEnded(
        aggregate=made.id, version=2, ward_id=emma.id, ward_name="Emma Vega", guardian_id=rosa.id,
        guardian_name="Rosa Vega", right=GuardianKind.PARENT, by_itself=False)]


@on_sqlite
async def test_why_and_what_was_seen_is_for_the_desk_alone(register: Register) -> None:
    rosa, emma, mother = await a_family(register)
    made = await named(register, emma, rosa)
    assert await register.ask.wards(nurse, rosa.id) == (await register.ask.guardians(nurse, emma.id)).items == [made]
    for seen in (await register.ask.wards(mother, rosa.id), (await register.ask.guardians(mother, emma.id)).items,
                 (await register.ask.guardians(a_patient_caller(emma), emma.id, standing=True)).items):
        assert [(one.id, one.reason, one.document, one.end_reason) for one in seen] == [(made.id, "", "", "")]
    for caller in (mother, nurse):
        with pytest.raises(RoleMayNot):
            await register.ask.name_guardian(caller, emma.id, GuardianForm(
                guardian_id=rosa.id, kind=GuardianKind.PARENT, reason="x", document="x"))
    with pytest.raises(NotFound):   # the wards of a ward
        await register.ask.wards(mother, emma.id)
    with pytest.raises(NotFound):
        await register.ask.guardians(a_doctor_caller(new_id()), emma.id)


async def test_days_decide_and_a_child_comes_of_age(register: Register) -> None:
    """On the morning of the birthday, without anybody's doing; who was born on 29 February, on 1 March."""
    rosa, emma, mother = await a_family(register, date(2012, 2, 29))
    await named(register, emma, rosa)
    other = await register.a_patient("Tom", "Vega", SIX)
    week = await named(register, other, rosa, GuardianKind.LEGAL_GUARDIAN, valid_from=date(2027, 3, 8),
                       valid_until=date(2027, 3, 14))
    seen = []
    for day in (date(2027, 3, 7), date(2027, 3, 8), date(2027, 3, 14), date(2027, 3, 15), date(2030, 2, 28),
                date(2030, 3, 1)):
        register.clock.advance(timedelta(days=(day - register.clock.now().date()).days))
        seen.append((await reaches(register, mother, other.id), await reaches(register, mother, emma.id)))
    assert seen == [(False, True), (True, True), (True, True), (False, True), (False, True), (False, False)]
    assert (await register.ask.guardians(reception, emma.id, standing=True)).items == []

    service = register.service
    await asyncio.gather(*(service.end_those_over() for _ in range(4)))   # in several processes at once
    over = {one.ward_id: one for one in await register.facts(GuardianshipEnded)}
    assert {ward: (one.by_itself, one.of_age) for ward, one in over.items()} == {
        emma.id: (True, True), other.id: (True, False)}
    assert len(await register.facts(GuardianshipEnded)) == 2
    assert [(one.ended_by, one.end_reason) for one in (await register.ask.guardians(reception, other.id)).items] == [("", "")]
    assert week.valid_until == date(2027, 3, 14)


@on_sqlite
async def test_a_birth_date_that_is_mended_moves_the_day_with_it(register: Register) -> None:
    rosa, emma, mother = await a_family(register)
    await named(register, emma, rosa)
    await register.ask.amend(reception, emma.id, AmendPatient(birth_date=date(2009, 3, 1)), if_match=1)
    assert not await reaches(register, mother, emma.id)
    await register.ask.amend(reception, emma.id, AmendPatient(birth_date=date(2009, 3, 2)), if_match=2)
    assert await reaches(register, mother, emma.id)


@on_sqlite
async def test_of_age_only_a_legal_guardian_or_a_carer_stands_for_somebody_and_a_carer_decides_nothing(
        register: Register) -> None:
    rosa, emma, mother = await a_family(register, date(2009, 3, 1))   # eighteen today
    with pytest.raises(OfAge):
        await named(register, emma, rosa)
    made = await named(register, emma, rosa, GuardianKind.CARER)
    assert made.valid_until is None and await reaches(register, mother, emma.id)
    with pytest.raises(NotForCarers):
        await register.ask.decide(mother, emma.id, GIVEN)
    register.clock.advance(timedelta(days=4000))
    await register.service.end_those_over()
    assert await reaches(register, mother, emma.id)
    await ended(register, made)
    await named(register, emma, rosa, GuardianKind.LEGAL_GUARDIAN)
    assert (await register.ask.decide(mother, emma.id, GIVEN)).patient_id == emma.id


async def test_who_is_of_age_ends_what_a_carer_may_do_for_them_themselves_and_at_once(register: Register) -> None:
    rosa, emma, carer = await a_family(register, date(2009, 3, 1))   # eighteen today
    made, her = await named(register, emma, rosa, GuardianKind.CARER), a_patient_caller(emma)
    assert [one.yours_to_end for one in (await register.ask.guardians(her, emma.id)).items] == [True]
    assert [one.yours_to_end for one in (await register.ask.guardians(carer, emma.id)).items] == [False]
    mine = EndGuardianship(reason="My own wish.")
    for caller, ward in ((carer, emma.id), (carer, rosa.id), (her, rosa.id), (a_patient_caller(rosa), emma.id)):
        with pytest.raises(NotFound):   # nobody else, and not who stands for them
            await register.ask.end_guardianship(caller, ward, made.id, mine, if_match=1)
    assert await reaches(register, carer, emma.id)
    over = await register.ask.end_guardianship(her, emma.id, made.id, mine, if_match=1)
    assert (over.ended_at, over.ended_by, over.end_reason, over.yours_to_end) == (MONDAY, her.name, "", False)
    assert not await reaches(register, carer, emma.id)
    assert await register.ask.end_guardianship(her, emma.id, made.id, mine, if_match=1) == over   # and said once
    [fact] = await register.facts(GuardianshipEnded)
    assert (fact.by_ward, fact.by_itself, fact.of_age) == (True, False, False)
    assert [(one.actor_id, one.subject_id) for one in await register.entries("guardianship.ended")] == [
        (her.account_id, emma.id), (her.account_id, rosa.id)]


@on_sqlite
@pytest.mark.parametrize(("kind", "born"), [
    (GuardianKind.PARENT, SIX), (GuardianKind.CARER, date(2009, 3, 2)), (GuardianKind.LEGAL_GUARDIAN, date(1980, 1, 1))])
async def test_a_child_ends_nothing_and_nobody_their_legal_guardian(
        register: Register, kind: GuardianKind, born: date) -> None:
    rosa, emma, guardian = await a_family(register, born)
    made, her = await named(register, emma, rosa, kind), a_patient_caller(emma)
    with pytest.raises(NotForWards):
        await register.ask.end_guardianship(her, emma.id, made.id, EndGuardianship(reason="x"), if_match=1)
    assert [one.yours_to_end for one in (await register.ask.guardians(her, emma.id)).items] == [False]
    assert await reaches(register, guardian, emma.id)


@on_sqlite
async def test_of_a_carer_who_is_the_legal_guardian_too_the_ward_ends_the_first_alone(register: Register) -> None:
    """Two rights side by side come of two records."""
    rosa, emma, guardian = await a_family(register, date(1980, 1, 1))
    again = await register.a_patient("Emmma", "Vega", date(1980, 1, 1))
    made = await named(register, emma, rosa, GuardianKind.CARER)
    await named(register, again, rosa, GuardianKind.LEGAL_GUARDIAN)
    await register.ask.merge(reception, emma.id, MergeForm(duplicate_id=again.id, reason="Twice."))
    await register.ask.end_guardianship(a_patient_caller(emma), emma.id, made.id, EndGuardianship(reason="x"), if_match=1)
    assert (await register.ask.acting(guardian, emma.id)).kind is GuardianKind.LEGAL_GUARDIAN


@on_sqlite
async def test_what_is_refused_and_why(register: Register) -> None:
    rosa, emma, _ = await a_family(register)
    closed = await register.ask.retire(reception, (await register.a_patient("Clo", "Sed")).id, if_match=1)

    async def refused(kind: type[Refusal], ward: UUID, **given: Any) -> None:
        form = {"guardian_id": rosa.id, "kind": GuardianKind.PARENT, "reason": "x", "document": "x", **given}
        with pytest.raises(kind):
            await register.ask.name_guardian(reception, ward, GuardianForm(**form))

    await refused(OwnGuardian, rosa.id)
    await refused(NotFound, new_id())
    await refused(NotFound, emma.id, guardian_id=new_id())
    await refused(PatientRetired, closed.id)
    await refused(PatientRetired, emma.id, guardian_id=closed.id)
    await refused(GuardianshipBackwards, emma.id, valid_until=MONDAY.date() - timedelta(days=1))
    await refused(GuardianshipBackwards, emma.id, valid_from=date(2028, 1, 1), valid_until=date(2027, 12, 31))
    await refused(GuardianshipBackwards, emma.id, valid_from=date(1, 1, 1))
    await refused(OfAge, emma.id, valid_from=date(2039, 2, 28))
    made = await named(register, emma, rosa)
    await refused(AlreadyGuardian, emma.id)
    for wrong in (register.ask.end_guardianship(reception, rosa.id, made.id, EndGuardianship(reason="x"), if_match=1),
                  register.ask.end_guardianship(reception, emma.id, new_id(), EndGuardianship(reason="x"), if_match=1)):
        with pytest.raises(NotFound):
            await wrong
    with pytest.raises(StaleVersion):
        await register.ask.end_guardianship(reception, emma.id, made.id, EndGuardianship(reason="x"), if_match=2)


async def test_of_ten_who_name_the_same_at_once_one_does(register: Register) -> None:
    rosa, emma, _ = await a_family(register)
    made = await asyncio.gather(*(named(register, emma, rosa) for _ in range(10)), return_exceptions=True)
    assert sorted({type(one) for one in made}, key=str) == sorted({Guardianship, AlreadyGuardian}, key=str)
    assert [type(one) for one in made].count(Guardianship) == len(await register.facts(GuardianNamed)) == 1


async def test_what_stood_for_a_merged_record_stands_for_the_other_until_they_are_two_again(register: Register) -> None:
    """On both sides: a ward entered twice, and a guardian entered twice. Each relation stays where it was made."""
    rosa, emma, mother = await a_family(register)
    twice, again = await register.a_patient("Rosita", "Vega"), await register.a_patient("Emmma", "Vega", SIX)
    first = await named(register, again, rosa)
    second = await named(register, emma, twice)
    await register.ask.merge(reception, emma.id, MergeForm(duplicate_id=again.id, reason="Twice."))
    assert await reaches(register, mother, emma.id)
    await register.ask.merge(reception, rosa.id, MergeForm(duplicate_id=twice.id, reason="Twice."))
    assert [(one.ward_id, one.ward_name) for one in await register.ask.wards(mother, rosa.id)] == [(emma.id, "Emma Vega")]
    assert {one.id for one in (await register.ask.guardians(reception, emma.id)).items} == {first.id, second.id}
    with pytest.raises(AlreadyGuardian):
        await named(register, emma, rosa)

    await register.ask.unmerge(reception, rosa.id, UnmergeForm(duplicate_id=twice.id))
    await register.ask.unmerge(reception, emma.id, UnmergeForm(duplicate_id=again.id))
    assert not await reaches(register, mother, emma.id) and await reaches(register, mother, again.id)
    assert await reaches(register, a_patient_caller(twice), emma.id)

    await register.ask.merge(reception, emma.id, MergeForm(duplicate_id=again.id, reason="Twice."))
    await register.ask.merge(reception, rosa.id, MergeForm(duplicate_id=twice.id, reason="Twice."))
    one = (await register.ask.guardians(reception, emma.id, standing=True)).items[0]
    await ended(register, one)   # of the two that now say the same, none is left
    assert not await reaches(register, mother, emma.id) and len(await register.facts(GuardianshipEnded)) == 2


async def test_a_guardian_and_their_ward_are_not_made_one(register: Register) -> None:
    rosa, emma, _ = await a_family(register)
    made = await named(register, emma, rosa)
    for keeps, goes in ((rosa, emma), (emma, rosa)):
        with pytest.raises(OneGuardsTheOther):
            await register.ask.merge(reception, keeps.id, MergeForm(duplicate_id=goes.id, reason="Twice."))
    await ended(register, made)
    both = await asyncio.gather(
        register.ask.merge(reception, rosa.id, MergeForm(duplicate_id=emma.id, reason="Twice.")),
        named(register, emma, rosa), return_exceptions=True)
    assert [isinstance(one, Refusal) for one in both].count(True) == 1   # whoever comes first


@on_sqlite
async def test_a_guardian_whose_record_is_closed_stands_for_nobody(register: Register) -> None:
    rosa, emma, mother = await a_family(register)
    await named(register, emma, rosa)
    await register.ask.retire(reception, rosa.id, if_match=1)
    assert not await reaches(register, mother, emma.id)


@on_sqlite
async def test_wards_of_wards_are_out_of_reach(register: Register) -> None:
    rosa, emma, mother = await a_family(register)
    third = await register.a_patient("Tom", "Vega", SIX)
    await named(register, emma, rosa)
    await named(register, third, emma, GuardianKind.CARER)
    assert await reaches(register, mother, emma.id) and not await reaches(register, mother, third.id)

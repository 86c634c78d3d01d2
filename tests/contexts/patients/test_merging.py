"""Two records made one and two again, on each engine."""
from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from infirmary.contexts.appointments.contract import Appointment, Mode, Status
from infirmary.contexts.appointments.events import AppointmentBooked, VisitHandedOver
from infirmary.contexts.patients.contract import (
    AmendPatient,
    ConsentForm,
    ContactForm,
    CoverageForm,
    CoveragesOverlap,
    Decision,
    HoldsOthers,
    Merge,
    MergeForm,
    NotMerged,
    PatientRetired,
    Purpose,
    SameRecord,
    UnmergeForm,
    VisitsCollide,
)
from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, RoleMayNot

from .builders import MONDAY, Register, a_doctor_caller, a_patient_caller, a_visit, nurse, reception

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def of(duplicate_id: object, reason: str = "Same person, two spellings.") -> MergeForm:
    return MergeForm(duplicate_id=duplicate_id, reason=reason)  # type: ignore[arg-type]


async def test_a_merged_record_points_to_the_other_and_is_taken_apart_again(register: Register) -> None:
    one, other = await register.a_patient("Delia"), await register.a_patient("Dleia")
    made = await register.ask.merge(reception, one.id, of(other.id, " Twice. "))
    assert (made.survivor_id, made.duplicate_id, made.reason, made.at, made.by_name, made.undone_at) == (
        one.id, other.id, "Twice.", MONDAY, "The reception", None)
    read = await register.ask.patient(reception, other.id)
    assert (read.merged_into, read.version, read.retired_at) == (one.id, 2, None)
    card = await register.ask.card(reception, other.id)
    assert (card.retired, card.merged_into) == (True, one.id)
    assert await register.ask.patient(reception, one.id) == one
    assert await register.found("vega") == ["Delia"]
    assert await register.ask.duplicates(reception, one.id) == []
    assert await register.facts(PatientsMerged) == [
        PatientsMerged(aggregate=other.id, version=2, survivor_id=one.id, merge_id=made.id)]

    register.clock.advance(timedelta(days=1))
    undone = await register.ask.unmerge(reception, one.id, UnmergeForm(duplicate_id=other.id))
    assert (undone.id, undone.undone_at, undone.undone_by) == (made.id, MONDAY + timedelta(days=1), "The reception")
    again = await register.ask.patient(reception, other.id)
    assert (again.merged_into, again.version, again.name) == (None, 3, "Dleia Vega")
    assert sorted(await register.found("vega")) == ["Delia", "Dleia"]
    assert await register.facts(PatientsUnmerged) == [
        PatientsUnmerged(aggregate=other.id, version=3, survivor_id=one.id, merge_id=made.id)]
    with pytest.raises(NotMerged):
        await register.ask.unmerge(reception, one.id, UnmergeForm(duplicate_id=other.id))
    second = await register.ask.merge(reception, other.id, of(one.id))   # and now the other way round
    assert [merge.id for merge in await register.ask.merges(nurse, one.id)] == [second.id, made.id]
    assert [(entry.action, entry.subject_id) for entry in await register.entries("patient.")
            if "merged" in entry.action] == [
        ("patient.merged", one.id), ("patient.merged", other.id), ("patient.unmerged", one.id),
        ("patient.unmerged", other.id), ("patient.merged", other.id), ("patient.merged", one.id)]


async def test_what_hung_on_both_hangs_on_the_one_until_they_are_two_again(register: Register) -> None:
    one, other = await register.a_patient("Delia"), await register.a_patient("Dleia")
    son = await register.ask.add_contact(reception, other.id, ContactForm(name="Ignacio"))
    card = await register.ask.add_coverage(reception, other.id, CoverageForm(
        payer="Aurora", member_number="1", valid_from=date(2027, 1, 1)))
    given = ConsentForm(purpose=Purpose.RESEARCH, decision=Decision.GIVEN, text_version="1")
    old = await register.ask.decide(reception, other.id, given)
    await register.ask.merge(reception, one.id, of(other.id))
    assert await register.ask.contacts(reception, one.id) == [son]
    assert await register.ask.coverages(reception, one.id) == [card]
    assert await register.ask.coverage(reception, one.id, card.id) == card
    assert (await register.ask.consents(reception, one.id, standing=True)).items == [old]
    with pytest.raises(CoveragesOverlap):
        await register.ask.add_coverage(reception, one.id, CoverageForm(
            payer="Again", member_number="1", valid_from=date(2027, 1, 1)))
    changed = await register.ask.replace_contact(reception, one.id, son.id, ContactForm(name="Iggy"), if_match=1)
    register.clock.advance(timedelta(minutes=1))
    withdrawn = await register.ask.decide(reception, one.id, ConsentForm(
        purpose=Purpose.RESEARCH, decision=Decision.WITHDRAWN))
    assert (withdrawn.patient_id, withdrawn.number) == (one.id, 1)
    assert (await register.ask.consents(reception, one.id, standing=True)).items == [withdrawn]
    assert (await register.ask.consents(reception, one.id)).items == [withdrawn, old]
    await register.ask.unmerge(reception, one.id, UnmergeForm(duplicate_id=other.id))
    assert await register.ask.contacts(reception, one.id) == await register.ask.coverages(reception, one.id) == []
    assert await register.ask.contacts(reception, other.id) == [changed]
    assert (await register.ask.consents(reception, other.id, standing=True)).items == [old]


@on_sqlite
async def test_what_is_refused_and_why(register: Register) -> None:
    one, other, third = [await register.a_patient(name) for name in ("One", "Other", "Third")]
    with pytest.raises(SameRecord):
        await register.ask.merge(reception, one.id, of(one.id))
    for strangers in ((one.id, new_id()), (new_id(), one.id)):
        with pytest.raises(NotFound):
            await register.ask.merge(reception, strangers[0], of(strangers[1]))
    register.visits.colliding = [Appointment(
        id=new_id(), patient_id=one.id, patient_name="", doctor_id=new_id(), doctor_name="", department_id=new_id(),
        department_name="", starts_at=MONDAY, ends_at=MONDAY, local_start="", zone="", mode=Mode.IN_PERSON, reason="",
        status=Status.BOOKED, status_reason="", location="", created_at=MONDAY, changed_at=MONDAY,
        version=1)]
    with pytest.raises(VisitsCollide) as refused:
        await register.ask.merge(reception, one.id, of(other.id))
    assert refused.value.problem()["appointment_ids"] == [str(register.visits.colliding[0].id)]
    register.visits.colliding = []
    for record in (one, other):
        await register.ask.add_coverage(reception, record.id, CoverageForm(
            payer="Aurora", member_number="1", valid_from=date(2027, 1, 1)))
    with pytest.raises(CoveragesOverlap):
        await register.ask.merge(reception, one.id, of(other.id))
    await register.ask.merge(reception, one.id, of(third.id))
    for refusal, survivor, duplicate in ((HoldsOthers, other, one), (PatientRetired, other, third),
                                         (PatientRetired, third, other)):
        with pytest.raises(refusal):
            await register.ask.merge(reception, survivor.id, of(duplicate.id))
    for attempt in (register.ask.amend(reception, third.id, AmendPatient(address="x"), if_match=2),
                    register.ask.retire(reception, third.id, if_match=2),
                    register.ask.add_contact(reception, third.id, ContactForm(name="x"))):
        with pytest.raises(PatientRetired):
            await attempt
    with pytest.raises(NotMerged):
        await register.ask.unmerge(reception, other.id, UnmergeForm(duplicate_id=third.id))
    for caller in (nurse, a_patient_caller(one)):
        with pytest.raises(RoleMayNot):
            await register.ask.merge(caller, one.id, of(other.id))


async def test_of_ten_merges_in_both_directions_at_once_one_is_made(register: Register) -> None:
    one, other = await register.a_patient("One"), await register.a_patient("Other")
    made = await asyncio.gather(*(register.ask.merge(reception, first.id, of(second.id))
                                  for first, second in [(one, other), (other, one)] * 5), return_exceptions=True)
    assert [type(one) for one in made].count(Merge) == 1
    assert {type(one) for one in made if not isinstance(one, Merge)} <= {PatientRetired, HoldsOthers}
    kept = [await register.ask.patient(reception, each.id) for each in (one, other)]
    assert len([each for each in kept if each.merged_into]) == 1 and len(await register.facts(PatientsMerged)) == 1


async def test_doctors_reach_the_record_that_their_visit_is_on(register: Register) -> None:
    one, other, doctor_id, visit = await register.a_patient("One"), await register.a_patient("Other"), new_id(), new_id()
    doctor = a_doctor_caller(doctor_id)
    await register.hear(a_visit(AppointmentBooked, other, doctor_id, visit=visit))
    await register.hear(a_visit(VisitHandedOver, one, doctor_id, visit=visit, version=2, previous_patient_id=other.id))
    assert (await register.ask.patient(doctor, one.id)).id == one.id
    with pytest.raises(NotFound):
        await register.ask.patient(doctor, other.id)


async def test_what_a_merged_record_says_leads_to_the_one_that_holds(register: Register) -> None:
    """By its name, its number and both together; each person once; and never beyond whom a doctor treats."""
    one, other = await register.a_patient("Delia", "Vega"), await register.a_patient("Maria", "Okonkwo", phone="0600 777 123")
    await register.ask.merge(reception, one.id, of(other.id))
    for typed in ("okonk", str(other.number), f"{other.number} maria", "0600 777 123"):
        [found] = (await register.ask.search(reception, typed)).items
        assert (found.id, found.name, found.formerly) == (one.id, "Delia Vega", f"Maria Okonkwo, {other.number}")
    [found] = (await register.ask.search(reception, "1968")).items   # both are of that year
    assert (found.id, found.formerly) == (one.id, "")
    assert await register.ask.matches(reception, given_name="Maria", family_name="Okonkwo", phone="0600 777 123") == []

    doctor_id = new_id()
    assert await register.found("okonk", a_doctor_caller(doctor_id)) == []
    await register.hear(a_visit(AppointmentBooked, one, doctor_id))
    assert await register.found("okonk", a_doctor_caller(doctor_id)) == ["Delia"]

    await register.ask.unmerge(reception, one.id, UnmergeForm(duplicate_id=other.id))
    assert await register.found("okonk") == ["Maria"] and sorted(await register.found("1968")) == ["Delia", "Maria"]
    await register.ask.merge(reception, one.id, of(other.id))
    await register.ask.retire(reception, one.id, if_match=1)
    assert await register.found("okonk") == []

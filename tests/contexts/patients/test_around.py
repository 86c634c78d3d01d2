"""Whom to call, who pays, and what was agreed to, on each engine."""
from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from infirmary.contexts.patients.contract import (
    ConsentForm,
    ContactForm,
    Coverage,
    CoverageBackwards,
    CoverageForm,
    CoveragesOverlap,
    Decision,
    NothingToWithdraw,
    NoWayToCall,
    PatientRetired,
    Purpose,
    RecordFull,
    TextHasChanged,
)
from infirmary.contexts.patients.domain.around import FIRST_DAY, LAST_DAY, MOST, overlap
from infirmary.kernel.access import NOBODY
from infirmary.kernel.audit import Audited
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, RoleMayNot, StaleVersion
from infirmary.language import PATIENT

from .builders import MONDAY, Register, a_caller, a_doctor_caller, a_patient_caller, cashier, nurse, reception

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
IGNACIO = ContactForm(name=" Ignacio Vega ", relationship="son", phone="0600 555 777", emergency=True)


def an_insurance(valid_from: str = "2027-01-01", valid_until: str | None = None, **more: Any) -> CoverageForm:
    return CoverageForm(payer=more.pop("payer", "Aurora Health"), member_number="A-77", valid_from=date.fromisoformat(
        valid_from), valid_until=date.fromisoformat(valid_until) if valid_until else None, **more)


def given(version: str = "1", purpose: Purpose = Purpose.RESEARCH) -> ConsentForm:
    return ConsentForm(purpose=purpose, decision=Decision.GIVEN, text_version=version)


def withdrawn(purpose: Purpose = Purpose.RESEARCH) -> ConsentForm:
    return ConsentForm(purpose=purpose, decision=Decision.WITHDRAWN)


async def test_whom_to_call_is_noted_changed_and_taken_out(register: Register) -> None:
    patient = await register.a_patient()
    myself = a_patient_caller(patient)
    neighbour = await register.ask.add_contact(reception, patient.id, ContactForm(name="Bo", next_of_kin=True))
    son = await register.ask.add_contact(myself, patient.id, IGNACIO)
    assert (son.name, son.emergency, son.next_of_kin, son.version) == ("Ignacio Vega", True, False, 1)
    assert await register.ask.contacts(reception, patient.id) == [son, neighbour]   # the emergency first

    after = await register.ask.replace_contact(myself, patient.id, son.id, ContactForm(name="Iggy"), if_match=1)
    assert (after.name, after.phone, after.emergency, after.version) == ("Iggy", None, False, 2)
    for stale in (register.ask.replace_contact(reception, patient.id, son.id, IGNACIO, if_match=1),
                  register.ask.remove_contact(reception, patient.id, son.id, if_match=1)):
        with pytest.raises(StaleVersion):
            await stale
    await register.ask.remove_contact(myself, patient.id, son.id, if_match=2)
    assert await register.ask.contacts(myself, patient.id) == [neighbour]
    assert [entry.action for entry in await register.entries("contact.")] == [
        "contact.added", "contact.added", "contact.amended", "contact.removed"]


@on_sqlite
async def test_an_emergency_contact_can_be_called_and_a_record_has_an_end(register: Register) -> None:
    patient = await register.a_patient()
    with pytest.raises(NoWayToCall) as refused:
        await register.ask.add_contact(reception, patient.id, ContactForm(name="Bo", emergency=True))
    assert refused.value.errors[0].field == "phone"
    for n in range(MOST):
        await register.ask.add_contact(reception, patient.id, ContactForm(name=f"Number {n}"))
    with pytest.raises(RecordFull):
        await register.ask.add_contact(reception, patient.id, IGNACIO)


@on_sqlite
async def test_what_hangs_on_a_record_is_reached_as_the_record_is(register: Register) -> None:
    patient, other = await register.a_patient("One"), await register.a_patient("Other")
    son = await register.ask.add_contact(reception, patient.id, IGNACIO)
    card = await register.ask.add_coverage(cashier, patient.id, an_insurance())
    stranger = a_patient_caller(other)
    for hidden in (register.ask.contacts(stranger, patient.id), register.ask.coverages(stranger, patient.id),
                   register.ask.consents(stranger, patient.id), register.ask.decide(stranger, patient.id, given()),
                   register.ask.add_contact(stranger, patient.id, IGNACIO),
                   register.ask.contacts(a_doctor_caller(new_id()), patient.id),
                   # the thing of one person under the address of another
                   register.ask.replace_contact(stranger, other.id, son.id, IGNACIO, if_match=1),
                   register.ask.remove_contact(reception, other.id, son.id, if_match=1),
                   register.ask.coverage(reception, other.id, card.id),
                   register.ask.replace_coverage(reception, other.id, card.id, an_insurance(), if_match=1),
                   register.ask.withdraw_coverage(reception, other.id, card.id, if_match=1),
                   register.ask.contacts(reception, new_id()), register.ask.add_coverage(
                       reception, new_id(), an_insurance())):
        with pytest.raises(NotFound):
            await hidden
    for refused in (register.ask.add_coverage(a_patient_caller(patient), patient.id, an_insurance()),
                    register.ask.contacts(cashier, patient.id), register.ask.consents(cashier, patient.id)):
        with pytest.raises(RoleMayNot):
            await refused
    assert [one.purpose for one in await register.ask.consent_texts(NOBODY)] == list(Purpose)


@on_sqlite
async def test_nothing_is_hung_on_a_closed_record(register: Register) -> None:
    patient = await register.a_patient()
    son = await register.ask.add_contact(reception, patient.id, IGNACIO)
    card = await register.ask.add_coverage(reception, patient.id, an_insurance())
    await register.ask.retire(reception, patient.id, if_match=1)
    for closed in (register.ask.add_contact(reception, patient.id, IGNACIO),
                   register.ask.remove_contact(reception, patient.id, son.id, if_match=1),
                   register.ask.add_coverage(reception, patient.id, an_insurance()),
                   register.ask.withdraw_coverage(reception, patient.id, card.id, if_match=1),
                   register.ask.decide(reception, patient.id, given())):
        with pytest.raises(PatientRetired):
            await closed
    assert await register.ask.contacts(nurse, patient.id) == [son]


# --- who pays --------------------------------------------------------------------------------------------------------

async def test_no_two_insurances_of_one_priority_hold_on_the_same_day(register: Register) -> None:
    patient = await register.a_patient()
    last_year = await register.ask.add_coverage(reception, patient.id, an_insurance("2026-01-01", "2026-12-31"))
    this_year = await register.ask.add_coverage(reception, patient.id, an_insurance("2027-01-01"))
    with pytest.raises(CoveragesOverlap) as refused:
        await register.ask.add_coverage(reception, patient.id, an_insurance("2026-12-31", "2027-06-30"))
    problem = refused.value.problem()
    assert {*problem["coverage_ids"]} == {str(last_year.id), str(this_year.id)} and problem["free_priority"] == 2
    second = await register.ask.add_coverage(reception, patient.id, an_insurance("2026-12-31", priority=2))
    with pytest.raises(CoveragesOverlap):
        await register.ask.replace_coverage(reception, patient.id, second.id, an_insurance("2026-12-31"), if_match=1)
    # ended, it makes room for the next; withdrawn, it is as if it had never held
    ended = await register.ask.replace_coverage(cashier, patient.id, this_year.id, an_insurance(
        "2027-01-01", "2027-03-31"), if_match=1)
    next_one = await register.ask.add_coverage(reception, patient.id, an_insurance("2027-04-01"))
    gone = await register.ask.withdraw_coverage(reception, patient.id, next_one.id, if_match=1)
    again = await register.ask.add_coverage(reception, patient.id, an_insurance("2027-05-01"))
    assert await register.ask.coverages(a_patient_caller(patient), patient.id) == [again, ended, second, last_year]
    assert await register.ask.coverage(cashier, patient.id, next_one.id) == gone and gone.withdrawn_at == MONDAY
    assert await register.ask.withdraw_coverage(reception, patient.id, next_one.id, if_match=2) == gone


async def test_of_thirty_overlapping_insurances_at_once_one_is_kept(register: Register) -> None:
    patient = await register.a_patient()
    made = await asyncio.gather(*(register.ask.add_coverage(reception, patient.id, an_insurance(
        f"2027-01-{n + 1:02}", f"2027-02-{n % 28 + 1:02}")) for n in range(30)), return_exceptions=True)
    assert [type(one) for one in made if not isinstance(one, Coverage)] == [CoveragesOverlap] * 29
    assert len(await register.ask.coverages(reception, patient.id)) == 1


@on_sqlite
@pytest.mark.parametrize(("days", "field"), [
    (("2027-02-01", "2027-01-31"), "valid_until"), (("1899-12-31", None), "valid_from"),
    (("2027-01-01", "9999-12-31"), "valid_until")])
async def test_an_insurance_has_possible_days(register: Register, days: tuple[str, str | None], field: str) -> None:
    patient = await register.a_patient()
    with pytest.raises(CoverageBackwards) as refused:
        await register.ask.add_coverage(reception, patient.id, an_insurance(*days))
    assert [one.field for one in refused.value.errors] == [field]
    longest = an_insurance(FIRST_DAY.isoformat(), LAST_DAY.isoformat())
    assert (await register.ask.add_coverage(reception, patient.id, longest)).valid_from == FIRST_DAY
    assert overlap(longest, an_insurance("2199-12-31"))


# --- what was agreed to ----------------------------------------------------------------------------------------------

async def test_a_consent_is_given_and_withdrawn_and_the_history_only_grows(register: Register) -> None:
    patient = await register.a_patient()
    myself = a_patient_caller(patient)
    first = await register.ask.decide(myself, patient.id, given())
    assert (first.number, first.text_version, first.at, first.by_account, first.by_name) == (
        1, "1", MONDAY, myself.account_id, "The patient")
    register.clock.advance(timedelta(minutes=5))
    assert await register.ask.decide(reception, patient.id, given()) == first   # it is so already
    second = await register.ask.decide(reception, patient.id, withdrawn())
    assert (second.number, second.decision, second.text_version, second.by_account) == (
        2, Decision.WITHDRAWN, "1", reception.account_id)
    assert await register.ask.decide(myself, patient.id, withdrawn()) == second
    register.clock.advance(timedelta(minutes=5))
    third = await register.ask.decide(myself, patient.id, given())
    messages = await register.ask.decide(myself, patient.id, given(purpose=Purpose.MESSAGES))
    page = await register.ask.consents(nurse, patient.id, limit=3)
    rest = await register.ask.consents(nurse, patient.id, limit=3, cursor=page.next_cursor)
    assert [*page.items, *rest.items] == [third, messages, second, first] and rest.next_cursor is None
    assert (await register.ask.consents(nurse, patient.id, standing=True)).items == [messages, third]
    assert [entry.action for entry in await register.entries("consent.")] == [
        "consent.given", "consent.withdrawn", "consent.given", "consent.given"]


async def test_the_same_decision_twenty_times_at_once_is_one_entry(register: Register) -> None:
    patient = await register.a_patient()
    made = await asyncio.gather(*(register.ask.decide(reception, patient.id, given()) for _ in range(20)))
    assert {one.number for one in made} == {1}
    assert len((await register.ask.consents(reception, patient.id)).items) == 1


@on_sqlite
async def test_only_the_wording_in_force_is_agreed_to(register: Register) -> None:
    patient = await register.a_patient()
    for version in ("0", ""):
        with pytest.raises(TextHasChanged) as refused:
            await register.ask.decide(reception, patient.id, given(version))
        assert refused.value.problem()["text_version"] == "1"
    with pytest.raises(NothingToWithdraw):
        await register.ask.decide(reception, patient.id, withdrawn())


@on_sqlite
async def test_entries_name_nobody(register: Register) -> None:
    patient = await register.a_patient()
    await register.ask.add_contact(reception, patient.id, ContactForm(name="canary", relationship="canary"))
    await register.ask.add_coverage(reception, patient.id, an_insurance(payer="canary", plan="canary"))
    await register.ask.decide(a_caller(PATIENT, patient_id=patient.id), patient.id, msgspec.structs.replace(
        given(), note="canary"))
    assert b"canary" not in msgspec.json.encode(await register.facts(Audited))

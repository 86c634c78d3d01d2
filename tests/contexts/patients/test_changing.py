"""Changing and closing records, on each engine."""
from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from infirmary.contexts.patients.contract import (
    AmendPatient,
    BirthDateImpossible,
    Gender,
    Patient,
    PatientRetired,
    VisitsStillOpen,
)
from infirmary.contexts.patients.events import PatientAmended, PatientWasRetired
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, RoleMayNot, StaleVersion

from .builders import (
    MONDAY,
    Register,
    a_doctor_caller,
    a_patient_caller,
    admin,
    cashier,
    demographics,
    nurse,
    reception,
)

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def test_an_amendment_changes_what_it_names_and_is_announced(register: Register) -> None:
    before = await register.a_patient(phone="085 123 4567", address="Harbour Lane 4")
    after = await register.ask.amend(reception, before.id, AmendPatient(family_name="Vega Ruiz", phone=None), if_match=1)
    assert (after.name, after.phone, after.address, after.version) == ("Delia Vega Ruiz", None, "Harbour Lane 4", 2)
    assert await register.ask.patient(reception, before.id) == after
    assert await register.facts(PatientAmended) == [
        PatientAmended(aggregate=before.id, version=2, name="Delia Vega Ruiz", number=before.number)]
    assert [(entry.subject_id, entry.detail) for entry in await register.entries("patient.amended")] == [
        (before.id, {"fields": "family_name,phone"})]


async def test_a_replacement_leaves_nothing_of_what_was(register: Register) -> None:
    before = await register.a_patient(phone="085 123 4567", gender=Gender.FEMALE)
    after = await register.ask.replace(reception, before.id, demographics("Adela", "Ruiz"), if_match=1)
    assert (after.name, after.phone, after.gender) == ("Adela Ruiz", None, Gender.UNKNOWN)
    assert (after.id, after.number, after.created_at, after.version) == (before.id, before.number, before.created_at, 2)


async def test_searches_follow_every_change(register: Register) -> None:
    patient = await register.a_patient("Delia", "Vega", phone="085 123 4567", email="d@example.org")
    await register.ask.amend(reception, patient.id, AmendPatient(
        family_name="Ruiz", phone="086 765 4321", email=None, birth_date=date(1969, 1, 2)), if_match=1)
    for gone in ("vega", "1968-03-14", "085 123 4567", "4567", "d@example", "delia vega"):
        assert await register.found(gone) == []
    for come in ("ruiz", "1969-01-02", "086 765 4321", "4321", "delia", str(patient.number), "del ruiz 69"):
        assert await register.found(come) == ["Delia"]


@on_sqlite
async def test_a_change_to_the_same_is_none(register: Register) -> None:
    before = await register.a_patient()
    assert await register.ask.amend(reception, before.id, AmendPatient(given_name=" Delia "), if_match=1) == before
    assert await register.ask.amend(reception, before.id, AmendPatient(), if_match=1) == before
    assert await register.ask.replace(reception, before.id, demographics(), if_match=1) == before
    assert await register.facts(PatientAmended) == await register.entries("patient.amended") == []


async def test_of_two_edits_at_once_one_is_told_to_look_again(register: Register) -> None:
    patients = [await register.a_patient(f"Patient {n}") for n in range(100)]

    async def edit(patient: Patient, address: str) -> Patient | None:
        try:
            return await register.ask.amend(reception, patient.id, AmendPatient(address=address), if_match=1)
        except StaleVersion:
            return None

    pairs = await asyncio.gather(*(edit(one, address) for one in patients for address in ("left", "right")))
    for at, patient in enumerate(patients):
        left, right = pairs[2 * at:2 * at + 2]
        assert (left is None) != (right is None)
        assert await register.ask.patient(reception, patient.id) == (left or right)
    assert len(await register.facts(PatientAmended)) == 100


@on_sqlite
async def test_a_change_needs_the_version_that_was_read(register: Register) -> None:
    patient = await register.a_patient()
    for wrong in (0, 2):
        with pytest.raises(StaleVersion):
            await register.ask.amend(reception, patient.id, AmendPatient(address="x"), if_match=wrong)
        with pytest.raises(StaleVersion):
            await register.ask.replace(reception, patient.id, demographics("x"), if_match=wrong)
        with pytest.raises(StaleVersion):
            await register.ask.retire(reception, patient.id, if_match=wrong)
    with pytest.raises(NotFound):
        await register.ask.amend(reception, new_id(), AmendPatient(), if_match=1)
    assert await register.ask.patient(reception, patient.id) == patient


@on_sqlite
async def test_nobody_is_given_an_impossible_birth_date_later(register: Register) -> None:
    patient = await register.a_patient()
    tomorrow = MONDAY.date() + timedelta(days=1)
    with pytest.raises(BirthDateImpossible):
        await register.ask.amend(reception, patient.id, AmendPatient(birth_date=tomorrow), if_match=1)
    with pytest.raises(BirthDateImpossible):
        await register.ask.replace(reception, patient.id, demographics(birth_date=tomorrow), if_match=1)


async def test_a_closed_record_is_kept_but_not_found_and_not_changed(register: Register) -> None:
    patient = await register.a_patient(phone="085 123 4567")
    register.clock.advance(timedelta(days=1))
    closed = await register.ask.retire(reception, patient.id, if_match=1)
    assert (closed.retired_at, closed.version) == (MONDAY + timedelta(days=1), 2)
    assert await register.ask.patient(reception, patient.id) == closed
    assert (await register.ask.card(reception, patient.id)).retired
    assert await register.facts(PatientWasRetired) == [
        PatientWasRetired(aggregate=patient.id, version=2, name="Delia Vega", number=patient.number)]
    for typed in ("", "delia", "elia", "085 123 4567", str(patient.number), "14.3.68"):
        assert await register.found(typed) == []
    assert await register.ask.matches(reception, "Delia", "Vega", patient.birth_date, "085 123 4567") == []
    with pytest.raises(PatientRetired):
        await register.ask.amend(reception, patient.id, AmendPatient(address="x"), if_match=2)
    with pytest.raises(PatientRetired):
        await register.ask.replace(reception, patient.id, demographics("x"), if_match=2)


@on_sqlite
async def test_closing_what_is_closed_changes_nothing(register: Register) -> None:
    patient = await register.a_patient()
    closed = await register.ask.retire(reception, patient.id, if_match=1)
    assert await register.ask.retire(reception, patient.id, if_match=2) == closed
    assert len(await register.facts(PatientWasRetired)) == 1


@on_sqlite
@pytest.mark.parametrize(("visits", "said"), [(1, "a visit to come. Cancel it first"),
                                              (3, "3 visits to come. Cancel them first")])
async def test_whoever_has_visits_to_come_is_not_closed(register: Register, visits: int, said: str) -> None:
    patient = await register.a_patient()
    register.visits.open[patient.id] = visits
    with pytest.raises(VisitsStillOpen) as refused:
        await register.ask.retire(reception, patient.id, if_match=1)
    assert refused.value.problem()["count"] == visits and said in refused.value.detail
    assert await register.ask.patient(reception, patient.id) == patient


@on_sqlite
async def test_patients_change_their_own_record_and_nobody_elses_and_close_none(register: Register) -> None:
    me, other = await register.a_patient("Me"), await register.a_patient("Other")
    myself = a_patient_caller(me)
    mine = await register.ask.amend(myself, me.id, AmendPatient(address="Mine"), if_match=1)
    assert (await register.ask.replace(myself, me.id, demographics("Me", address="New"), if_match=2)).address == "New"
    assert mine.address == "Mine"
    for attempt in (register.ask.amend(myself, other.id, AmendPatient(address="x"), if_match=1),
                    register.ask.replace(myself, other.id, demographics("x"), if_match=1),
                    register.ask.amend(myself, new_id(), AmendPatient(address="x"), if_match=1)):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(RoleMayNot):
        await register.ask.retire(myself, me.id, if_match=3)
    assert await register.ask.patient(reception, other.id) == other


@on_sqlite
async def test_who_may_change_and_close(register: Register) -> None:
    patient = await register.a_patient()
    for caller in (cashier, a_doctor_caller(new_id())):
        for attempt in (register.ask.amend(caller, patient.id, AmendPatient(), if_match=1),
                        register.ask.replace(caller, patient.id, demographics(), if_match=1),
                        register.ask.retire(caller, patient.id, if_match=1)):
            with pytest.raises(RoleMayNot):
                await attempt
    with pytest.raises(RoleMayNot):
        await register.ask.retire(nurse, patient.id, if_match=1)
    await register.ask.amend(nurse, patient.id, AmendPatient(address="Elsewhere"), if_match=1)
    await register.ask.retire(admin, patient.id, if_match=2)


async def test_a_record_is_closed_or_changed_never_half_of_each(register: Register) -> None:
    patients = [await register.a_patient(f"Patient {n}", "Old") for n in range(40)]
    await asyncio.gather(*(attempt for one in patients for attempt in (
        register.ask.retire(reception, one.id, if_match=1),
        register.ask.amend(reception, one.id, AmendPatient(family_name="New"), if_match=1))), return_exceptions=True)
    kept = [await register.ask.patient(reception, one.id) for one in patients]
    assert all(one.version == 2 and (one.retired_at is None) == (one.family_name == "New") for one in kept)
    found = await register.found("new", limit=100)
    assert sorted(found) == sorted(one.given_name for one in kept if one.retired_at is None)
    assert await register.found("old", limit=100) == []

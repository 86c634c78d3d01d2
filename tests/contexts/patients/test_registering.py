"""Entering people in the register, on each engine."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date, timedelta

import aiohttp
import msgspec
import pytest

from infirmary.contexts.patients.contract import BirthDateImpossible, Gender, Patient, Patients
from infirmary.contexts.patients.events import PatientRegistered
from infirmary.contexts.patients.tables import metadata
from infirmary.contexts.patients.wiring import PATIENTS
from infirmary.kernel.access import NOBODY
from infirmary.kernel.audit import Audited
from infirmary.kernel.binding import Routes
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.migrate import check
from infirmary.kernel.errors import NotFound, NotSignedIn, RoleMayNot
from infirmary.kernel.http import build_app
from infirmary.language import PATIENT
from tests.serving import serving

from .builders import (
    MONDAY,
    Register,
    a_caller,
    admin,
    auditor,
    cashier,
    demographics,
    identity,
    nurse,
    pharmacist,
    reception,
)

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def test_the_migrations_make_the_tables_that_are_declared(database_url: Callable[[str], str]) -> None:
    assert await check(database_url("patients"), metadata, PATIENTS.migrations) == []


async def test_who_is_entered_is_there_with_a_number_of_the_hospital(register: Register) -> None:
    made = await register.a_patient(" Delia ", "Vega", phone="085 123 4567", email="delia@example.org",
                                    gender=Gender.FEMALE, address="Harbour Lane 4", language="es-ES")
    assert made == Patient(
        id=made.id, number=100_001, given_name="Delia", family_name="Vega", birth_date=date(1968, 3, 14),
        gender=Gender.FEMALE, phone="085 123 4567", email="delia@example.org", address="Harbour Lane 4", language="es-ES",
        created_at=MONDAY, retired_at=None, version=1)
    assert await register.ask.patient(reception, made.id) == made
    assert (await register.a_patient("Next")).number == 100_002
    assert (await register.facts(PatientRegistered))[0] == PatientRegistered(
        aggregate=made.id, version=1, name="Delia Vega", number=100_001)
    entry = (await register.entries("patient.registered"))[0]
    assert (entry.subject_id, entry.actor_id, entry.detail) == (made.id, reception.account_id, {})


async def test_two_hundred_at_once_get_two_hundred_numbers(register: Register) -> None:
    made = await asyncio.gather(*(register.a_patient(f"Patient {n}") for n in range(200)))
    assert sorted(one.number for one in made) == list(range(100_001, 100_201))
    assert len(await register.facts(PatientRegistered)) == len(await register.entries("patient.registered")) == 200


async def test_a_number_of_somebody_who_could_not_be_entered_goes_to_the_next(register: Register) -> None:
    """Nobody was ever told it."""
    first = await register.enrolled(new_id())
    await register.enrolled(first.id)
    assert (await register.a_patient()).number == 100_002


async def test_an_enrolment_done_before_is_done(register: Register) -> None:
    patient_id = new_id()
    made = await register.enrolled(patient_id, given_name="Delia")
    assert made.id == patient_id
    assert await register.enrolled(patient_id, given_name="Adela", birth_date=date(1970, 1, 1)) == made
    assert len(await register.facts(PatientRegistered)) == 1


async def test_the_same_enrolment_twenty_times_at_once_has_one_effect(register: Register) -> None:
    patient_id = new_id()
    made = await asyncio.gather(*(register.enrolled(patient_id) for _ in range(20)))
    assert len({(one.id, one.number) for one in made}) == 1
    assert len(await register.facts(PatientRegistered)) == 1
    assert await register.found("vega") == ["Delia"]


@on_sqlite
async def test_a_birth_date_is_judged_by_the_hospitals_day(register: Register) -> None:
    await register.a_patient(birth_date=MONDAY.date())
    with pytest.raises(BirthDateImpossible):
        await register.a_patient(birth_date=date(2027, 3, 2))
    with pytest.raises(BirthDateImpossible):
        await register.enrolled(new_id(), birth_date=date(1890, 1, 1))
    register.clock.advance(timedelta(days=119, hours=15, minutes=30))   # 23:30 UTC in summer: the next day in Dublin
    await register.a_patient(birth_date=date(2027, 6, 29))
    assert len(await register.facts(PatientRegistered)) == 2


@on_sqlite
async def test_who_may_enter_whom(register: Register) -> None:
    for caller in (reception, admin, nurse):
        await register.ask.register(caller, demographics())
    for caller in (cashier, pharmacist, auditor, a_caller(PATIENT, patient_id=new_id()), identity):
        with pytest.raises(RoleMayNot):
            await register.ask.register(caller, demographics())
    with pytest.raises(NotSignedIn):
        await register.ask.register(NOBODY, demographics())
    with pytest.raises(NotFound):
        await register.ask.patient(reception, new_id())


@on_sqlite
async def test_facts_and_entries_say_no_more_than_they_must(register: Register) -> None:
    made = await register.a_patient("Delia", "Vega", phone="085 999 0001", email="canary@example.org", address="canary")
    await register.found("canary", phone="085 999 0001")
    await register.ask.matches(reception, "Canary", "Canary", made.birth_date, "085 999 0001", "canary@example.org")
    said = msgspec.json.encode([*await register.facts(PatientRegistered), *await register.facts(Audited)])
    assert not [secret for secret in (b"canary", b"Canary", b"999 0001", b"1968") if secret in said]


@on_sqlite
async def test_the_same_request_sent_again_has_one_effect_and_the_same_answer(register: Register) -> None:
    app = build_app(Routes(Patients, register.ask, register.db, lambda _: reception).handlers)
    headers = {"Authorization": "Bearer x", "Idempotency-Key": "once", "Content-Type": "application/json"}
    async with serving(app) as base, aiohttp.ClientSession() as http:
        async def post() -> object:
            async with http.post(f"{base}/api/v1/patients", data=msgspec.json.encode(demographics()),
                                 headers=headers) as reply:
                assert reply.status == 201
                return json.loads(await reply.text())
        answers = [await post(), *await asyncio.gather(*(post() for _ in range(10)))]
    assert all(answer == answers[0] for answer in answers)
    assert len(await register.facts(PatientRegistered)) == 1

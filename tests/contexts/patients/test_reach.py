"""Who reaches whose record: the patient, those who work with all of them, and doctors whose patients they are."""
from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from msgspec import structs

from infirmary.contexts.appointments.contract import Participant, ParticipantKind
from infirmary.contexts.appointments.events import (
    AppointmentAccepted,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRequested,
    AppointmentRescheduled,
    ParticipantsChanged,
    PatientCheckedIn,
    VisitChanged,
)
from infirmary.contexts.patients.contract import Patient, PatientCard
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, NotSignedIn, RoleMayNot
from infirmary.language import ADMIN, DOCTOR

from .builders import (
    MONDAY,
    Register,
    a_caller,
    a_doctor_caller,
    a_patient_caller,
    a_visit,
    admin,
    auditor,
    cashier,
    identity,
    nurse,
    pharmacist,
    reception,
)

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def reaches(register: Register, doctor_id: UUID, patient: Patient) -> bool:
    """By every way there is."""
    doctor = a_doctor_caller(doctor_id)
    listed = patient.given_name in await register.found("", doctor)
    for ask in (register.ask.patient, register.ask.card):
        try:
            await ask(doctor, patient.id)
            assert listed
        except NotFound:
            assert not listed
    return listed


@pytest.mark.parametrize("kind", [AppointmentRequested, AppointmentBooked, AppointmentAccepted])
async def test_a_doctor_reaches_a_patient_until_a_year_after_the_visit(register: Register,
                                                                       kind: type[VisitChanged]) -> None:
    patient, other, doctor_id = await register.a_patient("One"), await register.a_patient("Other"), new_id()
    assert not await reaches(register, doctor_id, patient)
    await register.hear(a_visit(kind, patient, doctor_id, at=MONDAY + timedelta(days=30)))
    assert await reaches(register, doctor_id, patient)
    assert not await reaches(register, doctor_id, other) and not await reaches(register, new_id(), patient)
    register.clock.advance(timedelta(days=30 + 365, minutes=19))
    assert await reaches(register, doctor_id, patient)
    register.clock.advance(timedelta(minutes=2))
    assert not await reaches(register, doctor_id, patient)


@pytest.mark.parametrize("kind", [AppointmentCancelled, AppointmentDeclined])
async def test_a_visit_that_will_not_be_gives_no_reach(register: Register, kind: type[VisitChanged]) -> None:
    patient, doctor_id, visit = await register.a_patient(), new_id(), new_id()
    await register.hear(a_visit(AppointmentRequested, patient, doctor_id, visit=visit))
    await register.hear(a_visit(kind, patient, doctor_id, visit=visit, version=2))
    assert not await reaches(register, doctor_id, patient)
    await register.hear(a_visit(AppointmentBooked, patient, doctor_id))
    assert await reaches(register, doctor_id, patient)


async def test_reach_goes_with_the_visit_to_another_doctor(register: Register) -> None:
    patient, first_id, second_id, visit = await register.a_patient(), new_id(), new_id(), new_id()
    await register.hear(a_visit(AppointmentBooked, patient, first_id, visit=visit))
    await register.hear(a_visit(AppointmentRescheduled, patient, second_id, visit=visit, version=2,
                                at=MONDAY + timedelta(days=7), previous_starts_at=MONDAY, previous_doctor_id=first_id))
    assert await reaches(register, second_id, patient) and not await reaches(register, first_id, patient)
    register.clock.advance(timedelta(days=370))
    assert await reaches(register, second_id, patient)


async def test_who_takes_part_in_a_visit_reaches_its_patient_as_its_doctor_does(register: Register) -> None:
    patient, first_id, second_id, visit = await register.a_patient(), new_id(), new_id(), new_id()
    both = (Participant(second_id, ParticipantKind.DOCTOR, "Dr Bo Lind"),)
    left = a_visit(ParticipantsChanged, patient, first_id, visit=visit, version=3, previous_participants=both)
    await register.hear(a_visit(AppointmentBooked, patient, first_id, visit=visit, participants=both))
    assert await reaches(register, first_id, patient) and await reaches(register, second_id, patient)
    await register.hear(left)
    await register.hear(a_visit(AppointmentAccepted, patient, first_id, visit=visit, version=2, participants=both))
    assert await reaches(register, first_id, patient) and not await reaches(register, second_id, patient)


async def test_older_facts_that_come_late_change_nothing(register: Register) -> None:
    patient, doctor_id, visit = await register.a_patient(), new_id(), new_id()
    called_off = a_visit(AppointmentCancelled, patient, doctor_id, visit=visit, version=3)
    await register.hear(called_off)
    await register.hear(a_visit(AppointmentBooked, patient, doctor_id, visit=visit, version=1))
    await register.hear(a_visit(AppointmentAccepted, patient, doctor_id, visit=visit, version=2))
    assert not await reaches(register, doctor_id, patient)
    await register.hear(called_off)   # another copy of the same news
    await register.hear(a_visit(AppointmentBooked, patient, doctor_id, visit=visit, version=4))
    assert await reaches(register, doctor_id, patient)


@on_sqlite
async def test_a_fact_delivered_twice_has_its_effect_once(register: Register) -> None:
    patient, doctor_id = await register.a_patient(), new_id()
    fact = await register.hear(a_visit(AppointmentBooked, patient, doctor_id))
    await register.hears.handle(fact, last=True)
    assert await register.hears.parked() == [] and await reaches(register, doctor_id, patient)
    assert PatientCheckedIn.kind not in register.hears.kinds


@on_sqlite
async def test_reading_somebody_elses_record_is_audited_and_reading_ones_own_is_not(register: Register) -> None:
    patient, doctor_id = await register.a_patient(), new_id()
    await register.hear(a_visit(AppointmentBooked, patient, doctor_id))
    assert await register.ask.patient(a_patient_caller(patient), patient.id) == patient
    assert await register.entries("patient.read") == []
    readers = [reception, a_doctor_caller(doctor_id), cashier]
    for reader in readers:
        assert await register.ask.patient(reader, patient.id) == patient
    entries = await register.entries("patient.read")
    assert [(entry.actor_id, entry.subject_id, entry.entity, entry.detail) for entry in entries] == [
        (reader.account_id, patient.id, f"patient/{patient.id}", {}) for reader in readers]


@on_sqlite
async def test_the_card_says_who_it_is_and_nothing_more(register: Register) -> None:
    patient = await register.a_patient(phone="085 123 4567")
    for caller in (reception, admin, nurse, cashier, pharmacist, identity, a_patient_caller(patient)):
        assert await register.ask.card(caller, patient.id) == PatientCard(
            id=patient.id, number=patient.number, name="Delia Vega", birth_date=patient.birth_date, gender=patient.gender,
            retired=False)
    with pytest.raises(NotFound):
        await register.ask.card(identity, new_id())


@on_sqlite
async def test_others_do_not_reach(register: Register) -> None:
    patient, other = await register.a_patient(), await register.a_patient("Other")
    for ask in (register.ask.patient, register.ask.card):
        with pytest.raises(NotFound):
            await ask(a_patient_caller(other), patient.id)
        with pytest.raises(RoleMayNot):
            await ask(auditor, patient.id)
        with pytest.raises(NotSignedIn):
            await ask(NOBODY, patient.id)
        with pytest.raises(NotFound):
            await ask(a_caller(DOCTOR), patient.id)   # an account that belongs to no doctor
    with pytest.raises(NotFound):
        await register.found("", a_caller(DOCTOR))
    with pytest.raises(RoleMayNot):
        await register.ask.patient(identity, patient.id)


@on_sqlite
async def test_a_doctor_who_also_runs_the_hospital_reaches_everybody(register: Register) -> None:
    patient = await register.a_patient()
    both = structs.replace(a_caller(ADMIN, doctor_id=new_id()), roles=frozenset({ADMIN, DOCTOR}))
    assert await register.ask.patient(both, patient.id) == patient
    assert await register.found("delia", both) == ["Delia"]

"""Booking: who may, when, and what a refusal offers instead."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest

from infirmary.contexts.appointments.contract import (
    Appointment,
    DoctorNotAvailable,
    Mode,
    PatientNotActive,
    Slot,
    SlotNotOffered,
    Status,
    TimeIsPast,
    TimeIsTaken,
    TooManyVisits,
    Why,
)
from infirmary.contexts.appointments.events import AppointmentBooked, AppointmentRequested
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading
from infirmary.kernel.errors import KeyReused, Malformed, NotFound, NotSignedIn, Refusal, RoleMayNot
from infirmary.kernel.request import changed
from infirmary.language import AUDITOR, CASHIER, DOCTOR, PATIENT, PHARMACIST

from .builders import (
    Clinic,
    a_caller,
    admin,
    as_doctor,
    as_patient,
    at,
    grains_of,
    hours,
    nurse,
    opening,
    reception,
)


def starts(refusal: Refusal) -> list[datetime]:
    return [slot.starts_at for slot in msgspec.convert(refusal.extra["alternatives"], list[Slot])]


async def as_many(clinic: Clinic) -> tuple[int, ...]:
    """How much is kept: visits, their time, facts and entries."""
    return tuple(map(len, (await clinic.visits(), await clinic.taken(), await clinic.facts(), await clinic.audited())))


async def test_a_patient_books_a_slot_as_it_is_offered(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    booked = await clinic.book(doctor, at(9, 20), patient_id=patient, caller=as_patient(patient), reason=" A cough ",
                               mode=Mode.VIDEO)
    assert booked == await clinic.ask.appointment(as_patient(patient), booked.id)
    assert msgspec.structs.asdict(booked) == {
        "id": booked.id, "patient_id": patient, "patient_name": "Pat Ient", "doctor_id": doctor,
        "doctor_name": "Dr Amara Okafor", "department_id": UUID(int=7), "department_name": "Heart",
        "starts_at": at(9, 20), "ends_at": at(9, 40), "local_start": "2027-03-01T09:20+00:00", "zone": "Europe/Dublin",
        "mode": Mode.VIDEO, "reason": "A cough", "status": Status.BOOKED, "status_reason": "", "location": "Room 3",
        "created_at": at(8), "changed_at": at(8), "version": 1,
        "buffer_minutes": 0, "lane": 0, "overbooked": None, "series_id": None, "participants": ()}
    assert set(await clinic.taken()) == grains_of(booked)


async def test_times_come_back_in_utc_and_wall_time_is_kept_with_its_offset(clinic: Clinic):
    doctor = await clinic.doctor()
    in_summer = datetime(2027, 6, 1, 11, 0, tzinfo=timezone(timedelta(hours=2)))
    booked = await clinic.book(doctor, in_summer)
    assert booked.starts_at.tzinfo is UTC
    assert (booked.starts_at, booked.local_start) == (in_summer, "2027-06-01T10:00+01:00")


@pytest.mark.parametrize("wanted", [at(9, 5), at(8, 40), at(17), at(9, 20, day=6) + timedelta(microseconds=1),
                                    at(9, 20) + timedelta(seconds=1)])
async def test_patients_take_slots_and_nothing_between(clinic: Clinic, wanted: datetime):
    doctor, patient = await clinic.doctor(), new_id()
    with pytest.raises(SlotNotOffered) as refused:
        await clinic.book(doctor, wanted, patient_id=patient, caller=as_patient(patient))
    nearest = min(starts(refused.value), key=lambda one: abs(one - wanted))
    assert starts(refused.value)[0] == nearest
    assert (await clinic.book(doctor, nearest, patient_id=patient, caller=as_patient(patient))).starts_at == nearest


async def test_patients_do_not_choose_how_long_it_lasts(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    with pytest.raises(Malformed) as refused:
        await clinic.book(doctor, at(9), patient_id=patient, caller=as_patient(patient), minutes=20)
    assert [error.field for error in refused.value.errors] == ["minutes"]


@pytest.mark.parametrize("caller", [reception, admin, nurse])
async def test_staff_book_any_five_minutes_within_the_hours(clinic: Clinic, caller):
    doctor = await clinic.doctor(buffer=10)
    booked = await clinic.book(doctor, at(9, 5), caller=caller, minutes=50)
    assert (booked.starts_at, booked.ends_at) == (at(9, 5), at(9, 55))
    assert (await clinic.book(doctor, at(16, 40), caller=caller)).ends_at == at(17)


@pytest.mark.parametrize(("wanted", "minutes"), [
    (at(9, 1), None), (at(8, 55), 20), (at(16, 45), 20), (at(9), 485 - 5), (at(11, 55), 10), (at(13, 30), 5),
    (at(9) + timedelta(seconds=20), None)])
async def test_staff_too_keep_to_the_hours_and_to_leave(clinic: Clinic, wanted, minutes):
    doctor = await clinic.doctor(weekly=[opening(1, "09:00", "12:00"), opening(1, "13:00", "17:00")],
                                 away=[(at(13, 30), at(14))])
    with pytest.raises(SlotNotOffered) as refused:
        await clinic.book(doctor, wanted, minutes=minutes)
    for time in starts(refused.value):
        made = await clinic.book(doctor, time, minutes=minutes)
        await clinic.ask.cancel(reception, made.id, Why())


async def test_nothing_is_booked_in_the_past(clinic: Clinic):
    doctor = await clinic.doctor(weekly=[opening(1, "06:00", "12:00")])
    with pytest.raises(TimeIsPast):
        await clinic.book(doctor, at(7, 40))
    assert (await clinic.book(doctor, at(8))).starts_at == at(8)   # just now is not the past


async def test_nobody_books_with_a_doctor_who_is_not_there(clinic: Clinic):
    for doctor in (new_id(), await clinic.doctor(active=False)):
        with pytest.raises(DoctorNotAvailable):
            await clinic.book(doctor, at(9))


async def test_a_closed_record_gets_no_visits(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    clinic.register.retired.add(patient)
    with pytest.raises(PatientNotActive):
        await clinic.book(doctor, at(9), patient_id=patient)


async def test_a_department_that_accepts_first_is_asked_by_patients_and_told_by_staff(clinic: Clinic):
    doctor, patient = await clinic.doctor(accepts_first=True), new_id()
    asked = await clinic.book(doctor, at(9), patient_id=patient, caller=as_patient(patient))
    told = await clinic.book(doctor, at(10))
    assert (asked.status, told.status) == (Status.REQUESTED, Status.BOOKED)
    assert [type(fact) for fact in await clinic.facts()] == [AppointmentRequested, AppointmentBooked]
    assert [entry.action for entry in await clinic.audited()] == ["appointment.requested", "appointment.booked"]
    with pytest.raises(TimeIsTaken):   # what is only asked for is taken all the same
        await clinic.book(doctor, at(9))


class TestWhoMayBook:
    async def test_patients_only_for_themselves(self, clinic: Clinic):
        doctor = await clinic.doctor()
        with pytest.raises(NotFound):
            await clinic.book(doctor, at(9), patient_id=new_id(), caller=as_patient(new_id()))

    async def test_doctors_only_in_their_own_diary_and_for_those_they_treat(self, clinic: Clinic):
        own, other, patient = await clinic.doctor(), await clinic.doctor(), new_id()
        clinic.register.treated.add(patient)
        assert (await clinic.book(own, at(9, 5), patient_id=patient, caller=as_doctor(own), minutes=15)).version == 1
        for diary, whom in ((other, patient), (own, new_id())):
            with pytest.raises(NotFound):
                await clinic.book(diary, at(10), patient_id=whom, caller=as_doctor(own))

    async def test_a_doctor_who_is_ill_is_a_patient_like_any_other(self, clinic: Clinic):
        own, other, patient = await clinic.doctor(), await clinic.doctor(accepts_first=True), new_id()
        clinic.register.treated.add(patient)
        both = a_caller(PATIENT, DOCTOR, patient_id=patient, doctor_id=own)
        assert (await clinic.book(other, at(9), patient_id=patient, caller=both)).status is Status.REQUESTED
        with pytest.raises(SlotNotOffered):
            await clinic.book(other, at(10, 5), patient_id=patient, caller=both)

    @pytest.mark.parametrize("role", [PHARMACIST, CASHIER, AUDITOR])
    async def test_nobody_else(self, clinic: Clinic, role):
        with pytest.raises(RoleMayNot):
            await clinic.book(await clinic.doctor(), at(9), caller=a_caller(role))
        with pytest.raises(NotSignedIn):
            await clinic.book(await clinic.doctor(), at(9), caller=NOBODY)


async def test_a_patient_books_twenty_visits_and_no_more_online(clinic: Clinic):
    patient = new_id()
    me = as_patient(patient)
    for day in range(20):
        last = await clinic.book(await clinic.doctor(), at(9, day=day), patient_id=patient, caller=me)
    doctor = await clinic.doctor()
    with pytest.raises(TooManyVisits):
        await clinic.book(doctor, at(9, day=20), patient_id=patient, caller=me)
    await clinic.book(doctor, at(9, day=20), patient_id=patient)   # reception may
    await clinic.ask.cancel(me, last.id, Why())
    with pytest.raises(TooManyVisits):
        await clinic.book(doctor, at(9, day=21), patient_id=patient, caller=me)
    clinic.clock.advance(timedelta(hours=2))   # the first is over
    await clinic.book(doctor, at(9, day=21), patient_id=patient, caller=me)


class TestRefusals:
    async def test_what_is_taken_is_said_by_whom_and_how_long_but_not_for_whom(self, every_clinic: Clinic):
        clinic = every_clinic
        busy_doctor, free_doctor, patient = await clinic.doctor(), await clinic.doctor(), new_id()
        first = await clinic.book(busy_doctor, at(9, 40), minutes=40)
        theirs = await clinic.book(free_doctor, at(9), patient_id=patient, minutes=60)
        before = await as_many(clinic)
        with pytest.raises(TimeIsTaken) as refused:
            await clinic.book(busy_doctor, at(9, 20), patient_id=patient, minutes=30)
        assert refused.value.extra["conflicts"] == [
            {"code": "doctor_taken", "whose": "doctor", "starts_at": "2027-03-01T09:40:00Z",
             "ends_at": "2027-03-01T10:20:00Z",
             "message": "The doctor is taken at that time. Choose another time, or somebody else."},
            {"code": "patient_taken", "whose": "patient", "starts_at": "2027-03-01T09:00:00Z",
             "ends_at": "2027-03-01T10:00:00Z", "appointment_id": str(theirs.id),
             "message": "The patient has another visit at that time. Move or cancel that one, or choose another time."}]
        assert str(first.patient_id) not in str(refused.value.extra)
        assert str(first.id) not in str(refused.value.extra)
        assert await as_many(clinic) == before, "a refusal leaves nothing behind"

    async def test_alternatives_are_the_nearest_times_free_for_both(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor, other, patient = await clinic.doctor(), await clinic.doctor(), new_id()
        await clinic.book(doctor, at(10))
        await clinic.book(doctor, at(10, 40))
        await clinic.book(other, at(9, 40), patient_id=patient)
        with pytest.raises(TimeIsTaken) as refused:
            await clinic.book(doctor, at(10), patient_id=patient, caller=as_patient(patient))
        assert starts(refused.value) == [at(10, 20), at(9, 20), at(9), at(11), at(11, 20)]

    async def test_alternatives_are_not_in_the_past(self, clinic: Clinic):
        doctor = await clinic.doctor(weekly=[opening(1, "06:00", "09:00")])
        await clinic.book(doctor, at(8))
        with pytest.raises(TimeIsTaken) as refused:
            await clinic.book(doctor, at(8))
        assert starts(refused.value) == [at(8, 20), at(8, 40), at(6, day=7), at(6, 20, day=7), at(6, 40, day=7)]

    async def test_when_nothing_is_free_near_it_that_is_said(self, clinic: Clinic):
        doctor = await clinic.doctor(weekly=[opening(1, "08:00", "08:20")], away=[(at(9), at(9, day=365))])
        await clinic.book(doctor, at(8))
        with pytest.raises(TimeIsTaken, match="No other time is free") as refused:
            await clinic.book(doctor, at(8))
        assert starts(refused.value) == []


class TestAskedTwice:
    async def test_the_same_key_has_one_effect_and_the_same_answer(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor, patient = await clinic.doctor(), new_id()
        me = as_patient(patient)
        with changed(key="one"):
            first = await clinic.book(doctor, at(9), patient_id=patient, caller=me)
            assert await clinic.book(doctor, at(9), patient_id=patient, caller=me) == first
            with pytest.raises(KeyReused):
                await clinic.book(doctor, at(9, 20), patient_id=patient, caller=me)
            gone = await clinic.ask.cancel(me, first.id, Why())
            assert await clinic.ask.cancel(me, first.id, Why()) == gone
        assert await as_many(clinic) == (1, 0, 2, 2)

    async def test_a_refusal_may_be_tried_again_with_the_same_key(self, clinic: Clinic):
        doctor = await clinic.doctor()
        first = await clinic.book(doctor, at(9))
        with changed(key="one"):
            with pytest.raises(TimeIsTaken):
                await clinic.book(doctor, at(9))
            with changed(key=""):
                await clinic.ask.cancel(reception, first.id, Why())
            assert isinstance(await clinic.book(doctor, at(9)), Appointment)


async def test_every_version_leaves_a_step_a_fact_and_an_entry(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    me = as_patient(patient)
    booked = await clinic.book(doctor, at(9), patient_id=patient, caller=me, reason="Chest pain")
    await clinic.ask.cancel(reception, booked.id, Why("Doctor is ill"))
    steps = await clinic.ask.steps(me, booked.id)
    assert [(step.version, step.status, step.by, step.reason, step.starts_at) for step in steps] == [
        (1, Status.BOOKED, "Pat Ient", "", at(9)), (2, Status.CANCELLED, "Re Ception", "Doctor is ill", at(9))]
    facts, entries = await clinic.facts(), await clinic.audited()
    assert [(fact.aggregate, fact.version, fact.by_account) for fact in facts] == [
        (booked.id, 1, me.account_id), (booked.id, 2, reception.account_id)]
    assert [(entry.action, entry.subject_id, entry.entity, entry.actor_id) for entry in entries] == [
        ("appointment.booked", patient, f"appointment/{booked.id}", me.account_id),
        ("appointment.cancelled", patient, f"appointment/{booked.id}", reception.account_id)]
    said = msgspec.json.encode([facts, entries])
    assert b"Chest pain" not in said
    assert b"ill" not in said


async def test_two_doctors_hours_do_not_mix(clinic: Clinic):
    morning, evening = new_id(), new_id()
    await clinic.hear(hours(morning, weekly=[opening(1, "09:00", "12:00")]))
    await clinic.hear(hours(evening, weekly=[opening(1, "18:00", "20:00")]))
    await clinic.book(morning, at(9))
    with pytest.raises(SlotNotOffered):
        await clinic.book(evening, at(9))


async def test_a_booking_asks_the_database_nothing_between_its_inserts(every_clinic: Clinic, monkeypatch):
    """So it leaves in one round trip: a flush before the commit would be one more, and a transaction held open."""
    clinic, doctor = every_clinic, await every_clinic.doctor()

    async def flush(_: object) -> None:
        pytest.fail("not in one piece")
    monkeypatch.setattr(Reading, "_flush", flush)
    assert (await clinic.book(doctor, at(9))).version == 1

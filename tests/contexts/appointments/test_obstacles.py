"""A refusal names all that is in the way at once, each with a way out, and offers what would be free."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import (
    DoctorNotAvailable,
    HoldSlot,
    ObstacleCode,
    PatientNotActive,
    RescheduleAppointment,
    SlotNotOffered,
    TimeIsPast,
    TimeIsTaken,
    TooManyVisits,
)
from infirmary.contexts.appointments.domain.obstacles import WORDS
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Refusal

from .builders import Clinic, as_doctor, as_patient, at, opening, reception


async def why_not(clinic: Clinic, doctor: UUID, starts_at: datetime, **given: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await clinic.book(doctor, starts_at, **given)
    return refused.value


def codes(refusal: Refusal) -> list[str]:
    return [one["code"] for one in refusal.extra["conflicts"]]


async def test_everything_in_the_way_is_said_in_one_refusal(every_clinic: Clinic):
    clinic, patient = every_clinic, new_id()
    doctor = await clinic.doctor(away=[(at(9), at(10))])
    other = await clinic.doctor()
    theirs = await clinic.book(other, at(9), patient_id=patient, minutes=60)
    clinic.register.retired.add(patient)
    refusal = await why_not(clinic, doctor, at(9), patient_id=patient, minutes=15)
    assert (type(refusal), codes(refusal)) == (PatientNotActive, ["record_closed", "doctor_away", "patient_taken"])
    assert refusal.extra["alternatives"] == [], "no other time would help"
    clinic.register.retired.clear()
    refusal = await why_not(clinic, doctor, at(9), patient_id=patient)
    assert (type(refusal), codes(refusal)) == (SlotNotOffered, ["doctor_away", "patient_taken"])
    away, taken = refusal.extra["conflicts"]
    assert (away["starts_at"], away["ends_at"]) == ("2027-03-01T09:00:00Z", "2027-03-01T10:00:00Z")
    assert taken["appointment_id"] == str(theirs.id)
    assert refusal.extra["alternatives"][0]["starts_at"] == "2027-03-01T10:00:00Z"
    assert refusal.detail == ("The doctor is away at that time. The patient has another visit at that time. "
                              "Choose one of the nearest free times.")


async def test_the_past_outside_the_hours_is_both_and_the_way_on_is_to_come(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    refusal = await why_not(clinic, doctor, at(7), patient_id=patient, caller=as_patient(patient))
    assert (type(refusal), codes(refusal)) == (TimeIsPast, ["time_past", "outside_hours"])
    assert refusal.extra["alternatives"][0]["starts_at"] == "2027-03-01T09:00:00Z"
    refusal = await why_not(clinic, doctor, at(7, day=-30))
    assert refusal.extra["alternatives"][0]["starts_at"] == "2027-03-01T09:00:00Z", "from now on, however long ago"


async def test_between_the_slots_is_not_outside_the_hours(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    me = as_patient(patient)
    assert codes(await why_not(clinic, doctor, at(9, 5), patient_id=patient, caller=me)) == ["between_slots"]
    assert codes(await why_not(clinic, doctor, at(9, 3))) == ["between_slots"]   # staff: any five minutes
    assert codes(await why_not(clinic, doctor, at(18), patient_id=patient, caller=me)) == ["outside_hours"]


async def test_patients_learn_that_the_doctor_is_away_but_not_for_how_long(clinic: Clinic):
    doctor, patient = await clinic.doctor(away=[(at(0), at(0, day=9))]), new_id()
    refusal = await why_not(clinic, doctor, at(9), patient_id=patient, caller=as_patient(patient))
    [away] = refusal.extra["conflicts"]
    assert (away["code"], away.get("ends_at")) == ("doctor_away", None)


async def test_which_visit_of_the_patient_it_is_learns_only_who_may_see_it(clinic: Clinic):
    doctor, other, patient = await clinic.doctor(), await clinic.doctor(), new_id()
    theirs = await clinic.book(other, at(9), patient_id=patient)
    clinic.register.treated.add(patient)
    shown = {name: (await why_not(clinic, doctor, at(9), patient_id=patient, caller=caller)).extra["conflicts"][0].get(
        "appointment_id") for name, caller in (("patient", as_patient(patient)), ("doctor", as_doctor(doctor)),
                                               ("reception", reception))}
    assert shown == {"patient": str(theirs.id), "doctor": None, "reception": str(theirs.id)}


async def test_a_time_that_somebody_is_choosing_may_come_free_again(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    await clinic.ask.hold(as_patient(patient), HoldSlot(patient_id=patient, doctor_id=doctor, starts_at=at(9, 20)))
    await clinic.book(doctor, at(9))
    refusal = await why_not(clinic, doctor, at(9), minutes=40)
    assert (type(refusal), codes(refusal)) == (TimeIsTaken, ["doctor_taken", "time_held"])
    assert "Somebody is choosing this time just now." in refusal.detail


async def test_too_many_visits_and_a_taken_time_are_said_together(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    for day in range(20):
        await clinic.book(doctor, at(9, day=day), patient_id=patient)
    refusal = await why_not(clinic, doctor, at(9), patient_id=patient, caller=as_patient(patient))
    assert (type(refusal), codes(refusal)) == (TooManyVisits, ["too_many_visits", "doctor_taken", "patient_taken"])
    assert "Call us to book another" in refusal.detail


async def test_a_doctor_who_takes_no_visits_has_no_other_times(clinic: Clinic):
    doctor = await clinic.doctor(active=False)
    refusal = await why_not(clinic, doctor, at(7))
    assert (type(refusal), codes(refusal)) == (DoctorNotAvailable, ["no_such_doctor", "time_past"])
    assert refusal.extra["alternatives"] == []
    assert codes(await why_not(clinic, new_id(), at(9))) == ["no_such_doctor"]


async def test_moving_a_visit_is_refused_in_full_and_its_own_time_is_not_in_its_way(clinic: Clinic):
    doctor = await clinic.doctor(weekly=[opening(1, "09:00", "10:00")])
    visit = await clinic.book(doctor, at(9, 40))
    await clinic.book(doctor, at(9))
    for starts_at, found in ((at(9), ["doctor_taken"]), (at(9, 50), ["outside_hours"])):
        with pytest.raises(Refusal) as refused:
            await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=starts_at))
        assert codes(refused.value) == found


async def test_the_end_of_time_is_refused_like_any_other(clinic: Clinic):
    doctor = await clinic.doctor()
    for year in (1, 9999):
        assert await why_not(clinic, doctor, datetime(year, 1, 1, tzinfo=UTC))
        assert await why_not(clinic, doctor, datetime(year, 12, 31, 23, 59, tzinfo=UTC))


def test_every_obstacle_says_what_it_is_and_what_to_do():
    assert set(WORDS) == set(ObstacleCode)
    assert all(said.what.endswith(".") and said.way_out.endswith(".") for said in WORDS.values())

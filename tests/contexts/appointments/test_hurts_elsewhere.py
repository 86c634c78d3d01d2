"""Where users of other systems were hurt when they booked, we are not. Races, waitlist and obstacles have files of their own."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta, timezone

import pytest

from infirmary.contexts.appointments.contract import Appointment, Status, TimeIsTaken
from infirmary.kernel.database.columns import new_id

from .builders import Clinic, as_patient, at, reception


async def test_a_time_that_is_asked_for_is_taken_so_that_nobody_accepts_two_requests_for_it(every_clinic: Clinic):
    """calcom/cal.com #29958: two pending requests of one time, both accepted."""
    clinic = every_clinic
    doctor, patients = await clinic.doctor(accepts_first=True), [new_id() for _ in range(20)]
    outcomes = await asyncio.gather(*(clinic.book(doctor, at(9), patient_id=one, caller=as_patient(one))
                                      for one in patients), return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Appointment: 1, TimeIsTaken: 19}
    [asked] = [one for one in outcomes if isinstance(one, Appointment)]
    assert asked.status is Status.REQUESTED
    assert (await clinic.ask.accept(reception, asked.id)).status is Status.BOOKED


async def test_a_longer_visit_does_not_run_into_the_next_one(clinic: Clinic):
    """frappe/erpnext #16068: a visit longer than its slot overlapped the next."""
    doctor = await clinic.doctor()
    await clinic.book(doctor, at(9, 20))
    with pytest.raises(TimeIsTaken) as refused:
        await clinic.book(doctor, at(9), minutes=25)
    assert [one["starts_at"] for one in refused.value.extra["conflicts"]] == ["2027-03-01T09:20:00Z"]
    await clinic.book(doctor, at(9), minutes=20)


async def test_one_patient_is_not_at_two_doctors_at_once(every_clinic: Clinic):
    """openemr/openemr #2632: the same patient with two doctors at one time."""
    clinic, patient = every_clinic, new_id()
    doctors = [await clinic.doctor() for _ in range(6)]
    outcomes = await asyncio.gather(*(clinic.book(doctor, at(9) + timedelta(minutes=5 * n), patient_id=patient)
                                      for n, doctor in enumerate(doctors[:4])), return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Appointment: 1, TimeIsTaken: 3}


@pytest.mark.parametrize("hours", [-11, -5, 5.5, 13])
async def test_a_time_is_the_same_instant_whatever_zone_the_browser_is_in(clinic: Clinic, hours: float):
    """ohcnetwork/care_fe #5924: times an hour or a day off."""
    doctor, elsewhere = await clinic.doctor(), timezone(timedelta(hours=hours))
    visit = await clinic.book(doctor, at(9).astimezone(elsewhere))
    assert (visit.starts_at, visit.local_start) == (at(9), "2027-03-01T09:00+00:00")

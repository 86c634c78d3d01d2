"""What visits hear from others: hours replace hours, names follow people, and nothing happens twice."""
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import RescheduleAppointment, SlotNotOffered, Why
from infirmary.contexts.patients.events import PatientAmended
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id

from .builders import Clinic, at, hours, opening, reception


async def monday(clinic: Clinic, doctor: UUID) -> list[str]:
    found = await clinic.ask.slots(NOBODY, at(8), at(23), doctor_id=doctor)
    return [f"{slot.starts_at:%H:%M}" for slot in found.items]


async def test_the_newest_hours_count_in_whatever_order_they_arrive(every_clinic: Clinic):
    clinic, doctor = every_clinic, new_id()
    old, new, newest = (hours(doctor, weekly=[opening(1, starts, "10:00")], version=version,
                                   doctor_name=f"Dr {version}")
                        for version, starts in ((1, "09:00"), (2, "09:20"), (3, "09:40")))
    seen = []
    await clinic.hear(new)
    await clinic.book(doctor, at(9, 20, day=7))
    for announcement in (old, new, newest, old, new):
        await clinic.hear(announcement)
        [visit] = await clinic.visits()
        seen.append(((await monday(clinic, doctor))[0], visit.doctor_name))
    assert seen == [("09:20", "Dr 2"), ("09:20", "Dr 2"), ("09:40", "Dr 3"), ("09:40", "Dr 3"), ("09:40", "Dr 3")]


async def test_the_same_version_again_changes_nothing_even_if_it_says_something_else(clinic: Clinic):
    doctor = await clinic.doctor(weekly=[opening(1, "09:00", "09:20")])
    await clinic.hear(hours(doctor, weekly=[opening(1, "11:00", "11:20")], version=1))
    assert await monday(clinic, doctor) == ["09:00"]


async def test_a_fact_delivered_twice_is_handled_once(every_clinic: Clinic):
    clinic, fact_id = every_clinic, new_id()
    patient = new_id()
    doctor = await clinic.doctor()
    await clinic.book(doctor, at(9), patient_id=patient)
    await clinic.hear(PatientAmended(aggregate=patient, version=2, name="Pat New", number=1), fact_id)
    await clinic.hear(PatientAmended(aggregate=patient, version=3, name="Pat Newer", number=1))
    await clinic.hear(PatientAmended(aggregate=patient, version=2, name="Pat New", number=1), fact_id)
    assert [visit.patient_name for visit in await clinic.visits()] == ["Pat Newer"]


async def test_names_follow_people_on_visits_that_have_not_ended(every_clinic: Clinic):
    clinic = every_clinic
    doctor, patient, other = await clinic.doctor(), new_id(), new_id()
    ended = await clinic.book(doctor, at(9), patient_id=patient)
    under_way = await clinic.book(doctor, at(9, 20), patient_id=patient)
    gone = await clinic.book(doctor, at(10), patient_id=patient)
    to_come = await clinic.book(doctor, at(10, 20), patient_id=patient)
    others = await clinic.book(doctor, at(11), patient_id=other)
    await clinic.ask.cancel(reception, gone.id, Why())
    clinic.clock.advance(timedelta(minutes=85))
    facts = await clinic.facts()
    await clinic.hear(PatientAmended(aggregate=patient, version=2, name="Pat New", number=1))
    await clinic.hear(hours(doctor, doctor_name="Dr Amara Bello", department_name="Heart and lungs", version=2))
    shown = {visit.id: (visit.patient_name, visit.doctor_name, visit.department_name, visit.version)
             for visit in await clinic.visits()}
    before, after = ("Dr Amara Okafor", "Heart"), ("Dr Amara Bello", "Heart and lungs")
    assert shown == {ended.id: ("Pat Ient", *before, 1), under_way.id: ("Pat New", *after, 1),
                     gone.id: ("Pat Ient", *before, 2), to_come.id: ("Pat New", *after, 1),
                     others.id: ("Pat Ient", *after, 1)}
    assert await clinic.facts() == facts, "a name is no news of the visit"


async def test_a_visit_is_where_the_doctor_will_be(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor()
    first, second = await clinic.book(doctor, at(9)), await clinic.book(doctor, at(14))
    await clinic.book(await clinic.doctor(room="Room 8"), at(9))
    await clinic.hear(hours(doctor, room="Room 4", version=2, weekly=[
        opening(1, "09:00", "12:00", "Harbour wing"), opening(1, "13:00", "17:00")]))
    places = {visit.id: visit.location for visit in await clinic.visits()}
    assert (places.pop(first.id), places.pop(second.id), *places.values()) == ("Harbour wing", "Room 4", "Room 8")
    await clinic.hear(hours(doctor, room="Room 5", version=3, weekly=[opening(1, "13:00", "17:00")]))
    places = {visit.id: visit.location for visit in await clinic.visits()}
    assert (places[first.id], places[second.id]) == ("Harbour wing", "Room 5"), "outside the hours nobody knows better"


async def test_a_step_does_not_bring_an_old_name_back(every_clinic: Clinic):
    """A step writes only what it is about: it may have read the visit before the name changed."""
    clinic = every_clinic
    visit = await clinic.book(await clinic.doctor(), at(9))
    kept = clinic.service.visit

    async def slowly(*args, **given):
        found = await kept(*args, **given)
        await clinic.hear(PatientAmended(aggregate=visit.patient_id, version=2, name="Pat New", number=1))
        return found

    clinic.service.visit = slowly
    await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(10)))
    clinic.service.visit = kept
    assert (await clinic.ask.appointment(reception, visit.id)).patient_name == "Pat New"


async def test_what_is_booked_stays_when_the_hours_change(clinic: Clinic):
    doctor = await clinic.doctor()
    visit = await clinic.book(doctor, at(9))
    await clinic.hear(hours(doctor, away=[(at(0), at(0, day=1))], version=2))
    assert await monday(clinic, doctor) == []
    assert (await clinic.ask.appointment(reception, visit.id)).status == "booked"
    with pytest.raises(SlotNotOffered):
        await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(10)))


async def test_hours_are_what_was_announced_on_every_engine(every_clinic: Clinic, database_url: Callable[[str], str]):
    clinic = every_clinic
    doctor = await clinic.doctor(weekly=[opening(1, "22:00", "24:00", "Ærø – ✚")], away=[
        (at(22, 40), at(22, 40) + timedelta(microseconds=1))], minutes=20, buffer=20)
    assert await monday(clinic, doctor) == ["22:00"]
    assert (await clinic.book(doctor, at(23, 20))).location == "Ærø – ✚"

"""A doctor's day: the queue, the chosen visit, and what is done with it."""
from __future__ import annotations

from datetime import timedelta

from infirmary.contexts.appointments.contract import Appointments, BookAppointment, Status, Why
from infirmary.language import DOCTOR
from tests.house import a_doctor_caller, reception

from .conftest import MINUTE, Hospital


async def test_the_queue_shows_who_waits_who_comes_and_who_asks(hospital: Hospital) -> None:
    await hospital.wait(14)
    today = await hospital.doctor.open("/doctor/today")
    assert "Today 2 visits, 14 min late" in today.words
    assert "Checked in waiting 08:00 Samuel Osei 14 min" in today.words
    assert "Booked 1 to come 09:00 Rosa Delgado Vega Breathless on stairs" in today.words
    assert "Requested 1 to answer Tue 2 Thị Lan Nguyễn 10:00 · Swollen ankles" in today.words


async def test_whoever_waits_longest_is_shown_when_nobody_was_chosen(hospital: Hospital) -> None:
    today = await hospital.doctor.open("/doctor/today")
    assert "Born 3 Jan 1981, 46 y" in today.words
    assert "Start the visit" in today.words


async def test_a_visit_shows_the_wristband_and_what_it_is_about(hospital: Hospital) -> None:
    visit = await hospital.doctor.open(f"/doctor/visits/{hospital.people.booked.id}")
    assert "Rosa Delgado Vega Born 14 Mar 1968, 58 y Sex female No. 100" in visit.words
    assert "0600 555 114" in visit.words
    assert "About Breathless on stairs Time 09:00 – 09:20 20 minutes Where Room 3.02" in visit.words


async def test_where_the_patient_is_out_of_reach_only_the_name_is_shown(hospital: Hospital) -> None:
    stranger = hospital.visitor(DOCTOR, doctor_id=hospital.people.brennan.id)
    made = await hospital.ask(Appointments).book(reception, BookAppointment(
        patient_id=hospital.people.rosa.id, doctor_id=hospital.people.brennan.id,
        starts_at=hospital.clock.now() + 120 * MINUTE))
    page = await stranger.open(f"/doctor/visits/{made.id}")   # the register has not heard of this visit yet
    assert page.status == 200
    assert "Rosa Delgado Vega Only the name is open to you here." in page.words
    assert "14 Mar 1968" not in page.words


async def test_nobody_sees_another_doctors_visits(hospital: Hospital) -> None:
    stranger = hospital.visitor(DOCTOR, doctor_id=hospital.people.brennan.id)
    assert (await stranger.open(f"/doctor/visits/{hospital.people.booked.id}")).status == 404
    assert "Rosa" not in (await stranger.open("/doctor/today")).words


async def test_a_visit_is_started_and_completed(hospital: Hospital) -> None:
    doctor, waiting = hospital.doctor, hospital.people.waiting
    page = await doctor.open(f"/doctor/visits/{waiting.id}")
    started = await doctor.submit(page.form("/start"))
    assert started.location == f"/doctor/visits/{waiting.id}"
    assert (await hospital.visit(waiting)).status is Status.IN_PROGRESS

    page = await doctor.open(started.location)
    assert "Samuel Osei is with the doctor." in page.words
    completed = await doctor.submit(page.form("/complete"))
    assert completed.location == "/doctor/today"
    assert (await hospital.visit(waiting)).status is Status.COMPLETED
    assert "1 completed" in (await doctor.open("/doctor/today")).words


async def test_a_request_is_accepted_from_the_queue(hospital: Hospital) -> None:
    doctor, asked = hospital.doctor, hospital.people.requested
    page = await doctor.open("/doctor/today")
    answer = await doctor.submit(page.form(f"{asked.id}/accept"))
    assert answer.location == "/doctor/today#requests"
    assert (await hospital.visit(asked)).status is Status.BOOKED


async def test_declining_asks_why_and_the_reason_is_kept(hospital: Hospital) -> None:
    doctor, asked = hospital.doctor, hospital.people.requested
    question = await doctor.open(f"/doctor/visits/{asked.id}?ask=decline")
    assert "Decline this time?" in question.words

    silent = await doctor.submit(question.form("/decline"), reason=" ")
    assert silent.status == 400
    assert "Write why: the patient reads it." in silent.words
    assert (await hospital.visit(asked)).status is Status.REQUESTED

    answer = await doctor.submit(silent.form("/decline"), reason="Your own doctor sees you sooner.")
    assert answer.status == 303
    declined = await hospital.visit(asked)
    assert (declined.status, declined.status_reason) == (Status.DECLINED, "Your own doctor sees you sooner.")


async def test_what_somebody_else_did_meanwhile_is_said_and_nothing_is_done(hospital: Hospital) -> None:
    doctor, booked = hospital.doctor, hospital.people.booked
    page = await doctor.open(f"/doctor/visits/{booked.id}")
    await hospital.ask(Appointments).cancel(reception, booked.id, Why("Feels better"))

    answer = await doctor.submit(page.form("/start"))
    assert answer.status == 412
    assert "Somebody changed this visit while you looked at it" in answer.words
    assert "Cancelled: Feels better, Re Ception, 08:00" in answer.words
    assert not [form for form in answer.forms if form.action.endswith("/start")]


async def test_a_no_show_can_be_noted_once_its_time_has_come(hospital: Hospital) -> None:
    doctor, booked = hospital.doctor, hospital.people.booked
    assert "Did not come" not in (await doctor.open(f"/doctor/visits/{booked.id}")).words
    early = await doctor.send(f"/doctor/visits/{booked.id}/no-show", {"version": "1"})
    assert early.status == 422
    assert "It is too early for that" in early.words

    await hospital.wait(75)
    doctor = hospital.doctor
    question = await doctor.open(f"/doctor/visits/{booked.id}?ask=no-show")
    assert (await doctor.submit(question.form("/no-show"))).status == 303
    assert (await hospital.visit(booked)).status is Status.NO_SHOW


async def test_earlier_and_coming_visits_of_the_patient_are_beside_it(hospital: Hospital) -> None:
    people = hospital.people
    await hospital.book(people.rosa, people.okafor, people.booked.starts_at + timedelta(days=7), reason="Echo result")
    page = await hospital.doctor.open(f"/doctor/visits/{people.booked.id}")
    assert "Next visits Mon 8 Mar 09:00 Echo result Booked" in page.words
    assert "The first visit with you" in page.words
    later = (await hospital.ask(Appointments).appointments(
        a_doctor_caller(people.okafor.id), patient_id=people.rosa.id, newest_first=True)).items[0]
    assert "Earlier visits with you Today 09:00 Breathless on stairs" in (
        await hospital.doctor.open(f"/doctor/visits/{later.id}")).words


async def test_the_queue_refreshes_alone_and_keeps_who_is_chosen(hospital: Hospital) -> None:
    part = await hospital.doctor.ask("GET", f"/doctor/queue?chosen={hospital.people.booked.id}&show=visit", htmx=True)
    assert part.text.count('aria-current="true"') == 1
    assert "<html" not in part.text

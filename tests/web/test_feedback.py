"""Patients are asked how a visit was, say it on a page, and doctors and the administration see groups of answers."""
from __future__ import annotations

from typing import Any

import pytest

from infirmary.contexts.appointments.contract import Appointment, Appointments
from infirmary.contexts.appointments.contract.feedback import GiveFeedback
from infirmary.language import ADMIN, DOCTOR, PATIENT
from tests.house import MONDAY, a_patient_caller, reception

from .conftest import MINUTE, Hospital


@pytest.fixture
async def over(hospital: Hospital) -> Appointment:
    """Rosa has been seen by Okafor."""
    ask = hospital.ask(Appointments)
    await ask.start(reception, hospital.people.booked.id)
    return await ask.complete(reception, hospital.people.booked.id)


async def test_a_patient_says_how_it_was_and_changes_it_for_a_day(hospital: Hospital, over: Appointment) -> None:
    visitor = hospital.visitor(PATIENT)
    page = await visitor.open((await visitor.open(f"/visits/{over.id}")).links["How was it?"])
    assert "How was your visit?" in page.words
    answer = await visitor.submit(page.form("/feedback"), rating="4", comment="<b>Friendly</b>")
    assert answer.location == f"/visits/{over.id}"
    page = await visitor.open(f"/visits/{over.id}/feedback")
    form = page.form("/feedback")
    assert (form.values["rating"], form.values["comment"]) == ("4", "<b>Friendly</b>")
    assert "<b>Friendly" not in page.body.decode()
    await visitor.submit(form, rating="5")
    await hospital.wait(24 * 60)
    page = await hospital.visitor(PATIENT).open(f"/visits/{over.id}/feedback")
    assert "All in all 5: Very good You wrote <b>Friendly</b>" in page.words
    assert page.forms == [] or all("/feedback" not in form.action for form in page.forms)


async def test_without_a_rating_the_page_asks_for_it_and_keeps_what_was_written(hospital: Hospital, over: Appointment) -> None:
    visitor = hospital.visitor(PATIENT)
    await visitor.open(f"/visits/{over.id}/feedback")
    answer = await visitor.send(f"/visits/{over.id}/feedback", {"comment": "Friendly"})
    assert answer.status == 400
    assert "Choose one of the five." in answer.words
    assert answer.form("/feedback").values["comment"] == "Friendly"


async def test_before_it_is_over_there_is_nothing_to_say(hospital: Hospital) -> None:
    visitor, booked = hospital.visitor(PATIENT), hospital.people.booked
    assert "The visit is not over yet" in (await visitor.open(f"/visits/{booked.id}/feedback")).words
    assert (await visitor.send(f"/visits/{booked.id}/feedback", {"rating": "1"})).status == 409
    stranger = hospital.visitor(PATIENT, patient_id=hospital.people.lan.id)
    assert (await stranger.open(f"/visits/{booked.id}/feedback")).status == 404


async def test_five_answers_are_seen_by_the_doctor_and_the_department_without_a_name(hospital: Hospital) -> None:
    ask, people = hospital.ask(Appointments), hospital.people
    service: Any = hospital.house.rooms["appointments"].service
    for n in range(5):
        visit = await hospital.book(people.rosa, people.okafor, MONDAY + (n * 20 + 80) * MINUTE)
        await ask.start(reception, visit.id)
        await ask.complete(reception, visit.id)
        if n < 4:
            await ask.give_feedback(a_patient_caller(people.rosa.id), visit.id, GiveFeedback(
                rating=n + 2, comment=f"Words number {n}"))
    await hospital.wait(24 * 60)
    await service.release_feedback()
    page = await hospital.visitor(DOCTOR).open("/doctor/feedback")
    assert "0 answers" in page.words
    assert "4 answers are not shown yet." in page.words
    assert "Words number" not in page.words
    await ask.give_feedback(a_patient_caller(people.rosa.id), visit.id, GiveFeedback(rating=1))
    await hospital.wait(24 * 60)
    await service.release_feedback()
    await hospital.house.deliver_facts()
    for visitor, path in ((hospital.visitor(DOCTOR), "/doctor/feedback"),
                          (hospital.visitor(ADMIN), f"/admin/feedback?department={people.cardiology.id}")):
        page = await visitor.open(path)
        assert "5 answers" in page.words
        assert "3.0 of 5" in page.words
        assert "Words number 0 2: Not good" in page.words
        assert "Rosa" not in page.words
    assert "3.0 of 5" in (await hospital.visitor(ADMIN).open("/admin")).words

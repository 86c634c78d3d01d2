"""All visits of a day, and one of them with what happened to it."""
from __future__ import annotations

from infirmary.contexts.appointments.contract import Appointments, Status, Why
from infirmary.language import NURSE
from tests.house import reception

from .conftest import Hospital


async def test_the_day_is_listed_with_what_is_next_to_do(hospital: Hospital) -> None:
    page = await hospital.desk.open("/desk/visits")
    assert "Monday 1 March Today" in page.words
    assert "08:00 Samuel Osei Dr Amara Okafor Cardiology Checked in Start the visit" in page.words
    assert "09:00 Rosa Delgado Vega Dr Amara Okafor Cardiology Booked Check in" in page.words


async def test_filters_narrow_the_list_and_stay_filled_in(hospital: Hospital) -> None:
    people = hospital.people
    page = await hospital.desk.open(
        f"/desk/visits?status=booked&doctor_id={people.okafor.id}&department_id={people.cardiology.id}")
    assert "Rosa Delgado Vega" in page.words
    assert "Samuel" not in page.words
    assert page.form("/desk/visits").values == {"day": "2027-03-01", "department_id": str(people.cardiology.id),
                                                "doctor_id": str(people.okafor.id), "status": "booked"}
    nothing = await hospital.desk.open(f"/desk/visits?doctor_id={people.brennan.id}")
    assert "No visits here" in nothing.words


async def test_requests_of_all_days_stand_together(hospital: Hospital) -> None:
    page = await hospital.desk.open("/desk/visits?day=&status=requested")
    assert "To come" in page.words
    assert "Tue 2 Mar, 10:00 Thị Lan Nguyễn Dr Amara Okafor Cardiology Requested Accept" in page.words


async def test_filters_that_make_no_sense_are_left_out(hospital: Hospital) -> None:
    page = await hospital.desk.open("/desk/visits?status=maybe&doctor_id=x&department_id=1&day=tomorrow")
    assert page.status == 200
    assert "Rosa Delgado Vega" in page.words


async def test_a_check_in_from_the_list_leads_back_to_the_same_list(hospital: Hospital) -> None:
    desk, booked = hospital.desk, hospital.people.booked
    page = await desk.open("/desk/visits?status=booked")
    answer = await desk.submit(page.form(f"{booked.id}/check-in"))
    assert answer.location == "/desk/visits?status=booked"
    assert (await hospital.visit(booked)).status is Status.CHECKED_IN


async def test_nobody_is_led_to_another_site_afterwards(hospital: Hospital) -> None:
    desk, booked = hospital.desk, hospital.people.booked
    await desk.open("/desk/visits")
    answer = await desk.send(f"/desk/visits/{booked.id}/check-in", {"back": "//evil.test/"})
    assert answer.location == f"/desk/visits/{booked.id}"


async def test_a_visit_tells_what_happened_to_it_and_by_whom(hospital: Hospital) -> None:
    page = await hospital.desk.open(f"/desk/visits/{hospital.people.waiting.id}")
    assert "Monday 1 March, 08:00 Checked in" in page.words
    assert "What happened Today 08:00 Checked in Re Ception Today 08:00 Booked Re Ception" in page.words


async def test_a_visit_is_cancelled_after_a_question(hospital: Hospital) -> None:
    desk, booked = hospital.desk, hospital.people.booked
    question = await desk.open(f"/desk/visits/{booked.id}?ask=cancel&back=/desk")
    assert "Cancel this visit? Rosa Delgado Vega, Mon 1 Mar, 09:00." in question.words
    assert question.links["Keep it"] == "/desk"
    answer = await desk.submit(question.form("/cancel"), reason="Feels better")
    assert answer.location == "/desk"
    now = await hospital.visit(booked)
    assert (now.status, now.status_reason) == (Status.CANCELLED, "Feels better")


async def test_a_check_in_of_what_was_cancelled_meanwhile_shows_how_it_stands(hospital: Hospital) -> None:
    desk, booked = hospital.desk, hospital.people.booked
    page = await desk.open("/desk/visits")
    await hospital.ask(Appointments).cancel(reception, booked.id, Why())
    answer = await desk.submit(page.form(f"{booked.id}/check-in"))
    assert answer.status == 412
    assert "Somebody changed this visit while you looked at it" in answer.words
    assert "Cancelled" in answer.words


async def test_a_nurse_who_answers_for_a_department_is_refused_by_the_role(hospital: Hospital) -> None:
    nurse = hospital.visitor(NURSE)
    await nurse.open("/desk")
    answer = await nurse.send(f"/desk/visits/{hospital.people.requested.id}/accept", {"version": "1"})
    assert answer.status == 403
    assert (await hospital.visit(hospital.people.requested)).status is Status.REQUESTED


async def test_there_is_no_other_deed(hospital: Hospital) -> None:
    desk = hospital.desk
    await desk.open("/desk")
    assert (await desk.send(f"/desk/visits/{hospital.people.booked.id}/destroy")).status == 404

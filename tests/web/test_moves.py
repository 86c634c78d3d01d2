"""Visits in a doctor's leave: seen, planned, moved together and moved back, by the desk and by the doctor."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from infirmary.language import NURSE
from tests.house import MONDAY

from .conftest import Hospital
from .visitor import Answer, Visitor

DAYS = {"first_day": "2027-03-01", "last_day": "2027-03-02"}


async def carried_out(hospital: Hospital) -> None:
    service: Any = hospital.house.rooms["appointments"].service
    await service.carry_out_plans()
    await hospital.house.deliver_facts()


async def planned(hospital: Hospital, desk: Visitor, **more: str) -> Answer:
    """Okafor is away today and tomorrow; two of the three visits can still be moved."""
    await marked(hospital, desk)
    page = await desk.open((await desk.open("/desk/leave")).links["Dr Amara Okafor"])
    made = await desk.submit(page.form("/desk/moves"), **more)
    return await desk.open(made.location)


async def marked(hospital: Hospital, desk: Visitor) -> None:
    page = await desk.open(f"/desk/leave/{hospital.people.okafor.id}")
    shown = await desk.submit(page.form("/leave"), **DAYS)
    await desk.submit(shown.form("/leave"), sure="yes")
    await hospital.house.deliver_facts()


async def test_the_desk_marks_leave_moves_the_visits_and_moves_them_back(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await planned(hospital, desk)
    assert "Nothing is moved yet" in page.words
    at_work = await desk.open((await desk.submit(page.form("/apply"))).location)
    assert "are seen to. It goes on by itself" in at_work.words
    assert 'hx-trigger="every 1s"' in at_work.text
    await carried_out(hospital)
    done = await desk.open(f"/desk/moves/{page.form('/apply').action.split('/')[3]}")
    assert "Carried out" in done.words
    assert (await hospital.visit(people.booked)).starts_at >= MONDAY + timedelta(days=1, hours=16)
    assert "No visit stands in leave" in (await desk.open("/desk/leave")).words
    await desk.submit(done.form("/undo"))
    await carried_out(hospital)
    assert (await hospital.visit(people.booked)).starts_at == people.booked.starts_at
    assert "Visits to move" in (await desk.open("/desk/leave")).words


async def test_who_is_away_is_taken_off_the_visits_of_colleagues(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    visit = await hospital.book(people.rosa, people.brennan, MONDAY + timedelta(days=2, hours=1),
                                participants=[people.okafor.id])
    page = await desk.open(f"/desk/leave/{people.okafor.id}")
    shown = await desk.submit(page.form("/leave"), **dict.fromkeys(DAYS, "2027-03-03"))
    assert "1 visit is booked in this time" in shown.words
    assert "with Dr Niamh Brennan" in shown.words
    hit = await desk.open((await desk.submit(shown.form("/leave"), sure="yes")).location)
    await hospital.house.deliver_facts()
    assert "Visits of colleagues that lack Dr Amara Okafor" in hit.words
    assert "1 visit of a colleague stands in this time" in hit.words
    assert "Nothing to move" not in hit.words
    assert "1 visit lacks them" in (await desk.open("/desk/leave")).words
    choose = await desk.open(hit.links["Choose who comes to the visit of Rosa Delgado Vega"])
    await desk.submit(choose.form("/participants"), participants="")
    assert not (await hospital.visit(visit)).participants
    assert "No visit stands in leave" in (await desk.open("/desk/leave")).words


async def test_one_of_them_gets_another_time_or_stays(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await planned(hospital, desk)
    href = page.links["Change the time of Rosa Delgado Vega"]
    choice = await desk.open(href)
    assert "Leave it where it is" in choice.words
    back = await desk.submit(choice.form(href), slot="stay")
    assert back.location.endswith("#visits")
    page = await desk.open(href.partition("/visits/")[0])
    assert "Left where it is." in page.words
    stale = await desk.submit(choice.form(href), slot="stay")
    assert stale.status == 412
    assert (await desk.submit((await desk.open(href)).form(href), slot="nonsense")).status == 400


async def test_a_doctor_plans_their_own_diary_and_is_told_who_moves_to_colleagues(hospital: Hospital) -> None:
    await marked(hospital, hospital.desk)
    doctor = hospital.doctor
    page = await doctor.open((await doctor.open("/doctor/hours")).links["2 visits stand in this time"])
    assert "The front desk can move them to colleagues." in page.words
    refused = await doctor.submit(page.form("/doctor/moves"), whither="same_specialty")
    assert refused.status == 422
    assert "Doctors plan within their own diary." in refused.words
    made = await doctor.submit(page.form("/doctor/moves"))
    assert "Planned by Mirela Popescu" in (await doctor.open(made.location)).words
    other = hospital.visitor("doctor", doctor_id=hospital.people.brennan.id)
    assert (await other.open(made.location)).status == 404


@pytest.mark.parametrize("query", ["", "doctor_id=x&from=a&to=b", "doctor_id={id}&from=2027-03-01&to=2027-03-02",
                                   "doctor_id={id}&from=2027-03-01T00:00:00Z&to=2027-03-02T00:00:00Z&whither=moon"])
async def test_an_address_that_makes_no_sense_is_not_there(hospital: Hospital, query: str) -> None:
    desk = hospital.desk
    assert (await desk.open("/desk/moves?" + query.format(id=hospital.people.okafor.id))).status == 404


async def test_a_nurse_does_not_plan_diaries(hospital: Hospital) -> None:
    assert (await hospital.visitor(NURSE).open("/desk/leave")).status == 403

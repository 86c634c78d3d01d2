"""Waiting for a time: joined where nothing suits, answered on a page of its own, and seen at the desk."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import Appointment, Appointments, Status, Why
from infirmary.language import PATIENT
from tests.house import MONDAY, reception

from .conftest import MINUTE, Hospital
from .visitor import Answer, Visitor

TUESDAY = MONDAY + timedelta(days=1)


async def joined(hospital: Hospital, visitor: Visitor, **changed: str) -> Answer:
    page = await visitor.open(f"/book/when?doctor={hospital.people.brennan.id}")
    form = (await visitor.open(page.links["Join the waitlist"])).form("/waitlist/join")
    return await visitor.submit(form, **{"earliest": "2027-03-02", "latest": "2027-03-02", **changed})


@pytest.fixture
async def full(hospital: Hospital) -> Appointment:
    """The visit that goes: all others of Brennan's Tuesday stay."""
    visits = [await hospital.book(hospital.people.samuel, hospital.people.brennan, TUESDAY + minutes * MINUTE)
              for minutes in (*range(0, 240, 20), *range(300, 540, 20))]
    return visits[3]


async def frees(hospital: Hospital, visit: Appointment) -> None:
    await hospital.ask(Appointments).cancel(reception, visit.id, Why())
    service: Any = hospital.house.rooms["appointments"].service
    await service.offer_freed()
    await hospital.house.deliver_facts()


async def test_a_patient_waits_is_offered_a_time_and_takes_it(hospital: Hospital, full: Appointment) -> None:
    visitor = hospital.visitor(PATIENT)
    assert (await joined(hospital, visitor)).location == "/waitlist"
    page = await visitor.open("/waitlist")
    assert "Dr Niamh Brennan On waitlist From Tomorrow to Tomorrow You are the first to be asked." in page.words
    await frees(hospital, full)
    page = await visitor.open("/waitlist")
    assert "Tomorrow at 09:00 Time offered Dr Niamh Brennan Kept for you until 08:30." in page.words
    answer = await visitor.submit(page.form("/accept"))
    visit = await hospital.ask(Appointments).appointment(reception, UUID(answer.location.rpartition("/")[2]))
    assert (visit.starts_at, visit.status) == (full.starts_at, Status.BOOKED)
    assert "Ended" in (await visitor.open("/waitlist")).words


async def test_too_late_is_said_and_leads_on(hospital: Hospital, full: Appointment) -> None:
    visitor = hospital.visitor(PATIENT)
    await joined(hospital, visitor)
    await frees(hospital, full)
    page = await visitor.open("/waitlist")
    await hospital.wait(30)
    answer = await hospital.visitor(PATIENT).open("/waitlist")   # the token of ten minutes has run out
    late = hospital.visitor(PATIENT)
    await late.open("/waitlist")
    refused = await late.send(page.form("/accept").action)
    assert (answer.status, refused.status) == (200, 409)
    assert "This offer does not stand any more" in refused.words
    assert "/book" in refused.links.values()


async def test_days_that_make_no_sense_are_mended_in_their_place(hospital: Hospital) -> None:
    visitor = hospital.visitor(PATIENT)
    for days in ({"earliest": "2027-03-05", "latest": "2027-03-02"}, {"latest": "2027-02-01", "earliest": "2027-02-01"},
                 {"latest": "x"}, {"earliest": ""}):
        answer = await joined(hospital, visitor, **days)
        assert (answer.status, "Choose a day" in answer.words) == (400, True)


async def test_joining_twice_is_one_place_and_it_can_be_left(hospital: Hospital) -> None:
    visitor = hospital.visitor(PATIENT)
    await joined(hospital, visitor, latest="2027-03-12", earliest="2027-03-12")
    assert (await joined(hospital, visitor)).location == "/waitlist"
    page = await visitor.open("/waitlist")
    assert len([form for form in page.forms if form.action.endswith("/leave")]) == 1
    await visitor.submit(page.form("/leave"))
    assert "You wait for nothing" in (await visitor.open("/waitlist")).words


async def test_the_desk_sees_who_waits_and_answers_for_them(hospital: Hospital, full: Appointment) -> None:
    await joined(hospital, hospital.visitor(PATIENT))
    desk = hospital.desk
    assert "Rosa Delgado Vega Dr Niamh Brennan Tomorrow – Tomorrow" in (await desk.open("/desk/waitlist")).words
    await frees(hospital, full)
    page = await desk.open("/desk/waitlist")
    assert "Time offered Tue 2 Mar, 09:00, kept until Mon 1 Mar, 08:30" in page.words
    assert (await desk.submit(page.form("/accept"))).location == "/desk/waitlist"
    assert "Rosa Delgado Vega" in (await desk.open("/desk/waitlist?status=booked")).words
    again = await desk.submit(page.form("/leave"))
    assert (again.status, "This wait has ended already" in again.words) == (409, True)


async def test_anothers_place_is_not_there(hospital: Hospital) -> None:
    visitor = hospital.visitor(PATIENT)
    await joined(hospital, visitor, latest="2027-03-12", earliest="2027-03-12")
    action = (await visitor.open("/waitlist")).form("/leave").action
    other = hospital.visitor(PATIENT, patient_id=hospital.people.lan.id)
    await other.open("/waitlist")
    assert (await other.send(action)).status == 404

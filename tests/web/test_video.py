"""The page of a video visit: chosen at booking, for the two of it, and the only one that may use camera and microphone."""
from __future__ import annotations

from uuid import uuid4

import pytest
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Appointment, Mode, Status
from infirmary.contexts.staff.contract import Staff
from infirmary.language import DOCTOR, PATIENT, RECEPTION
from tests.house import MONDAY, admin

from .conftest import MINUTE, WEEK, Hospital
from .visitor import Answer

SHUT, OPEN = "camera=(), microphone=(), geolocation=()", "camera=(self), microphone=(self), geolocation=()"


@pytest.fixture
async def visit(hospital: Hospital) -> Appointment:
    """Rosa with Okafor, today at 9:20 by video; it is 8:00."""
    return await hospital.book(hospital.people.rosa, hospital.people.okafor, MONDAY + 80 * MINUTE, mode=Mode.VIDEO)


async def test_a_patient_chooses_to_be_seen_by_video_where_the_doctor_offers_it(hospital: Hospital) -> None:
    visitor, brennan, staff = hospital.visitor(PATIENT), hospital.people.brennan, hospital.ask(Staff)

    async def confirming() -> Answer:
        form = (await visitor.open(f"/book/when?doctor={brennan.id}")).form("/book/hold")
        return await visitor.open((await visitor.submit(form)).location)

    answer = await visitor.submit((await confirming()).form("/book"), mode="video")
    assert "Where By video" in (await visitor.open(answer.location)).words
    version = (await staff.hours(admin, brennan.id)).version
    await staff.set_hours(admin, brennan.id, replace(WEEK, video=False), if_match=version)
    await hospital.house.deliver_facts()
    page = await confirming()
    assert "By video" not in page.words
    refused = await visitor.submit(page.form("/book"), mode="video")
    assert refused.status == 422
    assert "This doctor sees nobody by video" in refused.words


async def test_before_its_time_the_page_says_when_and_lets_try_the_devices(hospital: Hospital, visit: Appointment) -> None:
    page = await hospital.visitor(PATIENT).open(f"/visits/{visit.id}/video")
    assert "The room opens at 09:10" in page.words
    assert "Enter the waiting room" not in page.words
    assert "Can you be seen and heard?" in page.words


async def test_who_asks_too_early_is_told_the_time(hospital: Hospital, visit: Appointment) -> None:
    visitor = hospital.visitor(PATIENT)
    await visitor.open(f"/visits/{visit.id}/video")
    answer = await visitor.send(f"/visits/{visit.id}/video/enter", {"client": str(uuid4())})
    assert (answer.status, answer.json()["detail"]) == (422, "The room opens at 09:10, ten minutes before the visit.")


async def test_only_this_page_may_use_camera_and_microphone(hospital: Hospital, visit: Appointment) -> None:
    visitor = hospital.visitor(PATIENT)
    assert (await visitor.open(f"/visits/{visit.id}/video")).headers["permissions-policy"] == OPEN
    for path in ("/home", f"/visits/{visit.id}"):
        assert (await visitor.open(path)).headers["permissions-policy"] == SHUT


async def test_the_two_meet_and_the_doctor_ends_it(hospital: Hospital, visit: Appointment) -> None:
    await hospital.wait(75)
    patient, doctor, room = hospital.visitor(PATIENT), hospital.doctor, f"/visits/{visit.id}/video"
    clients = [str(uuid4()), str(uuid4())]
    for visitor, client in zip((patient, doctor), clients, strict=True):
        assert "Enter" in (await visitor.open(room)).words
        assert (await visitor.send(f"{room}/enter", {"client": client})).status == 200
    assert (await hospital.visit(visit)).status is Status.CHECKED_IN
    refused = await patient.send(f"{room}/signal", {"client": clients[0], "to": clients[1], "data": "{}"})
    assert (refused.status, refused.json()["code"]) == (409, "not_let_in")
    assert (await patient.send(f"{room}/let-in", {})).status == 403, "nobody lets themselves in"
    assert (await doctor.send(f"{room}/let-in", {})).status == 200
    assert (await patient.send(f"{room}/signal", {"client": clients[0], "to": clients[1], "data": "{}"})).status == 200
    assert (await doctor.send(f"{room}/end", {})).status == 200
    assert "This visit is over" in (await patient.open(room)).words


async def test_nobody_else_finds_the_page(hospital: Hospital, visit: Appointment) -> None:
    room, people = f"/visits/{visit.id}/video", hospital.people
    assert (await hospital.visitor(PATIENT, patient_id=people.lan.id).open(room)).status == 404
    assert (await hospital.visitor(DOCTOR, doctor_id=people.brennan.id).open(room)).status == 404
    assert (await hospital.visitor(RECEPTION).open(room)).status == 403
    assert (await hospital.visitor(PATIENT).open(f"/visits/{people.booked.id}/video")).status == 422, "it is in person"


async def test_the_way_in_stands_on_the_visit_of_both(hospital: Hospital, visit: Appointment) -> None:
    room = f"/visits/{visit.id}/video"
    assert room in (await hospital.visitor(PATIENT).open(f"/visits/{visit.id}")).links.values()
    assert room in (await hospital.doctor.open(f"/doctor/visits/{visit.id}")).links.values()

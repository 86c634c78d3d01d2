"""The queue: a number at the desk, called by a doctor, and looked at without an account by who holds a link."""
from __future__ import annotations

import re

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.queue import Token
from infirmary.contexts.patients.contract import Patient
from infirmary.language import DOCTOR, NURSE, PATIENT
from tests.house import reception

from .conftest import Hospital
from .visitor import Answer, Visitor


async def number(hospital: Hospital, patient: Patient, **more: str) -> Answer:
    desk = hospital.desk
    form = (await desk.open(f"/desk/queue/new?patient_id={patient.id}")).form("/desk/queue/new")
    return await desk.submit(form, department_id=str(hospital.people.general.id), **more)


async def line(hospital: Hospital) -> list[Token]:
    found = await hospital.ask(Appointments).queue(reception, department_id=hospital.people.general.id)
    return found.items


def secret_in(page: Answer) -> str:
    [found] = set(re.findall(r"/q/([A-Za-z0-9_-]{43})", page.text)) or {""}
    return found


async def calls(hospital: Hospital, visitor: Visitor) -> Answer:
    page = await visitor.open(f"/desk/queue?department={hospital.people.general.id}")
    return await visitor.submit(page.form("/desk/queue/call"), doctor=str(hospital.people.brennan.id))


async def test_a_number_is_given_printed_and_called(hospital: Hospital) -> None:
    printed = await number(hospital, hospital.people.rosa, reason="Cough", precedence="elderly", note="Hard of hearing")
    assert printed.status == 200
    assert "Number 1" in printed.words
    queue = await hospital.desk.open(f"/desk/queue?department={hospital.people.general.id}")
    assert "Rosa Delgado Vega Elderly Hard of hearing whoever is free here since 08:00 about 08:00" in queue.words
    called = await calls(hospital, hospital.visitor(NURSE))
    assert called.location == f"/desk/queue?department={hospital.people.general.id}"
    [token] = await line(hospital)
    assert (token.status, token.doctor_name) == ("called", "Dr Niamh Brennan")
    desk = hospital.desk
    for deed, after in (("recall", "called"), ("complete", "")):
        page = await desk.open(f"/desk/queue?department={hospital.people.general.id}")
        await desk.submit(page.form(f"/{deed}"))
        assert [one.status for one in await line(hospital)] == ([after] if after else [])


async def test_the_link_on_the_paper_shows_a_place_and_no_name(hospital: Hospital) -> None:
    await number(hospital, hospital.people.lan)
    printed = await number(hospital, hospital.people.rosa, reason="Cough")
    link = f"/q/{secret_in(printed)}"
    nobody = hospital.visitor()
    page = await nobody.open(link)
    assert "Your number 2 Before you 1 person Expected 08:20" in page.words
    assert "Rosa" not in page.text
    assert "Cough" not in page.text
    for _ in range(2):
        await calls(hospital, hospital.visitor(NURSE))
        token = (await line(hospital))[0]
        if token.number == 1:
            desk = hospital.desk
            again = await desk.open(f"/desk/queue?department={hospital.people.general.id}")
            await desk.submit(again.form("/complete"))
            await hospital.wait(5)
    assert "It is your turn" in (await nobody.open(link)).words
    desk = hospital.desk
    queue = await desk.open(f"/desk/queue?department={hospital.people.general.id}")
    await desk.submit(queue.form("/complete"))
    ended = await nobody.open(link)
    assert (ended.status, "This link has ended" in ended.words) == (404, True)


async def test_nobody_to_call_says_what_is_in_the_way(hospital: Hospital) -> None:
    answer = await calls(hospital, hospital.desk)
    assert answer.status == 409
    assert "Nobody can be called just now Nobody waits for this doctor." in answer.words


async def test_a_patient_who_has_a_number_gets_no_other(hospital: Hospital) -> None:
    await number(hospital, hospital.people.rosa)
    again = await number(hospital, hospital.people.rosa)
    assert again.status == 409
    assert "This patient has a number already It is number 1." in again.words


async def test_what_makes_no_sense_is_mended_in_its_place(hospital: Hospital) -> None:
    answer = await number(hospital, hospital.people.rosa, note="x" * 201)
    assert (answer.status, "At most 200 letters." in answer.words) == (400, True)
    desk = hospital.desk
    page = await desk.open("/desk/queue/screens")
    assert (await desk.submit(page.form("/screens"), name=" ")).status == 400


async def test_precedence_needs_a_reason_and_puts_before(hospital: Hospital) -> None:
    for patient in (hospital.people.samuel, hospital.people.rosa):
        await number(hospital, patient)
    second = (await line(hospital))[1]
    desk = hospital.desk
    form = (await desk.open(f"/desk/queue?department={hospital.people.general.id}&ask={second.id}")).form("/first")
    empty = await desk.submit(form, precedence="emergency", note="")
    assert (empty.status, "Write why" in empty.words) == (400, True)
    await desk.submit(form, precedence="emergency", note="Chest pain")
    page = await desk.open(f"/desk/queue?department={hospital.people.general.id}")
    assert "Somebody had to be seen at once." in page.words
    assert (await line(hospital))[0].id == second.id


async def test_a_doctor_calls_from_their_day_and_puts_back_who_is_not_there(hospital: Hospital) -> None:
    await number(hospital, hospital.people.rosa)
    doctor = hospital.visitor(DOCTOR, doctor_id=hospital.people.brennan.id)
    page = await doctor.open("/doctor/today")
    assert "In line 1 waits 1 Walk-in here since 08:00" in page.words, "no name yet"
    assert "Rosa" not in page.text
    [token] = await line(hospital)
    called = await doctor.submit(page.form("/doctor/queue/call"))
    assert called.location.startswith("/doctor/visits/")
    page = await doctor.open("/doctor/today")
    assert "1 Rosa Delgado Vega called to" in page.words
    await doctor.submit(page.form(f"{token.id}/back"))
    assert [one.status for one in await line(hospital)] == ["waiting"]
    await doctor.submit((await doctor.open("/doctor/today")).form("/doctor/queue/call"))
    refused = await doctor.submit((await doctor.open("/doctor/today")).form(f"{token.id}/no-show"))
    assert refused.location == "/doctor/today", "too early, and said so"


async def test_a_screen_shows_numbers_and_rooms_until_its_link_is_ended(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/queue/screens")
    made = await desk.submit(page.form("/screens"), department_id=str(hospital.people.general.id), name="Waiting room")
    [link] = set(re.findall(r"/wall/[A-Za-z0-9_-]{43}", made.text))
    await number(hospital, hospital.people.lan)
    await number(hospital, hospital.people.rosa)
    await calls(hospital, hospital.desk)
    screen = hospital.visitor()
    wall = await screen.open(link)
    assert "Called 1 Room 3.02 Next 2" in wall.words
    assert "Nguyễn" not in wall.text
    assert "Number 1, Room 3.02" in (await screen.open(f"{link}/numbers")).text
    await desk.submit((await desk.open("/desk/queue/screens")).form("/close"))
    assert (await screen.open(link)).status == 404


async def test_only_those_at_work_see_it(hospital: Hospital) -> None:
    for path in ("/desk/queue", "/desk/queue/line", "/desk/queue/screens", f"/desk/queue/new?patient_id={hospital.people.rosa.id}"):
        assert (await hospital.visitor(PATIENT).open(path)).status == 403
    assert (await hospital.visitor(NURSE).open("/desk/queue/screens")).status == 403
    assert (await hospital.visitor().open("/q/nonsense")).status == 404
    assert (await hospital.visitor().open("/wall/" + "x" * 43)).status == 404

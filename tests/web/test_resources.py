"""Rooms and equipment on the pages: kept by the administration, put on visits by the desk and the doctor, never twice."""
from __future__ import annotations

from datetime import timedelta

import pytest

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.resources import Resource, ResourceForm, ResourceKind
from infirmary.web.shown import slot_value
from tests.house import MONDAY, admin, reception

from .conftest import Hospital
from .visitor import Answer

NINE = MONDAY + timedelta(days=2, hours=1)


async def thing(hospital: Hospital, name: str = "Procedure room") -> Resource:
    return await hospital.ask(Appointments).add_resource(admin, ResourceForm(kind=ResourceKind.ROOM, name=name))


def form(page: Answer, action: str):
    return next(one for one in page.forms if one.method == "post" and one.action == action)


async def test_the_administration_adds_renames_and_retires(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/resources/new")
    again = await boss.submit(form(page, "/admin/resources/new"), kind="room", name=" ")
    assert again.status == 400
    assert "Write a name." in again.words
    done = await boss.submit(form(again, "/admin/resources/new"), kind="equipment", name="Ultrasound 1")
    listed = await boss.open(done.location)
    assert "Ultrasound 1 Equipment the whole hospital Can be booked" in listed.words
    twice = await boss.submit(form(page, "/admin/resources/new"), kind="equipment", name="ultrasound 1")
    assert "There is one of this kind with this name already" in twice.words
    [made] = (await hospital.ask(Appointments).resources(admin)).items
    at = f"/admin/resources/{made.id}"
    page = await boss.open(at)
    rename, retire = [one for one in page.forms if one.action == at]
    await boss.submit(rename, name="Ultrasound A")
    stale = await boss.submit(retire, active="no")
    assert "Somebody changed this a moment ago" in stale.words
    done = await boss.submit([one for one in stale.forms if one.action == at][1], active="no")
    assert "Ultrasound A is retired. Visits that have it keep it." in (await boss.open(done.location)).words
    assert "Bring it back" in (await boss.open(at)).words


async def test_the_desk_puts_a_colleague_and_a_room_on_a_visit_and_sees_what_is_free(hospital: Hospital) -> None:
    desk, people, room = hospital.desk, hospital.people, await thing(hospital)
    other = await thing(hospital, "Quiet room")
    visit = await hospital.book(people.rosa, people.okafor, NINE)
    at = f"/desk/visits/{visit.id}/participants"
    page = await desk.open(at)
    assert "Procedure room" in page.words
    late = form(page, at)
    elsewhere = await hospital.book(people.rosa, people.brennan, NINE + timedelta(days=1))
    await desk.submit(late, participants=str(room.id))
    shown = await desk.open(f"/desk/visits/{visit.id}")
    assert "Also there Procedure room Change" in shown.words
    assert "Changed" in shown.words
    assert "Accepted" not in shown.words
    assert "Somebody changed this visit" in (await desk.submit(late, participants=str(other.id))).words
    assert "not free then" not in (await desk.open(f"/desk/visits/{elsewhere.id}/participants")).words
    day = await desk.open(f"/desk/resources/{room.id}?day={NINE.date()}")
    assert "Rosa Delgado Vega" in day.words
    assert "Nobody has it on this day" in (await desk.open(f"/desk/resources/{other.id}?day={NINE.date()}")).words


async def test_a_booking_takes_what_is_needed_at_a_time_when_all_are_free(hospital: Hospital) -> None:
    desk, people, room = hospital.desk, hospital.people, await thing(hospital)
    await hospital.book(people.rosa, people.brennan, NINE, participants=[room.id])
    asked = f"/desk/book?patient_id={people.rosa.id}&doctor_id={people.okafor.id}&day={NINE.date()}&also={room.id}"
    page = await desk.open(asked)
    assert "Also needed Procedure room" in page.words
    booking = form(page, "/desk/book")
    refused = await desk.submit(booking, slot=slot_value(people.okafor.id, NINE))
    assert refused.status == 409
    assert "Procedure room is taken from" in refused.words
    await desk.submit(form(refused, "/desk/book"), slot=slot_value(people.okafor.id, NINE + timedelta(hours=1)))
    found = await hospital.ask(Appointments).appointments(reception, patient_id=people.rosa.id, doctor_id=people.okafor.id)
    assert [one.name for one in found.items[-1].participants] == ["Procedure room"]


async def test_a_second_doctor_reads_the_visit_in_their_day_and_has_no_deeds(hospital: Hospital) -> None:
    people = hospital.people
    visit = await hospital.book(people.rosa, people.brennan, NINE, participants=[people.okafor.id])
    page = await hospital.doctor.open(f"/doctor/visits/{visit.id}")
    assert "decides what becomes of the visit" in page.words
    assert "Move" not in page.words
    assert (await hospital.doctor.ask("POST", f"/doctor/visits/{visit.id}/cancel")).status in (403, 400)
    events = await hospital.doctor.ask("GET", f"/doctor/diary/events?start={NINE.date()}T00:00:00&end={NINE.date()}T23:00:00")
    [one] = [one for one in events.json() if one["id"] == str(visit.id)]
    assert one["title"].startswith("Rosa Delgado Vega · Dr Niamh Brennan")
    assert not one["editable"]


@pytest.mark.parametrize("path", ["/admin/resources", "/admin/resources/new"])
async def test_rooms_are_kept_by_the_administration_alone(hospital: Hospital, path: str) -> None:
    assert (await hospital.desk.ask("GET", path)).status == 403

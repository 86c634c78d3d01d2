"""Booking and moving by staff: what was typed stays, and a refusal offers the nearest free times."""
from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from infirmary.contexts.appointments.contract import Appointment, Appointments, Mode, Status, Why
from infirmary.contexts.staff.contract import HoursForm, Staff
from infirmary.web.shown import slot_value
from tests.house import MONDAY, admin, reception

from .conftest import MINUTE, Hospital
from .visitor import Answer


async def visits_of(hospital: Hospital, patient_id: object) -> list[Appointment]:
    return (await hospital.ask(Appointments).appointments(reception, patient_id=patient_id, limit=50)).items


def when(page: Answer, path: str = "/desk/book"):
    return next(form for form in page.forms if form.method == "post" and form.action == path)


def in_days(days: int, minutes: int = 0) -> datetime:
    return MONDAY + timedelta(days=days, minutes=minutes)


async def test_without_a_patient_the_desk_asks_for_one(hospital: Hospital) -> None:
    assert (await hospital.desk.ask("GET", "/desk/book")).location == "/desk"


async def test_doctors_are_listed_soonest_first_and_found_by_department(hospital: Hospital) -> None:
    patient = hospital.people.rosa.id
    page = await hospital.desk.open(f"/desk/book?patient_id={patient}")
    assert "Dr Niamh Brennan General medicine 08:00 Today Dr Amara Okafor Cardiology 08:20 Today" in page.words
    assert "Nobody is chosen" in page.words
    found = await hospital.desk.open(f"/desk/book?patient_id={patient}&q=CARDIO")
    assert "Dr Amara Okafor" in found.words
    assert "Brennan" not in found.words
    assert "Nobody found for “xyz”" in (await hospital.desk.open(f"/desk/book?patient_id={patient}&q=xyz")).words


async def test_a_slot_is_booked_at_once_also_where_patients_have_to_ask(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.rosa.id}&doctor_id={people.okafor.id}&day=2027-03-03")
    assert "Wednesday 3 March 24 free" in page.words
    answer = await desk.submit(when(page), slot=slot_value(people.okafor.id, in_days(2)), reason="Follow-up")
    assert answer.location == f"/desk?patient={people.rosa.id}"
    made = (await visits_of(hospital, people.rosa.id))[-1]
    assert (made.status, made.reason, made.mode) == (Status.BOOKED, "Follow-up", Mode.IN_PERSON)
    desk_again = await desk.open(answer.location)
    assert "Rosa Delgado Vega is booked for Wed 3 Mar, 08:00 with Dr Amara Okafor." in desk_again.words

    undo = next(form for form in desk_again.forms if form.buttons and form.buttons[0][2] == "Undo")
    await desk.submit(undo)
    assert (await hospital.visit(made)).status is Status.CANCELLED


async def test_any_five_minutes_of_any_length_are_booked_by_typing(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.rosa.id}&doctor_id={people.brennan.id}&day=2027-03-03")
    answer = await desk.submit(when(page), time="9.25", minutes="35", mode="video")
    assert answer.status == 303
    made = (await visits_of(hospital, people.rosa.id))[-1]
    assert (made.starts_at, made.ends_at) == (in_days(2, 85), in_days(2, 120))
    assert made.mode is Mode.VIDEO


async def test_a_time_that_has_gone_says_so_and_the_others_are_buttons_that_book(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.lan.id}&doctor_id={people.okafor.id}&day=2027-03-01")
    answer = await desk.submit(when(page), slot=slot_value(people.okafor.id, people.booked.starts_at),
                               reason="Palpitations")
    assert answer.status == 409
    assert "This time has just gone The doctor has a visit from 09:00 to 09:20. Nothing was booked." in answer.words
    assert "Rosa" not in answer.words
    form = when(answer)
    assert form.values["reason"] == "Palpitations"
    offered = [says for name, _, says in form.buttons if name == "instead"]
    assert set(offered[:2]) == {"Today, 08:40", "Today, 09:20"}

    booked = await desk.submit(form, press=offered[0])
    assert booked.status == 303
    made = next(one for one in await visits_of(hospital, people.lan.id) if one.reason == "Palpitations")
    assert made.status is Status.BOOKED


async def test_enter_never_presses_one_of_the_offered_times(hospital: Hospital) -> None:
    """Browsers press the first button of a form when somebody presses Enter in a field."""
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.lan.id}&doctor_id={people.okafor.id}&day=2027-03-01")
    answer = await desk.submit(when(page), slot=slot_value(people.okafor.id, people.booked.starts_at))
    assert when(answer).buttons[0][0] != "instead"


async def test_the_patients_own_other_visit_is_named_as_the_reason(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.rosa.id}&doctor_id={people.brennan.id}&day=2027-03-01")
    answer = await desk.submit(when(page), slot=slot_value(people.brennan.id, people.booked.starts_at))
    assert "Rosa Delgado Vega has another visit from 09:00 to 09:20." in answer.words


async def test_times_at_which_the_patient_is_elsewhere_are_not_offered_to_the_desk(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    taken = slot_value(people.brennan.id, people.booked.starts_at)
    for patient, offered in ((people.rosa, False), (people.lan, True)):
        page = await desk.open(f"/desk/book?patient_id={patient.id}&doctor_id={people.brennan.id}&day=2027-03-01")
        assert (taken in page.text) is offered


@pytest.mark.parametrize(("fields", "status", "says"), [
    ({"time": "19:00"}, 422, "This time lies outside the hours"), ({"time": "7:58"}, 422, "This time has passed"),
    ({"time": "soon"}, 400, "Write a time such as 9:20."), ({"time": "10:00", "minutes": "7"}, 400, "Between 5 and 480"),
    ({}, 400, "Choose a time.")])
async def test_a_time_that_cannot_be_says_why_and_stays(hospital: Hospital, fields: dict[str, str], status: int,
                                                        says: str) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.lan.id}&doctor_id={people.okafor.id}&day=2027-03-01")
    answer = await desk.submit(when(page), **fields)
    assert answer.status == status
    assert says in answer.words
    assert when(answer).values.get("time", "") == fields.get("time", "")
    assert len(await visits_of(hospital, people.lan.id)) == 1


async def test_the_form_sent_twice_is_one_visit(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk/book?patient_id={people.rosa.id}&doctor_id={people.okafor.id}&day=2027-03-03")
    for _ in range(2):
        answer = await desk.submit(when(page), slot=slot_value(people.okafor.id, in_days(2)))
        assert answer.status == 303
    reloaded = await desk.submit(when(page), slot=slot_value(people.okafor.id, in_days(2)), key="another")
    assert reloaded.status == 303   # a page made anew knows that this is the visit that was wanted
    assert len(await visits_of(hospital, people.rosa.id)) == 2


async def test_a_visit_is_moved_to_another_doctor_and_back(hospital: Hospital) -> None:
    desk, people, booked = hospital.desk, hospital.people, hospital.people.booked
    path = f"/desk/visits/{booked.id}/move"
    page = await desk.open(f"{path}?doctor_id={people.brennan.id}&day=2027-03-02")
    assert "Booked now: Mon 1 Mar, 09:00 with Dr Amara Okafor. It stays until you move it." in page.words
    answer = await desk.submit(when(page, path), slot=slot_value(people.brennan.id, in_days(1)), reason="She asked")
    assert answer.location == f"/desk/visits/{booked.id}"
    moved = await hospital.visit(booked)
    assert (moved.doctor_name, moved.starts_at) == ("Dr Niamh Brennan", in_days(1))

    shown = await desk.open(answer.location)
    undo = next(form for form in shown.forms if form.buttons and form.buttons[0][2] == "Undo")
    assert (await desk.submit(undo)).status == 303
    assert (await hospital.visit(booked)).starts_at == booked.starts_at


async def test_a_move_onto_a_taken_time_keeps_the_visit_where_it_is(hospital: Hospital) -> None:
    desk, people, booked = hospital.desk, hospital.people, hospital.people.booked
    path = f"/desk/visits/{booked.id}/move"
    page = await desk.open(path)
    answer = await desk.submit(when(page, path), slot=slot_value(people.okafor.id, people.waiting.starts_at),
                               reason="Earlier")
    assert answer.status == 409
    assert when(answer, path).values["reason"] == "Earlier"
    assert (await hospital.visit(booked)).starts_at == booked.starts_at


async def test_a_visit_that_was_cancelled_meanwhile_is_not_moved(hospital: Hospital) -> None:
    desk, people, booked = hospital.desk, hospital.people, hospital.people.booked
    path = f"/desk/visits/{booked.id}/move"
    page = await desk.open(path)
    await hospital.ask(Appointments).cancel(reception, booked.id, Why())
    answer = await desk.submit(when(page, path), slot=slot_value(people.okafor.id, MONDAY + 40 * MINUTE))
    assert answer.status in (409, 412)
    assert "Somebody changed this visit while you looked at it" in answer.words


async def test_a_doctor_books_the_next_visit_in_two_weeks_and_comes_back(hospital: Hospital) -> None:
    doctor, people = hospital.doctor, hospital.people
    visit = await doctor.open(f"/doctor/visits/{people.booked.id}")
    page = await doctor.open(visit.links["2 weeks"])
    assert "Monday 15 March 24 free" in page.words
    assert "Brennan" not in page.words
    answer = await doctor.submit(when(page, "/doctor/book"), slot=slot_value(people.okafor.id, in_days(14)))
    assert answer.location == f"/doctor/visits/{people.booked.id}"
    assert "Next visits Mon 15 Mar 08:00" in (await doctor.open(answer.location)).words


async def test_a_doctor_books_nobody_elses_time(hospital: Hospital) -> None:
    doctor, people = hospital.doctor, hospital.people
    page = await doctor.open(f"/doctor/book?patient_id={people.rosa.id}")
    answer = await doctor.submit(when(page, "/doctor/book"), slot=slot_value(people.brennan.id, in_days(2)))
    assert answer.status == 404


async def test_a_free_time_in_the_diary_asks_for_whom_and_is_chosen_then(hospital: Hospital) -> None:
    doctor, people = hospital.doctor, hospital.people
    whom = await doctor.open("/doctor/book?day=2027-03-02&time=08:20")
    assert "For whom?" in whom.words
    assert "Rosa Delgado Vega" in whom.words
    page = await doctor.open(next(href for says, href in whom.links.items() if says.startswith("Rosa")))
    assert when(page, "/doctor/book").values["slot"] == slot_value(people.okafor.id, in_days(1, 20))


async def test_a_taken_time_is_booked_over_with_a_reason_where_the_doctor_allows_it(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    taken = f"/desk/book?patient_id={people.lan.id}&doctor_id={people.brennan.id}"
    await hospital.book(people.rosa, people.brennan, MONDAY + timedelta(hours=3))
    form = {"patient_id": str(people.lan.id), "doctor_id": str(people.brennan.id), "day": "2027-03-01", "time": "11:00"}
    await desk.open(taken)
    refused = await desk.send("/desk/book", form)
    assert refused.status == 409
    assert "Book it over what is there" not in refused.words   # the hours say no

    staff = hospital.ask(Staff)
    hours = await staff.hours(admin, people.brennan.id)
    await staff.set_hours(admin, people.brennan.id, HoursForm(
        visit_minutes=hours.visit_minutes, weekly=hours.weekly, overbook=1), if_match=hours.version)
    await hospital.house.deliver_facts()
    assert "Book it over what is there No, choose another time It is urgent" in (await desk.send("/desk/book", form)).words
    booked = await desk.send("/desk/book", {**form, "overbook": "urgent"})
    assert booked.status == 303
    diary = (await desk.open(f"/desk/diaries/{people.brennan.id}/events?start=2027-03-01&end=2027-03-02")).json()
    assert [one["word"] for one in diary if one.get("over")] == ["Booked, Over another visit: It is urgent"]
    [visit] = [one["url"] for one in diary if one.get("over")]
    assert "Over another visit: It is urgent" in (await desk.open(visit)).words
    assert (await desk.send("/desk/book", {
        **form, "patient_id": str(people.samuel.id), "overbook": "nonsense"})).status == 409

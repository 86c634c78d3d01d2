"""The diary: what the calendar draws, the same as a list, and moving by dragging."""
from __future__ import annotations

from datetime import timedelta

from infirmary.contexts.appointments.contract import Status
from infirmary.contexts.staff.contract import LeaveForm, Staff
from infirmary.language import PATIENT
from tests.house import MONDAY, admin

from .conftest import Hospital

WEEK = "start=2027-03-01T00:00:00&end=2027-03-08T00:00:00&timeZone=Europe/Dublin"


async def test_the_calendar_is_given_visits_free_times_and_leave_in_wall_time(hospital: Hospital) -> None:
    people = hospital.people
    friday = MONDAY + timedelta(days=4)
    await hospital.ask(Staff).take_leave(admin, people.okafor.id, LeaveForm(
        starts_at=friday - timedelta(hours=8), ends_at=friday + timedelta(hours=16), reason="Course"))
    await hospital.house.deliver_facts()
    events = (await hospital.doctor.open(f"/doctor/diary/events?{WEEK}")).json()
    by_tone: dict[str, list[dict]] = {}
    for one in events:
        by_tone.setdefault(one["tone"], []).append(one)
    assert [(one["title"], one["start"], one["end"], one["word"]) for one in by_tone["attention"]] == [
        ("Thị Lan Nguyễn", "2027-03-02T10:00:00", "2027-03-02T10:20:00", "Requested")]
    assert by_tone[""][0] == {
        "id": str(people.booked.id), "title": "Rosa Delgado Vega", "start": "2027-03-01T09:00:00",
        "end": "2027-03-01T09:20:00", "url": f"/doctor/visits/{people.booked.id}", "tone": "", "icon": "calendar-check",
        "word": "Booked", "version": 1, "editable": True}
    assert [one["editable"] for one in by_tone["active"]] == [False]   # who is here is not moved
    assert [(one["title"], one["start"]) for one in by_tone["leave"]] == [("Leave: Course", "2027-03-05T00:00:00")]
    free = [one["start"] for one in by_tone["free"]]
    assert "2027-03-01T08:20:00" in free
    assert not [one for one in free if one.startswith("2027-03-05") or one == "2027-03-01T09:00:00"]


async def test_what_no_calendar_asks_is_answered_with_this_week(hospital: Hospital) -> None:
    assert (await hospital.doctor.open("/doctor/diary/events?start=x&end=y")).json()
    assert (await hospital.doctor.open("/doctor/diary/events?start=2027-03-08&end=2027-03-01")).json() == []
    assert (await hospital.doctor.open("/doctor/diary/events?start=0001-01-01&end=9999-12-31")).status == 200


async def test_working_hours_are_given_as_the_calendar_counts_weekdays(hospital: Hospital) -> None:
    hours = (await hospital.doctor.open("/doctor/diary/hours")).json()
    assert hours[0] == {"daysOfWeek": [1], "startTime": "08:00", "endTime": "12:00"}
    assert len(hours) == 10


async def test_requests_stand_above_the_diary(hospital: Hospital) -> None:
    page = await hospital.doctor.open("/doctor/diary")
    assert "1 person asks for a time Thị Lan Nguyễn, Tue 2 Mar, 10:00, Swollen ankles." in page.words


async def test_the_list_shows_the_same_week_without_a_script(hospital: Hospital) -> None:
    page = await hospital.doctor.open("/doctor/diary?view=list&date=2027-03-03")
    assert "2 visits booked" in page.words
    assert "1 asking" in page.words
    assert "Monday 1 March 2 visits" in page.words
    assert "09:00 09:20 Rosa Delgado Vega Booked Move Breathless on stairs" in page.words
    assert page.links["This week"] == "?view=list"


async def test_a_dragged_visit_is_moved_and_can_be_moved_back(hospital: Hospital) -> None:
    doctor, booked = hospital.doctor, hospital.people.booked
    await doctor.open("/doctor/diary")
    answer = await doctor.send(f"/doctor/visits/{booked.id}/move", {"starts_at": "2027-03-01T11:20"}, htmx=True)
    assert answer.status == 200
    assert "is moved to Mon 1 Mar, 11:20" in answer.headers["hx-trigger"]
    assert (await hospital.visit(booked)).starts_at == MONDAY + timedelta(hours=3, minutes=20)

    undo = answer.headers["hx-trigger"].split('"undo": "')[1].split('"')[0]
    assert (await doctor.send(undo)).status == 303
    assert (await hospital.visit(booked)).starts_at == booked.starts_at


async def test_a_refused_drag_offers_the_nearest_free_times_as_buttons(hospital: Hospital) -> None:
    doctor, people = hospital.doctor, hospital.people
    await doctor.open("/doctor/diary")
    answer = await doctor.send(f"/doctor/visits/{people.booked.id}/move", {"starts_at": "2027-03-01T08:00"}, htmx=True)
    assert answer.status == 409
    assert "This time has just gone" in answer.words
    assert "The doctor has a visit from 08:00 to 08:20." in answer.words
    assert "Samuel" not in answer.words
    assert 'name="instead"' in answer.text
    value = answer.text.split('name="instead" value="')[1].split('"')[0]
    again = await doctor.send(f"/doctor/visits/{people.booked.id}/move",
                              {"starts_at": "2027-03-01T08:00", "instead": value}, htmx=True)
    assert again.status == 200
    assert (await hospital.visit(people.booked)).starts_at == MONDAY + timedelta(minutes=20)


async def test_a_drag_to_nowhere_is_refused_in_words(hospital: Hospital) -> None:
    doctor, booked = hospital.doctor, hospital.people.booked
    await doctor.open("/doctor/diary")
    for wall, status in (("", 400), ("2027-03-01T03:00", 422), ("2027-02-01T09:00", 422)):
        answer = await doctor.send(f"/doctor/visits/{booked.id}/move", {"starts_at": wall}, htmx=True)
        assert answer.status == status, wall
        assert answer.words
    assert (await hospital.visit(booked)).status is Status.BOOKED


async def test_the_desk_moves_visits_in_any_doctors_diary_and_comes_back_to_it(hospital: Hospital) -> None:
    desk, booked = hospital.desk, hospital.people.booked
    diary = f"/desk/diaries/{booked.doctor_id}"
    assert "Dr Amara Okafor" in (await desk.open(diary)).words
    [drawn] = [one for one in (await desk.open(f"{diary}/events?{WEEK}")).json() if one["id"] == str(booked.id)]
    assert drawn["url"] == f"/desk/visits/{booked.id}"
    answer = await desk.send(f"/desk/visits/{booked.id}/move", {"starts_at": "2027-03-01T11:20", "version": "1"}, htmx=True)
    undo = answer.headers["hx-trigger"].split('"undo": "')[1].split('"')[0]
    assert (await desk.send(undo)).headers["location"] == f"{diary}?date=2027-03-01"
    assert (await hospital.visit(booked)).starts_at == booked.starts_at


async def test_who_drags_what_somebody_else_has_moved_is_told_and_moves_nothing(hospital: Hospital) -> None:
    doctor, booked = hospital.doctor, hospital.people.booked
    await doctor.open("/doctor/diary")
    await doctor.send(f"/doctor/visits/{booked.id}/move", {"starts_at": "2027-03-01T11:20"}, htmx=True)
    late = await doctor.send(f"/doctor/visits/{booked.id}/move", {"starts_at": "2027-03-01T10:20", "version": "1"}, htmx=True)
    assert late.status == 412
    assert "Somebody changed this visit while you looked at it" in late.words
    assert (await hospital.visit(booked)).starts_at == MONDAY + timedelta(hours=3, minutes=20)


async def test_a_diary_is_followed_by_its_doctor_and_the_desk(hospital: Hospital) -> None:
    mine, other = hospital.people.okafor.id, hospital.people.brennan.id
    for visitor, doctor_id, status in ((hospital.doctor, other, 404), (hospital.visitor(PATIENT), mine, 403), (hospital.doctor, "x", 404)):
        assert (await visitor.open(f"/diary/stream?doctor_id={doctor_id}&{WEEK}")).status == status

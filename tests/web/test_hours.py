"""Working hours and leave, typed without a script."""
from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from infirmary.contexts.staff.contract import Hours, HoursForm, Leave, Opening, Staff
from tests.house import MONDAY, admin

from .conftest import WEEK, Hospital


async def hours(hospital: Hospital) -> Hours:
    return await hospital.ask(Staff).hours(admin, hospital.people.okafor.id)


async def leaves(hospital: Hospital) -> list[Leave]:
    return await hospital.ask(Staff).leaves(admin, hospital.people.okafor.id)


def typed(page, **changed: str) -> list[tuple[str, str]]:
    """The week as it stands in the form, with other times for the first stretch."""
    fields, done = [], set()
    for name, value in page.form("/hours").fields:
        fields.append((name, changed[name] if name in changed and name not in done else value))
        done.add(name)
    return fields


async def test_the_week_is_shown_and_saved_as_people_write_times(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    assert page.form("/hours").values["visit_minutes"] == "20"
    answer = await doctor.send("/doctor/hours", typed(page, starts="830", visit_minutes="15"))
    assert answer.status == 303
    now = await hours(hospital)
    assert now.weekly[0] == Opening(weekday=1, starts="08:30", ends="12:00", location="Room 3.02")
    assert now.visit_minutes == 15


async def test_a_stretch_is_added_and_removed_without_a_script_and_nothing_is_lost(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    added = await doctor.send("/doctor/hours", [*typed(page, starts="7:45"), ("do", "add-6")])
    assert added.status == 200
    fields = added.form("/hours").fields
    assert [value for name, value in fields if name == "weekday"].count("6") == 1
    assert ("starts", "7:45") in fields
    assert "autofocus" in added.text

    removed = await doctor.send("/doctor/hours", [*((n, v) for n, v in fields if n != "do"), ("do", "remove-0")])
    assert [value for name, value in removed.form("/hours").fields if name == "weekday"].count("1") == 1
    assert (await hours(hospital)).weekly == WEEK.weekly   # nothing counts before it is saved


@pytest.mark.parametrize(("starts", "ends", "says"), [
    ("noon", "12:00", "Write times such as 8:30 or 17:00."), ("8:03", "12:00", "Use steps of five minutes."),
    ("13:00", "12:00", "It ends before it begins.")])
async def test_a_time_that_cannot_be_read_says_how_to_mend_it_and_stays(hospital: Hospital, starts: str, ends: str,
                                                                        says: str) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    answer = await doctor.send("/doctor/hours", typed(page, starts=starts, ends=ends))
    assert answer.status == 400
    assert says in answer.words
    assert ("starts", starts) in answer.form("/hours").fields
    assert (await hours(hospital)).weekly == WEEK.weekly


async def test_stretches_that_overlap_are_refused_with_the_week_as_typed(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    answer = await doctor.send("/doctor/hours", typed(page, ends="14:00"))
    assert answer.status == 422
    assert "overlap" in answer.words.lower()
    assert ("ends", "14:00") in answer.form("/hours").fields


async def test_hours_that_somebody_changed_meanwhile_are_shown_beside_ones_own(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    await hospital.ask(Staff).set_hours(admin, hospital.people.okafor.id, HoursForm(
        visit_minutes=20, weekly=[Opening(weekday=1, starts="09:00", ends="10:00")]), if_match=1)
    answer = await doctor.send("/doctor/hours", typed(page, starts="7:00"))
    assert answer.status == 412
    assert "Somebody changed this while you wrote" in answer.words
    assert "Monday 09:00 – 10:00 07:00 – 12:00, 13:00 – 17:00" in answer.words

    again = await doctor.send("/doctor/hours", [*answer.form("/hours").fields, ("do", "save")])
    assert again.status == 303
    assert (await hours(hospital)).weekly[0].starts == "07:00"


async def test_whole_days_of_leave_are_added_and_taken_back(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    answer = await doctor.submit(page.form("/leave"), first_day="2027-03-08", last_day="2027-03-12", reason="Holiday")
    assert answer.status == 303
    [leave] = await leaves(hospital)
    assert leave.starts_at == MONDAY + timedelta(days=7, hours=-8)
    assert leave.ends_at == MONDAY + timedelta(days=11, hours=16)

    page = await doctor.open(urlsplit(answer.location).path)
    assert "Mon 8 Mar – Fri 12 Mar Holiday" in page.words
    undo = next(form for form in page.forms if form.buttons and form.buttons[0][2] == "Undo")
    assert (await doctor.submit(undo)).status == 303
    assert await leaves(hospital) == []


async def test_part_of_a_day_of_leave_keeps_the_times(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    await doctor.submit(page.form("/leave"), first_day="2027-03-03", first_time="13", last_time="15:30")
    [leave] = await leaves(hospital)
    assert leave.starts_at == MONDAY + timedelta(days=2, hours=5)
    assert leave.ends_at == MONDAY + timedelta(days=2, hours=7, minutes=30)
    assert "Wed 3 Mar, 13:00 – 15:30" in (await doctor.open("/doctor/hours")).words


async def test_visits_that_would_stand_in_the_leave_are_shown_before_it_is_saved_and_led_to_after(hospital: Hospital,
                                                                                                  ) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    shown = await doctor.submit(page.form("/leave"), first_day="2027-03-01", last_day="2027-03-02")
    assert "2 visits are booked in this time Nothing is saved yet." in shown.words
    assert "Rosa Delgado Vega" in shown.words
    assert await leaves(hospital) == []
    marked = await doctor.submit(shown.form("/leave"), sure="yes")
    assert marked.location.startswith(f"/doctor/moves?doctor_id={hospital.people.okafor.id}&from=2027-03-01T00")
    assert len(await leaves(hospital)) == 1
    page = await doctor.open("/doctor/hours")
    assert page.links["2 visits stand in this time"] == marked.location

    okafor = hospital.people.okafor.id
    page = await hospital.administrator.open(f"/admin/doctors/{okafor}/hours")
    assert page.links["2 visits stand in this time"] == marked.location.replace("/doctor/", "/desk/")


@pytest.mark.parametrize(("fields", "status", "says"), [
    ({"first_day": ""}, 400, "Choose a day."),
    ({"first_day": "2027-03-08", "first_time": "soon"}, 400, "Write a time such as 13:00"),
    ({"first_day": "2027-03-08", "last_day": "2027-03-01"}, 422, "Nothing was added.")])
async def test_leave_that_makes_no_sense_says_how_to_mend_it_and_stays(hospital: Hospital, fields: dict[str, str],
                                                                       status: int, says: str) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    answer = await doctor.submit(page.form("/leave"), reason="Course", **fields)
    assert answer.status == status
    assert says in answer.words
    assert answer.form("/leave").values["reason"] == "Course"
    assert await leaves(hospital) == []


async def test_leave_twice_is_told(hospital: Hospital) -> None:
    doctor = hospital.doctor
    page = await doctor.open("/doctor/hours")
    await doctor.submit(page.form("/leave"), first_day="2027-03-08")
    answer = await doctor.submit(page.form("/leave"), first_day="2027-03-08")
    assert answer.status == 409
    assert "There is leave in this time already" in answer.words


async def test_an_administrator_sets_any_doctors_hours(hospital: Hospital) -> None:
    boss, brennan = hospital.administrator, hospital.people.brennan
    page = await boss.open(f"/admin/doctors/{brennan.id}/hours")
    assert "Working hours, Dr Niamh Brennan" in page.words
    answer = await boss.send(f"/admin/doctors/{brennan.id}/hours", typed(page, starts="9"))
    assert answer.location == f"/admin/doctors/{brennan.id}/hours"
    assert (await hospital.ask(Staff).hours(admin, brennan.id)).weekly[0].starts == "09:00"

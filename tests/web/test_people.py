"""Departments, doctors and other staff: who joins, what is known of them, who leaves."""
from __future__ import annotations

import pytest

from infirmary.contexts.staff.contract import AmendDoctor, DepartmentForm, Staff
from tests.house import admin

from .conftest import Hospital


async def test_departments_are_listed_with_their_doctors(hospital: Hospital) -> None:
    page = await hospital.administrator.open("/admin/departments")
    assert "Cardiology – answered first 1" in page.words
    assert "General medicine – booked at once 1" in page.words


async def test_a_department_is_opened_changed_and_closed(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/departments/new")
    answer = await boss.submit(page.form("/admin/departments"), name="Dermatology", location="Entrance A",
                               icon="zoom-scan", accepts_first="yes")
    assert answer.location == "/admin/departments"
    made = next(one for one in (await hospital.ask(Staff).departments(admin)).items if one.name == "Dermatology")
    assert (made.icon, made.accepts_first) == ("zoom-scan", True)

    page = await boss.open(f"/admin/departments/{made.id}?ask=end")
    assert page.form(f"/{made.id}").values["accepts_first"] == "yes"
    form = page.form(f"/{made.id}")
    form.fields = [(name, value) for name, value in form.fields if name != "accepts_first"]
    assert (await boss.submit(form, name="Skin")).status == 303
    assert not (await hospital.ask(Staff).department(admin, made.id)).accepts_first

    page = await boss.open(f"/admin/departments/{made.id}?ask=end")
    assert "Close Skin?" in page.words
    assert (await boss.submit(page.form("/end"))).status == 303
    assert (await hospital.ask(Staff).department(admin, made.id)).retired_at


async def test_a_name_that_is_taken_is_said_beside_the_field(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/departments/new")
    answer = await boss.submit(page.form("/admin/departments"), name="Cardiology", location="Entrance C")
    assert answer.status == 409
    assert "There is a department with this name already." in answer.words
    assert answer.form("/admin/departments").values["location"] == "Entrance C"


async def test_a_department_with_doctors_stays_open_and_leads_to_them(hospital: Hospital) -> None:
    boss, cardiology = hospital.administrator, hospital.people.cardiology
    page = await boss.open(f"/admin/departments/{cardiology.id}?ask=end")
    answer = await boss.submit(page.form("/end"))
    assert answer.status == 409
    assert "Doctors still belong here Cardiology stays open." in answer.words
    assert answer.links["Its doctors"] == f"/admin/doctors?department_id={cardiology.id}"


async def test_doctors_are_found_by_name_and_department(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/doctors")
    assert "Dr Niamh Brennan General medicine General medicine – Today, 08:00 Hours Change" in page.words
    found = await boss.open(f"/admin/doctors?q=oka&department_id={hospital.people.cardiology.id}")
    assert "Okafor" in found.words
    assert "Brennan" not in found.words
    assert "Nobody found" in (await boss.open("/admin/doctors?q=xyz")).words


async def test_a_doctor_joins_and_hours_come_next(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open(f"/admin/doctors/new?department_id={hospital.people.general.id}")
    form = page.form("/admin/doctors")
    assert form.values["department_id"] == str(hospital.people.general.id)
    answer = await boss.submit(form, given_name="Jonas", family_name="Lindqvist", specialty="Geriatrics")
    [made] = (await hospital.ask(Staff).doctors(admin, q="lindqvist")).items
    assert answer.location == f"/admin/doctors/{made.id}/hours"
    assert "Dr Jonas Lindqvist joins." in (await boss.open(answer.location)).words


async def test_everything_to_mend_of_a_doctor_is_said_at_once(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/doctors/new")
    answer = await boss.submit(page.form("/admin/doctors"), given_name="Jonas", room="Room 1")
    assert answer.status == 400
    for says in ("Write the family name.", "Write the specialty, such as Cardiology.", "Choose a department."):
        assert says in answer.words
    assert answer.form("/admin/doctors").values["room"] == "Room 1"


async def test_a_doctor_that_somebody_changed_meanwhile_shows_both(hospital: Hospital) -> None:
    boss, okafor = hospital.administrator, hospital.people.okafor
    page = await boss.open(f"/admin/doctors/{okafor.id}")
    await hospital.ask(Staff).amend_doctor(admin, okafor.id, AmendDoctor(room="Room 9"), if_match=1)
    answer = await boss.submit(page.form(f"/{okafor.id}"), room="Room 7", department_id=str(hospital.people.general.id))
    assert answer.status == 412
    assert "Room Room 9 Room 7" in answer.words
    assert "Department Cardiology General medicine" in answer.words
    assert (await boss.submit(answer.form(f"/{okafor.id}"))).status == 303
    assert (await hospital.ask(Staff).doctor(admin, okafor.id)).room == "Room 7"


async def test_a_doctor_who_leaves_with_visits_to_come_is_counted_before(hospital: Hospital) -> None:
    boss, okafor = hospital.administrator, hospital.people.okafor
    page = await boss.open(f"/admin/doctors/{okafor.id}?ask=end")
    assert "Does Dr Amara Okafor leave?" in page.words
    assert "3 visits to come stay booked until somebody moves them." in page.words
    assert (await boss.submit(page.form("/end"))).location == "/admin/doctors"
    gone = await boss.open(f"/admin/doctors/{okafor.id}")
    assert "This doctor has left Since Mon 1 Mar." in gone.words


@pytest.mark.parametrize("path", ["departments", "doctors", "staff"])
async def test_what_was_changed_meanwhile_does_not_end_unseen(hospital: Hospital, path: str) -> None:
    boss, people = hospital.administrator, hospital.people
    thing = {"departments": people.general, "doctors": people.brennan, "staff": people.nurse}[path]
    await boss.open("/admin")
    answer = await boss.send(f"/admin/{path}/{thing.id}/end", {"version": "7"})
    assert answer.status == 412
    assert "Somebody changed this a moment ago" in answer.words


async def test_somebody_joins_the_staff_and_leaves(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/staff/new")
    answer = await boss.submit(page.form("/admin/staff"), given_name="Liam", family_name="Byrne", occupation="reception",
                               department_id=str(hospital.people.general.id))
    assert answer.location == "/admin/staff"
    listed = await boss.open("/admin/staff?occupation=reception")
    assert "Liam Byrne Reception General medicine Change" in listed.words
    assert "Mokoena" not in listed.words
    member = await boss.open(listed.links["Liam Byrne"])
    assert "/admin/accounts/new?role=reception" in member.links["Open an account"]
    question = await boss.open(listed.links["Liam Byrne"] + "?ask=end")
    assert (await boss.submit(question.form("/end"))).status == 303
    assert "Liam Byrne Reception" not in (await boss.open("/admin/staff")).words


async def test_a_department_closed_meanwhile_cannot_be_chosen(hospital: Hospital) -> None:
    boss, staff = hospital.administrator, hospital.ask(Staff)
    made = await staff.open_department(admin, DepartmentForm(name="Maternity"))
    page = await boss.open("/admin/staff/new")
    await staff.close_department(admin, made.id, 1)
    answer = await boss.submit(page.form("/admin/staff"), given_name="Liam", family_name="Byrne", occupation="nurse",
                               department_id=str(made.id))
    assert answer.status == 422
    assert "This department is closed. Choose another." in answer.words

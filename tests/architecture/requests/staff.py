"""Staff."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import to_builtins

from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, Occupation, Staff, StaffForm
from tests.architecture.world import EVERY_DAY, ROOT, Subject, World

from .making import PERSONS, asks


@asks("staff.open_department")
async def open_department(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"name": f"Department {world.count()}"}}


@asks("staff.department")
async def department(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"department_id": world.departments["Dermatology"]}}


@asks("staff.replace_department", "staff.close_department")
async def changed_department(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Staff).open_department(ROOT, DepartmentForm(name=f"Department {world.count()}"))
    return {"path": {"department_id": made.id}, "if_match": made.version,
            "body": {"name": f"Department {world.count()}"}}


def a_doctor(world: World) -> dict[str, Any]:
    return {"given_name": "New", "family_name": "Doctor", "specialty": "Medicine",
            "department_id": world.departments["Cardiology"]}


@asks("staff.engage_doctor")
async def engage_doctor(world: World, of: Subject) -> dict[str, Any]:
    return {"body": a_doctor(world)}


@asks("staff.doctor", "staff.hours", about=PERSONS)
async def doctor(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id}}


@asks("staff.replace_doctor", about=PERSONS)
async def replace_doctor(world: World, of: Subject) -> dict[str, Any]:
    now = await world.house.ask(Staff).doctor(ROOT, of.diary_id)
    return {"path": {"doctor_id": of.diary_id}, "if_match": now.version,
            "body": {**a_doctor(world), "family_name": now.family_name, "department_id": now.department_id}}


@asks("staff.amend_doctor", about=PERSONS)
async def amend_doctor(world: World, of: Subject) -> dict[str, Any]:
    now = await world.house.ask(Staff).doctor(ROOT, of.diary_id)
    return {"path": {"doctor_id": of.diary_id}, "if_match": now.version, "body": {"room": "Room 7"}}


@asks("staff.retire_doctor")
async def retire_doctor(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Staff).engage_doctor(ROOT, DoctorForm(**a_doctor(world)))
    return {"path": {"doctor_id": made.id}, "if_match": made.version}


@asks("staff.set_hours", about=PERSONS)
async def set_hours(world: World, of: Subject) -> dict[str, Any]:
    now = await world.house.ask(Staff).hours(ROOT, of.diary_id)
    return {"path": {"doctor_id": of.diary_id}, "if_match": now.version, "body": to_builtins(EVERY_DAY)}


@asks("staff.leaves", about=PERSONS)
async def leaves(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id}}


@asks("staff.take_leave", about=PERSONS)
async def take_leave(world: World, of: Subject) -> dict[str, Any]:
    starts = world.clock.now() + timedelta(days=400 + world.count())
    return {"path": {"doctor_id": of.diary_id}, "body": {"starts_at": starts, "ends_at": starts + timedelta(hours=1)}}


@asks("staff.end_leave", about=PERSONS)
async def end_leave(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id, "leave_id": await world.leave(of.diary_id)}}


@asks("staff.engage")
async def engage(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"given_name": "New", "family_name": "Colleague", "occupation": "nurse"}}


@asks("staff.member", "staff.replace_member", "staff.retire_member")
async def member(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Staff).engage(ROOT, StaffForm(given_name="New", family_name="Colleague",
                                                               occupation=Occupation.NURSE))
    return {"path": {"staff_id": made.id}, "if_match": made.version,
            "body": {"given_name": "New", "family_name": "Colleague", "occupation": "other"}}

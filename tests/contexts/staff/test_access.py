"""Who may do what, what is kept of it, and what strangers can read."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from infirmary.contexts.staff.contract import AmendDoctor, DepartmentForm, HoursForm
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.contexts.staff.tables import metadata
from infirmary.contexts.staff.wiring import STAFF
from infirmary.kernel.access import Caller
from infirmary.kernel.database.migrate import check
from infirmary.kernel.errors import NotFound, NotSignedIn, Refusal, RoleMayNot
from infirmary.kernel.request import changed
from infirmary.language import DOCTOR

from .builders import (
    World,
    a_caller,
    a_doctor_caller,
    a_doctor_form,
    a_member_form,
    a_week,
    admin,
    nobody,
    nurse,
    others,
    patient,
    reception,
    some_leave,
)

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def test_the_migrations_make_the_tables_that_are_declared(database_url: Callable[[str], str]) -> None:
    assert await check(database_url("staff"), metadata, STAFF.migrations) == []


@on_sqlite
async def test_doctors_change_their_own_hours_and_leave_and_nobody_elses(world: World) -> None:
    doctor, colleague = await world.a_doctor(), await world.a_doctor()
    me = a_doctor_caller(doctor.id)
    await world.staff.set_hours(me, doctor.id, a_week(), if_match=0)
    mine = await world.staff.take_leave(me, doctor.id, some_leave())
    assert await world.staff.leaves(me, doctor.id) == [mine]
    theirs = await world.staff.take_leave(admin, colleague.id, some_leave())
    for attempt in (world.staff.set_hours(me, colleague.id, a_week(), if_match=0),
                    world.staff.take_leave(me, colleague.id, some_leave(first_day=20)),
                    world.staff.leaves(me, colleague.id), world.staff.end_leave(me, colleague.id, theirs.id),
                    world.staff.leaves(a_caller(DOCTOR), doctor.id)):
        with pytest.raises(NotFound):
            await attempt
    await world.staff.end_leave(me, doctor.id, mine.id)
    assert len(await world.facts(ScheduleChanged, colleague.id)) == 2


@on_sqlite
async def test_only_admin_runs_the_house_and_only_reception_and_doctors_take_leave_beside_them(world: World) -> None:
    place = await world.a_department()
    doctor = await world.a_doctor(place)
    member = await world.staff.engage(admin, a_member_form())
    me = a_doctor_caller(doctor.id)

    def house(caller: Caller) -> list[Any]:
        ask = world.staff
        return [ask.open_department(caller, DepartmentForm(name="New")),
                ask.replace_department(caller, place.id, DepartmentForm(name="New"), if_match=1),
                ask.close_department(caller, place.id, if_match=1),
                ask.engage_doctor(caller, a_doctor_form(department_id=place.id)),
                ask.replace_doctor(caller, doctor.id, a_doctor_form(department_id=place.id), if_match=1),
                ask.amend_doctor(caller, doctor.id, AmendDoctor(), if_match=1),
                ask.retire_doctor(caller, doctor.id, if_match=1),
                ask.members(caller), ask.engage(caller, a_member_form()), ask.member(caller, member.id),
                ask.replace_member(caller, member.id, a_member_form(), if_match=1),
                ask.retire_member(caller, member.id, if_match=1)]

    def desk(caller: Caller) -> list[Any]:
        return [world.staff.take_leave(caller, doctor.id, some_leave()),
                world.staff.end_leave(caller, doctor.id, member.id)]

    refused: list[tuple[Any, type[Refusal]]] = [
        *((call, RoleMayNot) for caller in (reception, nurse, me, *others) for call in house(caller)),
        *((call, RoleMayNot) for caller in (nurse, *others) for call in desk(caller)),
        *((world.staff.set_hours(caller, doctor.id, a_week(), if_match=0), RoleMayNot)
          for caller in (reception, nurse, *others)),
        *((world.staff.leaves(caller, doctor.id), RoleMayNot) for caller in others),
        *((call, NotSignedIn) for call in (*house(nobody), *desk(nobody), world.staff.leaves(nobody, doctor.id)))]
    for call, refusal in refused:
        with pytest.raises(refusal):
            await call
    assert (await world.facts(ScheduleChanged)) == (await world.facts(ScheduleChanged, doctor.id))[:1]


@on_sqlite
async def test_what_anybody_may_read_says_nothing_about_leave(world: World) -> None:
    place = await world.a_department()
    doctor = await world.a_doctor(place)
    await world.staff.set_hours(admin, doctor.id, a_week(), if_match=0)
    await world.staff.take_leave(admin, doctor.id, some_leave(reason="canary"))
    seen = [await world.staff.departments(patient), await world.staff.department(nobody, place.id),
            await world.staff.doctors(nobody), await world.staff.doctor(nobody, doctor.id),
            await world.staff.hours(nobody, doctor.id), *await world.facts(ScheduleChanged)]
    assert b"canary" not in msgspec.json.encode(seen)
    shown = msgspec.to_builtins(await world.staff.doctor(nobody, doctor.id))
    assert {"leave", "email", "search", "facts"}.isdisjoint(shown)
    assert [one.reason for one in await world.staff.leaves(nurse, doctor.id)] == ["canary"]


@on_sqlite
async def test_every_change_is_audited_without_saying_what_it_said(world: World) -> None:
    ask, place = world.staff, await world.a_department("canary")
    await ask.replace_department(admin, place.id, DepartmentForm(name="canary ward"), if_match=1)
    doctor = await world.a_doctor(place, given_name="canary")
    await ask.replace_doctor(admin, doctor.id, a_doctor_form(department_id=place.id, room="canary"), if_match=1)
    await ask.amend_doctor(admin, doctor.id, AmendDoctor(room="canary"), if_match=2)
    await ask.set_hours(admin, doctor.id, HoursForm(visit_minutes=20, weekly=[]), if_match=0)
    leave = await ask.take_leave(reception, doctor.id, some_leave(reason="canary"))
    await ask.end_leave(a_doctor_caller(doctor.id), doctor.id, leave.id)
    await ask.retire_doctor(admin, doctor.id, if_match=3)
    await ask.close_department(admin, place.id, if_match=2)
    member = await ask.engage(admin, a_member_form(given_name="canary"))
    await ask.replace_member(admin, member.id, a_member_form(), if_match=1)
    await ask.retire_member(admin, member.id, if_match=2)
    entries = await world.entries()
    assert [(entry.action, entry.entity) for entry in entries] == [
        ("department.opened", f"department/{place.id}"), ("department.changed", f"department/{place.id}"),
        ("doctor.engaged", f"doctor/{doctor.id}"), ("doctor.amended", f"doctor/{doctor.id}"),
        ("doctor.amended", f"doctor/{doctor.id}"), ("hours.set", f"doctor/{doctor.id}"),
        ("leave.taken", f"leave/{leave.id}"), ("leave.taken_back", f"leave/{leave.id}"),
        ("doctor.retired", f"doctor/{doctor.id}"), ("department.closed", f"department/{place.id}"),
        ("staff.engaged", f"staff/{member.id}"), ("staff.amended", f"staff/{member.id}"),
        ("staff.retired", f"staff/{member.id}")]
    assert entries[6].actor_id == reception.account_id
    assert b"canary" not in msgspec.json.encode(entries)


async def test_the_same_request_sent_again_has_one_effect_and_the_same_answer(world: World) -> None:
    ask, place = world.staff, await world.a_department("Eyes")
    doctor = await world.a_doctor(place)
    requests: list[Callable[[], Awaitable[object]]] = [
        lambda: ask.open_department(admin, DepartmentForm(name="Ears")),
        lambda: ask.engage_doctor(admin, a_doctor_form(department_id=place.id)),
        lambda: ask.take_leave(admin, doctor.id, some_leave()), lambda: ask.engage(admin, a_member_form())]
    for request in requests:
        before = len(await world.entries())
        with changed(key="once"):
            answers = [*await asyncio.gather(request(), request(), request()), await request()]
        assert [answers[0]] * 4 == answers
        assert len(await world.entries()) == before + 1

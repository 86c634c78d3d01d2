"""Departments, on each engine."""
from __future__ import annotations

import asyncio

import pytest

from infirmary.contexts.staff.contract import Department, DepartmentForm, DepartmentInUse, NameTaken, NoSuchDepartment
from infirmary.contexts.staff.events import DepartmentChanged, ScheduleChanged
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, StaleVersion

from .builders import MONDAY, World, a_doctor_form, admin, nobody


async def test_an_opened_department_is_there_for_everybody(world: World) -> None:
    opened = await world.a_department("  Cardiology ", location="Level 2", icon="heart", accepts_first=True)
    assert opened == Department(id=opened.id, name="Cardiology", location="Level 2", icon="heart", accepts_first=True,
                                retired_at=None, version=1)
    assert await world.staff.department(nobody, opened.id) == opened
    assert (await world.staff.departments(nobody)).items == [opened]


async def test_departments_are_listed_by_name_as_people_sort_it(world: World) -> None:
    for name in ("Zentrallabor", "ear, nose, throat", "Éveil", "Augen"):
        await world.a_department(name)
    names, cursor = [], None
    while page := await world.staff.departments(nobody, limit=3, cursor=cursor):
        names += [one.name for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert names == ["Augen", "ear, nose, throat", "Éveil", "Zentrallabor"]


async def test_two_open_departments_never_share_a_name(world: World) -> None:
    await world.a_department("Pädiatrie")
    eyes = await world.a_department("Eyes")
    for name in ("Pädiatrie", " PADIATRIE ", "pädiatrie"):
        with pytest.raises(NameTaken):
            await world.a_department(name)
        with pytest.raises(NameTaken):
            await world.staff.replace_department(admin, eyes.id, DepartmentForm(name=name), if_match=1)
    assert await world.staff.department(nobody, eyes.id) == eyes


async def test_of_many_who_open_the_same_department_at_once_one_succeeds(world: World) -> None:
    answers = await asyncio.gather(*(world.a_department("Surgery") for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(answer, Department) for answer in answers) == 1
    assert sum(isinstance(answer, NameTaken) for answer in answers) == 11
    assert len(await world.facts(DepartmentChanged)) == 1


async def test_a_department_may_change_how_its_own_name_is_written(world: World) -> None:
    opened = await world.a_department("urology")
    changed = await world.staff.replace_department(admin, opened.id, DepartmentForm(name="Urology"), if_match=1)
    assert (changed.name, changed.version) == ("Urology", 2)


async def test_changing_from_a_stale_version_is_refused_and_changes_nothing(world: World) -> None:
    opened = await world.a_department()
    now = await world.staff.replace_department(admin, opened.id, DepartmentForm(name="Heart"), if_match=1)
    with pytest.raises(StaleVersion):
        await world.staff.replace_department(admin, opened.id, DepartmentForm(name="Hearts"), if_match=1)
    with pytest.raises(StaleVersion):
        await world.staff.close_department(admin, opened.id, if_match=1)
    assert await world.staff.department(nobody, opened.id) == now


async def test_of_many_changes_from_the_same_version_one_succeeds(world: World) -> None:
    opened = await world.a_department()
    answers = await asyncio.gather(
        *(world.staff.replace_department(admin, opened.id, DepartmentForm(name=f"Heart {at}"), if_match=1)
          for at in range(12)), return_exceptions=True)
    (won,) = [answer for answer in answers if isinstance(answer, Department)]
    assert sum(isinstance(answer, StaleVersion) for answer in answers) == 11
    assert await world.staff.department(nobody, opened.id) == won


async def test_a_closed_department_is_not_listed_and_its_name_is_free_again(world: World) -> None:
    opened = await world.a_department("Eyes")
    closed = await world.staff.close_department(admin, opened.id, if_match=1)
    assert closed.retired_at == MONDAY
    assert await world.staff.department(nobody, opened.id) == closed
    assert (await world.staff.departments(nobody)).items == []
    again = await world.a_department("Eyes")
    assert (await world.staff.departments(nobody)).items == [again]


async def test_a_closed_department_cannot_be_changed_or_closed_again(world: World) -> None:
    opened = await world.a_department()
    await world.staff.close_department(admin, opened.id, if_match=1)
    with pytest.raises(NotFound):
        await world.staff.close_department(admin, opened.id, if_match=2)
    with pytest.raises(NotFound):
        await world.staff.replace_department(admin, opened.id, DepartmentForm(name="Eyes"), if_match=2)


async def test_a_department_with_doctors_stays_open(world: World) -> None:
    place, other = await world.a_department("Eyes"), await world.a_department("Ears")
    doctor = await world.a_doctor(place)
    with pytest.raises(DepartmentInUse) as refused:
        await world.staff.close_department(admin, place.id, if_match=1)
    assert refused.value.extra == {"doctors": 1}
    await world.staff.replace_doctor(admin, doctor.id, a_doctor_form(department_id=other.id), if_match=1)
    await world.staff.close_department(admin, place.id, if_match=1)
    await world.staff.retire_doctor(admin, doctor.id, if_match=2)
    await world.staff.close_department(admin, other.id, if_match=1)


async def test_a_department_that_closes_while_a_doctor_joins_is_closed_or_has_the_doctor(world: World) -> None:
    for at in range(12):
        place = await world.a_department(f"Eyes {at}")
        joined, closed = await asyncio.gather(
            world.a_doctor(place), world.staff.close_department(admin, place.id, if_match=1), return_exceptions=True)
        if isinstance(closed, Department):
            assert isinstance(joined, NoSuchDepartment), at
        else:
            assert isinstance(closed, DepartmentInUse), at
            assert not isinstance(joined, BaseException), at


async def test_every_change_of_a_department_is_announced(world: World) -> None:
    place = await world.a_department("Eyes")
    await world.staff.replace_department(admin, place.id, DepartmentForm(name="Eye clinic"), if_match=1)
    await world.staff.close_department(admin, place.id, if_match=2)
    facts = await world.facts(DepartmentChanged, place.id)
    assert [(fact.version, fact.name, fact.active) for fact in facts] == [
        (1, "Eyes", True), (2, "Eye clinic", True), (3, "Eye clinic", False)]


async def test_a_new_name_or_way_of_booking_is_announced_for_each_doctor_at_work_there(world: World) -> None:
    place, other = await world.a_department("Eyes"), await world.a_department("Ears")
    here, left, elsewhere = [await world.a_doctor(one) for one in (place, place, other)]
    await world.staff.retire_doctor(admin, left.id, if_match=1)
    await world.staff.replace_department(admin, place.id, DepartmentForm(name="Eye clinic"), if_match=1)
    await world.staff.replace_department(admin, place.id, DepartmentForm(name="Eye clinic", accepts_first=True),
                                         if_match=2)
    await world.staff.replace_department(
        admin, place.id, DepartmentForm(name="Eye clinic", accepts_first=True, location="Level 3"), if_match=3)
    assert [(fact.version, fact.department_name, fact.accepts_first)
            for fact in await world.facts(ScheduleChanged, here.id)] == [
        (1, "Eyes", False), (2, "Eye clinic", False), (3, "Eye clinic", True)]
    assert len(await world.facts(ScheduleChanged, left.id)) == 2
    assert len(await world.facts(ScheduleChanged, elsewhere.id)) == 1
    assert (await world.staff.doctor(nobody, here.id)).department_name == "Eye clinic"


async def test_a_department_that_never_was_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.staff.department(nobody, new_id())
    with pytest.raises(NotFound):
        await world.staff.close_department(admin, new_id(), if_match=1)

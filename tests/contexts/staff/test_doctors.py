"""Doctors and other staff, on each engine."""
from __future__ import annotations

import asyncio

import pytest

from infirmary.contexts.staff.contract import (
    AmendDoctor,
    Doctor,
    NoSuchDepartment,
    Occupation,
    StaffMember,
)
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, StaleVersion

from .builders import MONDAY, World, a_doctor_form, a_member_form, admin, nobody


async def found(world: World, **filters: object) -> list[str]:
    return [one.family_name for one in (await world.staff.doctors(nobody, **filters)).items]   # type: ignore[arg-type]


async def test_an_engaged_doctor_is_there_for_everybody(world: World) -> None:
    place = await world.a_department("Cardiology")
    engaged = await world.a_doctor(place, given_name=" Amara ", family_name="Okafor", room="2.14")
    assert engaged == Doctor(id=engaged.id, name="Dr Amara Okafor", given_name="Amara", family_name="Okafor",
                             specialty="Cardiology", department_id=place.id, department_name="Cardiology", room="2.14",
                             retired_at=None, version=1)
    assert await world.staff.doctor(nobody, engaged.id) == engaged
    assert (await world.staff.doctors(nobody)).items == [engaged]


async def test_a_doctor_joins_a_department_that_is_open(world: World) -> None:
    closed = await world.a_department()
    await world.staff.close_department(admin, closed.id, if_match=1)
    doctor = await world.a_doctor()
    for nowhere in (new_id(), closed.id):
        with pytest.raises(NoSuchDepartment):
            await world.staff.engage_doctor(admin, a_doctor_form(department_id=nowhere))
        with pytest.raises(NoSuchDepartment):
            await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(department_id=nowhere), if_match=1)
    assert (await world.staff.doctors(nobody)).items == [doctor]


async def test_doctors_are_listed_by_family_name_page_by_page(world: World) -> None:
    place = await world.a_department()
    for family in ("Öztürk", "park", "Aalto", "O'Brien", "Zhou"):
        await world.a_doctor(place, family_name=family)
    for given in ("Bo", "Al"):
        await world.a_doctor(place, given_name=given, family_name="Nolan")
    names, cursor = [], None
    while page := await world.staff.doctors(nobody, limit=2, cursor=cursor):
        assert len(page.items) <= 2
        names += [one.name.removeprefix("Dr ").removeprefix("Amara ") for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert names == ["Aalto", "Al Nolan", "Bo Nolan", "O'Brien", "Öztürk", "park", "Zhou"]


async def test_a_search_finds_name_specialty_and_department_without_accents_or_case(world: World) -> None:
    heart, eyes = await world.a_department("Herz und Gefäße"), await world.a_department("Eyes")
    await world.a_doctor(heart, given_name="Zoë", family_name="Ångström", specialty="Kardiologie")
    await world.a_doctor(eyes, given_name="Łukasz", family_name="Nowak", specialty="Ophthalmology")
    assert await found(world, q="angstrom") == ["Ångström"]
    assert await found(world, q="ZOE ang") == ["Ångström"]
    assert await found(world, q="dr gefasse kardio") == ["Ångström"]
    assert await found(world, q="lukasz") == ["Nowak"]
    assert await found(world, q="  ophthalm   EYE ") == ["Nowak"]
    assert await found(world, q="o") == ["Ångström", "Nowak"]
    assert await found(world, q="") == ["Ångström", "Nowak"]
    assert await found(world, q="zoe nowak") == []


@pytest.mark.parametrize("q", ["%", "_", "!", "!%", "\\", "'", "%' OR 1=1 --"])
async def test_a_search_takes_every_sign_for_itself(world: World, q: str) -> None:
    place = await world.a_department()
    await world.a_doctor(place, family_name="Plain")
    await world.a_doctor(place, family_name=f"Odd {q}")
    assert await found(world, q=q) == [f"Odd {q}"]


async def test_more_words_than_count_narrow_no_further_and_do_no_harm(world: World) -> None:
    await world.a_doctor(family_name="Plain")
    assert await found(world, q="dr amara plain dr amara plain xyz") == ["Plain"]


async def test_doctors_are_filtered_by_department_and_specialty(world: World) -> None:
    heart, eyes = await world.a_department("Heart"), await world.a_department("Eyes")
    await world.a_doctor(heart, family_name="One", specialty="Kardiologie für Kinder")
    await world.a_doctor(heart, family_name="Two", specialty="Cardiology")
    await world.a_doctor(eyes, family_name="Three", specialty="Cardiology")
    assert await found(world, department_id=heart.id) == ["One", "Two"]
    assert await found(world, specialty="KARDIOLOGIE FUR KINDER") == ["One"]
    assert await found(world, specialty="cardiology", department_id=heart.id, q="dr") == ["Two"]
    assert await found(world, specialty="Cardio") == []


async def test_a_forged_cursor_is_refused_as_malformed(world: World) -> None:
    with pytest.raises(Malformed):
        await world.staff.doctors(nobody, cursor="bm9uc2Vuc2U=")


async def test_replacing_sets_everything_and_amending_what_is_named(world: World) -> None:
    place, other = await world.a_department("Eyes"), await world.a_department("Ears")
    doctor = await world.a_doctor(place)
    amended = await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room="3.01"), if_match=1)
    assert (amended.room, amended.name, amended.version) == ("3.01", doctor.name, 2)
    moved = await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(department_id=other.id), if_match=2)
    assert (moved.department_name, moved.room, moved.version) == ("Ears", "3.01", 3)
    form = a_doctor_form(given_name="Ama", family_name="Mensah", specialty="Ears", department_id=place.id, room="")
    replaced = await world.staff.replace_doctor(admin, doctor.id, form, if_match=3)
    assert (replaced.name, replaced.specialty, replaced.department_name, replaced.room) == (
        "Dr Ama Mensah", "Ears", "Eyes", "")
    assert await found(world, q="okafor") == []
    assert await found(world, q="mensah", specialty="ears") == ["Mensah"]
    assert await world.staff.doctor(nobody, doctor.id) == replaced


async def test_a_stale_version_is_refused_and_changes_nothing(world: World) -> None:
    doctor = await world.a_doctor()
    now = await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room="1"), if_match=1)
    for stale in (0, 1, 3):
        with pytest.raises(StaleVersion):
            await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room="2"), if_match=stale)
        with pytest.raises(StaleVersion):
            await world.staff.retire_doctor(admin, doctor.id, if_match=stale)
    assert await world.staff.doctor(nobody, doctor.id) == now
    assert len(await world.facts(ScheduleChanged, doctor.id)) == 2


async def test_of_many_amendments_from_the_same_version_one_succeeds(world: World) -> None:
    doctor = await world.a_doctor()
    answers = await asyncio.gather(
        *(world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room=str(at)), if_match=1) for at in range(12)),
        return_exceptions=True)
    (won,) = [answer for answer in answers if isinstance(answer, Doctor)]
    assert sum(isinstance(answer, StaleVersion) for answer in answers) == 11
    assert await world.staff.doctor(nobody, doctor.id) == won


async def test_a_retired_doctor_is_in_no_list_can_be_read_and_cannot_be_changed(world: World) -> None:
    place = await world.a_department()
    doctor = await world.a_doctor(place)
    retired = await world.staff.retire_doctor(admin, doctor.id, if_match=1)
    assert (retired.retired_at, retired.version) == (MONDAY, 2)
    assert await world.staff.doctor(nobody, doctor.id) == retired
    for filters in ({}, {"q": "okafor"}, {"department_id": place.id}, {"specialty": "cardiology"}):
        assert await found(world, **filters) == []
    with pytest.raises(NotFound):
        await world.staff.retire_doctor(admin, doctor.id, if_match=2)
    with pytest.raises(NotFound):
        await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room="1"), if_match=2)


async def test_somebody_who_joins_is_listed_by_family_name_and_can_be_found(world: World) -> None:
    place = await world.a_department()
    engaged = await world.staff.engage(admin, a_member_form(department_id=place.id))
    assert engaged == StaffMember(id=engaged.id, name="Siobhán Ní Bhriain", given_name="Siobhán",
                                  family_name="Ní Bhriain", occupation=Occupation.NURSE, department_id=place.id,
                                  retired_at=None, version=1)
    porter = await world.staff.engage(
        admin, a_member_form(given_name="Al", family_name="Adams", occupation=Occupation.OTHER))
    assert (await world.staff.members(admin)).items == [porter, engaged]
    assert (await world.staff.members(admin, q="siobhan NI")).items == [engaged]
    assert (await world.staff.members(admin, occupation=Occupation.OTHER)).items == [porter]
    assert (await world.staff.members(admin, department_id=place.id, q="b")).items == [engaged]
    first = await world.staff.members(admin, limit=1)
    assert (await world.staff.members(admin, limit=1, cursor=first.next_cursor)).items == [engaged]
    assert await world.staff.member(admin, engaged.id) == engaged


async def test_a_member_of_staff_changes_and_leaves(world: World) -> None:
    engaged = await world.staff.engage(admin, a_member_form())
    with pytest.raises(NoSuchDepartment):
        await world.staff.engage(admin, a_member_form(department_id=new_id()))
    with pytest.raises(NoSuchDepartment):
        await world.staff.replace_member(admin, engaged.id, a_member_form(department_id=new_id()), if_match=1)
    form = a_member_form(family_name="Byrne", occupation=Occupation.CASHIER)
    changed = await world.staff.replace_member(admin, engaged.id, form, if_match=1)
    assert (changed.name, changed.occupation, changed.version) == ("Siobhán Byrne", Occupation.CASHIER, 2)
    with pytest.raises(StaleVersion):
        await world.staff.retire_member(admin, engaged.id, if_match=1)
    left = await world.staff.retire_member(admin, engaged.id, if_match=2)
    assert left.retired_at == MONDAY
    assert (await world.staff.members(admin)).items == []
    assert await world.staff.member(admin, engaged.id) == left
    with pytest.raises(NotFound):
        await world.staff.replace_member(admin, engaged.id, form, if_match=3)
    with pytest.raises(NotFound):
        await world.staff.member(admin, new_id())

"""Hours, leave, and what is announced of them, on each engine."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace

from infirmary.contexts.staff.contract import (
    AmendDoctor,
    DepartmentForm,
    Hours,
    Leave,
    LeaveOverlaps,
    OpeningsOverlap,
)
from infirmary.contexts.staff.events import Away, ScheduleChanged
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, StaleVersion

from .builders import MONDAY, World, a_doctor_caller, a_week, admin, an_opening, nobody, reception, some_leave


async def test_a_doctor_without_hours_has_an_empty_week_at_version_0(world: World) -> None:
    doctor = await world.a_doctor()
    hours = await world.staff.hours(nobody, doctor.id)
    assert (hours.doctor_id, hours.weekly, hours.version) == (doctor.id, [], 0)
    with pytest.raises(NotFound):
        await world.staff.hours(nobody, new_id())


async def test_hours_are_set_from_version_0_and_changed_from_the_version_read(world: World) -> None:
    doctor = await world.a_doctor()
    late, early = an_opening(5, "14:00", "24:00", "Annex"), an_opening(1, "08:00", "12:00")
    first = await world.staff.set_hours(admin, doctor.id, a_week(late, early), if_match=0)
    assert first == Hours(doctor_id=doctor.id, visit_minutes=20, buffer_minutes=5, weekly=[early, late], version=1)
    assert await world.staff.hours(nobody, doctor.id) == first
    with pytest.raises(StaleVersion):
        await world.staff.set_hours(admin, doctor.id, a_week(), if_match=0)
    second = await world.staff.set_hours(admin, doctor.id, a_week(early, visit_minutes=30), if_match=1)
    assert await world.staff.hours(nobody, doctor.id) == second == replace(
        first, weekly=[early], visit_minutes=30, version=2)
    for stale in (0, 1, 3):
        with pytest.raises(StaleVersion):
            await world.staff.set_hours(admin, doctor.id, a_week(), if_match=stale)
    assert [fact.version for fact in await world.facts(ScheduleChanged, doctor.id)] == [1, 2, 3]


async def test_of_many_who_set_the_first_hours_at_once_one_succeeds(world: World) -> None:
    doctor = await world.a_doctor()
    answers = await asyncio.gather(
        *(world.staff.set_hours(admin, doctor.id, a_week(visit_minutes=5 * at), if_match=0) for at in range(1, 13)),
        return_exceptions=True)
    (won,) = [answer for answer in answers if isinstance(answer, Hours)]
    assert sum(isinstance(answer, StaleVersion) for answer in answers) == 11
    assert await world.staff.hours(nobody, doctor.id) == won


async def test_hours_that_overlap_are_refused_and_nothing_is_announced(world: World) -> None:
    doctor = await world.a_doctor()
    with pytest.raises(OpeningsOverlap):
        await world.staff.set_hours(admin, doctor.id, a_week(an_opening(1, "09:00", "12:00"),
                                                             an_opening(1, "11:55", "13:00")), if_match=0)
    assert (await world.staff.hours(nobody, doctor.id)).version == 0
    assert len(await world.facts(ScheduleChanged, doctor.id)) == 1


async def test_changing_hours_leaves_the_doctors_own_version_alone(world: World) -> None:
    doctor = await world.a_doctor()
    await world.staff.set_hours(admin, doctor.id, a_week(), if_match=0)
    await world.staff.take_leave(admin, doctor.id, some_leave())
    assert await world.staff.doctor(nobody, doctor.id) == doctor
    assert (await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room="1"), if_match=1)).version == 2


async def test_leave_is_taken_listed_and_taken_back(world: World) -> None:
    doctor = await world.a_doctor()
    later = await world.staff.take_leave(reception, doctor.id, some_leave(first_day=10, reason=" Family "))
    sooner = await world.staff.take_leave(a_doctor_caller(doctor.id), doctor.id, some_leave(first_day=1, days=2))
    assert (later.doctor_id, later.reason, later.ends_at - later.starts_at) == (doctor.id, "Family", timedelta(7))
    assert await world.staff.leaves(admin, doctor.id) == [sooner, later]
    await world.staff.end_leave(reception, doctor.id, sooner.id)
    assert await world.staff.leaves(admin, doctor.id) == [later]
    with pytest.raises(NotFound):
        await world.staff.end_leave(reception, doctor.id, sooner.id)


async def test_leave_is_listed_by_the_time_it_touches(world: World) -> None:
    doctor = await world.a_doctor()
    past = await world.staff.take_leave(admin, doctor.id, some_leave(first_day=-9, days=2))
    running = await world.staff.take_leave(admin, doctor.id, some_leave(first_day=-1, days=2))
    coming = await world.staff.take_leave(admin, doctor.id, some_leave(first_day=5, days=2))

    async def listed(from_day: float | None, to_day: float | None) -> list[Leave]:
        return await world.staff.leaves(admin, doctor.id,
                                        from_=None if from_day is None else MONDAY + timedelta(from_day),
                                        to=None if to_day is None else MONDAY + timedelta(to_day))

    assert await listed(None, None) == [running, coming]
    assert await listed(-20, None) == [past, running, coming]
    assert await listed(-8, 5) == [past, running]
    assert await listed(-7, 5.01) == [running, coming]
    assert await listed(None, 2) == [running]


async def test_leave_never_overlaps_and_the_refusal_names_what_is_in_the_way(world: World) -> None:
    doctor, colleague = await world.a_doctor(), await world.a_doctor()
    taken = await world.staff.take_leave(admin, doctor.id, some_leave(first_day=10, days=5))
    for first_day, days in ((10, 5), (9, 1.01), (14.99, 3), (11, 1), (9, 30)):
        with pytest.raises(LeaveOverlaps) as refused:
            await world.staff.take_leave(admin, doctor.id, some_leave(first_day=first_day, days=days))
        assert refused.value.extra == {"conflicts": [Away(taken.starts_at, taken.ends_at)]}
    await world.staff.take_leave(admin, doctor.id, some_leave(first_day=9, days=1))
    await world.staff.take_leave(admin, doctor.id, some_leave(first_day=15, days=1))
    await world.staff.take_leave(admin, colleague.id, some_leave(first_day=10, days=5))


async def test_of_much_leave_asked_for_at_once_what_is_taken_never_overlaps(world: World) -> None:
    doctor, dice = await world.a_doctor(), Random(7)
    wishes = [some_leave(first_day=dice.randrange(30), days=dice.randrange(1, 9)) for _ in range(40)]
    answers = await asyncio.gather(*(world.staff.take_leave(admin, doctor.id, wish) for wish in wishes),
                                   return_exceptions=True)
    taken = sorted((one for one in answers if isinstance(one, Leave)), key=lambda one: one.starts_at)
    assert taken
    assert all(one.ends_at <= following.starts_at for one, following in pairwise(taken))
    assert all(isinstance(one, Leave | LeaveOverlaps) for one in answers)
    assert await world.staff.leaves(admin, doctor.id) == taken
    facts = await world.facts(ScheduleChanged, doctor.id)
    assert [fact.version for fact in facts] == list(range(1, len(taken) + 2))
    assert [len(fact.away) for fact in facts] == list(range(len(taken) + 1))


async def test_leave_of_one_doctor_cannot_be_taken_back_by_way_of_another(world: World) -> None:
    doctor, colleague = await world.a_doctor(), await world.a_doctor()
    taken = await world.staff.take_leave(admin, doctor.id, some_leave())
    for caller in (admin, a_doctor_caller(colleague.id)):
        with pytest.raises(NotFound):
            await world.staff.end_leave(caller, colleague.id, taken.id)
    assert await world.staff.leaves(admin, doctor.id) == [taken]


async def test_leave_that_ended_within_thirty_days_is_still_announced(world: World) -> None:
    doctor = await world.a_doctor()
    for first_day, days in ((-60, 30), (-30, 0.01), (-1, 2), (50, 1)):
        await world.staff.take_leave(admin, doctor.id, some_leave(first_day=first_day, days=days))
    away = (await world.schedule(doctor.id)).away
    assert [(one.starts_at - MONDAY).days for one in away] == [-30, -1, 50]


async def test_each_change_announces_the_whole_schedule(world: World) -> None:
    place = await world.a_department("Eyes", accepts_first=True)
    doctor = await world.a_doctor(place, specialty="Retina")
    hours = await world.staff.set_hours(admin, doctor.id, a_week(), if_match=0)
    leave = await world.staff.take_leave(admin, doctor.id, some_leave(reason="an operation"))
    last = await world.schedule(doctor.id)
    assert last == ScheduleChanged(
        aggregate=doctor.id, version=3, doctor_name=doctor.name, specialty="Retina", room="2.14",
        department_id=place.id, department_name="Eyes", accepts_first=True, visit_minutes=20, buffer_minutes=5,
        weekly=hours.weekly, away=[Away(leave.starts_at, leave.ends_at)], active=True)
    await world.staff.end_leave(admin, doctor.id, leave.id)
    assert await world.schedule(doctor.id) == replace(last, version=4, away=[])
    await world.staff.amend_doctor(admin, doctor.id, AmendDoctor(room="9"), if_match=1)
    assert await world.schedule(doctor.id) == replace(last, version=5, away=[], room="9")
    await world.staff.retire_doctor(admin, doctor.id, if_match=2)
    assert await world.schedule(doctor.id) == replace(last, version=6, away=[], room="9", active=False)


async def test_nothing_of_a_retired_doctor_changes_any_more(world: World) -> None:
    doctor = await world.a_doctor()
    taken = await world.staff.take_leave(admin, doctor.id, some_leave())
    await world.staff.retire_doctor(admin, doctor.id, if_match=1)
    with pytest.raises(NotFound):
        await world.staff.set_hours(admin, doctor.id, a_week(), if_match=0)
    with pytest.raises(NotFound):
        await world.staff.take_leave(admin, doctor.id, some_leave(first_day=40))
    with pytest.raises(NotFound):
        await world.staff.end_leave(admin, doctor.id, taken.id)
    assert await world.staff.leaves(admin, doctor.id) == [taken]
    assert (await world.schedule(doctor.id)).version == 3


async def test_changes_made_at_once_never_share_a_version_and_the_last_fact_tells_them_all(world: World) -> None:
    """Hours, leave, the doctor, the move to another department and its new name, all at the same time."""
    for at in range(6):
        place, other = await world.a_department(f"Eyes {at}"), await world.a_department(f"Ears {at}")
        doctor, colleague = await world.a_doctor(place), await world.a_doctor(other)
        answers = await asyncio.gather(
            world.staff.set_hours(admin, doctor.id, a_week(), if_match=0),
            *(world.staff.take_leave(admin, doctor.id, some_leave(first_day=10 * n)) for n in range(1, 5)),
            world.staff.amend_doctor(admin, doctor.id, AmendDoctor(department_id=other.id, room="7"), if_match=1),
            world.staff.replace_department(admin, place.id, DepartmentForm(name=f"Eye clinic {at}"), if_match=1),
            world.staff.replace_department(admin, other.id, DepartmentForm(name=f"Ear clinic {at}", accepts_first=True),
                                           if_match=1),
            world.a_doctor(other, family_name=f"Newcomer {at}"),
            world.staff.set_hours(admin, colleague.id, a_week(), if_match=0))
        newcomer = answers[-2]
        for one in (doctor, colleague, newcomer):
            facts = await world.facts(ScheduleChanged, one.id)
            assert [fact.version for fact in facts] == list(range(1, len(facts) + 1))
            shown, hours = await world.staff.doctor(nobody, one.id), await world.staff.hours(nobody, one.id)
            leave = await world.staff.leaves(admin, one.id)
            assert facts[-1] == ScheduleChanged(
                aggregate=one.id, version=len(facts), doctor_name=shown.name, specialty=shown.specialty,
                room=shown.room, department_id=other.id, department_name=f"Ear clinic {at}", accepts_first=True,
                visit_minutes=hours.visit_minutes, buffer_minutes=hours.buffer_minutes, weekly=hours.weekly,
                away=[Away(taken.starts_at, taken.ends_at) for taken in leave], active=True)

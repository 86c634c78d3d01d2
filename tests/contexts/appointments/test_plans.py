"""Visits in a doctor's leave: seen before and after it is marked, moved together, each on its own, and moved back."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import (
    Appointment,
    RescheduleAppointment,
    SlotNotOffered,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.plans import (
    ItemStatus,
    MakePlan,
    MovePlan,
    NothingToMove,
    NotYourDiary,
    PlanAtWork,
    PlanIsOver,
    PlanStatus,
    Target,
    Unmoved,
    Whither,
)
from infirmary.contexts.appointments.contract.resources import SetParticipants
from infirmary.contexts.appointments.domain import plans
from infirmary.contexts.appointments.events import AppointmentRescheduled, MovePlanDone, PartOf, Received
from infirmary.contexts.appointments.service import AppointmentsService
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, Refusal, StaleVersion

from .builders import Clinic, as_doctor, as_patient, at, hours, nurse, opening, reception
from .test_races import overlaps

DAY = 7   # days from Monday morning to the leave
LEAVE = at(0, day=DAY), at(0, day=DAY + 1)


async def away(clinic: Clinic, doctor_id: UUID, *, version: int = 2, **more: object) -> None:
    await clinic.hear(hours(doctor_id, away=[LEAVE], version=version, **more))   # type: ignore[arg-type]


async def make(clinic: Clinic, doctor_id: UUID, whither: Whither = Whither.SAME_DOCTOR, *, caller: Caller = reception,
               ) -> MovePlan:
    return await clinic.ask.make_plan(caller, MakePlan(doctor_id=doctor_id, starts_at=LEAVE[0], ends_at=LEAVE[1],
                                                       whither=whither))


async def carried_out(clinic: Clinic, plan: MovePlan, *, caller: Caller = reception) -> MovePlan:
    await clinic.ask.apply_plan(caller, plan.id)
    await clinic.service.carry_out_plans()
    return await clinic.ask.plan(caller, plan.id)


async def undone(clinic: Clinic, plan: MovePlan) -> MovePlan:
    await clinic.ask.undo_plan(reception, plan.id)
    await clinic.service.carry_out_plans()
    return await clinic.ask.plan(reception, plan.id)


def stand(plan: MovePlan) -> list[tuple[ItemStatus, Unmoved | None]]:
    return [(item.status, item.why) for item in plan.items]


def where(visits: list[Appointment]) -> dict[UUID, tuple[UUID, datetime]]:
    return {one.id: (one.doctor_id, one.starts_at) for one in visits}


async def now(clinic: Clinic, visit: Appointment) -> Appointment:
    return await clinic.ask.appointment(reception, visit.id)


# --- Seeing them -----------------------------------------------------------------------------------------------------


async def test_visits_are_seen_before_leave_is_marked_and_after(clinic: Clinic):
    doctor = await clinic.doctor()
    inside, before = await clinic.book(doctor, at(9, day=DAY)), await clinic.book(doctor, at(9, day=DAY - 1))
    reaching_in = await clinic.book(doctor, at(9, 40, day=DAY), minutes=60)
    gone = await clinic.book(doctor, at(14, day=DAY))
    await clinic.ask.cancel(reception, gone.id, Why())
    assert await clinic.ask.under_leave(reception) == []
    [would] = await clinic.ask.under_leave(reception, doctor_id=doctor, from_=at(9, 10, day=DAY), to=at(9, 45, day=DAY))
    assert [one.id for one in would.visits] == [inside.id, reaching_in.id]
    await away(clinic, doctor)
    [there] = await clinic.ask.under_leave(reception)
    assert (there.doctor_id, there.starts_at, there.ends_at, there.count) == (doctor, *LEAVE, 2)
    assert before.id not in {one.id for one in there.visits}


async def test_leave_of_a_second_doctor_shows_the_visits_that_lack_them(every_clinic: Clinic):
    clinic = every_clinic
    doctor, second = await clinic.doctor(), await clinic.doctor()
    lacking = await clinic.book(doctor, at(9, day=DAY), participants=[second])
    await clinic.book(doctor, at(9, day=DAY - 1), participants=[second])
    gone = await clinic.book(doctor, at(14, day=DAY), participants=[second])
    await clinic.ask.cancel(reception, gone.id, Why())
    [would] = await clinic.ask.under_leave(reception, doctor_id=second, from_=LEAVE[0], to=LEAVE[1])
    await away(clinic, second)
    [there] = await clinic.ask.under_leave(reception)
    assert there == would
    assert (there.doctor_id, there.visits, there.count, there.accompanied) == (second, [], 0, (lacking,))
    assert await clinic.ask.under_leave(as_doctor(second)) == [there]
    assert await clinic.ask.under_leave(as_doctor(doctor)) == []
    await clinic.ask.set_participants(reception, lacking.id, SetParticipants(participants=[]), if_match=lacking.version)
    assert await clinic.ask.under_leave(reception) == []


async def test_nobody_sees_more_than_they_reach(clinic: Clinic):
    doctor, colleague = await clinic.doctor(), await clinic.doctor()
    await clinic.book(doctor, at(9, day=DAY))
    await away(clinic, doctor)
    assert len(await clinic.ask.under_leave(as_doctor(doctor))) == 1
    assert await clinic.ask.under_leave(as_doctor(colleague)) == []
    with pytest.raises(NotFound):
        await clinic.ask.under_leave(as_doctor(colleague), doctor_id=doctor)
    plan = await make(clinic, doctor)
    for ask in (clinic.ask.plan, clinic.ask.apply_plan, clinic.ask.undo_plan):
        with pytest.raises(NotFound):
            await ask(as_doctor(colleague), plan.id)
    assert (await clinic.ask.plans(as_doctor(colleague))).items == []
    assert [one.id for one in (await clinic.ask.plans(as_doctor(doctor))).items] == [plan.id]


@pytest.mark.parametrize("given", [{"from_": LEAVE[0]}, {"from_": LEAVE[0], "to": LEAVE[1]}])
async def test_half_a_question_is_malformed(clinic: Clinic, given: dict[str, datetime]):
    with pytest.raises(Malformed):
        await clinic.ask.under_leave(reception, **given)   # type: ignore[arg-type]


# --- Proposing -------------------------------------------------------------------------------------------------------


async def test_every_visit_is_proposed_the_nearest_time_and_no_time_twice(clinic: Clinic):
    doctor = await clinic.doctor(weekly=[opening(weekday, "09:00", "10:00") for weekday in range(1, 8)])
    booked = [await clinic.book(doctor, at(9, minute, day=DAY)) for minute in (0, 20, 40)]
    busy = await clinic.book(doctor, at(9, 40, day=DAY - 1))
    plan = await make(clinic, doctor)
    assert plan.status is PlanStatus.DRAFT
    assert [item.appointment_id for item in plan.items] == [one.id for one in booked]
    assert [item.to and item.to.starts_at for item in plan.items] == [
        at(9, 20, day=DAY - 1), at(9, day=DAY + 1), at(9, 20, day=DAY + 1)]
    assert where([await now(clinic, one) for one in [*booked, busy]]) == where([*booked, busy]), "nothing moves yet"


async def test_nobody_is_moved_to_today_and_nobody_to_where_they_are_elsewhere(clinic: Clinic):
    doctor, other, patient = await clinic.doctor(), await clinic.doctor(), new_id()
    await clinic.book(doctor, at(9, day=1), patient_id=patient)
    await clinic.book(other, at(9, day=2), patient_id=patient, minutes=480)
    plan = await clinic.ask.make_plan(reception, MakePlan(doctor_id=doctor, starts_at=at(0, day=1), ends_at=at(0, day=2)))
    assert plan.items[0].to is not None
    assert plan.items[0].to.starts_at == at(9, day=3), "the day before is today, the day after is theirs elsewhere"


async def test_colleagues_are_of_the_specialty_or_the_department(clinic: Clinic):
    doctor = await clinic.doctor()
    near = await clinic.doctor(doctor_name="Dr Alike", specialty="Cardiology", department_id=UUID(int=8))
    here = await clinic.doctor(doctor_name="Dr Here", specialty="Surgery")
    await clinic.doctor(doctor_name="Dr Gone", specialty="Cardiology", active=False)
    await clinic.book(doctor, at(9, day=DAY))
    for whither, who in ((Whither.SAME_SPECIALTY, near), (Whither.SAME_DEPARTMENT, here)):
        [item] = (await make(clinic, doctor, whither)).items
        assert item.to is not None
        assert (item.to.doctor_id, item.to.starts_at) == (who, at(9, day=DAY)), "the very same time"


async def test_where_nothing_is_free_the_plan_says_so(clinic: Clinic):
    doctor = await clinic.doctor()
    await clinic.book(doctor, at(9, day=DAY))
    assert stand(await make(clinic, doctor, Whither.SAME_SPECIALTY)) == [(ItemStatus.STANDING, Unmoved.NOTHING_FREE)]


async def test_a_plan_for_nothing_and_one_for_colleagues_by_a_doctor_are_refused(clinic: Clinic):
    doctor = await clinic.doctor()
    with pytest.raises(NothingToMove):
        await make(clinic, doctor)
    await clinic.book(doctor, at(9, day=DAY))
    with pytest.raises(NotYourDiary):
        await make(clinic, doctor, Whither.SAME_SPECIALTY, caller=as_doctor(doctor))
    assert (await make(clinic, doctor, caller=as_doctor(doctor))).by == "Doc Tor"
    with pytest.raises(Malformed):
        await clinic.ask.make_plan(reception, MakePlan(doctor_id=doctor, starts_at=LEAVE[1], ends_at=LEAVE[0]))


async def test_a_plan_takes_so_many_and_says_how_many_are_left(clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plans, "MOST", 2)
    doctor = await clinic.doctor()
    for hour in (9, 10, 11):
        await clinic.book(doctor, at(hour, day=DAY))
    plan = await make(clinic, doctor)
    assert (len(plan.items), plan.left_over) == (2, 1)


async def test_staff_choose_another_time_or_leave_a_visit_where_it_is(clinic: Clinic):
    doctor = await clinic.doctor()
    first, second = await clinic.book(doctor, at(9, day=DAY)), await clinic.book(doctor, at(10, day=DAY))
    plan = await make(clinic, doctor)
    offered = await clinic.ask.times_for(reception, plan.id, first.id)
    taken = {item.to.starts_at for item in plan.items[1:] if item.to}
    assert len(offered) == 8
    assert not taken & {one.starts_at for one in offered}, "what the other visit was given is not offered"
    edited = await clinic.ask.set_target(reception, plan.id, first.id, Target(starts_at=offered[5].starts_at), plan.version)
    edited = await clinic.ask.set_target(reception, plan.id, second.id, Target(), edited.version)
    assert stand(edited) == [(ItemStatus.PROPOSED, None), (ItemStatus.STANDING, Unmoved.LEFT_OUT)]
    with pytest.raises(StaleVersion):
        await clinic.ask.set_target(reception, plan.id, second.id, Target(), plan.version)
    for starts_at, no in ((at(9, 20, day=DAY), SlotNotOffered), (at(3, day=DAY + 2), SlotNotOffered)):
        with pytest.raises(no):
            await clinic.ask.set_target(reception, plan.id, second.id, Target(starts_at=starts_at), edited.version)
    with pytest.raises(TimeIsTaken):
        await clinic.ask.set_target(reception, plan.id, second.id, Target(starts_at=offered[5].starts_at), edited.version)
    done = await carried_out(clinic, edited)
    assert [(await now(clinic, one)).starts_at for one in (first, second)] == [offered[5].starts_at, second.starts_at]
    assert stand(done) == [(ItemStatus.MOVED, None), (ItemStatus.STANDING, Unmoved.LEFT_OUT)]


async def test_a_doctor_plans_within_their_own_diary(clinic: Clinic):
    doctor, colleague = await clinic.doctor(), await clinic.doctor()
    visit = await clinic.book(doctor, at(9, day=DAY))
    plan = await make(clinic, doctor, caller=as_doctor(doctor))
    with pytest.raises(NotFound):
        await clinic.ask.set_target(as_doctor(doctor), plan.id, visit.id,
                                    Target(starts_at=at(9, day=DAY), doctor_id=colleague), plan.version)


# --- Carrying it out -------------------------------------------------------------------------------------------------


async def test_each_visit_is_moved_once_and_announced_as_part_of_the_plan(clinic: Clinic):
    doctor = await clinic.doctor()
    booked = [await clinic.book(doctor, at(hour, day=DAY), minutes=40) for hour in (9, 10, 11)]
    await away(clinic, doctor)
    plan = await carried_out(clinic, await make(clinic, doctor))
    assert plan.status is PlanStatus.APPLIED
    assert stand(plan) == [(ItemStatus.MOVED, None)] * 3
    visits = [await now(clinic, one) for one in booked]
    assert where(visits) == {item.appointment_id: (item.to.doctor_id, item.to.starts_at) for item in plan.items if item.to}
    assert {one.ends_at - one.starts_at for one in visits} == {timedelta(minutes=40)}, "as long as before"
    assert await clinic.ask.under_leave(reception) == []
    facts = await clinic.facts()
    assert [fact.part_of for fact in facts if isinstance(fact, AppointmentRescheduled)] == [PartOf.MOVE_PLAN] * 3
    [whole] = [fact for fact in facts if isinstance(fact, MovePlanDone)]
    assert (whole.moved, whole.standing, whole.received) == (3, 0, [Received(doctor, 3)])
    steps = await clinic.ask.steps(reception, booked[0].id)
    assert [step.by for step in steps] == ["Re Ception"] * 2, "the history says who it was"
    again = await carried_out(clinic, plan)
    assert (again.version, len(await clinic.facts())) == (plan.version, len(facts)), "applied twice moves nothing twice"


async def test_what_cannot_be_moved_stays_with_the_reason_and_can_be_planned_again(clinic: Clinic):
    doctor = await clinic.doctor()
    taken, cancelled, moved = [await clinic.book(doctor, at(hour, day=DAY)) for hour in (9, 10, 11)]
    plan = await make(clinic, doctor)
    assert plan.items[0].to is not None
    await clinic.book(doctor, plan.items[0].to.starts_at)
    await clinic.ask.cancel(reception, cancelled.id, Why())
    await clinic.ask.reschedule(reception, moved.id, RescheduleAppointment(starts_at=at(15, day=DAY + 3)))
    done = await carried_out(clinic, plan)
    assert stand(done) == [(ItemStatus.STANDING, Unmoved.TIME_TAKEN), *[(ItemStatus.STANDING, Unmoved.CHANGED_SINCE)] * 2]
    await away(clinic, doctor)
    assert [one.id for one in (await clinic.ask.under_leave(reception))[0].visits] == [taken.id]
    [first, *_] = await clinic.ask.times_for(reception, done.id, taken.id)
    again = await clinic.ask.set_target(reception, done.id, taken.id, Target(starts_at=first.starts_at), done.version)
    assert (await carried_out(clinic, again)).items[0].status is ItemStatus.MOVED
    assert (await now(clinic, taken)).starts_at == first.starts_at


async def test_hours_that_change_meanwhile_are_obeyed(clinic: Clinic):
    doctor = await clinic.doctor()
    visit = await clinic.book(doctor, at(9, day=DAY))
    plan = await make(clinic, doctor)
    await clinic.hear(hours(doctor, weekly=[], version=2))
    assert stand(await carried_out(clinic, plan)) == [(ItemStatus.STANDING, Unmoved.NOT_OFFERED)]
    assert (await now(clinic, visit)).starts_at == visit.starts_at


async def test_all_of_it_moves_back_where_the_time_is_still_free(clinic: Clinic):
    doctor, colleague = await clinic.doctor(), await clinic.doctor(doctor_name="Dr Other")
    back, taken, since = [await clinic.book(doctor, at(hour, day=DAY)) for hour in (9, 10, 11)]
    plan = await carried_out(clinic, await make(clinic, doctor, Whither.SAME_SPECIALTY))
    assert (await now(clinic, back)).doctor_id == colleague
    await clinic.book(doctor, taken.starts_at)
    await clinic.ask.reschedule(reception, since.id, RescheduleAppointment(starts_at=at(15, day=DAY + 3)))
    over = await undone(clinic, plan)
    assert over.status is PlanStatus.UNDONE
    assert stand(over) == [(ItemStatus.MOVED_BACK, None), (ItemStatus.MOVED, Unmoved.TIME_TAKEN),
                           (ItemStatus.MOVED, Unmoved.CHANGED_SINCE)]
    visit = await now(clinic, back)
    assert (visit.doctor_id, visit.doctor_name, visit.starts_at) == (doctor, "Dr Amara Okafor", back.starts_at)
    assert [fact.received for fact in await clinic.facts() if isinstance(fact, MovePlanDone) and fact.undone] == [
        [Received(doctor, 1)]]
    assert (await undone(clinic, over)).version == over.version
    with pytest.raises(PlanIsOver):
        await clinic.ask.apply_plan(reception, plan.id)


async def test_nothing_moves_back_to_a_time_that_has_passed(clinic: Clinic):
    doctor = await clinic.doctor()
    await clinic.book(doctor, at(9, day=DAY))
    plan = await carried_out(clinic, await make(clinic, doctor))
    clinic.clock.advance(timedelta(days=DAY, hours=2))
    assert stand(await undone(clinic, plan)) == [(ItemStatus.MOVED, Unmoved.TIME_PAST)]


async def test_while_it_is_at_work_nobody_edits_it_and_nobody_undoes_it(clinic: Clinic):
    doctor = await clinic.doctor()
    visit = await clinic.book(doctor, at(9, day=DAY))
    plan = await make(clinic, doctor)
    at_work = await clinic.ask.apply_plan(reception, plan.id)
    assert at_work.status is PlanStatus.APPLYING
    with pytest.raises(PlanAtWork):
        await clinic.ask.undo_plan(reception, plan.id)
    with pytest.raises(PlanAtWork):
        await clinic.ask.set_target(reception, plan.id, visit.id, Target(), at_work.version)
    with pytest.raises(StaleVersion):
        await clinic.ask.apply_plan(reception, (await make(clinic, doctor)).id, if_match=7)


async def test_a_patient_cannot_plan_and_neither_can_a_nurse(clinic: Clinic):
    for caller in (as_patient(new_id()), nurse):
        with pytest.raises(Refusal, match="may not"):
            await clinic.ask.plans(caller)


# --- Races -----------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """The process is gone."""


async def test_after_a_kill_the_rest_is_done_and_nothing_twice(every_clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    clinic = every_clinic
    doctor = await clinic.doctor()
    booked = [await clinic.book(doctor, at(9 + place // 3, place % 3 * 20, day=DAY)) for place in range(8)]
    plan = await clinic.ask.apply_plan(reception, (await make(clinic, doctor)).id)
    whole, moved = AppointmentsService._move_item, Counter[UUID]()

    async def until_killed(self: AppointmentsService, plan: object, item: plans.Item, *rest: object) -> None:
        if moved.total() and moved.total() % 3 == 0 and not moved[item.appointment_id]:
            moved[item.appointment_id] += 1
            raise Killed
        await whole(self, plan, item, *rest)   # type: ignore[arg-type]
        moved[item.appointment_id] += 1
    monkeypatch.setattr(AppointmentsService, "_move_item", until_killed)
    for _ in range(4):
        try:
            await clinic.service.carry_out_plans()
        except Killed:
            continue
    done = await clinic.ask.plan(reception, plan.id)
    assert (done.status, Counter(item.status for item in done.items)) == (PlanStatus.APPLIED, {ItemStatus.MOVED: 8})
    assert {(await now(clinic, one)).version for one in booked} == {2}
    assert len([fact for fact in await clinic.facts() if isinstance(fact, MovePlanDone)]) == 1


async def test_two_plans_carried_out_by_many_move_each_visit_once(every_clinic: Clinic):
    clinic = every_clinic
    doctor, _ = await clinic.doctor(), await clinic.doctor(doctor_name="Dr Other")
    booked = [await clinic.book(doctor, at(9 + place // 3, place % 3 * 20, day=DAY)) for place in range(12)]
    made = [await make(clinic, doctor), await make(clinic, doctor, Whither.SAME_SPECIALTY)]
    await asyncio.gather(*(clinic.ask.apply_plan(reception, plan.id) for plan in made * 2))
    await asyncio.gather(*(clinic.service.carry_out_plans() for _ in range(3)))
    after = [await clinic.ask.plan(reception, plan.id) for plan in made]
    assert {plan.status for plan in after} == {PlanStatus.APPLIED}
    moved = Counter(item.appointment_id for plan in after for item in plan.items if item.status is ItemStatus.MOVED)
    assert moved == {one.id: 1 for one in booked}
    assert {item.why for plan in after for item in plan.items if item.status is ItemStatus.STANDING} == {
        Unmoved.CHANGED_SINCE}
    assert {(await now(clinic, one)).version for one in booked} == {2}
    assert overlaps(await clinic.visits()) == []
    assert len([one for one in await clinic.facts() if isinstance(one, MovePlanDone)]) == 2


async def test_a_plan_against_booking_loses_no_visit_and_books_no_time_twice(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor(weekly=[opening(weekday, "09:00", "11:00") for weekday in range(1, 8)])
    booked = [await clinic.book(doctor, at(9 + place // 3, place % 3 * 20, day=DAY)) for place in range(6)]
    plan = await make(clinic, doctor)
    await clinic.ask.apply_plan(reception, plan.id)
    wanted = [item.to.starts_at for item in plan.items if item.to]
    outcomes = await asyncio.gather(clinic.service.carry_out_plans(), *(clinic.book(doctor, one) for one in wanted),
                                    return_exceptions=True)
    assert {type(one) for one in outcomes[1:]} <= {Appointment, TimeIsTaken}
    done = await clinic.ask.plan(reception, plan.id)
    visits = await clinic.visits()
    assert overlaps(visits) == []
    assert {one.id for one in booked} <= {one.id for one in visits if one.status is Status.BOOKED}
    for item in done.items:
        visit = next(one for one in visits if one.id == item.appointment_id)
        assert visit.starts_at == (item.to.starts_at if item.status is ItemStatus.MOVED and item.to else item.starts_at)
        assert item.status is ItemStatus.MOVED or item.why is Unmoved.TIME_TAKEN


async def test_leave_against_booking_leaves_no_visit_unnoticed(every_clinic: Clinic):
    clinic = every_clinic
    doctors = [await clinic.doctor() for _ in range(4)]
    outcomes = await asyncio.gather(*(
        work for doctor in doctors for work in (
            *(clinic.book(doctor, at(9 + place // 3, place % 3 * 20, day=DAY)) for place in range(6)), away(clinic, doctor),
            *(clinic.book(doctor, at(13 + place // 3, place % 3 * 20, day=DAY)) for place in range(6)))),
        return_exceptions=True)
    assert {type(one) for one in outcomes} <= {Appointment, SlotNotOffered, type(None)}
    booked = {one.id for one in outcomes if isinstance(one, Appointment)}
    listed = {one.id for leave in await clinic.ask.under_leave(reception) for one in leave.visits}
    assert listed == booked, "no visit under the leave, or it stands on the list"

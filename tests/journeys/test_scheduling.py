"""Times are kept, freed, waited for and moved; visits recur; who walks in is called; two meet by video and one says how it
was."""
from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from infirmary.contexts.appointments.contract import (
    Appointment,
    Appointments,
    BookAppointment,
    HoldSlot,
    Mode,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.feedback import GiveFeedback
from infirmary.contexts.appointments.contract.plans import MakePlan, PlanStatus
from infirmary.contexts.appointments.contract.queue import CallNext, NobodyToCall, TakeNumber, TokenStatus
from infirmary.contexts.appointments.contract.series import BookSeries, CancelSeries, Frequency, MoveSeries, Recurrence
from infirmary.contexts.appointments.contract.video import EnterRoom, RoomState, Signal
from infirmary.contexts.appointments.contract.waitlist import JoinWaitlist, Standing
from infirmary.contexts.staff.contract import LeaveForm, Staff
from infirmary.kernel.access import Caller
from infirmary.kernel.errors import NotFound

from .clinic import Clinic
from .world import World

ALL_DAY = ("00:00", "23:55")


def wish(clinic: Clinic, caller: Caller, at: datetime, **more: object) -> BookAppointment:
    return BookAppointment(patient_id=caller.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=at, **more)


def soon(world: World) -> datetime:
    """The next full five minutes; nobody's clock is so much ahead."""
    grain = timedelta(minutes=5)
    return datetime.fromtimestamp(0, UTC) + ((world.clock.now() - datetime.fromtimestamp(0, UTC)) // grain + 1) * grain


async def test_a_time_that_is_held_is_nobody_elses_until_it_is_booked(world: World) -> None:
    clinic = await Clinic(world).open()
    rosa, ali = await clinic.sign_up("Rosa"), await clinic.sign_up("Ali")
    appointments, first = world.ask(Appointments), (await clinic.free())[0]
    held = await appointments.hold(rosa, HoldSlot(
        patient_id=rosa.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=first))
    assert first not in await clinic.free()
    with pytest.raises(TimeIsTaken):
        await appointments.book(ali, wish(clinic, ali, first))
    assert (await appointments.book(rosa, wish(clinic, rosa, first, hold_id=held.hold_id))).status is Status.BOOKED
    with pytest.raises(NotFound):
        await appointments.held(rosa, held.hold_id)


async def test_a_freed_time_is_offered_to_who_waits_for_it(world: World) -> None:
    clinic = await Clinic(world).open()
    rosa, ali = await clinic.sign_up("Rosa"), await clinic.sign_up("Ali")
    appointments, first = world.ask(Appointments), (await clinic.free())[0]
    booked = await appointments.book(rosa, wish(clinic, rosa, first))
    place = await appointments.join_waitlist(ali, JoinWaitlist(
        patient_id=ali.subjects["patient_id"], doctor_id=clinic.doctor.id, earliest=first, latest=first))
    assert place.status is Standing.WAITING
    await appointments.cancel(rosa, booked.id, Why())

    offered = await world.until(lambda: appointments.waiting(ali, place.id), lambda one: one.status is Standing.OFFERED)
    assert (offered.offer.starts_at, offered.offer.doctor_id) == (first, clinic.doctor.id)
    assert len(await clinic.titles(ali)) == 1
    with pytest.raises(TimeIsTaken):   # it is kept for Ali
        await appointments.book(rosa, wish(clinic, rosa, first))
    accepted = await appointments.accept_offer(ali, place.id)
    again = await appointments.accept_offer(ali, place.id)
    assert accepted.status is Standing.BOOKED
    assert accepted.appointment_id == again.appointment_id
    assert [one.id for one in (await appointments.appointments(ali)).items] == [accepted.appointment_id]


async def test_visits_in_a_leave_move_together_and_back(world: World) -> None:
    clinic = await Clinic(world).open()
    rosa, ali = await clinic.sign_up("Rosa"), await clinic.sign_up("Ali")
    appointments, staff, free = world.ask(Appointments), world.ask(Staff), await clinic.free()
    hers = await appointments.book(rosa, wish(clinic, rosa, free[0]))
    his = await appointments.book(ali, wish(clinic, ali, free[1]))
    since, until = world.day + timedelta(hours=8), world.day + timedelta(hours=10)
    leave = await staff.take_leave(clinic.as_doctor, clinic.doctor.id, LeaveForm(
        starts_at=since, ends_at=until, reason="Course"))
    await world.facts_arrive()
    [under] = await appointments.under_leave(clinic.reception, doctor_id=clinic.doctor.id)
    assert {one.id for one in under.visits} == {hers.id, his.id}

    plan = await appointments.make_plan(clinic.reception, MakePlan(
        doctor_id=clinic.doctor.id, starts_at=since, ends_at=until))
    assert {item.to.starts_at for item in plan.items}.isdisjoint(free[:6])
    await appointments.apply_plan(clinic.reception, plan.id, if_match=plan.version)

    def look() -> object:
        return appointments.plan(clinic.reception, plan.id)

    applied = await world.until(look, lambda one: one.status is PlanStatus.APPLIED)
    for item in applied.items:
        visit = await appointments.appointment(clinic.reception, item.appointment_id)
        assert visit.starts_at == item.to.starts_at >= until
    assert len(await clinic.titles(rosa)) == 2   # booked, moved

    await staff.end_leave(clinic.as_doctor, clinic.doctor.id, leave.id)
    await world.facts_arrive()
    await appointments.undo_plan(clinic.reception, plan.id, if_match=applied.version)
    await world.until(look, lambda one: one.status is PlanStatus.UNDONE)
    assert (await appointments.appointment(rosa, hers.id)).starts_at == hers.starts_at
    assert (await appointments.appointment(ali, his.id)).starts_at == his.starts_at


async def test_visits_recur_move_together_and_end_together(world: World) -> None:
    clinic = await Clinic(world).open()
    rosa = await clinic.sign_up()
    appointments, free = world.ask(Appointments), await clinic.free()
    series = await appointments.book_series(clinic.reception, BookSeries(
        patient_id=rosa.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=free[0],
        recurrence=Recurrence(frequency=Frequency.WEEKLY, count=4)))
    assert [one.local_start[11:16] for one in series.visits] == ["08:00"] * 4
    moved = await appointments.move_series(clinic.reception, series.id, MoveSeries(
        appointment_id=series.visits[2].id, starts_at=series.visits[2].starts_at + timedelta(minutes=40)))
    assert [one.local_start[11:16] for one in moved.visits] == ["08:00", "08:00", "08:40", "08:40"]
    await appointments.cancel_series(rosa, series.id, CancelSeries(from_appointment_id=series.visits[1].id))
    left = await appointments.series(rosa, series.id)
    assert [one.status for one in left.visits] == [Status.BOOKED, *[Status.CANCELLED] * 3]
    assert len(await clinic.titles(rosa)) > 1


async def test_who_walks_in_is_called_by_one_and_seen(world: World) -> None:
    clinic = await Clinic(world).open(hours=ALL_DAY)
    appointments = world.ask(Appointments)
    numbers = [await appointments.take_number(clinic.reception, TakeNumber(
        patient_id=(await clinic.sign_up(name)).subjects["patient_id"], department_id=clinic.doctor.department_id))
        for name in ("Lan", "Ines")]
    assert [one.number for one in numbers] == [1, 2]
    place = await appointments.link(clinic.reception, numbers[1].id)
    assert (await appointments.my_place(clinic.reception, place.secret)).place == 2

    calls = await asyncio.gather(*(appointments.call_next(clinic.as_doctor, CallNext(doctor_id=clinic.doctor.id))
                                   for _ in range(4)), return_exceptions=True)
    called = [one for one in calls if not isinstance(one, BaseException)]
    assert [one.number for one in called] == [1]   # the doctor has time for one
    assert all(isinstance(one, NobodyToCall) for one in calls if isinstance(one, BaseException))
    visit = await appointments.appointment(clinic.as_doctor, called[0].appointment_id)
    assert visit.status is Status.IN_PROGRESS
    await appointments.complete(clinic.as_doctor, visit.id)
    assert (await appointments.token_of(clinic.reception, numbers[0].id)).status is TokenStatus.SEEN
    second = await appointments.call_next(clinic.as_doctor, CallNext(doctor_id=clinic.doctor.id))
    assert second.number == 2
    assert (await appointments.my_place(clinic.reception, place.secret)).status is TokenStatus.CALLED


async def test_two_meet_by_video_and_one_says_how_it_was(world: World) -> None:
    clinic = await Clinic(world).open(hours=ALL_DAY)
    rosa, ali = await clinic.sign_up("Rosa"), await clinic.sign_up("Ali")
    appointments = world.ask(Appointments)
    visit: Appointment = await appointments.book(
        clinic.reception, wish(clinic, rosa, soon(world), mode=Mode.VIDEO, minutes=10))
    with pytest.raises(NotFound):
        await appointments.room(ali, visit.id)
    hers, his = uuid4(), uuid4()
    await appointments.enter_room(rosa, visit.id, EnterRoom(client=hers))
    room = await appointments.enter_room(clinic.as_doctor, visit.id, EnterRoom(client=his))
    assert (room.patient_there, room.state) == (True, RoomState.WAITING)
    await appointments.start(clinic.as_doctor, visit.id)
    await appointments.send_signal(rosa, visit.id, Signal(client=hers, to=his, data="{}"))
    await appointments.complete(clinic.as_doctor, visit.id)
    assert (await appointments.room(rosa, visit.id)).state is RoomState.OVER
    told = await appointments.give_feedback(rosa, visit.id, GiveFeedback(rating=5, comment="Kind"))
    assert (await appointments.feedback(rosa, visit.id)) == told
    with pytest.raises(NotFound):
        await appointments.feedback(ali, visit.id)

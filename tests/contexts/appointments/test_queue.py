"""Who comes without a booked time gets a number, stands in line with who is booked, and is called once."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Overbooking, Status, TimeIsTaken, TooEarly, Why
from infirmary.contexts.appointments.contract.queue import (
    CallNext,
    Delay,
    HasANumber,
    NobodyToCall,
    NotInThisPlace,
    OpenDisplay,
    Precedence,
    PutBefore,
    TakeNumber,
    Token,
)
from infirmary.contexts.appointments.events import CallTakenBack, NotSeenThatDay, VisitStarted
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, RoleMayNot
from infirmary.kernel.request import changed

from .builders import MONDAY, Clinic, as_doctor, as_patient, at, grains_of, hours, nurse, opening, reception
from .test_holds import holds
from .test_races import GONE, overlaps
from .test_waitlist import freed, join

HEART = UUID(int=7)
MINUTE = timedelta(minutes=1)


async def walks_in(clinic: Clinic, patient: UUID | None = None, **more: Any) -> Token:
    return await clinic.ask.take_number(reception, TakeNumber(
        **{"patient_id": patient or new_id(), "department_id": HEART, **more}))


async def call(clinic: Clinic, doctor: UUID, caller: Caller = nurse, **more: Any) -> Token:
    return await clinic.ask.call_next(caller, CallNext(doctor_id=doctor, **more))


async def checks_in(clinic: Clinic, doctor: UUID, starts_at: Any, patient: UUID | None = None) -> UUID:
    visit = await clinic.book(doctor, starts_at, patient_id=patient)
    return (await clinic.ask.check_in(reception, visit.id)).id


async def line(clinic: Clinic, caller: Caller = reception, **more: Any) -> list[Token]:
    return (await clinic.ask.queue(caller, **(more or {"department_id": HEART}))).items


async def nothing_overlaps(clinic: Clinic) -> None:
    """What is taken is what visits and holds take, each grain by one of them; what has ended early takes no more."""
    visits = [replace(one, ends_at=min(one.ends_at, five(one.changed_at)))
              if one.status in (Status.COMPLETED, Status.NO_SHOW) else one
              for one in await clinic.visits() if one.status not in GONE]
    assert overlaps(visits) == []
    assert await clinic.taken() == {grain: one.id for one in (*visits, *await holds(clinic)) for grain in grains_of(one)}


def five(moment: datetime) -> datetime:
    """Up to the next five minutes."""
    return MONDAY + -((MONDAY - moment) // (5 * MINUTE)) * 5 * MINUTE


async def at_nine(clinic: Clinic, **given: Any) -> UUID:
    doctor = await clinic.doctor(**given)
    clinic.clock.advance(at(9) - clinic.clock.now())
    return doctor


class TestNumbers:
    async def test_a_number_is_given_once_however_many_come_at_once(self, every_clinic: Clinic):
        clinic = every_clinic
        await at_nine(clinic)
        tokens = await asyncio.gather(*(walks_in(clinic) for _ in range(12)))
        assert sorted(one.number for one in tokens) == list(range(1, 13))
        await clinic.ask.leave_queue(reception, tokens[0].id, Why())
        assert (await walks_in(clinic)).number == 13, "never again that day"
        clinic.clock.advance(timedelta(days=1))
        assert (await walks_in(clinic)).number == 1

    async def test_nobody_stands_in_line_twice(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        await at_nine(clinic)
        attempts = await asyncio.gather(*(walks_in(clinic, patient) for _ in range(5)), return_exceptions=True)
        assert Counter(map(type, attempts)) == {Token: 1, HasANumber: 4}
        [first] = [one for one in attempts if isinstance(one, Token)]
        assert {one.extra["token_id"] for one in attempts if isinstance(one, HasANumber)} == {str(first.id)}

    async def test_asked_again_under_the_same_key_it_is_the_same_number(self, clinic: Clinic):
        await at_nine(clinic)
        body = TakeNumber(patient_id=new_id(), department_id=HEART)
        with changed(key="once"):
            assert await clinic.ask.take_number(reception, body) == await clinic.ask.take_number(reception, body)

    async def test_who_is_booked_and_checks_in_stands_in_the_same_queue(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        first = await walks_in(clinic)
        visit = await checks_in(clinic, doctor, at(9, 20))
        tokens = await line(clinic)
        assert [(one.number, one.booked_at, one.appointment_id) for one in tokens] == [
            (first.number, None, None), (2, at(9, 20), visit)]
        await clinic.ask.start(nurse, visit)
        assert [(one.number, one.status) for one in await line(clinic)] == [(2, "called"), (1, "waiting")]
        await clinic.ask.complete(nurse, visit)
        assert [one.number for one in await line(clinic)] == [1]

    async def test_a_department_that_is_not_there_has_no_queue(self, clinic: Clinic):
        await at_nine(clinic)
        for wrong in ({"department_id": new_id()}, {"doctor_id": new_id()}):
            with pytest.raises(NotFound):
                await line(clinic, **wrong)
        with pytest.raises(Malformed):
            await clinic.ask.queue(reception)
        with pytest.raises(NotFound):
            await walks_in(clinic, department_id=new_id())


class TestCalling:
    async def test_a_walk_in_who_is_called_has_a_visit_that_takes_the_time(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await at_nine(clinic)
        await walks_in(clinic, patient, reason="Cough")
        token = await call(clinic, doctor, as_doctor(doctor))
        [visit] = await clinic.visits()
        assert (token.status, token.room, token.appointment_id, token.patient_id) == (
            "called", "Room 3", visit.id, patient)
        assert (visit.status, visit.starts_at, visit.ends_at, visit.reason) == (
            Status.IN_PROGRESS, at(9), at(9, 20), "Cough")
        with pytest.raises(TimeIsTaken):
            await clinic.book(doctor, at(9, 15), minutes=20)
        with pytest.raises(TimeIsTaken):
            await clinic.book(await clinic.doctor(), at(9), patient_id=patient)
        await nothing_overlaps(clinic)
        assert [type(fact) for fact in await clinic.facts()][:1] == [VisitStarted]

    async def test_two_who_call_at_once_never_call_the_same(self, every_clinic: Clinic):
        clinic = every_clinic
        doctors = [await at_nine(clinic) for _ in range(4)]
        for _ in range(3):
            await walks_in(clinic)
        calls = await asyncio.gather(*(call(clinic, one) for one in doctors for _ in range(2)), return_exceptions=True)
        called = [one for one in calls if isinstance(one, Token)]
        assert Counter(map(type, calls)) == {Token: 3, NobodyToCall: 5}
        assert sorted(one.number for one in called) == [1, 2, 3]
        assert len({one.doctor_id for one in called}) == 3, "nobody sees two at once"
        await nothing_overlaps(clinic)

    async def test_calling_against_booking_the_same_time(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        for minute in range(0, 60, 20):
            clinic.clock.advance(at(9, minute) - clinic.clock.now())
            await walks_in(clinic)
            booked, called = await asyncio.gather(clinic.book(doctor, at(9, minute)), call(clinic, doctor),
                                                  return_exceptions=True)
            assert isinstance(booked, TimeIsTaken) != isinstance(called, NobodyToCall), (booked, called)
            await nothing_overlaps(clinic)

    async def test_a_waitlist_offer_against_a_walk_in(self, every_clinic: Clinic):
        """The offer is of a time that a visit of an hour would reach into."""
        clinic = every_clinic
        clinic.clock.advance(-timedelta(days=1))
        doctor = await clinic.doctor(minutes=60, weekly=[opening(1, "09:00", "11:00")])
        first, second = await clinic.book(doctor, at(9)), await clinic.book(doctor, at(10))
        place = await join(clinic, doctor, earliest=at(9), latest=at(11))
        clinic.clock.advance(at(9, 20) - clinic.clock.now())
        await clinic.ask.cancel(reception, first.id, Why())
        await walks_in(clinic)
        _, called = await asyncio.gather(freed(clinic, second), call(clinic, doctor), return_exceptions=True)
        await clinic.service.offer_freed()
        assert isinstance(called, Token)
        [visit] = [one for one in await clinic.visits() if one.status is Status.IN_PROGRESS]
        assert visit.ends_at in (at(10), at(10, 20)), "all of it, or until what is offered"
        offered = (await clinic.ask.waiting(reception, place.id)).status == "offered"
        assert offered == (visit.ends_at == at(10)), "nobody is lost: it is theirs, or they go on waiting"
        await nothing_overlaps(clinic)

    async def test_booked_time_belongs_to_the_booked_and_walk_ins_fill_the_rest(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        first = await walks_in(clinic)
        booked = await checks_in(clinic, doctor, at(9))
        assert (await call(clinic, doctor)).appointment_id == booked
        clinic.clock.advance(12 * MINUTE)
        await clinic.ask.complete(nurse, booked)   # early, so what is left is free
        called = await call(clinic, doctor)
        assert called.number == first.number
        assert called.appointment_id
        visit = await clinic.ask.appointment(nurse, called.appointment_id)
        assert (visit.starts_at, visit.ends_at) == (at(9, 15), at(9, 35))
        await nothing_overlaps(clinic)

    async def test_a_time_that_is_taken_is_refused_with_what_to_do(self, clinic: Clinic):
        doctor = await at_nine(clinic)
        await clinic.book(doctor, at(9))   # who has not come
        await walks_in(clinic)
        with pytest.raises(NobodyToCall) as refused:
            await call(clinic, doctor)
        assert "if its patient has not come, say so or move it" in refused.value.detail
        assert refused.value.extra["free_from"] == at(9, 20).isoformat()
        with pytest.raises(NobodyToCall):
            await call(clinic, await clinic.doctor(department_id=UUID(int=8)))

    async def test_an_emergency_is_called_over_whatever_the_doctor_has(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        await clinic.book(doctor, at(9))   # who has not come
        await walks_in(clinic)
        urgent = [await walks_in(clinic, precedence=Precedence.EMERGENCY, note="Chest pain") for _ in range(2)]
        calls = await asyncio.gather(*(call(clinic, doctor) for _ in range(3)), return_exceptions=True)
        called = [one for one in calls if not isinstance(one, BaseException)]
        assert sorted(one.number for one in called) == [one.number for one in urgent]   # and nobody else: no time is free
        seen = [await clinic.ask.appointment(nurse, one.appointment_id) for one in called]
        assert {(one.starts_at, one.lane, one.overbooked) for one in seen} == {
            (at(9), 1, Overbooking.URGENT), (at(9), 2, Overbooking.URGENT)}

    async def test_who_waits_for_one_doctor_is_not_called_by_another(self, clinic: Clinic):
        wanted, other = await at_nine(clinic), await clinic.doctor()
        await walks_in(clinic, doctor_id=wanted)
        second = await walks_in(clinic)
        assert (await call(clinic, other)).number == second.number
        with pytest.raises(NobodyToCall):
            await call(clinic, other)
        assert (await call(clinic, wanted)).number == 1

    async def test_a_patient_who_is_with_somebody_else_is_passed_over_and_keeps_their_place(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor, other = await at_nine(clinic), await clinic.doctor(department_id=UUID(int=8))
        await clinic.book(other, at(9), patient_id=patient)
        first, second = await walks_in(clinic, patient), await walks_in(clinic)
        assert (await call(clinic, doctor)).number == second.number
        assert (await clinic.ask.token_of(reception, first.id)).place == 1


class TestNotThere:
    async def test_back_in_line_gives_the_time_back_and_the_next_call_is_another_visit(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        first, second = await walks_in(clinic), await walks_in(clinic)
        called = await call(clinic, doctor)
        assert (await clinic.ask.recall(nurse, called.id)).calls == 2
        clinic.clock.advance(2 * MINUTE)
        back = await clinic.ask.back_in_line(nurse, called.id)
        assert (back.status, back.place, back.delay, back.appointment_id) == ("waiting", 2, Delay.NOT_THERE, None)
        assert (await call(clinic, doctor)).id == second.id
        [gone, _] = sorted(await clinic.visits(), key=lambda one: one.status is not Status.CANCELLED)
        assert gone.status is Status.CANCELLED
        assert [fact.status for fact in await clinic.facts() if isinstance(fact, CallTakenBack)] == [Status.CANCELLED]
        with pytest.raises(NotInThisPlace) as refused:
            await clinic.ask.back_in_line(nurse, first.id)
        assert refused.value.extra["token_status"] == "waiting"
        await nothing_overlaps(clinic)

    async def test_a_booked_visit_that_is_put_back_keeps_its_time(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        visit = await checks_in(clinic, doctor, at(9))
        token = await call(clinic, doctor)
        before = await clinic.taken()
        await clinic.ask.back_in_line(nurse, token.id)
        assert (await clinic.ask.appointment(nurse, visit)).status is Status.CHECKED_IN
        assert await clinic.taken() == before
        assert (await call(clinic, doctor)).appointment_id == visit

    async def test_not_there_is_said_after_the_time_of_grace(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        await walks_in(clinic)
        token = await call(clinic, doctor)
        with pytest.raises(TooEarly):
            await clinic.ask.not_there(nurse, token.id)
        clinic.clock.advance(5 * MINUTE)
        assert (await clinic.ask.not_there(nurse, token.id)).status == "no_show"
        [visit] = await clinic.visits()
        assert visit.status is Status.NO_SHOW
        await walks_in(clinic)
        assert (await call(clinic, doctor)).number == 2, "what is left of the time is free"
        await nothing_overlaps(clinic)

    async def test_putting_back_against_completing_is_one_of_the_two(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        await walks_in(clinic)
        token = await call(clinic, doctor)
        assert token.appointment_id
        outcomes = await asyncio.gather(clinic.ask.back_in_line(nurse, token.id),
                                        clinic.ask.complete(nurse, token.appointment_id), return_exceptions=True)
        now = await clinic.ask.token_of(nurse, token.id)
        [visit] = await clinic.visits()
        assert (now.status, visit.status) in (("waiting", Status.CANCELLED), ("seen", Status.COMPLETED)), outcomes
        assert sum(isinstance(one, Exception) for one in outcomes) == 1


class TestWhatPeopleAreTold:
    async def test_an_emergency_goes_first_and_those_behind_read_why(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        first, second = await walks_in(clinic), await walks_in(clinic)
        assert [(one.place, one.expected_at, one.delay) for one in await line(clinic)] == [
            (1, at(9), None), (2, at(9, 20), None)]
        urgent = await walks_in(clinic, precedence=Precedence.EMERGENCY, note="Chest pain")
        assert [(one.id, one.place, one.expected_at, one.delay) for one in await line(clinic)] == [
            (urgent.id, 1, at(9), None), (first.id, 2, at(9, 20), Delay.EMERGENCY),
            (second.id, 3, at(9, 40), Delay.EMERGENCY)]
        assert (await call(clinic, doctor)).id == urgent.id

    async def test_precedence_given_later_puts_before_and_says_so(self, clinic: Clinic):
        await at_nine(clinic)
        first, second = await walks_in(clinic), await walks_in(clinic)
        await clinic.ask.put_before(reception, second.id, PutBefore(precedence=Precedence.ELDERLY, note="87 years"))
        assert [(one.id, one.delay) for one in await line(clinic)] == [(second.id, None), (first.id, Delay.PRECEDENCE)]
        await clinic.ask.put_before(reception, second.id, PutBefore(precedence=Precedence.NONE, note="Mistaken"))
        assert [(one.id, one.delay) for one in await line(clinic)] == [(first.id, None), (second.id, Delay.REORDERED)]

    async def test_a_doctor_who_leaves_is_the_reason_that_is_read(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        leaving = await clinic.doctor()
        tokens = [await walks_in(clinic) for _ in range(3)]
        assert [one.expected_at for one in await line(clinic)] == [at(9), at(9), at(9, 20)]
        await clinic.hear(hours(leaving, away=[(at(9), at(23))], version=2))
        assert [(one.expected_at, one.delay) for one in await line(clinic)] == [
            (at(9), None), (at(9, 20), Delay.DOCTOR_LEFT), (at(9, 40), Delay.DOCTOR_LEFT)]
        await clinic.hear(hours(doctor, away=[(at(9), at(23))], version=2))
        assert {(one.expected_at, one.delay) for one in await line(clinic)} == {(None, Delay.DOCTOR_LEFT)}
        assert [one.id for one in await line(clinic)] == [one.id for one in tokens]

    async def test_what_visits_take_here_is_learned(self, clinic: Clinic):
        doctor = await at_nine(clinic)
        for _ in range(5):
            await walks_in(clinic)
            token = await call(clinic, doctor)
            clinic.clock.advance(10 * MINUTE)
            assert token.appointment_id
            await clinic.ask.complete(nurse, token.appointment_id)
        await walks_in(clinic)
        assert (await clinic.ask.queue(nurse, department_id=HEART)).minutes == 10

    async def test_time_that_passes_is_told_as_visits_that_take_longer(self, clinic: Clinic):
        doctor = await at_nine(clinic)
        first, second = await walks_in(clinic), await walks_in(clinic)
        await call(clinic, doctor)
        assert (await clinic.ask.token_of(nurse, second.id)).expected_at == at(9, 20)
        clinic.clock.advance(33 * MINUTE)
        told = await clinic.ask.token_of(nurse, second.id)
        assert (told.expected_at, told.delay) == (at(9, 35), Delay.TAKES_LONGER)
        await clinic.service.tend_queues()
        assert (await clinic.ask.token_of(nurse, second.id)).delay is Delay.TAKES_LONGER
        assert first.place == 1

    async def test_the_end_of_the_day_closes_the_queue_and_who_waits_is_told(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        first, second = await walks_in(clinic), await walks_in(clinic)
        await call(clinic, doctor)
        secret = (await clinic.ask.link(reception, second.id)).secret
        clinic.clock.advance(timedelta(hours=16))
        await asyncio.gather(clinic.service.tend_queues(), clinic.service.tend_queues())
        assert [(await clinic.ask.token_of(nurse, one.id)).status for one in (first, second)] == ["seen", "closed"]
        assert (await clinic.ask.my_place(Caller(), secret)).status == "closed"
        [told] = [fact for fact in await clinic.facts() if isinstance(fact, NotSeenThatDay)]
        assert (told.patient_id, told.number) == (second.patient_id, 2)
        with pytest.raises(NotInThisPlace):
            await clinic.ask.leave_queue(reception, second.id, Why())
        with pytest.raises(NobodyToCall):
            await call(clinic, doctor)


class TestWhoSeesWhat:
    async def test_a_doctor_finds_numbers_and_only_the_names_of_their_own(self, clinic: Clinic):
        doctor, other = await at_nine(clinic), await clinic.doctor()
        await walks_in(clinic)
        await walks_in(clinic, doctor_id=doctor)
        theirs = await walks_in(clinic, doctor_id=other, note="Deaf")
        seen = await line(clinic, as_doctor(doctor), doctor_id=doctor)
        assert [(one.number, one.patient_name) for one in seen] == [(1, ""), (2, "Pat Ient")]
        for attempt in (line(clinic, as_doctor(doctor), doctor_id=other), clinic.ask.token_of(as_doctor(doctor), theirs.id),
                        call(clinic, other, as_doctor(doctor)), clinic.ask.recall(as_doctor(doctor), theirs.id)):
            with pytest.raises(NotFound):
                await attempt

    async def test_a_private_link_shows_no_name_and_ends_with_the_visit(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        token = await walks_in(clinic, note="Deaf", reason="Cough")
        old = (await clinic.ask.link(reception, token.id)).secret
        secret = (await clinic.ask.link(reception, token.id)).secret
        with pytest.raises(NotFound):
            await clinic.ask.my_place(Caller(), old)
        mine = await clinic.ask.my_place(Caller(), secret)
        assert (mine.number, mine.place, mine.expected_at, mine.room) == (1, 1, at(9), "")
        assert not {"Pat", "Ient", "Cough", "Deaf"} & set(str(mine).replace("'", " ").split())
        called = await call(clinic, doctor)
        assert (await clinic.ask.my_place(Caller(), secret)).room == "Room 3"
        assert called.appointment_id
        await clinic.ask.complete(nurse, called.appointment_id)
        with pytest.raises(NotFound):
            await clinic.ask.my_place(Caller(), secret)

    async def test_a_screen_shows_numbers_and_rooms_until_its_link_is_ended(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await at_nine(clinic)
        opened = await clinic.ask.open_display(reception, OpenDisplay(department_id=HEART, name="Waiting room"))
        board = await clinic.ask.board(Caller(), opened.secret)
        assert (board.called, board.next, board.version) == ([], [], 0)
        for _ in range(3):
            await walks_in(clinic)
        await call(clinic, doctor, room="Room 9")
        board = await clinic.ask.board(Caller(), opened.secret)
        assert ([(one.number, one.room) for one in board.called], board.next) == ([(1, "Room 9")], [2, 3])
        assert "Ient" not in str(board)
        stream = (await clinic.ask.board_stream(Caller(), opened.secret)).chunks
        assert b"event: queue" in await anext(stream)
        [kept] = await clinic.ask.displays(reception)
        await clinic.ask.close_display(reception, kept.id)
        with pytest.raises(NotFound):
            await clinic.ask.board(Caller(), opened.secret)
        with pytest.raises(NotFound):
            await clinic.ask.board_stream(Caller(), opened.secret)

    async def test_no_secret_is_kept(self, clinic: Clinic, tmp_path: Path):
        await at_nine(clinic)
        token = await walks_in(clinic)
        secrets = [(await clinic.ask.link(reception, token.id)).secret,
                   (await clinic.ask.open_display(reception, OpenDisplay(department_id=HEART, name="Hall"))).secret]
        kept = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("*")))   # noqa: ASYNC240 – a few pages
        assert not any(secret.encode() in kept for secret in secrets)

    async def test_a_patient_may_not_look_at_the_queue(self, clinic: Clinic):
        await at_nine(clinic)
        with pytest.raises(RoleMayNot):
            await clinic.ask.queue(as_patient(new_id()), department_id=HEART)

"""Whatever happens in a queue: a place or a time that somebody was told is put back only for a reason, and they read it."""
from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from infirmary.contexts.appointments.contract import Status, Why
from infirmary.contexts.appointments.contract.queue import Delay, Precedence, PutBefore, Token, TokenStatus
from infirmary.contexts.appointments.domain import queue
from infirmary.contexts.appointments.domain.queue import Told
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Refusal

from .builders import CASES, Clinic, a_clinic, at, hours, nurse, reception
from .test_queue import MINUTE, at_nine, call, checks_in, line, nothing_overlaps, walks_in

D = Delay
REASONS = {   # what may put others back, by what happens; that visits take longer may show at any time
    "joins": {D.UNTIL_BOOKED}, "emergency": {D.EMERGENCY}, "precedence": {D.PRECEDENCE}, "checks_in": {D.BOOKED_TIME},
    "called": {D.BOOKED_TIME}, "seen": set(), "back": {D.CAME_BACK, D.NOT_THERE}, "leaves": set(),
    "put_before": {D.PRECEDENCE}, "put_behind": {D.REORDERED}, "doctor": {D.DOCTOR_LEFT}, "time": set()}
FAR = datetime.max.replace(tzinfo=at(0).tzinfo)


class Story:
    def __init__(self, clinic: Clinic, doctors: Sequence[UUID]) -> None:
        self.clinic, self.doctors, self.away, self.version = clinic, doctors, False, 1

    async def happens(self, what: str, n: int) -> None:
        ask, clinic = self.clinic.ask, self.clinic
        tokens = await line(clinic)
        waiting = [one for one in tokens if one.status is TokenStatus.WAITING]
        called = [one for one in tokens if one.status is TokenStatus.CALLED]
        doctor = self.doctors[n % 2]
        match what:
            case "joins":
                await walks_in(clinic, doctor_id=[None, None, doctor][n % 3])
            case "emergency":
                await walks_in(clinic, precedence=Precedence.EMERGENCY)
            case "precedence":
                await walks_in(clinic, precedence=Precedence.ELDERLY)
            case "checks_in":
                await checks_in(clinic, doctor, at(9) + 20 * (n + 1) * MINUTE)
            case "called":
                await call(clinic, doctor)
            case "seen" if called:
                [visit] = [one for one in await clinic.visits() if one.id == called[n % len(called)].appointment_id]
                if visit.status is Status.IN_PROGRESS:
                    await ask.complete(nurse, visit.id)
            case "back" if called:
                await ask.back_in_line(nurse, called[n % len(called)].id)
            case "leaves" if waiting:
                await ask.leave_queue(reception, waiting[n % len(waiting)].id, Why())
            case "put_before" | "put_behind" if waiting:
                precedence = Precedence.PREGNANT if what == "put_before" else Precedence.NONE
                await ask.put_before(reception, waiting[n % len(waiting)].id, PutBefore(precedence=precedence, note="so"))
            case "doctor":
                self.away, self.version = not self.away, self.version + 1
                away = [(at(8), at(23))] if self.away else []
                await clinic.hear(hours(self.doctors[1], away=away, version=self.version))
            case "time":
                clinic.clock.advance(3 * (n + 1) * MINUTE)
                if n % 2:
                    await clinic.service.tend_queues()


def put_back(before: Token, after: Token) -> tuple[bool, bool]:
    assert before.place
    assert after.place
    return after.place > before.place, (after.expected_at or FAR) > (before.expected_at or FAR)


@settings(max_examples=max(CASES // 8, 10), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(REASONS)), st.integers(0, 7)), min_size=5, max_size=25))
def test_no_place_and_no_time_goes_backwards_without_a_reason(steps: list[tuple[str, int]]) -> None:
    async def told() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with a_clinic(f"sqlite://{folder}/story.db") as clinic:
                story = Story(clinic, [await at_nine(clinic), await clinic.doctor()])
                for what, n in steps:
                    before = {one.id: one for one in await line(clinic)}
                    try:
                        await story.happens(what, n)
                    except Refusal:
                        continue
                    for one in await line(clinic):
                        was = before.get(one.id)
                        if was and was.status is one.status is TokenStatus.WAITING:
                            place, time = put_back(was, one)
                            assert not place or one.delay in REASONS[what], (what, was, one)
                            assert not time or one.delay in {*REASONS[what], D.TAKES_LONGER}, (what, was, one)
                        elif was and one.status is TokenStatus.WAITING:
                            assert one.delay is D.NOT_THERE
                places = [one.place for one in await line(clinic) if one.place]
                assert places == list(range(1, len(places) + 1))
                await nothing_overlaps(clinic)

    asyncio.run(told())


def test_a_few_minutes_without_a_reason_are_not_worth_telling() -> None:
    someone, nine = new_id(), 9 * 3600
    before = {someone: Told(2, nine)}
    assert queue.told_anew(before, {someone: Told(2, nine + 600)}, None) == before
    assert queue.told_anew(before, {someone: Told(2, nine + 900)}, None) == {someone: Told(2, nine + 900, D.TAKES_LONGER)}
    assert queue.told_anew(before, {someone: Told(2, nine + 600)}, D.DOCTOR_LEFT) == {
        someone: Told(2, nine + 600, D.DOCTOR_LEFT)}
    worse = {someone: Told(2, nine + 900, D.TAKES_LONGER)}
    assert queue.told_anew(worse, before, None) == before, "better again, so there is nothing to explain"


def test_what_a_visit_takes_is_the_middle_of_what_they_took_or_what_the_hours_say() -> None:
    took = [timedelta(minutes=one) for one in (8, 9, 10, 30, 31, 600)]
    schedule = queue.minutes_lately(took[:4], [])
    assert (schedule, queue.minutes_lately(took, [])) == (20, 10)

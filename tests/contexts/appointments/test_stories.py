"""Any story of bookings and moves, told to the context and to a model of twenty lines: they always agree."""
from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from infirmary.contexts.appointments.contract import (
    COMES_BEFORE,
    Because,
    NotInThisState,
    RescheduleAppointment,
    SlotNotOffered,
    Status,
    TimeIsPast,
    TimeIsTaken,
    TooEarly,
    Why,
)
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Refusal

from .builders import CASES, EVERY_DAY, Clinic, a_clinic, as_patient, at, opening, reception

S = Status
OPENS, CLOSES = at(9), at(11)   # on every day
WEEK = [opening(one.weekday, "09:00", "11:00") for one in EVERY_DAY]
MOVES = {   # name: (from which states, to which, not before its "day" or its "start")
    "accept": ({S.REQUESTED}, S.BOOKED, ""), "decline": ({S.REQUESTED}, S.DECLINED, ""),
    "cancel": ({S.REQUESTED, S.BOOKED}, S.CANCELLED, ""), "check_in": ({S.BOOKED}, S.CHECKED_IN, "day"),
    "start": ({S.BOOKED, S.CHECKED_IN}, S.IN_PROGRESS, "day"),
    "complete": ({S.CHECKED_IN, S.IN_PROGRESS}, S.COMPLETED, ""), "no_show": ({S.BOOKED}, S.NO_SHOW, "start")}
GIVEN = {"decline": [Because("no")], "cancel": [Why()]}


@dataclass(frozen=True)
class Visit:
    doctor: int
    patient: int
    starts: datetime
    ends: datetime
    status: Status
    version: int = 1


class Story(RuleBasedStateMachine):
    clinic: Clinic

    @initialize()
    def open(self) -> None:
        self.runner, self.stack = asyncio.Runner(), contextlib.AsyncExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.clinic = self.wait(self.stack.enter_async_context(a_clinic(f"sqlite://{folder}/story.db")))
        self.doctors = [self.wait(self.clinic.doctor(weekly=WEEK, accepts_first=accepts)) for accepts in (False, True)]
        self.patients = [new_id() for _ in range(3)]
        self.visits: dict[UUID, Visit] = {}
        self.ids: list[UUID] = []

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.wait(self.stack.aclose())
            self.runner.close()

    def wait(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def now(self) -> datetime:
        return self.clinic.clock.now()

    def asked(self, work: Any) -> Any:
        """The visit, or the class of the refusal."""
        try:
            return self.wait(work)
        except Refusal as refusal:
            return type(refusal)

    def refused(self, wanted: Visit, *, by_patient: bool, own: UUID | None = None) -> type[Refusal] | None:
        midnight = wanted.starts.replace(hour=0, minute=0)
        opens, closes = midnight + (OPENS - at(0)), midnight + (CLOSES - at(0))
        if wanted.starts < self.now:
            return TimeIsPast
        if not opens <= wanted.starts < wanted.ends <= closes or (by_patient and wanted.starts.minute % 20):
            return SlotNotOffered
        for key, visit in self.visits.items():
            shared = max(visit.starts, wanted.starts) < min(visit.ends, wanted.ends)
            if key != own and shared and (visit.doctor == wanted.doctor or visit.patient == wanted.patient):
                return TimeIsTaken
        return None

    @rule(doctor=st.integers(0, 1), patient=st.integers(0, 2), day=st.integers(0, 1), five=st.integers(-2, 25),
          lasts=st.integers(1, 8), by_patient=st.booleans())
    def book(self, doctor, patient, day, five, lasts, by_patient) -> None:
        starts = at(9, day=day) + timedelta(minutes=5 * five)
        wanted = Visit(doctor, patient, starts, starts + timedelta(minutes=20 if by_patient else 5 * lasts),
                       S.REQUESTED if by_patient and doctor else S.BOOKED)
        caller = as_patient(self.patients[patient]) if by_patient else reception
        answer = self.asked(self.clinic.book(
            self.doctors[doctor], starts, patient_id=self.patients[patient], caller=caller,
            minutes=None if by_patient else 5 * lasts))
        if expected := self.refused(wanted, by_patient=by_patient):
            assert answer is expected
        else:
            self.visits[answer.id] = wanted
            self.ids.append(answer.id)

    @precondition(lambda self: self.ids)
    @rule(which=st.integers(0, 99), doctor=st.integers(0, 1), day=st.integers(0, 1), five=st.integers(-2, 25),
          lasts=st.integers(0, 8), by_patient=st.booleans())
    def reschedule(self, which, doctor, day, five, lasts, by_patient) -> None:
        key = self.ids[which % len(self.ids)]
        before = self.visits[key]
        starts = at(9, day=day) + timedelta(minutes=5 * five)
        length = timedelta(minutes=20 if by_patient else 5 * lasts) or before.ends - before.starts
        status = before.status if not by_patient else S.REQUESTED if doctor else S.BOOKED
        wanted = replace(before, doctor=doctor, starts=starts, ends=starts + length, status=status,
                         version=before.version + 1)
        answer = self.asked(self.clinic.ask.reschedule(
            as_patient(self.patients[before.patient]) if by_patient else reception, key, RescheduleAppointment(
                starts_at=starts, doctor_id=self.doctors[doctor], minutes=None if by_patient else 5 * lasts or None)))
        if before.status not in (S.REQUESTED, S.BOOKED):
            assert answer is NotInThisState
        elif expected := self.refused(wanted, by_patient=by_patient, own=key):
            assert answer is expected
        else:
            assert answer.version == wanted.version
            self.visits[key] = wanted

    @precondition(lambda self: self.ids)
    @rule(which=st.integers(0, 99), move=st.sampled_from(sorted(MOVES)))
    def move(self, which, move) -> None:
        key = self.ids[which % len(self.ids)]
        visit, (states, after, since) = self.visits[key], MOVES[move]
        answer = self.asked(getattr(self.clinic.ask, move)(reception, key, *GIVEN.get(move, [])))
        earliest = {"day": min(visit.starts.replace(hour=0, minute=0), visit.starts - COMES_BEFORE), "start": visit.starts, "": self.now}[since]
        if visit.status not in states:
            assert answer is NotInThisState
        elif self.now < earliest:
            assert answer is TooEarly
        else:
            assert answer.status is after
            ends = {S.CANCELLED: visit.starts, S.DECLINED: visit.starts,
                    S.NO_SHOW: min(visit.ends, self.now), S.COMPLETED: max(visit.starts, min(visit.ends, self.now))}
            self.visits[key] = replace(visit, status=after, version=visit.version + 1, ends=ends.get(after, visit.ends))

    @rule(fives=st.integers(1, 12))
    def time_passes(self, fives) -> None:
        self.clinic.clock.advance(timedelta(minutes=5 * fives))

    @invariant()
    def what_is_taken_is_what_the_visits_take(self) -> None:
        expected = {}
        for key, visit in self.visits.items():
            moment = visit.starts
            while moment < visit.ends:
                for whose in (self.doctors[visit.doctor], self.patients[visit.patient]):
                    assert expected.setdefault((whose, int(moment.timestamp()) // 300), key) == key
                moment += timedelta(minutes=5)
        assert self.wait(self.clinic.taken()) == expected

    @invariant()
    def every_visit_is_where_the_model_has_it(self) -> None:
        kept = {visit.id: (visit.starts_at, visit.status, visit.version) for visit in self.wait(self.clinic.visits())}
        assert kept == {key: (visit.starts, visit.status, visit.version) for key, visit in self.visits.items()}


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=max(CASES // 5, 10), stateful_step_count=40, deadline=None)

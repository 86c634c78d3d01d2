"""What may become of a visit: every state and every move."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infirmary.contexts.appointments import events
from infirmary.contexts.appointments.contract import Mode, NotInThisState, RescheduleAppointment, Status, TooEarly
from infirmary.contexts.appointments.domain import hours, visits
from infirmary.contexts.appointments.domain.calendar import calendar_file
from infirmary.contexts.appointments.domain.participants import ALONE
from infirmary.contexts.appointments.domain.visits import Move

from .builders import MONDAY, a_schedule, a_visit, at

DUBLIN = ZoneInfo("Europe/Dublin")
S = Status
ALLOWED = {
    visits.ACCEPT: {S.REQUESTED: S.BOOKED},
    visits.DECLINE: {S.REQUESTED: S.DECLINED},
    visits.CANCEL: {S.REQUESTED: S.CANCELLED, S.BOOKED: S.CANCELLED},
    visits.CHECK_IN: {S.BOOKED: S.CHECKED_IN},
    visits.START: {S.BOOKED: S.IN_PROGRESS, S.CHECKED_IN: S.IN_PROGRESS},
    visits.COMPLETE: {S.CHECKED_IN: S.COMPLETED, S.IN_PROGRESS: S.COMPLETED},
    visits.NO_SHOW: {S.BOOKED: S.NO_SHOW}}


@pytest.mark.parametrize(("move", "status"), list(product(ALLOWED, Status)), ids=lambda one: getattr(one, "done", one))
def test_a_visit_moves_only_along_its_states(move: Move, status: Status):
    visit = a_visit(status)
    if status in ALLOWED[move]:
        moved = visits.moved(visit, move, now=at(9, 5), zone=DUBLIN, reason=" why ")
        assert (moved.status, moved.status_reason, moved.changed_at, moved.version) == (
            ALLOWED[move][status], "why", at(9, 5), 2)
    else:
        with pytest.raises(NotInThisState) as refused:
            visits.moved(visit, move, now=at(9, 5), zone=DUBLIN)
        assert refused.value.extra == {"visit_status": status.value}


@pytest.mark.parametrize("status", list(Status))
def test_only_what_has_not_begun_can_be_put_to_another_time(status: Status):
    def to_ten():
        return visits.rescheduled(a_visit(status), RescheduleAppointment(starts_at=at(10)), schedule=a_schedule(),
                                  by_staff=True, now=at(8), zone=DUBLIN, company=ALONE)
    if status in (S.REQUESTED, S.BOOKED):
        assert (to_ten().starts_at, to_ten().status) == (at(10), status)
    else:
        with pytest.raises(NotInThisState):
            to_ten()


@pytest.mark.parametrize("move", [visits.CHECK_IN, visits.START])
def test_the_day_of_a_visit_begins_at_midnight_where_the_hospital_is(move: Move):
    kolkata = ZoneInfo("Asia/Kolkata")   # its Monday begins on Sunday at 18:30 UTC
    with pytest.raises(TooEarly):
        visits.moved(a_visit(), move, now=datetime(2027, 2, 28, 18, 29, tzinfo=UTC), zone=kolkata)
    visits.moved(a_visit(), move, now=datetime(2027, 2, 28, 18, 30, tzinfo=UTC), zone=kolkata)


@pytest.mark.parametrize("move", [visits.CHECK_IN, visits.START])
def test_who_has_a_visit_soon_after_midnight_comes_before_it(move: Move):
    night = a_visit(starts_at=at(0, 10, day=1), ends_at=at(0, 30, day=1))
    with pytest.raises(TooEarly):
        visits.moved(night, move, now=at(22, 9), zone=DUBLIN)
    visits.moved(night, move, now=at(22, 10), zone=DUBLIN)


def test_nobody_has_failed_to_come_before_the_time_of_the_visit():
    with pytest.raises(TooEarly):
        visits.moved(a_visit(), visits.NO_SHOW, now=at(8, 59), zone=DUBLIN)
    visits.moved(a_visit(), visits.NO_SHOW, now=at(9), zone=DUBLIN)


@given(st.sampled_from(Status), st.integers(0, 30), st.integers(1, 12))
def test_what_is_freed_is_what_nobody_needs_any_more(status: Status, minute: int, fives: int):
    visit = a_visit(status, minutes=fives * 5, changed_at=at(9, minute))
    taken = hours.grains(visit.starts_at, visit.ends_at)
    kept = {S.DECLINED: 0, S.CANCELLED: 0, S.NO_SHOW: min(-(-minute // 5), fives),
            S.COMPLETED: min(-(-minute // 5), fives)}.get(status, fives)
    freed = visits.freed(visit)
    assert [grain for grain in taken if grain not in freed] == list(taken)[:kept]
    assert all(grain in taken for grain in freed)


def test_a_fact_says_who_and_when_but_never_why():
    visit = a_visit(reason="Chest pain", status_reason="Chest pain again")
    fact = visits.event(events.AppointmentRescheduled, visit, None, previous_starts_at=at(8),
                        previous_doctor_id=visit.doctor_id)
    assert (fact.aggregate, fact.version, fact.patient_name, fact.starts_at) == (visit.id, 1, "Pat Ient", at(9))
    assert b"Chest" not in msgspec.json.encode(fact)


@pytest.mark.parametrize(("status", "shown"), [(S.REQUESTED, "TENTATIVE"), (S.BOOKED, "CONFIRMED"),
                                               (S.COMPLETED, "CONFIRMED"), (S.CANCELLED, "CANCELLED")])
def test_a_calendar_keeps_when_and_where_but_neither_why_nor_who(status: Status, shown: str):
    visit = a_visit(status, reason="Chest pain", version=4, location="Room 3; ground\nfloor", changed_at=MONDAY)
    made = calendar_file(visit, hospital="Harbour Lane", address="Lane 4", host="h.test")
    assert b"Chest" not in made
    assert b"Pat" not in made
    calendar = icalendar.Calendar.from_ical(made)
    [event] = calendar.walk("VEVENT")
    assert "METHOD" not in calendar
    assert {name: str(event[name]) for name in ("UID", "SEQUENCE", "STATUS", "LOCATION", "SUMMARY")} == {
        "UID": f"{visit.id}@h.test", "SEQUENCE": "4", "STATUS": shown, "SUMMARY": "Dr Amara Okafor, Harbour Lane",
        "LOCATION": "Room 3; ground\nfloor, Harbour Lane, Lane 4"}
    assert event.decoded("DTSTART") == at(9)
    assert event.decoded("DTEND") == at(9) + timedelta(minutes=20)
    assert b"DTSTART:20270301T090000Z" in made


def test_a_video_visit_is_in_no_room():
    [event] = icalendar.Calendar.from_ical(calendar_file(a_visit(mode=Mode.VIDEO), hospital="H", address="A",
                                                         host="h.test")).walk("VEVENT")
    assert "LOCATION" not in event

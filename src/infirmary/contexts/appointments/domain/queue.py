"""Standing in line: who goes before whom, what everybody is told, and when one may be called.

The order is fixed by what is known when somebody joins (an emergency first, then by `due_at`), so a place changes only when
somebody is put before. What people are told is kept, and what is told next is never worse without a reason.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from msgspec import Struct, convert
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Mode, PatientNotActive, Status, TooEarly
from infirmary.contexts.appointments.contract import queue as contract
from infirmary.contexts.appointments.contract.queue import Delay, NotInThisPlace, Precedence, TakeNumber, TokenStatus
from infirmary.contexts.patients.contract import PatientCard

from . import hours
from .hours import GRAIN, Schedule
from .visits import Visit

HEAD_START = timedelta(minutes=30)   # of who has precedence, short of an emergency
SLACK = 2 * GRAIN                    # seconds by which an estimate may be wrong before it is told anew
REMEMBERED = 20                      # visits that say how long one takes here
TELLING = 5                          # of them at the least; with fewer, what the hours say counts
LONG = timedelta(hours=3)            # what took longer was forgotten to be completed
LOOKED_BACK = timedelta(days=14)
LINK_STAYS = timedelta(hours=12)     # after a number was given up, to read why
IN_LINE = (TokenStatus.WAITING, TokenStatus.CALLED)
_LINES = UUID("7b0f6c1e-5d0c-4f6e-9a51-2c5f0d1f9c11")


class Told(Struct, frozen=True, array_like=True):
    """`expected`: seconds since 1970, or None when nobody can say."""

    place: int
    expected: int | None
    delay: Delay | None = None


class Line(Struct, frozen=True):
    """The queue of one department on one day. `told`: what each who waits was told, as JSON has it."""

    id: UUID
    department_id: UUID
    department_name: str
    day: date
    last_number: int
    told: dict[str, Any]
    doctors: int
    minutes: int
    closed: bool
    version: int

    @property
    def known(self) -> dict[UUID, Told]:
        return convert(self.told, dict[UUID, Told])


class Token(Struct, frozen=True):
    """`open_about`: what one can stand in line for once, while in line: the patient, or the booked visit."""

    id: UUID
    line_id: UUID
    department_id: UUID
    number: int
    patient_id: UUID
    patient_name: str
    doctor_id: UUID | None
    doctor_name: str
    booked_at: datetime | None
    precedence: Precedence
    note: str
    reason: str
    status: TokenStatus
    open_about: UUID | None
    arrived_at: datetime
    due_at: datetime
    calls: int
    called_at: datetime | None
    ended_at: datetime | None
    room: str
    appointment_id: UUID | None
    link: str | None
    version: int

    @property
    def order(self) -> tuple[bool, datetime, int]:
        return self.precedence is not Precedence.EMERGENCY, self.due_at, self.number


class AtWork(Struct, frozen=True):
    """A doctor's time from now to the end of the day: pieces (seconds since 1970) and the grains that are taken in them."""

    doctor_id: UUID
    pieces: list[tuple[int, int]]
    busy: AbstractSet[int]
    free_from: int


def opened(department_id: UUID, department_name: str, day: date, minutes: int = 0) -> Line:
    return Line(line_id(department_id, day), department_id, department_name, day, 0, {}, 0, minutes, closed=False, version=1)


def line_id(department_id: UUID, day: date) -> UUID:
    """One for each department and day, whoever opens it."""
    return uuid5(_LINES, f"{department_id}/{day}")


def walk_in(body: TakeNumber, *, token_id: UUID, line: Line, patient: PatientCard, doctor_name: str, now: datetime) -> Token:
    if patient.retired:
        raise PatientNotActive
    return Token(token_id, line.id, line.department_id, line.last_number + 1, patient.id, patient.name, body.doctor_id,
                 doctor_name, None, body.precedence, body.note.strip(), body.reason.strip(), TokenStatus.WAITING,
                 patient.id, now, _due(now, body.precedence), 0, None, None, "", None, None, 1)


def checked_in(visit: Visit, *, token_id: UUID, line: Line, now: datetime) -> Token:
    """In line for the time that is booked; who comes late has lost that."""
    return Token(token_id, line.id, line.department_id, line.last_number + 1, visit.patient_id, visit.patient_name,
                 visit.doctor_id, visit.doctor_name, visit.starts_at, Precedence.NONE, "", "", TokenStatus.WAITING, visit.id,
                 now, max(visit.starts_at, now), 0, None, None, "", visit.id, None, 1)


def put_before(token: Token, precedence: Precedence, note: str) -> Token:
    _must_be(token, TokenStatus.WAITING)
    since = max(token.booked_at, token.arrived_at) if token.booked_at else token.arrived_at
    return replace(token, precedence=precedence, note=note.strip(), due_at=_due(since, precedence))


def called(token: Token, visit: Visit, *, room: str, now: datetime) -> Token:
    return replace(token, status=TokenStatus.CALLED, calls=token.calls + 1, called_at=now, room=room or visit.location,
                   doctor_id=visit.doctor_id, doctor_name=visit.doctor_name, appointment_id=visit.id)


def recalled(token: Token, *, now: datetime) -> Token:
    _must_be(token, TokenStatus.CALLED)
    return replace(token, calls=token.calls + 1, called_at=now)


def back_in_line(token: Token, *, now: datetime) -> Token:
    """As if they had come just now. A walk-in's visit is called off with it, so the next call makes another."""
    _must_be(token, TokenStatus.CALLED)
    visit_id = None if token.booked_at is None else token.appointment_id
    return replace(token, status=TokenStatus.WAITING, due_at=max(now, token.booked_at or now), called_at=None, room="",
                   appointment_id=visit_id)


def not_there(token: Token, *, now: datetime, grace: timedelta) -> Token:
    _must_be(token, TokenStatus.CALLED)
    if token.called_at is not None and now < token.called_at + grace:
        raise TooEarly("They may still come. Call them once more, or put them back in line; after the time of grace they "
                       "can be said not to be there.")
    return over(token, TokenStatus.NO_SHOW, now=now)


def left(token: Token, *, now: datetime) -> Token:
    _must_be(token, TokenStatus.WAITING)
    return over(token, TokenStatus.LEFT, now=now)


def over(token: Token, status: TokenStatus, *, now: datetime) -> Token:
    return replace(token, status=status, ended_at=now, open_about=None)


def of_record(token: Token, patient_id: UUID, name: str) -> Token:
    """The same number, on another record of the same person."""
    return replace(token, patient_id=patient_id, patient_name=name,
                   open_about=patient_id if token.open_about == token.patient_id else token.open_about)


def comes_first(token: Token) -> tuple[bool, tuple[bool, datetime, int]]:
    """Of two numbers of one person: who is called is called; else the one that is called sooner."""
    return token.status is not TokenStatus.CALLED, token.order


def waits_again(token: Token) -> Token:
    return replace(token, status=TokenStatus.WAITING, open_about=token.patient_id, ended_at=None)


def _must_be(token: Token, status: TokenStatus) -> None:
    if token.status is not status:
        raise NotInThisPlace(f"Number {token.number} is “{token.status.replace('_', ' ')}” by now. Look at the queue again "
                             "before you go on.", token_status=token.status.value)


def _due(since: datetime, precedence: Precedence) -> datetime:
    return since if precedence is Precedence.NONE else since - HEAD_START


# --- Calling ----------------------------------------------------------------------------------------------------------

def may_be_called(token: Token, doctor_id: UUID) -> bool:
    return token.doctor_id in (None, doctor_id)


def visit_now(token: Token, schedule: Schedule, busy: AbstractSet[int], *, visit_id: UUID, room: str, by: UUID | None,
              now: datetime, zone: ZoneInfo) -> Visit | None:
    """The visit of somebody without a booked time, from this five minutes or the next, until the usual end or whatever
    comes before. None where that would be less than half of what a visit takes."""
    this = hours.seconds(now) // GRAIN
    starts = next((grain for grain in (this, this + 1) if grain not in busy), None)
    if starts is None:
        return None
    whole = -(-schedule.visit_minutes * 60 // GRAIN)
    ends = next((grain for grain in range(starts, starts + whole) if grain in busy), starts + whole)
    if 2 * (ends - starts) < whole:
        return None
    starts_at = hours.instant(starts * GRAIN)
    return Visit(
        visit_id, token.patient_id, token.patient_name, schedule.doctor_id, schedule.doctor_name, schedule.department_id,
        schedule.department_name, starts_at, hours.instant(ends * GRAIN), hours.wall_time(starts_at, zone), zone.key,
        Mode.IN_PERSON, token.reason, Status.IN_PROGRESS, "",
        room or hours.location(schedule, now, zone) or schedule.room, now, by, now, 1)


# --- What people are told ---------------------------------------------------------------------------------------------

def at_work(schedules: Iterable[Schedule], busy: Mapping[UUID, AbstractSet[int]], called: Mapping[UUID, datetime],
            minutes: int, *, now: datetime, zone: ZoneInfo) -> list[AtWork]:
    """Who sees patients for the rest of the day. `called`: since when somebody is with them."""
    at, tonight = hours.seconds(now), hours.seconds(hours.start_of_day(hours.day_of(now, zone) + timedelta(days=1), zone))
    found = []
    for one in schedules:
        pieces = _present(one, at, tonight, zone)
        free_from = at
        if one.doctor_id in called:
            free_from = max(at, hours.seconds(called[one.doctor_id]) + minutes * 60)
            pieces = pieces or [(at, tonight)]   # outside of the hours, but here
        if pieces:
            found.append(AtWork(one.doctor_id, pieces, busy.get(one.doctor_id, frozenset()), free_from))
    return found


def _present(schedule: Schedule, since: int, until: int, zone: ZoneInfo) -> list[tuple[int, int]]:
    """The hours without leave."""
    pieces = [(max(one.begins, since), min(one.ends, until)) for one in hours.open_times(schedule, since, until, zone)]
    for away_from, away_until in schedule.away:
        pieces = [part for begins, ends in pieces
                  for part in ((begins, min(ends, away_from)), (max(begins, away_until), ends)) if part[0] < part[1]]
    return pieces


def minutes_lately(took: Sequence[timedelta], schedules: Sequence[Schedule]) -> int:
    """What a visit takes here: the median of the last twenty, or what the hours say while there were fewer than five."""
    known = [one.total_seconds() for one in took if one < LONG]
    if len(known) >= TELLING:
        return max(5, round(median(known) / 60))
    return round(median(one.visit_minutes for one in schedules)) if schedules else 20


def foretold(line: Sequence[Token], doctors: Sequence[AtWork], minutes: int) -> dict[UUID, Told]:
    """Everybody in their order, each with the doctor who is free first; nobody but the booked in booked time. To five
    minutes, upwards."""
    free, lasting, found = {one.doctor_id: one.free_from for one in doctors}, minutes * 60, dict[UUID, Told]()
    for place, token in enumerate(sorted(line, key=lambda one: one.order), 1):
        starts = [(at, one.doctor_id) for one in doctors if may_be_called(token, one.doctor_id)
                  and (at := _starts(one, free[one.doctor_id], token)) is not None]
        expected = None
        if starts:
            at, doctor_id = min(starts)
            free[doctor_id], expected = at + lasting, -(-at // GRAIN) * GRAIN
        found[token.id] = Told(place, expected)
    return found


def _starts(doctor: AtWork, at: int, token: Token) -> int | None:
    if token.booked_at is not None:
        at = max(at, hours.seconds(token.booked_at))
        return at if any(ends > at for _, ends in doctor.pieces) else None
    for begins, ends in doctor.pieces:
        at = max(at, begins)
        while at < ends and at // GRAIN in doctor.busy:
            at = (at // GRAIN + 1) * GRAIN
        if at < ends:
            return at
    return None


def told_anew(before: Mapping[UUID, Told], now_so: Mapping[UUID, Told], cause: Delay | None,
              back: UUID | None = None) -> dict[UUID, Told]:
    """What is told from now on. Whatever is later than it was has a reason: `cause`, or that visits take longer; a few
    minutes without one are not worth telling. Without a cause, only who waits for a booked time lets others by. `back`: who was called, was not there, and waits again."""
    found = {}
    for token_id, fresh in now_so.items():
        was = before.get(token_id)
        if was is None:
            found[token_id] = replace(fresh, delay=Delay.NOT_THERE if token_id == back else None)
        else:
            found[token_id] = _told_next(was, fresh, cause)
    return found


def _told_next(was: Told, fresh: Told, cause: Delay | None) -> Told:
    place_lost, time_lost = fresh.place > was.place, _later(was.expected, fresh.expected)
    if time_lost and cause is None and not place_lost and _a_little(was.expected, fresh.expected):
        return replace(fresh, expected=was.expected, delay=was.delay)
    if place_lost or time_lost:
        return replace(fresh, delay=cause or (Delay.UNTIL_BOOKED if place_lost else Delay.TAKES_LONGER))
    better = _later(fresh.expected, was.expected)
    return replace(fresh, delay=None if better else was.delay)


def shown_now(told: Told, now: datetime) -> Told:
    """As it reads at this instant: a time that has passed is told no more."""
    at = -(-hours.seconds(now) // GRAIN) * GRAIN
    if told.expected is None or told.expected >= at - GRAIN:
        return told
    return replace(told, expected=at, delay=Delay.TAKES_LONGER)


def _later(was: int | None, becomes: int | None) -> bool:
    return was is not None and (becomes is None or becomes > was)


def _a_little(was: int | None, becomes: int | None) -> bool:
    return was is not None and becomes is not None and becomes - was <= SLACK


def shown(token: Token, line: Line, *, now: datetime, named: bool = True) -> contract.Token:
    """`named`: to somebody who may know whose it is."""
    told = _told(token, line, now)
    return contract.Token(
        id=token.id, number=token.number, department_id=token.department_id,
        patient_id=token.patient_id if named else None, patient_name=token.patient_name if named else "",
        doctor_id=token.doctor_id, doctor_name=token.doctor_name, booked_at=token.booked_at, precedence=token.precedence,
        note=token.note if named else "", status=token.status, arrived_at=token.arrived_at,
        place=told.place if told else None, expected_at=_instant(told), delay=told.delay if told else None,
        calls=token.calls, called_at=token.called_at, room=token.room, appointment_id=token.appointment_id if named else None)


def my_place(token: Token, line: Line, *, now: datetime) -> contract.MyPlace:
    told = _told(token, line, now)
    return contract.MyPlace(
        number=token.number, department_name=line.department_name, status=token.status,
        place=told.place if told else None, expected_at=_instant(told), delay=told.delay if told else None,
        room=token.room if token.status is TokenStatus.CALLED else "", version=line.version)


def link_is_good(token: Token, now: datetime) -> bool:
    if token.status is TokenStatus.SEEN:
        return False
    return token.ended_at is None or now < token.ended_at + LINK_STAYS


def _told(token: Token, line: Line, now: datetime) -> Told | None:
    told = line.told.get(str(token.id)) if token.status is TokenStatus.WAITING else None
    return shown_now(convert(told, Told), now) if told else None


def _instant(told: Told | None) -> datetime | None:
    return None if told is None or told.expected is None else hours.instant(told.expected)

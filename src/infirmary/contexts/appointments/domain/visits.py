"""How a visit is booked, moved, and what becomes of it."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments import events
from infirmary.contexts.appointments.contract import (
    COMES_BEFORE,
    Appointment,
    BookAppointment,
    Mode,
    NotInThisState,
    Obstacle,
    ObstacleCode,
    Overbooking,
    Participant,
    ParticipantKind,
    RescheduleAppointment,
    Status,
    TooEarly,
)
from infirmary.contexts.patients.contract import PatientCard
from infirmary.kernel.errors import FieldError, Malformed

from . import hours
from .hours import Schedule
from .obstacles import in_time, obstacle, refusal
from .participants import ALONE, Company, in_the_way

E = TypeVar("E", bound=events.VisitChanged)

OPEN = (Status.REQUESTED, Status.BOOKED, Status.CHECKED_IN, Status.IN_PROGRESS)
MOVABLE = (Status.REQUESTED, Status.BOOKED)
GONE = (Status.DECLINED, Status.CANCELLED, Status.NO_SHOW)
LONGEST = timedelta(minutes=480)
LONGEST_BUFFER = timedelta(minutes=120)


class Visit(Struct, frozen=True):
    """An Appointment as it is kept."""

    id: UUID
    patient_id: UUID
    patient_name: str
    doctor_id: UUID
    doctor_name: str
    department_id: UUID
    department_name: str
    starts_at: datetime
    ends_at: datetime
    local_start: str
    zone: str
    mode: Mode
    reason: str
    status: Status
    status_reason: str
    location: str
    created_at: datetime
    created_by: UUID | None
    changed_at: datetime
    version: int
    buffer_minutes: int = 0
    lane: int = 0
    overbooked: Overbooking | None = None
    series_id: UUID | None = None
    participants: tuple[Participant, ...] = ()

    @property
    def doctors(self) -> list[UUID]:
        """Whose diaries it stands in; who answers for it is the first."""
        return doctors_of(self)

    @property
    def busy_until(self) -> datetime:
        """When the doctor is free again."""
        return self.ends_at + timedelta(minutes=self.buffer_minutes)


def doctors_of(visit: Visit | Appointment) -> list[UUID]:
    return [visit.doctor_id, *(one.id for one in visit.participants if one.kind is ParticipantKind.DOCTOR)]


class Move(NamedTuple):
    """A step from one state to the next. `since`: not before the visit's "day" (or COMES_BEFORE it, around midnight) or its "start"."""

    done: str
    before: tuple[Status, ...]
    after: Status
    event: type[events.VisitChanged]
    since: str = ""


ACCEPT = Move("accepted", (Status.REQUESTED,), Status.BOOKED, events.AppointmentAccepted)
DECLINE = Move("declined", (Status.REQUESTED,), Status.DECLINED, events.AppointmentDeclined)
CANCEL = Move("cancelled", MOVABLE, Status.CANCELLED, events.AppointmentCancelled)
CHECK_IN = Move("checked_in", (Status.BOOKED,), Status.CHECKED_IN, events.PatientCheckedIn, "day")
START = Move("started", (Status.BOOKED, Status.CHECKED_IN), Status.IN_PROGRESS, events.VisitStarted, "day")
COMPLETE = Move("completed", (Status.CHECKED_IN, Status.IN_PROGRESS), Status.COMPLETED, events.VisitCompleted)
NO_SHOW = Move("no_show", (Status.BOOKED,), Status.NO_SHOW, events.PatientDidNotCome, "start")
# Called from the queue, and not there: a booked visit waits again, that of a walk-in is called off until the next call.
PUT_BACK = Move("put_back", (Status.IN_PROGRESS,), Status.CHECKED_IN, events.CallTakenBack)
TAKE_BACK = Move("taken_back", (Status.IN_PROGRESS,), Status.CANCELLED, events.CallTakenBack)
NOT_THERE = Move("no_show", (Status.IN_PROGRESS,), Status.NO_SHOW, events.PatientDidNotCome)


_FOR_STAFF = {"minutes": "Leave this out: a visit lasts as long as its slot.",
              "overbook": "Leave this out: the desk decides whether a visit fits in between.",
              "participants": "Leave this out: the hospital decides who and what else a visit needs."}


def book(body: BookAppointment, *, visit_id: UUID, patient: PatientCard, schedule: Schedule | None, by_staff: bool,
         created_by: UUID | None, open_visits: int, most_open: int, now: datetime, zone: ZoneInfo,
         company: Company = ALONE) -> Visit:
    """The visit as asked for, or a refusal. Whether the time is still free is not decided here."""
    found = [obstacle(ObstacleCode.RECORD_CLOSED)] if patient.retired else []
    if not by_staff and open_visits >= most_open:
        found.append(obstacle(ObstacleCode.TOO_MANY_VISITS))
    schedule, starts_at, ends_at = _time(found, schedule, body, body.minutes, by_staff=by_staff, now=now, zone=zone,
                                         mode=body.mode, company=company)
    return Visit(
        visit_id, patient.id, patient.name, schedule.doctor_id, schedule.doctor_name, schedule.department_id,
        schedule.department_name, starts_at, ends_at, hours.wall_time(starts_at, zone), zone.key, body.mode,
        body.reason.strip(), _first_status(schedule, by_staff=by_staff), "",
        hours.location(schedule, starts_at, zone) or schedule.room, now, created_by, now, 1, schedule.buffer_minutes,
        participants=company.participants)


def rescheduled(visit: Visit, body: RescheduleAppointment, *, schedule: Schedule | None, by_staff: bool, now: datetime,
                zone: ZoneInfo, company: Company) -> Visit:
    """At the new time, with this company. Staff keep its length and its state; a patient's own move is as a new booking
    would be."""
    _must_be_in(visit, MOVABLE, "moved")
    minutes = body.minutes or ((visit.ends_at - visit.starts_at) // timedelta(minutes=1) if by_staff else None)
    schedule, starts_at, ends_at = _time([], schedule, body, minutes, by_staff=by_staff, now=now, zone=zone,
                                         mode=visit.mode, company=company)
    return replace(
        placed(visit, schedule, starts_at, ends_at, now=now, zone=zone), status_reason=body.reason.strip(),
        participants=company.participants,
        status=visit.status if by_staff else _first_status(schedule, by_staff=False))


def placed(visit: Visit, schedule: Schedule, starts_at: datetime, ends_at: datetime, *, now: datetime, zone: ZoneInfo,
           ) -> Visit:
    """The visit's next version, at this time of this doctor."""
    return replace(
        visit, doctor_id=schedule.doctor_id, doctor_name=schedule.doctor_name, department_id=schedule.department_id,
        department_name=schedule.department_name, starts_at=starts_at, ends_at=ends_at,
        local_start=hours.wall_time(starts_at, zone), zone=zone.key,
        location=hours.location(schedule, starts_at, zone) or schedule.room, status_reason="", changed_at=now,
        version=visit.version + 1, buffer_minutes=schedule.buffer_minutes, lane=0, overbooked=None)


def accompanied(visit: Visit, company: Company, *, now: datetime, zone: ZoneInfo) -> Visit:
    """The visit's next version, with this company at the same time. Who takes part already may stay."""
    _must_be_in(visit, OPEN, "changed")
    if found := in_the_way(company.without(visit.participants), visit.doctor_id, visit.starts_at, visit.ends_at, zone,
                           by_staff=True):
        raise refusal(found)
    return replace(visit, participants=company.participants, changed_at=now, version=visit.version + 1)


def over(visit: Visit, lane: int, why: Overbooking | None) -> Visit:
    """The same visit over others: there is no break after what has been put in between."""
    return replace(visit, lane=lane, overbooked=why, buffer_minutes=0)


def moved(visit: Visit, move: Move, *, now: datetime, zone: ZoneInfo, reason: str = "") -> Visit:
    _must_be_in(visit, move.before, move.done)
    if move.since == "day" and now < min(hours.start_of_day(hours.day_of(visit.starts_at, zone), zone),
                                         visit.starts_at - COMES_BEFORE):
        raise TooEarly("The visit is on another day. This can be said on its own day.")
    if move.since == "start" and now < visit.starts_at:
        raise TooEarly("The visit has not begun yet. This can be said once its time has come.")
    return replace(visit, status=move.after, status_reason=reason.strip(), changed_at=now, version=visit.version + 1)


def freed(visit: Visit) -> range:
    """The grains that a visit does not need any more, being in its present state."""
    taken = hours.grains(visit.starts_at, visit.ends_at)
    match visit.status:
        case Status.DECLINED | Status.CANCELLED:
            return taken
        case Status.NO_SHOW | Status.COMPLETED:   # what is left of it; what has passed stays as it was
            return range(max(taken.start, hours.grains(visit.changed_at, visit.changed_at).stop), taken.stop)
    return range(0)


def shown(visit: Visit) -> Appointment:
    return Appointment(**_fields(visit, Appointment))


def event(kind: type[E], visit: Visit, by_account: UUID | None, **more: Any) -> E:
    """The fact that made this version."""
    return kind(aggregate=visit.id, by_account=by_account, **_fields(visit, events.VisitChanged), **more)


def _fields(visit: Visit, into: type[Struct]) -> dict[str, Any]:
    names, read = _shared(into)
    return dict(zip(names, read(visit), strict=True))


@cache
def _shared(into: type[Struct]) -> tuple[list[str], attrgetter[Any]]:
    """The fields that a visit has too, found once and read together: lists of visits are read all day."""
    names = [name for name in into.__struct_fields__ if name in Visit.__struct_fields__]
    return names, attrgetter(*names)


def _first_status(schedule: Schedule, *, by_staff: bool) -> Status:
    return Status.REQUESTED if schedule.accepts_first and not by_staff else Status.BOOKED


def _must_be_in(visit: Visit, states: tuple[Status, ...], done: str) -> None:
    if visit.status not in states:
        stands, wanted = visit.status.replace("_", " "), done.replace("_", " ")
        raise NotInThisState(f"This visit stands at “{stands}”, and from there it cannot become “{wanted}”. "
                             "Look at it again before you go on.", visit_status=visit.status.value)


def _time(found: list[Obstacle], schedule: Schedule | None, body: BookAppointment | RescheduleAppointment,
          minutes: int | None, *, by_staff: bool, now: datetime, zone: ZoneInfo, mode: Mode,
          company: Company) -> tuple[Schedule, datetime, datetime]:
    """Whose hours, from and until; refuses with what was found before and all that is in the way of the time."""
    if not by_staff and (wrong := [FieldError(name, says) for name, says in _FOR_STAFF.items()
                                   if getattr(body, name) is not None]):
        raise Malformed(errors=wrong)
    starts_at = body.starts_at.astimezone(UTC)
    if mode is Mode.VIDEO and schedule is not None and not schedule.video:
        found.append(obstacle(ObstacleCode.NO_VIDEO))
    found += in_time(schedule, starts_at, minutes, by_staff=by_staff, now=now, zone=zone)
    lasts = timedelta(minutes=minutes or (schedule.visit_minutes if schedule else 0))
    if schedule is not None and abs(starts_at - now) <= hours.FORESEEN:
        found += in_the_way(company, schedule.doctor_id, starts_at, starts_at + lasts, zone, by_staff=by_staff)
    if found or schedule is None:
        raise refusal(found)
    return schedule, starts_at, starts_at + lasts

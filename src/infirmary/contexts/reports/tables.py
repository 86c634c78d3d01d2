"""The read model: one row per visit, department and registration, fed by facts, asked by day."""
from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Date,
    Index,
    Integer,
    Label,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    select,
)

from infirmary.contexts.appointments.contract import Status
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.db import with_kernel_tables
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement

from .domain import SEEN, STOOD, Visit

metadata = with_kernel_tables(MetaData())

visit = Table(
    "visit", metadata,
    Column("visit_id", Id, primary_key=True),
    Column("day", Date, nullable=False),
    Column("month", String(7), nullable=False),
    Column("department_id", Id, nullable=False),
    Column("department_name", String(100), nullable=False),
    Column("doctor_id", Id, nullable=False),
    Column("status", EnumText(Status), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("checked_in_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index("visit_by_day", "day", "department_id", "status"),   # all that most of the figures read
    Index("visit_by_month", "month", "day", "status"))

department = Table(
    "department", metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False))

registration = Table(
    "registration", metadata,
    Column("patient_id", Id, primary_key=True),
    Column("day", Date, nullable=False, index=True))


answer = Table(
    "answer", metadata,   # groups of five and more: nobody's alone
    Column("group_id", Id, primary_key=True),
    Column("department_id", Id, nullable=False),
    Column("day", Date, nullable=False),
    Column("answers", Integer, nullable=False),
    Column("points", Integer, nullable=False),
    Index("answer_by_day", "day"))


class AnswerGroup(Struct, frozen=True):
    """So many patients of a department answered, with so many points together."""

    group_id: UUID
    department_id: UUID
    day: date
    answers: int
    points: int


class RatingThere(Struct, frozen=True):
    department_id: UUID
    answers: int
    points: int


class KnownDepartment(Struct, frozen=True):
    id: UUID
    name: str
    active: bool
    version: int


class Registration(Struct, frozen=True):
    patient_id: UUID
    day: date


class DayCounts(Struct, frozen=True):
    day: date
    booked: int = 0
    completed: int = 0
    no_show: int = 0
    cancelled: int = 0


class MonthCounts(Struct, frozen=True):
    month: str
    booked: int = 0
    no_show: int = 0


class Usual(Struct, frozen=True):
    """`booked` visits on so many `days`: those on which somebody was to come. On the others it was closed."""

    booked: int
    days: int


class Now(Struct, frozen=True):
    """Visits of today, and requests from today on."""

    booked: int
    seen: int
    waiting: int
    requested: int


class Kept(Struct, frozen=True):
    """How many came and how many did not: lately, and in the same time before."""

    completed: int
    no_show: int
    completed_before: int
    no_show_before: int


class UsualThere(Usual, frozen=True):
    department_id: UUID


class NowThere(Now, frozen=True):
    department_id: UUID


class KeptThere(Kept, frozen=True):
    department_id: UUID


class BookedThere(Struct, frozen=True):
    department_id: UUID
    day: date
    booked: int


class NamedThere(Struct, frozen=True):
    department_id: UUID
    name: str


class Wait(Struct, frozen=True):
    checked_in_at: datetime
    started_at: datetime


VISITS = Rows(visit, Visit, key="visit_id", version=None)
DEPARTMENTS = Rows(department, KnownDepartment, version=None)
REGISTRATIONS = Rows(registration, Registration, key="patient_id", version=None)
ANSWERS = Rows(answer, AnswerGroup, key="group_id", version=None)
RATINGS_THERE = Query(select(
    answer.c.department_id, cast(func.sum(answer.c.answers), Integer).label("answers"),
    cast(func.sum(answer.c.points), Integer).label("points")).where(answer.c.day.between(
        bindparam("first"), bindparam("today"))).group_by(answer.c.department_id), RatingThere)
# The version of a row is that of the fact behind it: to replace a row is to delete the one that was read, and add.
FORGET_VISIT = Statement(
    delete(visit).where(visit.c.visit_id == bindparam("key"), visit.c.version == bindparam("seen")))
FORGET_DEPARTMENT = Statement(
    delete(department).where(department.c.id == bindparam("key"), department.c.version == bindparam("seen")))


def _count(name: str, *tests: ColumnElement[bool]) -> Label[int]:
    """Of the rows that pass. (SUM would do, but is a decimal on MySQL.)"""
    return func.count(case((and_(*tests), 1))).label(name)


_stood, _seen = visit.c.status.in_(STOOD), visit.c.status.in_(SEEN)
_completed, _no_show = visit.c.status == Status.COMPLETED, visit.c.status == Status.NO_SHOW
_there = visit.c.department_id

_shown_days = visit.c.day.between(bindparam("first"), bindparam("today"))
PER_DAY = Query(
    select(visit.c.day, _count("booked", _stood), _count("completed", _completed), _count("no_show", _no_show),
           _count("cancelled", visit.c.status == Status.CANCELLED)).where(_shown_days).group_by(visit.c.day), DayCounts)
BOOKED_THERE = Query(select(_there, visit.c.day, func.count().label("booked")).where(_shown_days, _stood)
                     .group_by(_there, visit.c.day), BookedThere)
PER_MONTH = Query(
    select(visit.c.month, _count("booked", _stood), _count("no_show", _no_show))
    .where(visit.c.month >= bindparam("first"), visit.c.day <= bindparam("today")).group_by(visit.c.month), MonthCounts)

_usual = func.count().label("booked"), func.count(visit.c.day.distinct()).label("days")
_usual_days = visit.c.day.in_(bindparam("days", expanding=True)), _stood
USUAL = Query(select(*_usual).where(*_usual_days), Usual)
USUAL_THERE = Query(select(*_usual, _there).where(*_usual_days).group_by(_there), UsualThere)

_today = visit.c.day == bindparam("today")
_now = (_count("booked", _today, _stood), _count("seen", _today, _seen),
        _count("waiting", _today, visit.c.status == Status.CHECKED_IN),
        _count("requested", visit.c.status == Status.REQUESTED))
_from_today = visit.c.day >= bindparam("today"), visit.c.status.in_([*STOOD, Status.REQUESTED])
NOW = Query(select(*_now).where(*_from_today), Now)
NOW_THERE = Query(select(*_now, _there).where(*_from_today).group_by(_there), NowThere)
WAITS = Query(select(visit.c.checked_in_at.label("checked_in_at"), visit.c.started_at.label("started_at"))
              .where(_today, visit.c.checked_in_at.is_not(None), visit.c.started_at.is_not(None)), Wait)

_lately = visit.c.day >= bindparam("lately")
_kept = (_count("completed", _lately, _completed), _count("no_show", _lately, _no_show),
         _count("completed_before", ~_lately, _completed), _count("no_show_before", ~_lately, _no_show))
_both_times = visit.c.day.between(bindparam("before"), bindparam("today"))
KEPT = Query(select(*_kept).where(_both_times), Kept)
KEPT_THERE = Query(select(*_kept, _there).where(_both_times).group_by(_there), KeptThere)

NAMED_THERE = Query(select(_there, func.max(visit.c.department_name).label("name"))
                    .where(_there.in_(bindparam("ids", expanding=True))).group_by(_there), NamedThere)
ALL_DEPARTMENTS = DEPARTMENTS.find()
NEW_PATIENTS = Query(select(func.count()).where(
    registration.c.day.between(bindparam("first"), bindparam("today"))), int)

"""Where visits are kept."""
from __future__ import annotations

from datetime import datetime
from functools import cache
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    func,
    or_,
    select,
    text,
    union_all,
    update,
)

from infirmary.contexts.appointments.contract import Appointment, Mode, Overbooking, Participant, Status
from infirmary.contexts.appointments.contract.resources import ResourceVisit
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.visits import GONE, MOVABLE, OPEN, Visit
from infirmary.kernel.database.columns import EnumText, Id, Json, UtcDateTime
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement

from . import days as days  # whose tables belong to the metadata, as those of the next
from . import feedback as feedback
from . import feeds as feeds
from . import holds as holds
from . import moved as moved
from . import participants as participants
from . import plans as plans
from . import queue as queue
from . import series as series
from . import taken as taken
from . import video as video
from . import waitlist as waitlist
from .base import metadata as metadata

schedule = Table(
    "schedule", metadata,
    Column("doctor_id", Id, primary_key=True),
    Column("doctor_name", String(220), nullable=False),
    Column("specialty", String(100), nullable=False),
    Column("room", String(200), nullable=False),
    Column("department_id", Id, nullable=False, index=True),
    Column("department_name", String(100), nullable=False),
    Column("accepts_first", Boolean, nullable=False),
    Column("visit_minutes", Integer, nullable=False),
    Column("buffer_minutes", Integer, nullable=False),
    Column("weekly", Json, nullable=False),
    Column("away", Json, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("video", Boolean, nullable=False, server_default="1"),
    Column("most_per_day", Integer),
    Column("overbook", Integer, nullable=False, server_default="0"))

appointment = Table(
    "appointment", metadata,
    Column("id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Column("patient_name", String(220), nullable=False),
    Column("doctor_id", Id, nullable=False),
    Column("doctor_name", String(220), nullable=False),
    Column("department_id", Id, nullable=False),
    Column("department_name", String(100), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("local_start", String(32), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("mode", EnumText(Mode), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("status", EnumText(Status), nullable=False),
    Column("status_reason", String(500), nullable=False),
    Column("location", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Id),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("buffer_minutes", Integer, nullable=False, server_default="0"),
    Column("lane", Integer, nullable=False, server_default="0"),
    Column("overbooked", EnumText(Overbooking)),
    Column("series_id", Id),
    Column("participants", Json(tuple[Participant, ...]), nullable=False,
           server_default=text("('[]')")),   # in brackets, for MySQL
    Index("appointment_of_series", "series_id"),
    Index("appointment_of_doctor", "doctor_id", "starts_at", "id"),
    Index("appointment_of_patient", "patient_id", "starts_at", "id"),
    Index("appointment_by_start", "starts_at", "id"))

step = Table(
    "step", metadata,
    Column("appointment_id", Id, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", EnumText(Status), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by_name", String(220), nullable=False),
    Column("by_account", Id),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("reason", String(500), nullable=False))

# Records of one person made one. What is here decides whose a visit is: those of a merged record move to the other, and
# the ones that moved go back when it stands by itself again.
merged_record = Table(
    "merged_record", metadata,
    Column("patient_id", Id, primary_key=True),
    Column("into_id", Id),
    Column("version", Integer, nullable=False))

moved_visit = Table(
    "moved_visit", metadata,
    Column("appointment_id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Index("moved_visit_of_patient", "patient_id", "appointment_id"))


class MergedRecord(Struct, frozen=True):
    patient_id: UUID
    into_id: UUID | None
    version: int


class MovedVisit(Struct, frozen=True):
    """`patient_id` is whose it was."""

    appointment_id: UUID
    patient_id: UUID


class Due(Struct, frozen=True):
    """A visit that is on another record than it should be."""

    id: UUID
    patient_id: UUID


class KeptStep(Struct, frozen=True):
    appointment_id: UUID
    version: int
    status: Status
    at: datetime
    by_name: str
    by_account: UUID | None
    starts_at: datetime
    reason: str


class Tally(Struct, frozen=True):
    """How many visits there are, how often they were changed in all, and when last."""

    visits: int
    versions: int | None
    changed_at: datetime | None


class Beginning(Struct, frozen=True):
    id: UUID
    doctor_id: UUID
    starts_at: datetime


class Accompanied(Struct, frozen=True):
    id: UUID
    participants: tuple[Participant, ...]


class Whereabouts(Struct, frozen=True):
    id: UUID
    starts_at: datetime
    location: str


SCHEDULES = Rows(schedule, Schedule, key="doctor_id")
VISITS = Rows(appointment, Visit)
STEPS = Rows(step, KeptStep, key="appointment_id", version=None)
MERGED = Rows(merged_record, MergedRecord, key="patient_id")
MOVED = Rows(moved_visit, MovedVisit, key="appointment_id", version=None)

SCHEDULES_OF = SCHEDULES.find(schedule.c.doctor_id.in_(bindparam("ids", expanding=True)))
ALL_SCHEDULES = SCHEDULES.find()
ACTIVE = SCHEDULES.find(schedule.c.active)
ACTIVE_IN = SCHEDULES.find(schedule.c.active, schedule.c.department_id == bindparam("department_id"))


class Change:
    """A compare-and-set of some columns on the version: True when it is this one that made the visit's new version.

    Only what the change is about: names are refreshed beside it, without a version.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._statement = Statement(update(appointment).where(
            appointment.c.id == bindparam("key"), appointment.c.version == bindparam("seen")).values(
            {name: bindparam(f"new_{name}", type_=appointment.c[name].type) for name in names}))

    async def __call__(self, tx: Transaction, visit: Visit) -> bool:
        new = {f"new_{name}": getattr(visit, name) for name in self._names}
        return await tx.run(self._statement, key=visit.id, seen=visit.version - 1, **new) == 1


_STATE = ("status", "status_reason", "changed_at", "version")
change_state = Change(*_STATE)
change_time = Change(*_STATE, "doctor_id", "doctor_name", "department_id", "department_name", "starts_at", "ends_at",
                     "local_start", "zone", "location", "buffer_minutes", "lane", "overbooked", "participants")
change_participants = Change("participants", "changed_at", "version")

# In a doctor's diary are their own visits, and those of colleagues in which they take part; none is both.
_IN_DIARY = (appointment.c.doctor_id == bindparam("doctor_id"), appointment.c.id.in_(participants.visits_of("doctor_id")))
_ahead = (appointment.c.status.in_(OPEN), appointment.c.ends_at > bindparam("now"),
          appointment.c.starts_at > bindparam("earliest_start"))   # for the index, which knows starts only
OPEN_VISITS = Query(select(func.count()).select_from(appointment).where(
    appointment.c.patient_id == bindparam("patient_id"), *_ahead), int)
VISITS_OF_SERIES = VISITS.find(
    appointment.c.series_id == bindparam("series_id"), order_by=[appointment.c.starts_at, appointment.c.id])
_under_leave = (appointment.c.status.in_(MOVABLE), appointment.c.starts_at > bindparam("earliest_start"),
                appointment.c.starts_at < bindparam("until"), appointment.c.ends_at > bindparam("since"))
UNDER_LEAVE, ACCOMPANIED_UNDER_LEAVE = (
    VISITS.find(whose, *_under_leave, order_by=[appointment.c.starts_at, appointment.c.id]) for whose in _IN_DIARY)
VISITS_AHEAD = Query(select(appointment.c.id, appointment.c.starts_at, appointment.c.location).where(
    appointment.c.doctor_id == bindparam("doctor_id"), *_ahead), Whereabouts)


def _renamed(whose: Column[UUID], *names: str) -> Statement:
    """Display copies on the visits ahead, where they differ."""
    new = {name: bindparam(f"new_{name}", type_=appointment.c[name].type) for name in names}
    return Statement(update(appointment).where(
        whose == bindparam("key"), *_ahead, or_(*(appointment.c[name] != new[name] for name in names))).values(new))


RENAME_PATIENT = _renamed(appointment.c.patient_id, "patient_name")
RENAME_DOCTOR = _renamed(appointment.c.doctor_id, "doctor_name", "department_id", "department_name")
WITH_THEM_AHEAD = Query(select(appointment.c.id, appointment.c.participants).where(
    appointment.c.id.in_(participants.visits_of("participant_id")), *_ahead), Accompanied)
_RENAME_PARTICIPANTS = Statement(update(appointment).where(appointment.c.id == bindparam("key")).values(
    participants=bindparam("new_participants", type_=appointment.c.participants.type)))
RELOCATE = Statement(update(appointment).where(
    appointment.c.doctor_id == bindparam("key"), appointment.c.id.in_(bindparam("ids", expanding=True))).values(
    location=bindparam("new_location", type_=appointment.c.location.type)))
WHO_HAS = Query(select(*(appointment.c[name] for name in ResourceVisit.__struct_fields__)).where(
    appointment.c.id.in_(participants.visits_of("resource_id")), appointment.c.starts_at >= bindparam("since"),
    appointment.c.starts_at < bindparam("until"), appointment.c.status.not_in(GONE)).order_by(
    appointment.c.starts_at, appointment.c.id), ResourceVisit)
# What is only shown is read as it is shown.
_shown = [appointment.c[name] for name in Appointment.__struct_fields__]
SHOWN = Query(select(*_shown).where(appointment.c.id == bindparam("key")), Appointment)
SHOWN_OF = Query(select(*_shown).where(appointment.c.id.in_(bindparam("ids", expanding=True))), Appointment)
_diary = union_all(*(select(appointment.c.version, appointment.c.changed_at).where(
    whose, appointment.c.starts_at >= bindparam("since"), appointment.c.starts_at < bindparam("until"))
    for whose in _IN_DIARY)).subquery()
TALLY = Query(select(
    func.count().label("visits"), func.sum(_diary.c.version).label("versions"),
    func.max(_diary.c.changed_at).label("changed_at")).select_from(_diary), Tally)
COUNTED = Query(select(appointment.c.id, appointment.c.doctor_id, appointment.c.starts_at).where(
    appointment.c.doctor_id.in_(bindparam("doctors", expanding=True)), appointment.c.starts_at >= bindparam("since"),
    appointment.c.starts_at < bindparam("until"), appointment.c.lane == 0, appointment.c.status.not_in(GONE)), Beginning)
STEPS_OF = STEPS.find(step.c.appointment_id == bindparam("key"), order_by=[step.c.version])

_FILTERS = {
    "patient_id": appointment.c.patient_id == bindparam("patient_id"),
    "department_id": appointment.c.department_id == bindparam("department_id"),
    "status": appointment.c.status == bindparam("status"),
    "since": appointment.c.starts_at >= bindparam("since"),
    "until": appointment.c.starts_at < bindparam("until")}


@cache
def pages(filters: frozenset[str], *, newest_first: bool) -> Pages[Appointment]:
    """Visits by their start, with `doctor_id` those of a diary; the statement is compiled once for each combination of
    filters."""
    core = select(*_shown).where(*(_FILTERS[name] for name in sorted(filters - {"doctor_id"})))
    own, *more = (core.where(whose) for whose in _IN_DIARY) if "doctor_id" in filters else (core,)
    return Pages(own, Appointment, [appointment.c.starts_at, appointment.c.id], *more, newest_first=newest_first)


async def rename_participant(tx: Transaction, participant: Participant, **ahead: datetime) -> None:
    """The display copies on the visits ahead, where they differ."""
    for visit in await tx.all(WITH_THEM_AHEAD, participant_id=participant.id, **ahead):
        named = tuple(participant if one.id == participant.id else one for one in visit.participants)
        if named != visit.participants:
            await tx.run(_RENAME_PARTICIPANTS, key=visit.id, new_participants=named)

"""Where visits are kept, and the rows that make a double booking impossible."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from operator import itemgetter
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)

from infirmary.contexts.appointments.contract import Appointment, Mode, Overbooking, Status
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import Schedule, grains
from infirmary.contexts.appointments.domain.visits import GONE, MOVABLE, OPEN, Visit
from infirmary.kernel.database.columns import EnumText, Id, Json, UtcDateTime
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement

from . import days as days  # whose tables belong to the metadata, as those of the next
from . import feedback as feedback
from . import feeds as feeds
from . import moved as moved
from . import plans as plans
from . import queue as queue
from . import series as series
from . import video as video
from . import waitlist as waitlist
from .base import metadata as metadata

BLOCK = 60   # grains whose bits a signed number of 64 has room for

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

# One row for every five minutes of a doctor and of a patient. Whoever inserts it first has the time; nothing else
# decides. In lane 0 is what was booked as usual; the further lanes of a doctor hold what is booked over it on purpose.
occupancy = Table(
    "occupancy", metadata,
    Column("resource_id", Id, primary_key=True),
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("appointment_id", Id, nullable=False),
    sqlite_with_rowid=False)   # the key is the table: half the pages to write

# A hold takes its time in `occupancy` as a visit does, under its own id. Who ends it (books it, lets go of it, or finds
# it lapsed and wants the time) deletes its row, which one of them can do, and the occupancy with it.
hold = Table(
    "hold", metadata,
    Column("id", Id, primary_key=True),
    Column("holder_id", Id, nullable=False, unique=True),
    Column("patient_id", Id, nullable=False),
    Column("doctor_id", Id, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("buffer_minutes", Integer, nullable=False, server_default="0"))

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


class Occupied(Struct, frozen=True):
    resource_id: UUID
    grain: int
    lane: int
    appointment_id: UUID


class Busy(Struct, frozen=True):
    """Grains that one of these has taken, as the bits of a number: a month of a department is some hundred rows, and
    not some ten thousand."""

    resource_id: UUID
    block: int
    bits: int

    def grains(self) -> Iterator[int]:
        first, bits = self.block * BLOCK, self.bits
        while bits:
            low = bits & -bits
            yield first + low.bit_length() - 1
            bits ^= low


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


class Whereabouts(Struct, frozen=True):
    id: UUID
    starts_at: datetime
    location: str


SCHEDULES = Rows(schedule, Schedule, key="doctor_id")
OCCUPANCY = Rows(occupancy, Occupied, key="resource_id", version=None)
HOLDS = Rows(hold, Hold)
VISITS = Rows(appointment, Visit)
STEPS = Rows(step, KeptStep, key="appointment_id", version=None)
MERGED = Rows(merged_record, MergedRecord, key="patient_id")
MOVED = Rows(moved_visit, MovedVisit, key="appointment_id", version=None)

ACTIVE = SCHEDULES.find(schedule.c.active)
ACTIVE_IN = SCHEDULES.find(schedule.c.active, schedule.c.department_id == bindparam("department_id"))
_between = (occupancy.c.grain >= bindparam("since"), occupancy.c.grain < bindparam("until"))
_of = occupancy.c.resource_id.in_(bindparam("resources", expanding=True))
_bit = cast(1, BigInteger).bitwise_lshift(occupancy.c.grain % BLOCK)
BUSY = Query(select(
    occupancy.c.resource_id, cast(occupancy.c.grain // BLOCK, BigInteger).label("block"),
    cast(func.sum(_bit.distinct()), BigInteger).label("bits")).where(_of, *_between).group_by("resource_id", "block"), Busy)
OCCUPIED = OCCUPANCY.find(_of, *_between)
_FREE = Statement(delete(occupancy).where(
    occupancy.c.resource_id == bindparam("resource"), occupancy.c.lane == bindparam("lane"), *_between,
    or_(occupancy.c.grain < bindparam("keep_since"), occupancy.c.grain >= bindparam("keep_until")),
    occupancy.c.appointment_id == bindparam("appointment_id")))

ONE_HOLD = "hold_holder_id"   # the unique row that a second hold of the same patient runs into
# Nearly always empty, and never longer than the people who are booking just now.
_lapsed = hold.c.expires_at <= bindparam("now")
HOLDS_OF = HOLDS.find(hold.c.id.in_(bindparam("ids", expanding=True)))
LAPSED = HOLDS.find(_lapsed)
NO_OBSTACLES = HOLDS.find(or_(_lapsed, hold.c.holder_id == bindparam("patient_id")))
LIVING = HOLDS.find(hold.c.doctor_id.in_(bindparam("doctors", expanding=True)), hold.c.expires_at > bindparam("now"),
                    hold.c.starts_at >= bindparam("since"), hold.c.starts_at < bindparam("until"))
HELD_FOR = HOLDS.find(hold.c.holder_id == bindparam("holder_id"))
GIVING_WAY = HOLDS.find(or_(hold.c.holder_id == bindparam("holder_id"), and_(
    _lapsed, or_(hold.c.doctor_id == bindparam("doctor_id"), hold.c.patient_id == bindparam("patient_id")),
    hold.c.starts_at < bindparam("ends_at"), hold.c.ends_at > bindparam("starts_at"))))
_AS_SEEN = (hold.c.id == bindparam("key"), hold.c.version == bindparam("seen"),
            hold.c.patient_id == bindparam("patient"))   # who may be known by another record meanwhile
_END = Statement(delete(hold).where(*_AS_SEEN))
_RENEW = Statement(update(hold).where(*_AS_SEEN).values(
    expires_at=bindparam("new_expires_at", type_=UtcDateTime), version=hold.c.version + 1))


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
                     "local_start", "zone", "location", "buffer_minutes", "lane", "overbooked")

_ahead = (appointment.c.status.in_(OPEN), appointment.c.ends_at > bindparam("now"),
          appointment.c.starts_at > bindparam("earliest_start"))   # for the index, which knows starts only
OPEN_VISITS = Query(select(func.count()).select_from(appointment).where(
    appointment.c.patient_id == bindparam("patient_id"), *_ahead), int)
VISITS_OF_SERIES = VISITS.find(
    appointment.c.series_id == bindparam("series_id"), order_by=[appointment.c.starts_at, appointment.c.id])
UNDER_LEAVE = VISITS.find(
    appointment.c.doctor_id == bindparam("doctor_id"), appointment.c.status.in_(MOVABLE),
    appointment.c.starts_at > bindparam("earliest_start"), appointment.c.starts_at < bindparam("until"),
    appointment.c.ends_at > bindparam("since"), order_by=[appointment.c.starts_at, appointment.c.id])
VISITS_AHEAD = Query(select(appointment.c.id, appointment.c.starts_at, appointment.c.location).where(
    appointment.c.doctor_id == bindparam("doctor_id"), *_ahead), Whereabouts)


def _renamed(whose: Column[UUID], *names: str) -> Statement:
    """Display copies on the visits ahead, where they differ."""
    new = {name: bindparam(f"new_{name}", type_=appointment.c[name].type) for name in names}
    return Statement(update(appointment).where(
        whose == bindparam("key"), *_ahead, or_(*(appointment.c[name] != new[name] for name in names))).values(new))


RENAME_PATIENT = _renamed(appointment.c.patient_id, "patient_name")
RENAME_DOCTOR = _renamed(appointment.c.doctor_id, "doctor_name", "department_id", "department_name")
RELOCATE = Statement(update(appointment).where(
    appointment.c.doctor_id == bindparam("key"), appointment.c.id.in_(bindparam("ids", expanding=True))).values(
    location=bindparam("new_location", type_=appointment.c.location.type)))
# What is only shown is read as it is shown.
_shown = [appointment.c[name] for name in Appointment.__struct_fields__]
SHOWN = Query(select(*_shown).where(appointment.c.id == bindparam("key")), Appointment)
SHOWN_OF = Query(select(*_shown).where(appointment.c.id.in_(bindparam("ids", expanding=True))), Appointment)
_of_diary = (appointment.c.doctor_id == bindparam("doctor_id"), appointment.c.starts_at >= bindparam("since"),
             appointment.c.starts_at < bindparam("until"))
TALLY = Query(select(
    func.count().label("visits"), func.sum(appointment.c.version).label("versions"),
    func.max(appointment.c.changed_at).label("changed_at")).where(*_of_diary), Tally)
TAKEN = Query(select(func.count()).select_from(occupancy).where(
    occupancy.c.resource_id == bindparam("resource"), *_between), int)
COUNTED = Query(select(appointment.c.id, appointment.c.doctor_id, appointment.c.starts_at).where(
    appointment.c.doctor_id.in_(bindparam("doctors", expanding=True)), appointment.c.starts_at >= bindparam("since"),
    appointment.c.starts_at < bindparam("until"), appointment.c.lane == 0, appointment.c.status.not_in(GONE)), Beginning)
STEPS_OF = STEPS.find(step.c.appointment_id == bindparam("key"), order_by=[step.c.version])

_FILTERS = {
    "patient_id": appointment.c.patient_id == bindparam("patient_id"),
    "doctor_id": appointment.c.doctor_id == bindparam("doctor_id"),
    "department_id": appointment.c.department_id == bindparam("department_id"),
    "status": appointment.c.status == bindparam("status"),
    "since": appointment.c.starts_at >= bindparam("since"),
    "until": appointment.c.starts_at < bindparam("until")}


@cache
def pages(filters: frozenset[str], *, newest_first: bool) -> Pages[Appointment]:
    """Visits by their start; the statement is compiled once for each combination of filters."""
    return Pages(select(*_shown).where(*(_FILTERS[name] for name in sorted(filters))), Appointment,
                 [appointment.c.starts_at, appointment.c.id], newest_first=newest_first)


async def let_go(tx: Transaction, kept: Hold) -> bool:
    """True when it is this one that ends the hold: its time is free, for whoever goes on in this transaction first."""
    if not await tx.run(_END, key=kept.id, seen=kept.version, patient=kept.patient_id):
        return False
    await release(tx, kept, grains(kept.starts_at, kept.ends_at))
    return True


async def renew(tx: Transaction, renewed: Hold) -> bool:
    return await tx.run(_RENEW, key=renewed.id, seen=renewed.version - 1, patient=renewed.patient_id,
                        new_expires_at=renewed.expires_at) == 1


def takes(visit: Visit | Hold) -> list[tuple[UUID, int, range]]:
    """Whose time, in which lane, and the grains; in the order of the key, so that two who want the same time wait for each
    other, but never in a circle."""
    lane = visit.lane if isinstance(visit, Visit) else 0
    return sorted([(visit.doctor_id, lane, grains(visit.starts_at, visit.busy_until)),
                   (visit.patient_id, 0, grains(visit.starts_at, visit.ends_at))], key=itemgetter(0))


def occupied(visit: Visit | Hold) -> list[Occupied]:
    return [Occupied(resource, grain, lane, visit.id) for resource, lane, time in takes(visit) for grain in time]


def all_occupied(visits: Iterable[Visit]) -> list[Occupied]:
    return sorted((row for visit in visits for row in occupied(visit)), key=lambda row: (row.resource_id, row.grain))


def occupied_anew(before: Visit, after: Visit) -> list[Occupied]:
    """What a visit takes at its new time beyond what it has."""
    own = set(occupied(before))
    return [row for row in occupied(after) if row not in own]


async def release(tx: Transaction, visit: Visit | Hold, freed: range, keeps: Visit | None = None) -> None:
    """Give back what it takes from the first of these grains on, except what the visit still needs at its new time."""
    needed = {(resource, lane): time for resource, lane, time in takes(keeps)} if keeps else {}
    for resource, lane, time in takes(visit) if freed else ():
        kept = needed.get((resource, lane), range(0))
        await tx.run(_FREE, resource=resource, lane=lane, since=max(time.start, freed.start), until=time.stop,
                     keep_since=kept.start, keep_until=kept.stop, appointment_id=visit.id)

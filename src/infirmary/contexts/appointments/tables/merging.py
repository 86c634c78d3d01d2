"""What is asked about visits of records that are made one, and two again, and about what else they have."""
from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, Table, and_, bindparam, delete, select, update

from infirmary.contexts.appointments.contract import Appointment
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import grains
from infirmary.contexts.appointments.domain.visits import OPEN, Visit
from infirmary.kernel.database.columns import Id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.statement import Query, Statement

from . import Change, Due, _shown, appointment, merged_record, moved_visit
from .holds import as_seen, hold
from .moved import MOVED_PLACES, MovedPlace, moved_place
from .queue import queue_line, queue_token
from .taken import between, occupancy
from .waitlist import waiting


class Pair(Struct, frozen=True):
    id: UUID
    other_id: UUID


class Following(NamedTuple):
    """What is due among the things of one table: to another record, back to their own, or to stand for themselves again."""

    to_move: Query[Due]
    to_give_back: Query[Due]
    to_stand: Query[Due]


def _following(table: Table, *which: ColumnElement[bool]) -> Following:
    other, limit = table.alias("other"), bindparam("limit", type_=Integer)
    mine = moved_place.c.id == table.c.id
    return Following(
        Query(select(table.c.id, merged_record.c.into_id.label("patient_id")).join(
            merged_record, table.c.patient_id == merged_record.c.patient_id).where(
            merged_record.c.into_id.is_not(None), table.c.patient_id.in_(bindparam("closed", expanding=True)), *which)
            .order_by(table.c.id).limit(limit), Due),
        Query(select(table.c.id, moved_place.c.patient_id).join(moved_place, mine).join(
            merged_record, moved_place.c.patient_id == merged_record.c.patient_id).where(
            merged_record.c.into_id.is_(None), table.c.patient_id != moved_place.c.patient_id)
            .order_by(table.c.id).limit(limit), Due),
        Query(select(table.c.id, table.c.patient_id).join(moved_place, mine).join(
            other, moved_place.c.for_id == other.c.id).where(other.c.patient_id != table.c.patient_id)
            .order_by(table.c.id).limit(limit), Due))


HOLDS = _following(hold, hold.c.holder_id == hold.c.patient_id)   # an offer goes with its place
PLACES = _following(waiting)
TOKENS = _following(queue_token, queue_token.c.open_about.is_not(None), queue_token.c.line_id.in_(
    select(queue_line.c.id).where(queue_line.c.closed.is_(False))))
_FORGET_PLACE = Statement(delete(moved_place).where(moved_place.c.id == bindparam("key")))
# Held times end by themselves, and mostly before they would go back.
FORGET_ENDED = Statement(delete(moved_place).where(*(
    ~select(table.c.id).where(table.c.id == moved_place.c.id).exists() for table in (hold, waiting, queue_token))))
_HAND_OVER_HOLD = Statement(update(hold).where(*as_seen).values(
    patient_id=bindparam("new_patient_id", type_=Id), holder_id=bindparam("new_holder_id", type_=Id)))

CLOSED = Query(select(merged_record.c.patient_id).where(
    merged_record.c.into_id.is_not(None), merged_record.c.patient_id > bindparam("after")).order_by(
    merged_record.c.patient_id).limit(bindparam("limit", type_=Integer)), UUID)
# Named one by one, so that visits are found by their patient: this is asked for ever, and visits are many.
TO_MOVE = Query(select(appointment.c.id, merged_record.c.into_id.label("patient_id")).join(
    merged_record, appointment.c.patient_id == merged_record.c.patient_id).where(
    merged_record.c.into_id.is_not(None), appointment.c.patient_id.in_(bindparam("closed", expanding=True))).limit(
    bindparam("limit", type_=Integer)), Due)
TO_GIVE_BACK = Query(select(moved_visit.c.appointment_id.label("id"), moved_visit.c.patient_id).join(
    merged_record, moved_visit.c.patient_id == merged_record.c.patient_id).where(
    merged_record.c.into_id.is_(None)).order_by(moved_visit.c.appointment_id).limit(
    bindparam("limit", type_=Integer)), Due)
FORGET_MOVED = Statement(delete(moved_visit).where(moved_visit.c.appointment_id == bindparam("key")))
change_patient = Change("patient_id", "patient_name", "changed_at", "version")
_HAND_OVER = Statement(update(occupancy).where(
    occupancy.c.resource_id == bindparam("whose"), *between, occupancy.c.appointment_id == bindparam("appointment_id"),
    ).values(resource_id=bindparam("new_patient_id", type_=Id)))
_other = occupancy.alias("other")
COLLIDING = Query(select(*_shown).where(appointment.c.id.in_(
    select(occupancy.c.appointment_id).join(_other, and_(
        _other.c.grain == occupancy.c.grain, _other.c.lane == occupancy.c.lane)).where(
        occupancy.c.resource_id == bindparam("one"), _other.c.resource_id == bindparam("other"),
        occupancy.c.appointment_id != _other.c.appointment_id)), appointment.c.status.in_(OPEN)), Appointment)

_first, _second = appointment.alias("first"), appointment.alias("second")
OVERLAPPING = Query(select(_first.c.id, _second.c.id.label("other_id")).select_from(merged_record).join(
    occupancy, occupancy.c.resource_id == merged_record.c.patient_id).join(_other, and_(
        _other.c.resource_id == merged_record.c.into_id, _other.c.grain == occupancy.c.grain,
        _other.c.lane == occupancy.c.lane)).join(
    _first, _first.c.id == occupancy.c.appointment_id).join(_second, _second.c.id == _other.c.appointment_id).where(
    _first.c.status.in_(OPEN)).group_by(_first.c.id, _second.c.id, _first.c.starts_at).order_by(
    _first.c.starts_at, _first.c.id, _second.c.id).limit(bindparam("limit", type_=Integer)), Pair)
_NEED_NO_MORE = Statement(delete(occupancy).where(
    occupancy.c.resource_id == bindparam("whose"), *between, occupancy.c.appointment_id == bindparam("appointment_id")))


async def hand_over_time(tx: Transaction, before: Visit | Hold, patient_id: UUID) -> None:
    """UniqueViolation when the other record has something at that time."""
    taken = grains(before.starts_at, before.ends_at)
    await tx.run(_HAND_OVER, whose=before.patient_id, since=taken.start, until=taken.stop, appointment_id=before.id,
                 new_patient_id=patient_id)


async def forget_time(tx: Transaction, before: Visit) -> None:
    """Of a visit that is over, and no patient's time any more."""
    taken = grains(before.starts_at, before.ends_at)
    await tx.run(_NEED_NO_MORE, whose=before.patient_id, since=taken.start, until=taken.stop, appointment_id=before.id)


async def hand_over_hold(tx: Transaction, kept: Hold, patient_id: UUID) -> bool:
    """True when it is this one that gives the hold, and the time of its patient, to the other record."""
    whose = patient_id if kept.holder_id == kept.patient_id else kept.holder_id
    if not await tx.run(_HAND_OVER_HOLD, key=kept.id, seen=kept.version, patient=kept.patient_id, new_patient_id=patient_id,
                        new_holder_id=whose):
        return False
    await hand_over_time(tx, kept, patient_id)
    return True


async def note(tx: Transaction, moved: MovedPlace, patient_id: UUID) -> None:
    """Where it is now. What is back with its own record, and stands for itself, is noted no more."""
    await tx.run(_FORGET_PLACE, key=moved.id)
    if moved.patient_id != patient_id or moved.for_id is not None:
        MOVED_PLACES.add(tx, moved)

"""What is asked about visits of records that are made one, and two again."""
from __future__ import annotations

from uuid import UUID

from sqlalchemy import Integer, and_, bindparam, delete, select, update

from infirmary.contexts.appointments.contract import Appointment
from infirmary.contexts.appointments.domain.visits import OPEN
from infirmary.kernel.database.columns import Id
from infirmary.kernel.database.statement import Query, Statement

from . import Change, Due, _between, _shown, appointment, merged_record, moved_visit, occupancy

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
HAND_OVER = Statement(update(occupancy).where(
    occupancy.c.resource_id == bindparam("whose"), *_between, occupancy.c.appointment_id == bindparam("appointment_id"),
    ).values(resource_id=bindparam("new_patient_id", type_=Id)))
_other = occupancy.alias("other")
COLLIDING = Query(select(*_shown).where(appointment.c.id.in_(
    select(occupancy.c.appointment_id).join(_other, and_(
        _other.c.grain == occupancy.c.grain, _other.c.lane == occupancy.c.lane)).where(
        occupancy.c.resource_id == bindparam("one"), _other.c.resource_id == bindparam("other"),
        occupancy.c.appointment_id != _other.c.appointment_id)), appointment.c.status.in_(OPEN)), Appointment)

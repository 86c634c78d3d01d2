"""Where places on the waitlist are kept."""
from __future__ import annotations

from functools import cache

from sqlalchemy import (
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from infirmary.contexts.appointments.contract.waitlist import Standing
from infirmary.contexts.appointments.domain.waitlist import Place
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

# A place on the waitlist. While an offer stands, a hold whose `holder_id` is the place keeps the time.
waiting = Table(
    "waiting", metadata,
    Column("id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Column("patient_name", String(220), nullable=False),
    Column("doctor_id", Id),
    Column("department_id", Id),
    Column("about_name", String(220), nullable=False),
    Column("earliest", UtcDateTime, nullable=False),
    Column("latest", UtcDateTime, nullable=False),
    Column("status", EnumText(Standing), nullable=False),
    Column("open_about", Id),
    Column("offer_doctor_id", Id),
    Column("offer_doctor_name", String(220), nullable=False),
    Column("offer_starts_at", UtcDateTime),
    Column("offer_ends_at", UtcDateTime),
    Column("offer_expires_at", UtcDateTime),
    Column("appointment_id", Id),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("patient_id", "open_about"),
    Index("waiting_by_status", "status", "created_at", "id"))

PLACES = Rows(waiting, Place)
ONE_WISH = "waiting_patient_id_open_about"   # the unique row that a second place for the same runs into
WAITING = PLACES.find(waiting.c.status == Standing.WAITING, order_by=[waiting.c.created_at, waiting.c.id])
OVERDUE = PLACES.find(waiting.c.status.in_((Standing.WAITING, Standing.OFFERED)), or_(
    waiting.c.offer_expires_at <= bindparam("now"),
    and_(waiting.c.offer_expires_at.is_(None), waiting.c.latest <= bindparam("too_late"))))
OPEN_PLACE = PLACES.find(waiting.c.patient_id == bindparam("patient_id"), waiting.c.open_about == bindparam("open_about"))
OPEN_OF = PLACES.find(waiting.c.patient_id == bindparam("patient_id"), waiting.c.open_about.is_not(None))
RENAME = Statement(update(waiting).where(
    waiting.c.patient_id == bindparam("key"), waiting.c.open_about.is_not(None)).values(
    patient_name=bindparam("new_patient_name", type_=waiting.c.patient_name.type)))
AHEAD = Query(select(func.count()).select_from(waiting).where(
    waiting.c.open_about == bindparam("open_about"), waiting.c.status == Standing.WAITING,
    waiting.c.created_at < bindparam("created_at")), int)


@cache
def places(filters: frozenset[str]) -> Pages[Place]:
    """Places on the waitlist, who has waited longest first."""
    return Pages(select(waiting).where(*(waiting.c[name] == bindparam(name) for name in sorted(filters))), Place,
                 [waiting.c.created_at, waiting.c.id])

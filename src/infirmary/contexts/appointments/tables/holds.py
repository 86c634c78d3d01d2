"""Where holds are kept."""
from __future__ import annotations

from sqlalchemy import Column, Integer, Table, and_, bindparam, delete, or_, update

from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import grains
from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Statement

from .base import metadata
from .taken import release

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

HOLDS = Rows(hold, Hold)
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
    _lapsed, or_(hold.c.doctor_id.in_(bindparam("doctors", expanding=True)), hold.c.patient_id == bindparam("patient_id")),
    hold.c.starts_at < bindparam("ends_at"), hold.c.ends_at > bindparam("starts_at"))))
as_seen = (hold.c.id == bindparam("key"), hold.c.version == bindparam("seen"),
           hold.c.patient_id == bindparam("patient"))   # who may be known by another record meanwhile
_END = Statement(delete(hold).where(*as_seen))
_RENEW = Statement(update(hold).where(*as_seen).values(
    expires_at=bindparam("new_expires_at", type_=UtcDateTime), version=hold.c.version + 1))


async def let_go(tx: Transaction, kept: Hold) -> bool:
    """True when it is this one that ends the hold: its time is free, for whoever goes on in this transaction first."""
    if not await tx.run(_END, key=kept.id, seen=kept.version, patient=kept.patient_id):
        return False
    await release(tx, kept, grains(kept.starts_at, kept.ends_at))
    return True


async def renew(tx: Transaction, renewed: Hold) -> bool:
    return await tx.run(_RENEW, key=renewed.id, seen=renewed.version - 1, patient=renewed.patient_id,
                        new_expires_at=renewed.expires_at) == 1

"""Where queues, their numbers and the links to them are kept."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    delete,
    select,
    update,
)

from infirmary.contexts.appointments.contract.queue import Precedence, TokenStatus
from infirmary.contexts.appointments.domain.queue import IN_LINE, Line, Token
from infirmary.kernel.database.columns import EnumText, Id, Json, UtcDateTime
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

# Whoever changes a queue changes this row first, and so has the queue for itself until the commit: two doctors who call at
# once call one after the other. The numbers and what everybody is told are counted on here.
queue_line = Table(
    "queue_line", metadata,
    Column("id", Id, primary_key=True),
    Column("department_id", Id, nullable=False),
    Column("department_name", String(100), nullable=False),
    Column("day", Date, nullable=False),
    Column("last_number", Integer, nullable=False),
    Column("told", Json, nullable=False),
    Column("doctors", Integer, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Index("queue_line_by_closed", "closed", "day"))

# A number is given once: the row is unique, however many are given at a time. So is who stands in a line.
queue_token = Table(
    "queue_token", metadata,
    Column("id", Id, primary_key=True),
    Column("line_id", Id, nullable=False),
    Column("department_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("patient_id", Id, nullable=False),
    Column("patient_name", String(220), nullable=False),
    Column("doctor_id", Id),
    Column("doctor_name", String(220), nullable=False),
    Column("booked_at", UtcDateTime),
    Column("precedence", EnumText(Precedence), nullable=False),
    Column("note", String(200), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("status", EnumText(TokenStatus), nullable=False),
    Column("open_about", Id),
    Column("arrived_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("called_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("room", String(200), nullable=False),
    Column("appointment_id", Id),
    Column("link", String(64), unique=True),   # a digest
    Column("version", Integer, nullable=False),
    UniqueConstraint("line_id", "number"),
    UniqueConstraint("line_id", "open_about"),
    Index("queue_token_by_end", "department_id", "status", "ended_at"))

queue_display = Table(
    "queue_display", metadata,
    Column("id", Id, primary_key=True),
    Column("department_id", Id, nullable=False),
    Column("department_name", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("link", String(64), nullable=False, unique=True))   # a digest


class DisplayRow(Struct, frozen=True):
    id: UUID
    department_id: UUID
    department_name: str
    name: str
    created_at: datetime
    link: str


class Lasted(Struct, frozen=True):
    called_at: datetime | None
    ended_at: datetime | None


LINES = Rows(queue_line, Line)
TOKENS = Rows(queue_token, Token)
DISPLAYS = Rows(queue_display, DisplayRow, version=None)
ONE_IN_LINE = "queue_token_line_id_open_about"   # the unique row that a second number for the same runs into

_LOCK = Statement(update(queue_line).where(queue_line.c.id == bindparam("key"), queue_line.c.closed.is_(False)).values(
    version=queue_line.c.version + 1))
_KEEP = Statement(update(queue_line).where(queue_line.c.id == bindparam("key")).values(
    {name: bindparam(f"new_{name}", type_=queue_line.c[name].type)
     for name in ("last_number", "told", "doctors", "minutes", "closed")}))
OPEN_LINES = LINES.find(queue_line.c.closed.is_(False), order_by=[queue_line.c.day, queue_line.c.id])
IN_LINE_OF = TOKENS.find(queue_token.c.line_id == bindparam("line_id"), queue_token.c.status.in_(IN_LINE))
IN_LINE_ABOUT = TOKENS.find(queue_token.c.line_id == bindparam("line_id"),
                            queue_token.c.open_about == bindparam("open_about"))
OF_VISIT = TOKENS.find(queue_token.c.line_id == bindparam("line_id"),
                       queue_token.c.appointment_id == bindparam("appointment_id"), queue_token.c.open_about.is_not(None))
BY_LINK = TOKENS.find(queue_token.c.link == bindparam("link"))
LATELY = Query(select(queue_token.c.called_at, queue_token.c.ended_at).where(
    queue_token.c.department_id == bindparam("department_id"), queue_token.c.status == TokenStatus.SEEN,
    queue_token.c.ended_at > bindparam("since"), queue_token.c.called_at.is_not(None)).order_by(
    queue_token.c.ended_at.desc()).limit(bindparam("limit", type_=Integer)), Lasted)
RENAME = Statement(update(queue_token).where(
    queue_token.c.patient_id == bindparam("key"), queue_token.c.open_about.is_not(None)).values(
    patient_name=bindparam("new_patient_name", type_=queue_token.c.patient_name.type)))
ALL_DISPLAYS = DISPLAYS.find(order_by=[queue_display.c.department_name, queue_display.c.name, queue_display.c.id])
DISPLAY_BY_LINK = DISPLAYS.find(queue_display.c.link == bindparam("link"))
CLOSE_DISPLAY = Statement(delete(queue_display).where(queue_display.c.id == bindparam("key")))


async def locked(tx: Transaction, line_id: UUID) -> Line | None:
    """The queue as it is, for nobody else to change until the commit; None when there is none, or it is closed."""
    if not await tx.run(_LOCK, key=line_id):
        return None
    return await LINES.get(tx, line_id)


async def keep(tx: Transaction, line: Line) -> None:
    await tx.run(_KEEP, key=line.id, new_last_number=line.last_number, new_told=line.told, new_doctors=line.doctors,
                 new_minutes=line.minutes, new_closed=line.closed)

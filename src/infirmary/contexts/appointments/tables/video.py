"""Where it is kept who is in the room of a video visit, and what their browsers tell each other."""
from __future__ import annotations

from sqlalchemy import Column, Table, Text, bindparam, delete, func, select, update

from infirmary.contexts.appointments.contract.video import Side
from infirmary.contexts.appointments.domain.video import KeptSignal, Presence
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

# One row for each of the two: who enters with another page takes it over, which is what makes them be in one place.
presence = Table(
    "video_presence", metadata,
    Column("appointment_id", Id, primary_key=True),
    Column("side", EnumText(Side), primary_key=True),
    Column("client_id", Id, nullable=False),
    Column("until", UtcDateTime, nullable=False))

# What is not fetched within a minute is of no use any more. Rows, so that the two may be served by different processes.
signal = Table(
    "video_signal", metadata,
    Column("appointment_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("to_id", Id, nullable=False),
    Column("from_id", Id, nullable=False),
    Column("data", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False))

PRESENCES = Rows(presence, Presence, key="appointment_id", version=None)
SIGNALS = Rows(signal, KeptSignal, key="appointment_id", version=None)

THERE = PRESENCES.find(presence.c.appointment_id == bindparam("key"))
_place = (presence.c.appointment_id == bindparam("key"), presence.c.side == bindparam("whose"))
_until = bindparam("new_until", type_=UtcDateTime)
MOVE_IN = Statement(update(presence).where(*_place).values(
    client_id=bindparam("new_client_id", type_=Id), until=_until))
STAY = Statement(update(presence).where(*_place, presence.c.client_id == bindparam("client")).values(until=_until))
FORGET_PRESENCES = Statement(delete(presence).where(presence.c.until <= bindparam("before")))

_living = (signal.c.appointment_id == bindparam("key"), signal.c.expires_at > bindparam("now"))
SIGNALS_TO = SIGNALS.find(*_living, signal.c.to_id == bindparam("client"), order_by=[signal.c.id])
COUNT_SIGNALS = Query(select(func.count()).select_from(signal).where(*_living), int)
FORGET_SIGNALS = Statement(delete(signal).where(signal.c.expires_at <= bindparam("before")))

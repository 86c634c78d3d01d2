"""Days of which a doctor takes no more than so many visits."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, Integer, Table, bindparam, update

from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Statement

from .base import metadata

# Whoever takes a time on such a day changes its row first, and so counts alone: what others have taken is committed.
diary_day = Table(
    "diary_day", metadata,
    Column("doctor_id", Id, primary_key=True),
    Column("begins", UtcDateTime, primary_key=True),
    Column("turns", Integer, nullable=False))


class Day(Struct, frozen=True):
    """`turns`: how often somebody has counted."""

    doctor_id: UUID
    begins: datetime
    turns: int = 0


DAYS = Rows(diary_day, Day, key="doctor_id", version=None)
_this = (diary_day.c.doctor_id == bindparam("doctor"), diary_day.c.begins == bindparam("since"))
KEPT = DAYS.find(*_this)
TURN = Statement(update(diary_day).where(*_this).values(turns=diary_day.c.turns + 1))

"""Where private calendar feeds are kept."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, Integer, String, Table, bindparam, delete, update

from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Statement

from .base import metadata

calendar_feed = Table(
    "calendar_feed", metadata,
    Column("account_id", Id, primary_key=True),   # so that a person has one
    Column("patient_id", Id),
    Column("doctor_id", Id),
    Column("link", String(64), nullable=False, unique=True),   # a digest
    Column("created_at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime),
    Column("reads", Integer, nullable=False),          # since the window began
    Column("window_ends", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False))


class FeedRow(Struct, frozen=True):
    account_id: UUID
    patient_id: UUID | None
    doctor_id: UUID | None
    link: str
    created_at: datetime
    read_at: datetime | None
    reads: int
    window_ends: datetime
    version: int


FEEDS = Rows(calendar_feed, FeedRow, key="account_id")
FEED_BY_LINK = FEEDS.find(calendar_feed.c.link == bindparam("link"))
_of = calendar_feed.c.account_id == bindparam("key")
END_FEED = Statement(delete(calendar_feed).where(_of))
# The counting decides, so that a hundred at once are not more than a hundred one by one.
COUNT_READ = Statement(update(calendar_feed).where(
    _of, calendar_feed.c.window_ends > bindparam("now"), calendar_feed.c.reads < bindparam("most")).values(
    reads=calendar_feed.c.reads + 1, read_at=bindparam("now", type_=UtcDateTime)))
COUNT_ANEW = Statement(update(calendar_feed).where(_of, calendar_feed.c.window_ends <= bindparam("now")).values(
    reads=1, read_at=bindparam("now", type_=UtcDateTime), window_ends=bindparam("until", type_=UtcDateTime)))

"""Where programs that sign in by themselves are kept."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, Integer, String, Table, bindparam, select, update

from infirmary.kernel.database.columns import Id, Json, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

client = Table(
    "client", metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("roles", Json, nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("secret_since", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("version", Integer, nullable=False))


class ClientRow(Struct, frozen=True):
    id: UUID
    name: str
    roles: list[str]
    secret_hash: str
    secret_since: datetime
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    version: int


CLIENTS = Rows(client, ClientRow)

_c = client.c
LOCKED = Query(select(client).where(_c.id == bindparam("key")).with_for_update(), ClientRow)
NEWEST = Pages(select(client), ClientRow, [_c.id], newest_first=True)
# Leaves the version alone: nobody's If-Match goes stale because a program signs in.
USED = Statement(update(client).where(_c.id == bindparam("key")).values(last_used_at=bindparam("now")))

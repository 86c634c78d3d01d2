"""Where the trail is kept. Triggers (see the first migration) let the table only grow."""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct, structs
from sqlalchemy import Column, Index, MetaData, String, Table, bindparam, select

from infirmary.kernel.database.columns import Id, Json, UtcDateTime
from infirmary.kernel.database.db import Reading, Transaction, with_kernel_tables
from infirmary.kernel.database.rows import Pages, Rows

from . import domain
from .contract import AuditEvent

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = with_kernel_tables(MetaData())

audit_event = Table(
    "audit_event", metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("context", String(40), nullable=False),
    Column("action", String(80), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("actor_id", Id),
    Column("actor_name", String(250), nullable=False),
    Column("actor_roles", Json, nullable=False),
    Column("patient_id", Id),
    Column("entity", String(domain.LONGEST_ENTITY), nullable=False),
    Column("detail", Json, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("actor_key", String(domain.LONGEST_NAME), nullable=False),
    Index("audit_event_by_time", "at", "id"),
    Index("audit_event_by_actor", "actor_id", "at", "id"),
    Index("audit_event_by_name", "actor_key", "at", "id"),
    Index("audit_event_by_patient", "patient_id", "at", "id"),
    Index("audit_event_by_action", "action", "at", "id"),
    Index("audit_event_by_entity", "entity", "at", "id"))

# Every name once: part of a name is looked for here, not in a trail of millions.
audit_actor = Table(
    "audit_actor", metadata,
    Column("name", String(domain.LONGEST_NAME), primary_key=True))


class Kept(Struct, frozen=True):
    id: UUID
    at: datetime
    context: str
    action: str
    outcome: str
    actor_id: UUID | None
    actor_name: str
    actor_roles: list[str]
    patient_id: UUID | None
    entity: str
    detail: dict[str, str]
    request_id: str
    address: str
    actor_key: str

    @property
    def shown(self) -> AuditEvent:
        return AuditEvent(**{name: getattr(self, name) for name in AuditEvent.__struct_fields__})


class Actor(Struct, frozen=True):
    name: str


EVENTS = Rows(audit_event, Kept, version=None)
ACTORS = Rows(audit_actor, Actor, key="name", version=None)


async def keep(tx: Transaction, entry: AuditEvent) -> None:
    name = domain.folded(entry.actor_name)
    if await ACTORS.get(tx, name) is None:
        ACTORS.add(tx, Actor(name))
    EVENTS.add(tx, Kept(**structs.asdict(entry), actor_key=name))


_named = select(audit_actor.c.name).where(audit_actor.c.name.like(bindparam("actor_name"), escape="!"))
_FILTERS = {
    "actor_id": audit_event.c.actor_id == bindparam("actor_id"),
    "actor_name": audit_event.c.actor_key.in_(_named),
    "patient_id": audit_event.c.patient_id == bindparam("patient_id"),
    "action": audit_event.c.action == bindparam("action"),
    "actions": audit_event.c.action.like(bindparam("actions"), escape="!"),
    "entity": audit_event.c.entity == bindparam("entity"),
    "from_": audit_event.c.at >= bindparam("from_"),
    "to": audit_event.c.at < bindparam("to"),
}


@lru_cache(maxsize=len(_FILTERS) ** 2)
def _pages(filters: frozenset[str]) -> Pages[Kept]:
    """One statement per combination of filters, declared when first needed."""
    return Pages(select(audit_event).where(*(_FILTERS[name] for name in sorted(filters))), Kept,
                 [audit_event.c.at, audit_event.c.id], newest_first=True)


async def page(reading: Reading, filters: Mapping[str, Any], *, after: str | None, limit: int,
               ) -> tuple[list[Kept], str | None]:
    return await _pages(frozenset(filters)).page(reading, after=after, limit=limit, **filters)


def containing(part: str) -> str:
    return f"%{'%'.join(map(_literal, domain.folded(part).split()))}%"


def beginning(part: str) -> str:
    return f"{_literal(part)}%"


def _literal(typed: str) -> str:
    return typed.replace("!", "!!").replace("%", "!%").replace("_", "!_")

"""Where the trail is kept. Triggers (see the first migration) let the table only grow."""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct, structs
from sqlalchemy import Column, Index, MetaData, String, Table, bindparam, func, select

from infirmary.kernel.database.columns import Id, Json, UtcDateTime
from infirmary.kernel.database.db import Reading, Transaction, with_kernel_tables
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query
from infirmary.language import folded

from . import domain
from .contract import AuditEvent

MIGRATIONS = Path(__file__).parent / "migrations"
REMEMBERED_TERMS = 20_000   # per process: names of those who are at work, and all actions
MANY_TERMS, MANY_ENTRIES = 200, 2000   # of what a part may mean: so many that walking the trail is quicker

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

# Every actor's name and every action once: parts of them are looked for here, not in a trail of millions.
audit_term = Table(
    "audit_term", metadata,
    Column("field", String(20), primary_key=True),
    Column("text", String(domain.LONGEST_NAME), primary_key=True))


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


class Term(Struct, frozen=True):
    field: str
    text: str


EVENTS = Rows(audit_event, Kept, version=None)
TERMS = Rows(audit_term, Term, key="text", version=None)

_term = TERMS.find(audit_term.c.field == bindparam("field"), audit_term.c.text == bindparam("text"))


async def keep(tx: Transaction, entry: AuditEvent, known: set[Term]) -> None:
    """`known` are terms seen in the table before: they stay there, and need not be asked for again."""
    kept = Kept(**structs.asdict(entry), actor_key=folded(entry.actor_name)[:domain.LONGEST_NAME])
    for term in (Term("actor_key", kept.actor_key), Term("action", kept.action)):
        if term in known:
            continue
        if await tx.one(_term, field=term.field, text=term.text) is None:
            TERMS.add(tx, term)
        elif len(known) < REMEMBERED_TERMS:
            known.add(term)
    EVENTS.add(tx, kept)


def _entries_of(column: Column[Any]) -> Query[int]:
    return Query(select(func.count()).select_from(select(audit_event.c.id).where(
        column.in_(bindparam("terms", expanding=True))).limit(MANY_ENTRIES).subquery()), int)


_terms = Query(select(audit_term.c.text).where(
    audit_term.c.field == bindparam("field"), audit_term.c.text.like(bindparam("like"), escape="!")).limit(MANY_TERMS), str)
_entries = {"actor_key": _entries_of(audit_event.c.actor_key), "action": _entries_of(audit_event.c.action)}
_FILTERS = {
    "actor_id": audit_event.c.actor_id == bindparam("actor_id"),
    "actor_key_like": audit_event.c.actor_key.like(bindparam("actor_key_like"), escape="!"),
    "actor_key_in": audit_event.c.actor_key.in_(bindparam("actor_key_in", expanding=True)),
    "patient_id": audit_event.c.patient_id == bindparam("patient_id"),
    "action": audit_event.c.action == bindparam("action"),
    "action_like": audit_event.c.action.like(bindparam("action_like"), escape="!"),
    "action_in": audit_event.c.action.in_(bindparam("action_in", expanding=True)),
    "entity": audit_event.c.entity == bindparam("entity"),
    "from_": audit_event.c.at >= bindparam("from_"),
    "to": audit_event.c.at < bindparam("to"),
}


async def page(reading: Reading, filters: Mapping[str, Any], *, after: str | None, limit: int,
               ) -> tuple[list[Kept], str | None]:
    """Newest first. Entries of a rare name or action are looked up; for common ones the trail is walked until the page
    is full."""
    found = dict(filters)
    for field, entries in _entries.items():
        if like := filters.get(f"{field}_like"):
            terms = await reading.all(_terms, field=field, like=like)
            if not terms:
                return [], None
            if len(terms) < MANY_TERMS and (await reading.one(entries, terms=terms) or 0) < MANY_ENTRIES:
                del found[f"{field}_like"]
                found[f"{field}_in"] = terms
    return await _pages(frozenset(found)).page(reading, after=after, limit=limit, **found)


@lru_cache(maxsize=len(_FILTERS) ** 2)
def _pages(filters: frozenset[str]) -> Pages[Kept]:
    """One statement per combination of filters, declared when first needed."""
    core = select(audit_event).where(*(_FILTERS[name] for name in sorted(filters)))
    if filters <= {"actor_key_like", "action_like", "from_", "to"}:   # it would sort them all, and then cut
        core = core.with_hint(audit_event, "FORCE INDEX (audit_event_by_time)", "mysql")
    return Pages(core, Kept, [audit_event.c.at, audit_event.c.id], newest_first=True)


def containing(part: str) -> str:
    return f"%{'%'.join(map(_literal, folded(part).split()))}%"


def beginning(part: str) -> str:
    return f"{_literal(part)}%"


def _literal(typed: str) -> str:
    return typed.replace("!", "!!").replace("%", "!%").replace("_", "!_")

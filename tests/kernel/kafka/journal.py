"""A context that writes down what it hears, together with what it had heard of the same aggregate before."""
from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from sqlalchemy import Column, Index, Integer, MetaData, Table, bindparam, func, select

from infirmary.kernel.bus import Consumer
from infirmary.kernel.database.columns import Id, new_id
from infirmary.kernel.database.db import Database, with_kernel_tables
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query
from infirmary.kernel.events import Event, Fact

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
metadata = with_kernel_tables(MetaData())
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Moved(Event, frozen=True, kw_only=True):
    """Its topic is `kafka-events`, after this package."""

    where: str


class Entry(msgspec.Struct, frozen=True):
    id: UUID
    fact_id: UUID
    aggregate: UUID
    version: int
    before: int
    pid: int


entry = Table(
    "entry", metadata,
    Column("id", Id, primary_key=True),
    Column("fact_id", Id, nullable=False),
    Column("aggregate", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("before", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Index("entry_aggregate", "aggregate", "version"))

ENTRIES = Rows(entry, Entry, version=None)
ALL = ENTRIES.find()
COUNT = Query(select(func.count()).select_from(entry), int)
LATEST = Query(select(func.coalesce(func.max(entry.c.version), 0)).where(
    entry.c.aggregate == bindparam("aggregate")), int)


class Journal:
    def __init__(self, db: Database) -> None:
        self.db = db
        self.tries: Counter[UUID] = Counter()   # by fact
        self.broken: set[UUID] = set()          # aggregates
        self.slow = 0.0                         # seconds that a fact takes, or up to half as long again
        self.gate = asyncio.Event()             # nothing is written before it is set
        self.gate.set()
        self.consumer = Consumer(db, {Moved: self.on_moved})

    @classmethod
    async def open(cls, url: str, context: str) -> Self:
        return cls(await Database.open(url, context))

    async def on_moved(self, event: Moved, fact: Fact) -> None:
        self.tries[fact.id] += 1
        await self.gate.wait()
        await asyncio.sleep(self.slow * random.uniform(1, 1.5))
        async with self.db.transaction(once=fact.id) as tx:
            if event.aggregate in self.broken:
                raise ZeroDivisionError(event.where)
            before = await tx.one(LATEST, aggregate=event.aggregate) or 0
            ENTRIES.add(tx, Entry(new_id(), fact.id, event.aggregate, event.version, before,
                                  os.getpid()))

    async def count(self) -> int:
        async with self.db.reading() as reading:
            return await reading.one(COUNT) or 0

    async def entries(self) -> list[Entry]:
        async with self.db.reading() as reading:
            return await reading.all(ALL)

    async def reaches(self, count: int, *, patience: float = 30) -> None:
        async with asyncio.timeout(patience):
            while await self.count() < count:
                await asyncio.sleep(.05)

    async def must_be(self, produced: Collection[Fact]) -> None:
        """Every fact, none twice, each right after the one before it of the same aggregate."""
        entries = await self.entries()
        heard, sent = Counter(one.fact_id for one in entries), Counter(fact.id for fact in produced)
        assert (sent - heard, heard - sent) == (Counter(), Counter())
        assert [one for one in entries if one.before != one.version - 1] == []


def a_fact(aggregate: UUID | None = None, version: int = 1, *, kind: str = Moved.kind, request_id: str = "req-7") -> Fact:
    aggregate = aggregate or new_id()
    body = {"aggregate": str(aggregate), "version": version, "where": "Zoë’s 🩺"}
    return Fact(new_id(), kind, aggregate, version, body, request_id, NOON, TRACEPARENT if request_id else None)


def facts(aggregates: int, versions: int) -> list[Fact]:
    """In order for each aggregate, and the aggregates mixed."""
    ids = [new_id() for _ in range(aggregates)]
    return [a_fact(one, version) for version in range(1, versions + 1) for one in ids]


async def deliver(bus: Any, produced: list[Fact]) -> None:
    """As relays do: the aggregates side by side, each one's facts in order."""
    chains: dict[Any, list[Fact]] = {}
    for fact in produced:
        chains.setdefault(fact.aggregate, []).append(fact)

    async def one_after_the_other(chain: list[Fact]) -> None:
        for fact in chain:
            await retried(bus, fact)
    await asyncio.gather(*map(one_after_the_other, chains.values()))


async def retried(bus: Any, fact: Fact) -> None:
    from infirmary.kernel.kafka import NotDelivered

    async with asyncio.timeout(60):
        while True:
            try:
                return await bus.deliver(fact, last=False)
            except NotDelivered:   # perhaps the topics are not made yet
                await asyncio.sleep(.1)

"""Facts: stored with the effect that made them true, relayed in order per aggregate, handled once per consumer.

A fact that cannot be delivered is tried again with back-off and holds back only its own aggregate. A consumer that
still fails at the last attempt parks the fact in its own database, where people see it and can replay it; then the
rest flows on. Nothing is ever dropped.
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    update,
)

from .database.columns import Id, Json, UtcDateTime
from .database.rows import Rows
from .database.statement import Query, Statement
from .events import Fact

if TYPE_CHECKING:
    from .database.db import Database, Transaction

log = structlog.get_logger()
kernel_tables = MetaData()

ATTEMPTS = 6                       # then the consumer parks the fact
BACK_OFF = timedelta(seconds=.2)   # doubled at each attempt: 0.2 s to 6 s, some 12 s in all
INBOX_KEPT = timedelta(days=30)
GATHER = .02   # seconds that a woken relay waits for company: a batch costs little more than one fact

outbox = Table(
    "outbox", kernel_tables,
    Column("id", Id, primary_key=True),
    Column("kind", String(80), nullable=False),
    Column("aggregate", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("happened_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("traceparent", String(55)),
    UniqueConstraint("aggregate", "version"),
    # NULLs first and nothing else of interest: the relay's queue is one end of this index on every engine.
    Index("outbox_unpublished", "published_at", "id"))

inbox = Table(
    "inbox", kernel_tables,
    Column("fact_id", Id, primary_key=True),
    Column("handled_at", UtcDateTime, nullable=False))

parked = Table(
    "parked", kernel_tables,
    Column("id", Id, primary_key=True),
    Column("kind", String(80), nullable=False),
    Column("aggregate", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("happened_at", UtcDateTime, nullable=False),
    Column("parked_at", UtcDateTime, nullable=False),
    Column("why", Text, nullable=False),
    Column("traceparent", String(55)))


class Stored(msgspec.Struct, frozen=True):
    id: UUID
    kind: str
    aggregate: UUID
    version: int
    body: Any
    request_id: str
    happened_at: datetime
    published_at: datetime | None
    attempts: int
    next_at: datetime
    traceparent: str | None = None

    @property
    def fact(self) -> Fact:
        return Fact(self.id, self.kind, self.aggregate, self.version, self.body, self.request_id, self.happened_at,
                    self.traceparent)


class Handled(msgspec.Struct, frozen=True):
    fact_id: UUID
    handled_at: datetime


class Parked(msgspec.Struct, frozen=True):
    """A fact that a consumer could not handle; `why` is the class of what went wrong, never its data."""

    id: UUID
    kind: str
    aggregate: UUID
    version: int
    body: Any
    request_id: str
    happened_at: datetime
    parked_at: datetime
    why: str
    traceparent: str | None = None

    @property
    def fact(self) -> Fact:
        return Fact(self.id, self.kind, self.aggregate, self.version, self.body, self.request_id, self.happened_at,
                    self.traceparent)


OUTBOX = Rows(outbox, Stored, version=None)
INBOX = Rows(inbox, Handled, key="fact_id", version=None)
PARKED = Rows(parked, Parked, version=None)

_earlier = outbox.alias("earlier")
# Unpublished, never "id > last": a long transaction commits ids that lie behind. And the oldest of its aggregate:
# a second relay that SKIPs the locked version 1 must not overtake it with version 2.
_next = (select(outbox)
         .where(outbox.c.published_at.is_(None), outbox.c.next_at <= bindparam("now"),
                ~select(_earlier.c.id).where(
                    _earlier.c.aggregate == outbox.c.aggregate, _earlier.c.published_at.is_(None),
                    _earlier.c.version < outbox.c.version).exists())
         .order_by(outbox.c.id).limit(bindparam("limit", type_=Integer)))
NEXT = Query(_next, Stored)
NEXT_LOCKED = Query(_next.with_for_update(skip_locked=True, of=outbox), Stored)
MARK = Statement(update(outbox).where(outbox.c.id.in_(bindparam("ids", expanding=True)))
                 .values(published_at=bindparam("now")))
POSTPONE = Statement(update(outbox).where(outbox.c.id == bindparam("key"))
                     .values(attempts=bindparam("so_far", type_=Integer), next_at=bindparam("then")))
WAITING = Query(select(func.count()).select_from(outbox).where(outbox.c.published_at.is_(None)), int)
OLDEST = Query(select(outbox).where(outbox.c.published_at.is_(None)).order_by(outbox.c.id).limit(1), Stored)
ALL_PARKED = PARKED.find(order_by=[parked.c.parked_at])
UNPARK = Statement(delete(parked).where(parked.c.id == bindparam("key")))
FORGET_PUBLISHED = Statement(delete(outbox).where(outbox.c.published_at < bindparam("before")))
FORGET_HANDLED = Statement(delete(inbox).where(inbox.c.handled_at < bindparam("before")))

Deliver = Callable[[Fact, bool], Awaitable[None]]   # (fact, whether this is the last attempt)


class Relay:
    """Takes facts to the bus. `deliver` returns when delivery is confirmed: a fact may go twice, never not at all."""

    def __init__(self, db: Database, deliver: Deliver, *, batch: int = 200) -> None:
        self._db, self._deliver, self._batch = db, deliver, batch

    async def once(self) -> int:
        """One batch; answers how many were delivered. Several relays share the work where rows can be locked; on
        SQLite there is one per file."""
        now = self._db.clock.now()
        if self._db.driver.dialect.name == "sqlite":   # not inside a transaction: that would hold up every writer
            async with self._db.reading() as reading:
                waiting = await reading.all(NEXT, limit=self._batch, now=now)
            if not waiting:
                return 0
            outcomes = await self._deliver_all(waiting)
            async with self._db.transaction() as tx:
                return await self._record(tx, waiting, outcomes)
        async with self._db.transaction() as tx:
            waiting = await tx.all(NEXT_LOCKED, limit=self._batch, now=now)
            return await self._record(tx, waiting, await self._deliver_all(waiting))

    async def _deliver_all(self, waiting: list[Stored]) -> list[BaseException | None]:
        """All at once, each in a task of its own: there is one per aggregate, so their order does not matter."""
        return await asyncio.gather(
            *(asyncio.create_task(self._guarded(one)) for one in waiting))

    async def _guarded(self, one: Stored) -> BaseException | None:
        try:
            await self._deliver(one.fact, one.attempts + 1 >= ATTEMPTS)
        except Exception as error:   # noqa: BLE001 – whatever it was, the fact stays and is tried again
            return error
        return None

    async def _record(self, tx: Transaction, waiting: list[Stored], outcomes: list[BaseException | None]) -> int:
        now = self._db.clock.now()
        delivered = [one.id for one, error in zip(waiting, outcomes, strict=True) if error is None]
        if delivered:
            await tx.run(MARK, ids=delivered, now=now)
        for one, error in zip(waiting, outcomes, strict=True):
            if error is not None:
                log.warning("fact_not_delivered", kind=one.kind, fact=str(one.id), attempt=one.attempts + 1,
                            error=type(error).__name__)
                await tx.run(POSTPONE, key=one.id, so_far=one.attempts + 1,
                             then=now + BACK_OFF * 2 ** min(one.attempts, ATTEMPTS - 1))
        return len(delivered)

    async def run(self, *, idle: float = 1.0) -> None:
        """Until cancelled. Woken by commits in this process; looks by itself every `idle` seconds for the others."""
        while True:
            self._db.facts_waiting.clear()
            try:
                if await self._db.retry(self.once):
                    await asyncio.sleep(GATHER)
                    continue
            except Exception as error:   # noqa: BLE001 – a database that is away comes back; the relay must outlive it
                log.warning("relay_failed", context=self._db.context, error=type(error).__name__)
            try:
                async with asyncio.timeout(idle):
                    await self._db.facts_waiting.wait()
                await asyncio.sleep(GATHER)
            except TimeoutError:
                pass


async def forget_old_facts(db: Database) -> None:
    """Delivered facts and inbox marks that no repetition can reach any more."""
    before = db.clock.now() - INBOX_KEPT
    async with db.transaction() as tx:
        await tx.run(FORGET_PUBLISHED, before=before)
        await tx.run(FORGET_HANDLED, before=before)

"""A database as lines, and back: the same lines whichever engine they come from and go to.

A line is one row as a JSON array in the order of the columns: instants in UTC, ids and enums as text, objects with
their keys sorted. Tables are read in the order of their primary keys, page by page, so that memory does not grow with
them, and what a table holds is told by the SHA-256 of its lines: equal on two engines if, and only if, the rows are.

Databases are read in snapshots. Those of several databases are of one moment (`at_one_moment`): while they are taken,
nobody can commit a fact or note that one was published; what changes without a fact is nobody else's business. So
every fact that a consumer has handled is in its producer's snapshot, an id that one database has of a row in another
leads there, and what had left a producer without having reached every consumer can be told, and sent again
(`send_again`). No order of snapshots taken one after the other would do: consumers first suits facts, but who refers
to others must come before them. Writers wait for some milliseconds.

Databases that are being loaded have no revision: no process starts on them before everything in them was read back.
"""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import IO, Any, Self
from uuid import UUID

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    column,
    delete,
    insert,
    literal_column,
    null,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.types import TypeEngine

from infirmary.kernel.bus import Consumer
from infirmary.kernel.outbox import Stored, inbox, outbox, parked

from .columns import EnumText, Json, Processor
from .db import Database, Reading
from .errors import DatabaseError, Transient
from .rows import CHUNK, Insert
from .shape import Shape
from .statement import Query, Statement

PAGE = CHUNK   # rows that are read, or loaded in one transaction, at a time
TRIES = 10     # at taking all snapshots at one moment, while others write
EXACT = (UUID, datetime, date, str, int, bool, bytes, object)   # what reads the same on every engine

_versions = table("alembic_version", column("version_num", String))
REVISION = Query(select(_versions.c.version_num), str)
FORGET_REVISION = Statement(delete(_versions))
NOTE_REVISION = Statement(insert(_versions).values(version_num=bindparam("revision", type_=String)))

_published = select(outbox).where(outbox.c.published_at >= bindparam("since")).order_by(outbox.c.id).limit(
    bindparam("limit", type_=Integer))
PUBLISHED = Query(_published, Stored)
PUBLISHED_NEXT = Query(_published.where(outbox.c.id > bindparam("after")), Stored)
HANDLED = Query(select(inbox.c.fact_id).where(inbox.c.fact_id.in_(bindparam("ids", expanding=True))), UUID)
SET_ASIDE = Query(select(parked.c.id).where(parked.c.id.in_(bindparam("ids", expanding=True))), UUID)
AGAIN = Statement(update(outbox).where(outbox.c.id.in_(bindparam("ids", expanding=True))).values(
    published_at=null(), attempts=0))

# Before the first statement of the snapshot. It lies idle while others are read, for as long as that takes.
_SNAPSHOT = {
    "postgresql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                   "SET LOCAL idle_in_transaction_session_timeout=0"),
    "mysql": ("SET @of_mariadb=1 /*M! , SESSION idle_transaction_timeout=0 */",
              "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
              "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"),
    "sqlite": ("BEGIN",)}
# Who has stored a fact must first commit; who wants to, waits. On SQLite: the writer's turn, for a moment.
_HOLD = {
    "postgresql": ("SET LOCAL lock_timeout='1s'", "LOCK TABLE outbox IN SHARE MODE"),
    "mysql": ("SET SESSION lock_wait_timeout=1", "LOCK TABLES outbox READ"),
    "sqlite": ("SELECT 1",)}

Open = Callable[[str], AbstractContextManager[IO[bytes]]]   # the file of a table, by its name
Tallies = dict[str, "Tally"]


class Tally(msgspec.Struct, frozen=True):
    """What a table holds: its columns, how many rows, and the SHA-256 of their lines."""

    columns: list[str]
    rows: int
    sha256: str


class NotEmpty(Exception):
    """Whoever loads into a database that others use would mix two of them, or two moments of one."""


class Snapshot(Reading):
    """What was committed at one moment, for as long as this is open, whatever others write meanwhile."""

    def __init__(self, db: Database) -> None:   # not writing on SQLite: it would hold up every writer
        super().__init__(db.driver, writing=db.driver.dialect.name != "sqlite")
        self.dialect, self.revision = db.driver.dialect, ""

    async def __aenter__(self) -> Self:
        try:
            for sql in _SNAPSHOT[self._dialect.name]:
                await self._session.run(sql, ())
            self.revision = await self.one(REVISION) or ""   # the moment is that of the first table that is read
        except BaseException:
            await self._session.rollback()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._dialect.name == "sqlite":
            await self._session.run("ROLLBACK", ())
        await self._session.rollback()


class _Hold(Reading):
    """While this is open, nobody commits a fact here, or notes that one was published."""

    def __init__(self, db: Database) -> None:
        super().__init__(db.driver, writing=True)

    async def __aenter__(self) -> Self:
        try:
            for sql in _HOLD[self._dialect.name]:
                await self._session.run(sql, ())
        except BaseException:
            await self._session.rollback()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._dialect.name == "mysql":
            await self._session.run("UNLOCK TABLES", ())
        await self._session.rollback()


@contextlib.asynccontextmanager
async def at_one_moment(databases: Sequence[Database]) -> AsyncIterator[list[Snapshot]]:
    """A snapshot of each, all of the same moment. Tried again when writers keep somebody from being held."""
    for db in databases:   # both connections, before anybody is kept waiting
        async with db.reading() as one, db.reading() as other:
            await one.ping()
            await other.ping()
    for failed in range(TRIES):
        async with AsyncExitStack() as opened:
            try:
                async with AsyncExitStack() as held:
                    for db in databases:
                        await held.enter_async_context(_Hold(db))
                    snapshots = [await opened.enter_async_context(Snapshot(db)) for db in databases]
            except Transient:
                if failed + 1 == TRIES:
                    raise
            else:
                yield snapshots
                return
        await asyncio.sleep(random.uniform(0, .05 * 2 ** failed))   # noqa: S311 – jitter, not a secret


class _Lines:
    """One table as lines. Columns are read and written as the plainest type that holds them: an enum is its text."""

    _encoder = msgspec.json.Encoder(order="deterministic")

    def __init__(self, declared: Table, dialect: Dialect) -> None:
        plain = Table(declared.name, MetaData(), *(
            Column(one.name, _plain(one), primary_key=one.primary_key, nullable=one.nullable, autoincrement=False)
            for one in declared.columns))
        self.columns = [f"{one.name}" for one in plain.columns]   # plain strings, which SQLAlchemy's are not
        self.keys = [f"{one.name}" for one in plain.primary_key]
        fields = zip(self.columns, map(_annotation, plain.columns), strict=True)
        row = msgspec.defstruct("Row", fields, frozen=True, array_like=True)
        self.insert: Insert[Any] = Insert(plain, Shape(row, list(plain.columns)))
        self._decoder = msgspec.json.Decoder(row)
        # PostgreSQL sorts text by the database's language, unless it is told not to; the others by code point here.
        keys = [one.collate("C") if dialect.name == "postgresql" and isinstance(one.type, String) else one
                for one in plain.primary_key]
        ordered = select(plain).order_by(*keys).limit(bindparam("limit", type_=Integer))
        last = [bindparam(f"after_{one.name}", type_=one.type) for one in plain.primary_key]
        self._first = Query(ordered, row)
        self._next = Query(ordered.where(_beyond(keys, last)), row)

    async def read(self, reading: Reading) -> AsyncIterator[list[Any]]:
        """Pages, in key order."""
        page = await reading.all(self._first, limit=PAGE)
        while page:
            yield page
            last = {f"after_{name}": getattr(page[-1], name) for name in self.keys}
            page = await reading.all(self._next, limit=PAGE, **last) if len(page) == PAGE else []

    async def write(self, reading: Reading, out: IO[bytes] | None = None) -> Tally:
        digest, rows = hashlib.sha256(), 0
        async for page in self.read(reading):
            lines = self._encoder.encode_lines(page)
            digest.update(lines)
            rows += len(page)
            if out is not None:
                out.write(lines)
        return Tally(self.columns, rows, digest.hexdigest())

    async def load(self, db: Database, lines: Iterable[bytes]) -> None:
        """Each page is a transaction of its own: SQLite gives nobody its writer for long."""
        lines = iter(lines)
        while page := list(islice(lines, PAGE)):
            async with db.transaction() as tx:
                tx.add(self.insert, self._decoder.decode_lines(b"".join(page)))


class _Numbers(Json):
    """JSON whose numbers are one value, not one spelling: 1.0 is 1, and 1e3 is 1000, as JSONB has them."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        return msgspec.json.Decoder(float_hook=_number).decode


def _number(text: str) -> float:
    return int(Decimal(text)) if float(text).is_integer() else float(text)


def _plain(one: Column[Any]) -> TypeEngine[Any]:
    if isinstance(one.type, EnumText):
        return String(one.type.length)
    if one.type.python_type not in EXACT:
        raise TypeError(f"{one}: {one.type.python_type.__name__} does not read the same on every engine")
    return _Numbers() if isinstance(one.type, Json) else one.type


def _annotation(one: Column[Any]) -> Any:
    kind = one.type.python_type
    return Any if kind is object else kind | None if one.nullable else kind


async def dump(snapshot: Snapshot, metadata: MetaData, into: Open) -> Tallies:
    """Every table of the context, each into a file of its own."""
    tallies = {}
    for lines in _all_of(metadata, snapshot.dialect):
        with into(lines.insert.table.name) as out:
            tallies[lines.insert.table.name] = await lines.write(snapshot, out)
    return tallies


async def tally(snapshot: Snapshot, metadata: MetaData) -> Tallies:
    """What the database holds, told as `dump` tells it."""
    return {lines.insert.table.name: await lines.write(snapshot) for lines in _all_of(metadata, snapshot.dialect)}


@contextlib.asynccontextmanager
async def closed_to_others(databases: Sequence[Database]) -> AsyncIterator[None]:
    """Without a revision no process starts on them: they get theirs back when all of them have been loaded."""
    revisions: list[str | None] = []
    for db in databases:
        async with db.transaction() as tx:
            revision = await tx.one(REVISION)
            revisions.append(revision)
            await tx.run(FORGET_REVISION)
    yield
    for db, revision in zip(databases, revisions, strict=True):
        async with db.transaction() as tx:
            await tx.run(NOTE_REVISION, revision=revision)


async def load(db: Database, metadata: MetaData, source: Open, expected: Tallies) -> None:
    """Fill an empty, migrated database, and read it back."""
    for lines in _all_of(metadata, db.driver.dialect):
        with source(lines.insert.table.name) as file:
            await lines.load(db, file)
    async with Snapshot(db) as snapshot:
        found = await tally(snapshot, metadata)
    if wrong := [name for name, one in expected.items() if found[name] != one]:
        raise DatabaseError(f"{db.context} does not hold what was loaded into it: {', '.join(wrong)}")


async def must_be_empty(db: Database, metadata: MetaData) -> None:
    """No rows in any table; there may be no tables yet."""
    tables = {one.name: await _asked(db, _any_row(one)) for one in metadata.sorted_tables}
    if any(found == 1 for found in tables.values()):
        raise NotEmpty(f"The database of {db.context} is not empty.")
    if any(found is None for found in tables.values()) and not await _asked(db, REVISION):
        raise NotEmpty(f"The database of {db.context} holds what an interrupted migration or restore has left.")


async def send_again(producer: Database, consumers: Sequence[Consumer], *, since: datetime) -> int:
    """Facts published since then that not every consumer has handled (or set aside) wait again. Those that a consumer
    had no effect for, and so no note of, are among them."""
    again = 0
    last: UUID | None = None
    while True:
        async with producer.reading() as reading:
            page = await (reading.all(PUBLISHED_NEXT, since=since, after=last, limit=PAGE) if last else
                          reading.all(PUBLISHED, since=since, limit=PAGE))
        if not page:
            return again
        last = page[-1].id
        unheard: set[UUID] = set()
        for consumer in consumers:
            if meant := {one.id for one in page if one.kind in consumer.kinds}:
                async with consumer.db.reading() as reading:
                    handled = await reading.all(HANDLED, ids=sorted(meant))
                    set_aside = await reading.all(SET_ASIDE, ids=sorted(meant))
                unheard |= meant.difference(handled, set_aside)
        if unheard:
            async with producer.transaction() as tx:
                again += await tx.run(AGAIN, ids=sorted(unheard))


def _any_row(one: Table) -> Query[int]:
    return Query(select(literal_column("1", Integer)).select_from(one).limit(1), int)


async def _asked(db: Database, query: Query[Any]) -> Any:
    """The first answer, None if there is none, False if there is no such table."""
    try:
        async with db.reading() as reading:
            return await reading.one(query)
    except Transient:
        raise
    except DatabaseError:
        return False


def _all_of(metadata: MetaData, dialect: Dialect) -> list[_Lines]:
    """Those that others refer to come first."""
    return [_Lines(one, dialect) for one in metadata.sorted_tables]


def _beyond(keys: Sequence[ColumnElement[Any]], last: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    """a >= :a AND (a > :a OR (b > :b ...)): unlike (a, b) > (:a, :b), MySQL uses the index for it."""
    if len(keys) == 1:
        return keys[0] > last[0]
    return and_(keys[0] >= last[0], or_(keys[0] > last[0], _beyond(keys[1:], last[1:])))

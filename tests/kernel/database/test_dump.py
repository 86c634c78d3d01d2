"""What a database holds, told the same on every engine, read at one moment, and loaded into another one."""
from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Column, Float, MetaData, String, Table, select

from infirmary.kernel.bus import Consumer
from infirmary.kernel.database.columns import Id, Money, new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.drivers import mysql, postgres
from infirmary.kernel.database.dump import (
    NotEmpty,
    Snapshot,
    Tallies,
    at_one_moment,
    closed_to_others,
    dump,
    load,
    must_be_empty,
    send_again,
    tally,
)
from infirmary.kernel.database.errors import DatabaseError
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query
from infirmary.kernel.events import Fact
from infirmary.kernel.outbox import OUTBOX, PARKED, Parked, Relay, inbox, outbox
from tests import servers
from tests.kernel.model import PEOPLE, THINGS, VISITS, Status, VisitBooked, a_person, a_thing, a_visit, book, declared

ENGINES = ("sqlite", "postgresql", "mariadb")
VERSION = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"


class Word(msgspec.Struct, frozen=True):
    word: str
    owner: UUID


TABLES = declared()
# Sorted as people sort on PostgreSQL, as a database is there that was made in their language.
SORTED = String(60).with_variant(String(60, collation="en-x-icu"), "postgresql")
WORDS = Rows(Table("word", TABLES, Column("word", SORTED, primary_key=True), Column("owner", Id, primary_key=True)),
             Word, key="word", version=None)
SPOKEN = ["a", "A", "b", "B", "ä", "a b", "a-b", "ab", "Zoë", "zoe", "_", "é", "e", "z", "œ", "日本", "🩺", "~", "łukasz"]


class Engines:
    """Opens empty databases with our tables, as after a migration, on any engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Database] = []
        self.urls: dict[str, str] = {}

    async def __call__(self, engine: str, name: str) -> Database:
        self.urls[name] = self.url(engine, name)
        db = await self.again(self.urls[name], name)
        await db.create(TABLES)
        await db.driver.run_ddl(VERSION, "INSERT INTO alembic_version (version_num) VALUES ('0007')")
        return db

    async def again(self, url: str, name: str) -> Database:
        self.opened.append(db := await Database.open(url, name, size=6))
        return db

    def url(self, engine: str, name: str) -> str:
        if reason := servers.unavailable(engine):
            pytest.skip(reason)
        if engine == "sqlite":
            return f"sqlite://{self.folder / name}.db"
        server = servers.postgres() if engine == "postgresql" else servers.mariadb()
        return server.create(f"{os.environ.get('PYTEST_XDIST_WORKER', 'dump')}_{name}")


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Engines]:
    yield (engines := Engines(tmp_path))
    for db in engines.opened:
        await db.close()


async def dumped(db: Database) -> tuple[dict[str, bytes], Tallies]:
    files: dict[str, bytes] = {}

    @contextlib.contextmanager
    def into(name: str) -> Iterator[io.BytesIO]:
        yield (out := io.BytesIO())
        files[name] = out.getvalue()

    async with Snapshot(db) as snapshot:
        return files, await dump(snapshot, TABLES, into)


def read_from(files: dict[str, bytes]) -> Callable[[str], io.BytesIO]:
    return lambda name: io.BytesIO(files[name])


async def fill(db: Database) -> None:
    chance = random.Random(3)
    things = [a_thing(), a_thing(
        note='line\nbreak \\ "quoted" \u2028 \U0001f9ba', born=date(1899, 12, 31), maybe=Status.CANCELLED, flag=True,
        at=datetime(2026, 3, 29, 1, 0, 0, 0, UTC), later=datetime(9999, 12, 31, 23, 59, 59, 999998, UTC),
        other=new_id(), price=Money(-2**62, "JPY"), discount=Money(1, "EUR"),
        data={"z": [1.0, 2.5, 1e21, 12345678901234567890, -0.25, 1e-9], "a": {"ü": None, "b": True}, "": "🩺"})]
    things += [a_thing(data=[], name=f"thing {n}") for n in range(1203)]   # three pages
    chance.shuffle(things)
    words = [Word(f"{one}{n or ''}", new_id()) for one in SPOKEN for n in range(60)]
    chance.shuffle(words)
    async with db.transaction() as tx:
        THINGS.add(tx, *things)
        WORDS.add(tx, *words)
        PEOPLE.add(tx, a_person(badge=None), a_person(badge=7))
        for _ in range(5):
            book(tx, a_visit())


@pytest.mark.parametrize(("source", "target"), list(itertools.product(ENGINES, ENGINES)))
async def test_what_one_engine_holds_another_tells_in_the_same_bytes(opened: Engines, source: str, target: str) -> None:
    old, new = await opened(source, "old"), await opened(target, "new")
    await fill(old)
    files, told = await dumped(old)
    assert told["everything"].rows == 1205
    assert told["word"].rows == 60 * len(SPOKEN)
    assert told["outbox"].rows == 5
    await load(new, TABLES, read_from(files), told)
    assert await dumped(new) == (files, told)
    async with old.reading() as one, new.reading() as other:   # and what people see of it is the same
        everything = THINGS.find(order_by=[THINGS.table.c.id])
        assert await one.all(everything) == await other.all(everything)


def test_what_does_not_read_the_same_everywhere_is_refused(tmp_path: Path) -> None:
    tables = MetaData()
    Table("weight", tables, Column("id", Id, primary_key=True), Column("kilograms", Float))

    async def told() -> None:
        db = await Database.open(f"sqlite://{tmp_path / 'weights.db'}", "weights")
        try:
            await db.create(tables)
            await db.driver.run_ddl(VERSION)
            async with Snapshot(db) as snapshot:
                await tally(snapshot, tables)
        finally:
            await db.close()
    with pytest.raises(TypeError, match="kilograms"):
        asyncio.run(told())


async def test_a_snapshot_does_not_see_what_is_written_meanwhile(opened: Engines, engine: str) -> None:
    db = await opened(engine, "old")
    await fill(db)
    _, before = await dumped(db)
    async with Snapshot(db) as snapshot:
        async with db.transaction() as tx:
            book(tx, a_visit())
        assert await tally(snapshot, TABLES) == before
    assert (await dumped(db))[1]["outbox"].rows == before["outbox"].rows + 1


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
async def test_a_snapshot_lies_idle_for_as_long_as_others_are_read(
        opened: Engines, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for driver in (postgres, mysql):
        monkeypatch.setattr(driver, "IDLES_FOR", 1)
    db = await opened(engine, "old")
    async with Snapshot(db) as snapshot:
        first = await tally(snapshot, TABLES)
        await asyncio.sleep(1.5)
        assert await tally(snapshot, TABLES) == first


async def test_snapshots_of_several_databases_are_of_one_moment(
        opened: Engines, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact that was handled is where it came from, and one that was published has been handled, however the writers
    hurry: it is so at every moment, but not in snapshots that are taken one after the other."""
    producer, consumer = await opened(engine, "producer"), await opened(engine, "consumer")
    readers = [await opened.again(opened.urls[name], name) for name in ("consumer", "producer")]
    stop = asyncio.Event()
    take = Snapshot.__aenter__

    async def take_slowly(self: Snapshot) -> Snapshot:   # as over a slow network
        await asyncio.sleep(.02)
        return await take(self)
    monkeypatch.setattr(Snapshot, "__aenter__", take_slowly)

    async def have_effect(fact: Fact, last: bool) -> None:
        async with consumer.transaction(once=fact.id) as tx:
            VISITS.add(tx, a_visit(id=fact.aggregate))

    async def write() -> None:
        while not stop.is_set():
            async with producer.transaction() as tx:
                book(tx, a_visit())
            await asyncio.sleep(0)

    async def relay() -> None:
        while not stop.is_set():
            await producer.retry(Relay(producer, have_effect, batch=5).once)
            await asyncio.sleep(0)

    handled = Query(select(inbox.c.fact_id), UUID)
    stored = Query(select(outbox.c.id), UUID)
    published = Query(select(outbox.c.id).where(outbox.c.published_at.is_not(None)), UUID)
    tasks = [asyncio.create_task(work()) for work in (write, write, write, relay)]
    cuts = []
    try:
        for order in [readers, readers[::-1]] * 8:
            async with at_one_moment(order) as snapshots:
                by_name = dict(zip([db.context for db in order], snapshots, strict=True))
                cuts.append((set(await by_name["consumer"].all(handled)), set(await by_name["producer"].all(stored)),
                             set(await by_name["producer"].all(published))))
            await asyncio.sleep(.02)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    for known, kept, gone in cuts:
        assert known <= kept
        assert gone <= known
    assert len(cuts[-1][0]) > 20
    assert cuts[0][1] < cuts[-1][1]


async def test_databases_have_their_revision_again_when_all_of_them_were_loaded(opened: Engines, engine: str) -> None:
    old, new, next_to_it = [await opened(one, name) for one, name in (
        ("sqlite", "old"), (engine, "new"), (engine, "next"))]
    await fill(old)
    files, told = await dumped(old)

    async def revisions() -> list[str]:
        async with Snapshot(new) as one, Snapshot(next_to_it) as other:
            return [one.revision, other.revision]

    async with closed_to_others([new, next_to_it]):
        assert await revisions() == ["", ""]
        await load(new, TABLES, read_from(files), told)
    assert await revisions() == ["0007", "0007"]
    with pytest.raises(DatabaseError, match="person"):
        async with closed_to_others([next_to_it, new]):
            await load(next_to_it, TABLES, read_from({**files, "person": b""}), told)
    assert await revisions() == ["", ""]


async def test_only_an_empty_database_is_empty(opened: Engines, engine: str) -> None:
    db = await opened(engine, "new")
    await must_be_empty(db, TABLES)
    await db.driver.run_ddl("DELETE FROM alembic_version")
    with pytest.raises(NotEmpty, match="interrupted"):
        await must_be_empty(db, TABLES)
    await db.driver.run_ddl("INSERT INTO alembic_version (version_num) VALUES ('0007')")
    async with db.transaction() as tx:
        PEOPLE.add(tx, a_person())
    with pytest.raises(NotEmpty, match="not empty"):
        await must_be_empty(db, TABLES)


async def test_facts_that_somebody_has_not_heard_are_sent_again_and_no_others(opened: Engines, engine: str) -> None:
    producer, eager, slow = [await opened(engine, name) for name in ("producer", "eager", "slow")]

    async def nothing(event: object, fact: Fact) -> None: ...

    async def heard(db: Database, *facts: Fact) -> None:
        for fact in facts:
            async with db.transaction(once=fact.id) as tx:
                VISITS.add(tx, a_visit(id=fact.aggregate))

    async with producer.transaction() as tx:
        for _ in range(620):   # more than a page
            tx.emit(VisitBooked(aggregate=new_id(), version=1))
    async with producer.reading() as reading:
        facts = [one.fact for one in await reading.all(OUTBOX.find(order_by=[outbox.c.id]))]

    async def published(fact: Fact, last: bool) -> None: ...

    while await Relay(producer, published).once():
        pass
    async with producer.transaction() as tx:
        tx.emit(VisitBooked(aggregate=new_id(), version=1))   # has not left yet
    await heard(eager, *facts)
    await heard(slow, *facts[:3], *facts[4:609], *facts[611:])
    async with slow.transaction() as tx:
        one = facts[610]
        PARKED.add(tx, Parked(one.id, one.kind, one.aggregate, one.version, one.body, "", one.happened_at,
                              one.happened_at, "Refused"))
    consumers = [Consumer(eager, {VisitBooked: nothing}), Consumer(slow, {VisitBooked: nothing}),
                 Consumer(producer, {})]
    begun = facts[0].happened_at
    assert await send_again(producer, consumers, since=begun + timedelta(hours=1)) == 0
    assert await send_again(producer, consumers, since=begun) == 2
    waiting = Query(select(outbox.c.id).where(outbox.c.published_at.is_(None)).order_by(outbox.c.id), UUID)
    async with producer.reading() as reading:
        assert (await reading.all(waiting))[:2] == [facts[3].id, facts[609].id]
    assert await send_again(producer, consumers, since=begun) == 0

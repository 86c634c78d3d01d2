"""Requests are cancelled and connections are lost; nothing half-done stays and nothing leaks."""
from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from infirmary.kernel.database.db import Database, Transaction
from infirmary.kernel.database.drivers import mysql, postgres
from infirmary.kernel.database.errors import ConnectionLost, OutcomeUnknown
from infirmary.kernel.outbox import WAITING
from tests.kernel.model import BUMP, BY_IDS, COUNT, TAKEN, VISITS, Visit, a_visit, book
from tests.network import Line, port_of, through

POOL = 16   # what the fixture `db` opens
where_connections_can_be_lost = pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)


@pytest.mark.parametrize("where", ["in a statement", "between statements"])
async def test_a_cancelled_request_rolls_back_and_gives_the_connection_back(db: Database, where: str) -> None:
    contested = await _a_kept_visit(db)
    holds, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.run(BUMP, key=contested.id)
            holds.set()
            await release.wait()

    async def request() -> None:
        async with db.transaction() as tx:
            VISITS.add(tx, a_visit())
            await tx.one(COUNT)                      # something is written
            if where == "between statements":
                await asyncio.sleep(60)
            await tx.run(BUMP, key=contested.id)     # waits for hold()

    if where == "between statements":
        release.set()
    holder = asyncio.create_task(hold())
    await holds.wait()
    for _ in range(40):                              # more than the pool holds
        task = asyncio.create_task(request())
        await asyncio.sleep(.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()
    await holder
    async with db.reading() as reading:
        assert await reading.one(COUNT) == 1
    await _all_connections_work(db, contested)


async def test_a_request_cancelled_in_its_commit_is_kept_whole_or_not_at_all(db: Database) -> None:
    contested = await _a_kept_visit(db)

    async def request() -> None:
        async with db.transaction() as tx:
            book(tx, a_visit())

    for _ in range(40):
        task = asyncio.create_task(request())
        for _ in range(random.randrange(9)):
            await asyncio.sleep(0)
        if task.cancel():   # False: it was quicker
            with pytest.raises(asyncio.CancelledError):
                await task
    await _all_connections_work(db, contested)
    async with db.transaction() as tx:   # not just a reading: what was cancelled may be committed yet
        count = await tx.one(COUNT) or 0
        assert 1 <= count <= 41
        assert await tx.one(WAITING) == count - 1
        assert await tx.one(TAKEN) == 12 * (count - 1)


async def _a_kept_visit(db: Database) -> Visit:
    one = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, one)
    return one


async def _all_connections_work(db: Database, contested: Visit) -> None:
    async def touch() -> None:
        async with db.transaction() as tx:
            assert await tx.run(BUMP, key=contested.id) == 1
    async with asyncio.timeout(10):
        await asyncio.gather(*(db.retry(touch) for _ in range(50)))
    if pool := getattr(db.driver, "pool", None):
        assert len(pool._idle) + pool._room == POOL


@where_connections_can_be_lost
async def test_a_lost_connection_is_replaced(db: Database) -> None:
    for _ in range(3):
        async with db.reading() as reading:
            await reading.one(COUNT)
            session: Any = reading._session
            if db.driver.dialect.name == "postgresql":
                session._connection.terminate()
            else:
                session._cursor.connection.close()
        async with db.reading() as reading:
            assert await reading.one(COUNT) == 0


@where_connections_can_be_lost
async def test_a_connection_lost_in_mid_transaction_is_run_again(db: Database) -> None:
    one, runs = await _a_kept_visit(db), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        async with db.transaction() as tx:
            await tx.run(BUMP, key=one.id)
            if runs == 1:
                await _kill_connection(db, tx)
            await tx.run(BUMP, key=one.id)

    await db.retry(work)
    async with db.reading() as reading:
        assert (await reading.all(BY_IDS, ids=[one.id]))[0].version == 3
    assert runs == 2


@where_connections_can_be_lost
async def test_a_connection_lost_at_commit_is_said_to_be_unknown_and_not_run_again(db: Database) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        async with db.transaction() as tx:
            await tx.one(COUNT)
            await _kill_connection(db, tx)
            VISITS.add(tx, a_visit())

    with pytest.raises(OutcomeUnknown):
        await db.retry(work)
    assert runs == 1


@where_connections_can_be_lost
async def test_who_was_frozen_in_a_transaction_has_lost_its_connection_and_holds_no_lock(
        db: Database, database_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    for driver in (postgres, mysql):
        monkeypatch.setattr(driver, "IDLES_FOR", 1)
    kept, frozen = await _a_kept_visit(db), await Database.open(database_url("kernel"), "kernel", size=1)
    sleeps = asyncio.Event()

    async def freeze() -> None:
        async with frozen.transaction() as tx:
            await tx.run(BUMP, key=kept.id)
            sleeps.set()
            await asyncio.sleep(3)
            await tx.run(BUMP, key=kept.id)

    sleeping = asyncio.create_task(freeze())
    await sleeps.wait()
    async with db.transaction() as tx:
        await tx.run(BUMP, key=kept.id)   # waits, but not for the sleeper to wake
    assert not sleeping.done()
    with pytest.raises(ConnectionLost):
        await sleeping
    await frozen.close()


async def _kill_connection(db: Database, tx: Transaction) -> None:
    session: Any = tx._session
    if db.driver.dialect.name == "postgresql":
        await db.driver.run_ddl(f"SELECT pg_terminate_backend({session._connection.get_server_pid()})")
    else:
        await db.driver.run_ddl(f"KILL {session._cursor.connection.thread_id()}")
    await asyncio.sleep(.05)


@pytest.mark.parametrize("url", ["postgresql://a:b@127.0.0.1:9/nowhere", "mariadb://a:b@127.0.0.1:9/nowhere"])
async def test_a_database_that_is_away_is_a_lost_connection(url: str) -> None:
    away = await Database.open(url, "kernel")
    for opened in (away.reading, away.transaction):
        with pytest.raises(ConnectionLost):
            async with opened() as asked:
                await asked.ping()


@where_connections_can_be_lost
async def test_who_is_cancelled_between_statements_on_a_dead_line_ends_in_time(
        db: Database, database_url: Callable[[str], str]) -> None:
    """As a relay is, whose transaction waits for others: it would wait for its ROLLBACK for ever, and carry no fact again."""
    url = database_url("kernel")
    async with Line.to(port_of(url)) as line:
        there = await Database.open(through(line, url), "kernel", size=4)
        begun = asyncio.Event()

        async def work() -> None:
            async with there.transaction() as tx:
                await tx.one(COUNT)
                begun.set()
                await asyncio.sleep(60)

        working = asyncio.create_task(work())
        await begun.wait()
        line.silent = True
        working.cancel()
        async with asyncio.timeout(5):
            assert isinstance((await asyncio.gather(working, return_exceptions=True))[0], asyncio.CancelledError)
        line.mend()
        async with there.reading() as reading:
            assert await reading.one(COUNT) == 0
        await there.close()

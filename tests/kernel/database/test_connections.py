"""Requests are cancelled and connections are lost; nothing half-done stays and nothing leaks."""
from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from infirmary.kernel.database.db import Database, Transaction
from infirmary.kernel.database.errors import OutcomeUnknown

from ..model import BUMP, BY_IDS, COUNT, VISITS, a_visit

POOL = 16   # what the fixture `db` opens


@pytest.mark.parametrize("where", ["in a statement", "between statements", "in the commit"])
async def test_a_cancelled_request_rolls_back_and_gives_the_connection_back(db: Database, where: str) -> None:
    contested = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, contested)
    holds, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.run(BUMP, key=contested.id)
            holds.set()
            await release.wait()

    async def request() -> None:
        async with db.transaction() as tx:
            VISITS.add(tx, a_visit())
            if where != "in the commit":
                await tx.one(COUNT)                      # something is written
                if where == "between statements":
                    await asyncio.sleep(60)
                await tx.run(BUMP, key=contested.id)     # waits for hold()

    holder = asyncio.create_task(hold()) if where == "in a statement" else None
    if holder:
        await holds.wait()
    for _ in range(40):                                  # more than the pool holds
        task = asyncio.create_task(request())
        for _ in range(random.randrange(9) if where == "in the commit" else 3):
            await asyncio.sleep(0)
        if where != "in the commit":
            await asyncio.sleep(.01)
        if task.cancel():   # False: it was quicker
            with pytest.raises(asyncio.CancelledError):
                await task
    release.set()
    if holder:
        await holder
    async with db.transaction() as tx:                   # and all connections still work
        assert await tx.run(BUMP, key=contested.id) == 1
    async with db.reading() as reading:
        count = await reading.one(COUNT) or 0
        assert count == 1 or (where == "in the commit" and 1 <= count <= 41)

    async def touch() -> None:
        async with db.transaction() as tx:
            assert await tx.run(BUMP, key=contested.id) == 1
    async with asyncio.timeout(5):
        await asyncio.gather(*(db.retry(touch) for _ in range(50)))
    if pool := getattr(db.driver, "pool", None):
        assert len(pool._idle) + pool._room == POOL


async def test_a_lost_connection_is_replaced(db: Database) -> None:
    _skip_without_connections(db)
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


async def test_a_connection_lost_in_mid_transaction_is_run_again(db: Database) -> None:
    _skip_without_connections(db)
    one, runs = a_visit(), 0
    async with db.transaction() as tx:
        VISITS.add(tx, one)

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


async def test_a_connection_lost_at_commit_is_said_to_be_unknown_and_not_run_again(db: Database) -> None:
    _skip_without_connections(db)
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


def _skip_without_connections(db: Database) -> None:
    if db.driver.dialect.name == "sqlite":
        pytest.skip("SQLite has no connection to lose")


async def _kill_connection(db: Database, tx: Transaction) -> None:
    session: Any = tx._session
    if db.driver.dialect.name == "postgresql":
        await db.driver.run_ddl(f"SELECT pg_terminate_backend({session._connection.get_server_pid()})")
    else:
        await db.driver.run_ddl(f"KILL {session._cursor.connection.thread_id()}")
    await asyncio.sleep(.05)

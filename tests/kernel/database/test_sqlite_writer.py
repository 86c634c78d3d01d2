"""SQLite's one writer: groups that share a commit, and what happens when it fails, hangs or dies."""
from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from infirmary.kernel.database.db import Database
from infirmary.kernel.database.drivers import sqlite
from infirmary.kernel.database.errors import DatabaseError, OutcomeUnknown, Transient, UniqueViolation
from tests.kernel.model import BUMP, COUNT, VISITS, a_visit, book, declared


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite://{tmp_path / 'writer.db'}", "kernel")
    await database.create(declared())
    yield database
    await database.close()


async def test_a_crashed_writer_loses_no_acknowledged_commit(db: Database, tmp_path: Path) -> None:
    acknowledged: set[UUID] = set()
    unknown = 0

    async def one_booking() -> None:
        nonlocal unknown
        visit = a_visit()
        try:
            async with db.transaction() as tx:
                VISITS.add(tx, visit)
                if random.random() < .5:
                    await tx.one(COUNT)
            acknowledged.add(visit.id)
        except (OutcomeUnknown, Transient):
            unknown += 1

    for _ in range(30):
        tasks = [asyncio.create_task(one_booking()) for _ in range(20)]
        await asyncio.sleep(random.uniform(0, .004))
        db.driver.task.cancel()   # type: ignore[attr-defined]
        await asyncio.gather(*tasks)
    kept = {UUID(bytes=row[0]) for row in _rows(tmp_path / "writer.db", "SELECT id FROM visit")}
    assert acknowledged <= kept
    assert acknowledged
    assert unknown


async def test_a_killed_process_loses_no_acknowledged_commit(tmp_path: Path) -> None:
    for round_ in range(4):
        path = tmp_path / f"kill{round_}.db"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.kernel.database.books_without_end", str(path), stdout=asyncio.subprocess.PIPE)
        assert child.stdout
        said = b"".join([await child.stdout.readline() for _ in range(random.randrange(20, 300))])
        child.kill()
        said += (await child.communicate())[0]
        acknowledged = {line for line in said.decode().split("\n") if len(line) == 32}   # the last may be cut off
        assert len(acknowledged) >= 20
        assert acknowledged <= {row[0].hex() for row in _rows(path, "SELECT id FROM visit")}


async def test_a_failing_transaction_undoes_only_itself_in_its_group(db: Database) -> None:
    same = a_visit()

    async def one_booking(at: int) -> str:
        try:
            async with db.transaction() as tx:
                VISITS.add(tx, a_visit())
                if at % 3 == 0:
                    VISITS.add(tx, same)
                if at % 2 == 0:
                    await tx.one(COUNT)
                if at % 5 == 0:
                    raise ZeroDivisionError
        except (UniqueViolation, ZeroDivisionError) as error:
            return type(error).__name__
        return "ok"

    answers = await asyncio.gather(*(one_booking(at) for at in range(60)))
    async with db.reading() as reading:
        assert await reading.one(COUNT) == answers.count("ok") + 1


async def test_another_process_may_write_to_the_same_file(db: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "writer.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        booked = asyncio.create_task(_book(db))
        await asyncio.sleep(.2)
        assert not booked.done()
        other.execute("COMMIT")
        await booked


@pytest.mark.parametrize("then", ["asks again", "only leaves", "never returns"])
async def test_a_body_that_hangs_is_rolled_back_and_told_and_the_others_go_on(
        db: Database, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    monkeypatch.setattr(sqlite, "HELD_SECONDS", .2)
    contested = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, contested)
    release = asyncio.Event()

    async def hangs() -> None:
        async with db.transaction() as tx:
            VISITS.add(tx, a_visit())
            await tx.run(BUMP, key=contested.id)
            await release.wait()
            if then == "asks again":
                await tx.run(BUMP, key=contested.id)

    hanging = asyncio.create_task(hangs())
    await asyncio.sleep(.01)
    async with asyncio.timeout(1):
        await asyncio.gather(*(_book(db) for _ in range(5)))
    if then == "never returns":
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
    else:
        release.set()
        with pytest.raises(DatabaseError, match=r"held SQLite's writer for 0\.2 s"):
            await hanging
    async with db.reading() as reading:
        assert await reading.one(COUNT) == 6   # the contested one and the five
        assert await VISITS.get(reading, contested.id) == contested


async def test_tables_that_cannot_all_be_made_are_not_made_at_all(db: Database) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await db.driver.run_ddl("CREATE TABLE first (id)", "CREATE TABLE visit (id)")
    await db.driver.run_ddl("CREATE TABLE first (id)")


async def _book(db: Database) -> None:
    async with db.transaction() as tx:
        book(tx, a_visit())


def _rows(path: Path, sql: str) -> list[tuple[bytes]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()

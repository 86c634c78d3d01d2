"""SQLite: reads run on the event loop (microseconds); one writer commits in groups that share an fsync."""
from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from infirmary.kernel.database.errors import DatabaseError, OutcomeUnknown, Transient, UniqueViolation
from infirmary.kernel.database.statement import Write
from infirmary.kernel.database.unique import unique_name

from . import Row

GROUP = 64          # transactions that may share a commit,
GROUP_SECONDS = .01   # and how long the first of them may wait for the others
# A body that hangs (on a lock, a call without a deadline) would hold the only writer, and every other change with it,
# until the process ends. Longer than any honest transaction, shorter than people's patience.
HELD_SECONDS = 10
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 0}


class Sqlite:
    def __init__(self, path: str) -> None:
        self.dialect = sqlite_dialect()
        self._path = path
        self.writer, self.reader = _connect(path), _connect(path)
        self.reader.execute("PRAGMA query_only=1")
        self._turns: asyncio.Queue[_Turn] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self.task: asyncio.Task[None] | None = None

    def session(self, *, writing: bool) -> _Writing | _Reading:
        return _Writing(self) if writing else _Reading(self.reader)

    async def run_ddl(self, *statements: str) -> None:
        self.writer.execute("BEGIN IMMEDIATE")
        with self.writer:   # which commits, or rolls back
            for sql in statements:
                self.writer.execute(sql)

    async def close(self) -> None:
        if self.task:
            self.task.cancel()
            await asyncio.wait([self.task])
        self._thread.shutdown()
        self.reader.close()
        self.writer.close()

    def queue(self, turn: _Turn) -> None:
        if self.task is None or self.task.done():   # first use, or the writer died: its waiters were told
            self.task = asyncio.create_task(self._write(), name="sqlite-writer")
        self._turns.put_nowait(turn)

    async def _write(self) -> None:
        turn: _Turn | None = None
        group: list[_Turn] = []
        loop = asyncio.get_running_loop()
        try:
            while True:
                turn, group = await self._turns.get(), []
                try:
                    await self._begin(loop)
                    until = loop.time() + GROUP_SECONDS
                    while turn is not None:
                        group.append(turn)
                        await self._take(turn)
                        ready = not self._turns.empty() and len(group) < GROUP and loop.time() < until
                        turn = self._turns.get_nowait() if ready else None
                    await loop.run_in_executor(self._thread, self.writer.execute, "COMMIT")
                except sqlite3.Error as error:   # disk full, busy, ...: nobody was told "done", so nobody is lied to
                    if self.writer.in_transaction:
                        self.writer.execute("ROLLBACK")
                    for member in {*group, *([turn] if turn else [])}:
                        member.fail(_translated(error))
                for member in group:
                    member.end()
        finally:
            for member in {*group, *([turn] if turn else [])}:
                member.fail(OutcomeUnknown("the writer stopped"))
            while not self._turns.empty():
                self._turns.get_nowait().fail(Transient("the writer stopped before this began"))
            # A COMMIT may still be under way in the thread: wait for it there, then leave nothing open.
            self._thread.submit(lambda: self.writer.in_transaction and self.writer.execute("ROLLBACK")).result()

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """IMMEDIATE: a transaction that starts by reading could never be upgraded once another has written."""
        try:
            self.writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            # Another process (a CLI command) is writing: wait for it in the thread, not on the loop.
            await loop.run_in_executor(self._thread, self.writer.executescript,
                                       "PRAGMA busy_timeout=5000; BEGIN IMMEDIATE; PRAGMA busy_timeout=0")

    async def _take(self, turn: _Turn) -> None:
        """Run one transaction inside the group; its failure undoes only itself.

        It hears of it when the group is committed, not before: what it ran into may be a neighbour's work, which
        nobody else can see as yet.
        """
        self.writer.execute("SAVEPOINT turn")
        keep = False
        try:
            if turn.writes is not None:
                turn.run(self.writer)
                keep = True
            elif not turn.granted.cancelled():
                turn.granted.set_result(None)
                async with asyncio.timeout(HELD_SECONDS):
                    keep = await turn.finished
        except TimeoutError:
            turn.fail(DatabaseError(f"rolled back: it held SQLite's writer for {HELD_SECONDS} s"))
        except Exception as error:   # noqa: BLE001 – not only sqlite3.Error: an int of 65 bits is an OverflowError
            turn.refused = _translated(error)
        if not self.writer.in_transaction:   # FULL, IOERR and NOMEM undo everything, the group with it
            raise sqlite3.OperationalError("SQLite undid the whole group")
        if not keep:
            self.writer.execute("ROLLBACK TO turn")
        self.writer.execute("RELEASE turn")


class _Turn:
    """One transaction's place in the queue: either its writes, or a caller who wants the connection for a while."""

    def __init__(self, writes: Sequence[Write] | None) -> None:
        future = asyncio.get_running_loop().create_future
        self.writes = writes
        self.refused: DatabaseError | None = None
        self.over: asyncio.Future[None] = future()   # when the group is committed, or has failed
        if writes is None:
            self.granted: asyncio.Future[None] = future()
            self.finished: asyncio.Future[bool] = future()

    def run(self, writer: sqlite3.Connection) -> None:
        for sql, args in self.writes or ():
            writer.execute(sql, args)

    def finish(self, *, keep: bool) -> None:
        if self.writes is None and not self.finished.done():   # done: the writer stopped, and took it along
            self.finished.set_result(keep)

    def end(self) -> None:
        if self.refused:
            self.fail(self.refused)
        elif not self.over.done():
            self.over.set_result(None)

    def fail(self, error: Exception) -> None:
        for future in (self.over,) if self.writes is not None else (self.over, self.granted):
            if not future.done():
                future.set_exception(error)
                future.exception()   # whoever was cancelled will not look: no "never retrieved" warning


class _Reading:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def _open(self) -> sqlite3.Connection:
        return self._connection

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Row]:
        try:
            return (await self._open()).execute(sql, args).fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def fetch_one(self, sql: str, args: Sequence[Any]) -> Row | None:
        try:
            cursor = (await self._open()).execute(sql, args)
            row: Row | None = cursor.fetchone()
            cursor.close()   # an unfinished SELECT would hold the snapshot and stop WAL checkpoints
            return row
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def run(self, sql: str, args: Sequence[Any]) -> int:
        try:
            return (await self._open()).execute(sql, args).rowcount
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def flush(self, writes: Sequence[Write]) -> None:
        for write in writes:
            await self.run(*write)

    async def commit(self, writes: Sequence[Write]) -> None: ...
    async def rollback(self) -> None: ...


class _Writing(_Reading):
    def __init__(self, database: Sqlite) -> None:
        super().__init__(database.writer)
        self._database = database
        self._turn: _Turn | None = None

    async def _open(self) -> sqlite3.Connection:
        if self._turn is None:
            self._turn = turn = _Turn(None)
            self._database.queue(turn)
            await turn.granted
        if self._turn.over.done():
            self._turn.over.result()   # the group was lost under us: never write outside a transaction
        return self._connection

    async def commit(self, writes: Sequence[Write]) -> None:
        if self._turn is not None:
            await self.flush(writes)
            self._turn.finish(keep=True)
        elif writes:
            self._turn = _Turn(writes)
            self._database.queue(self._turn)
        if self._turn is not None:
            await self._turn.over

    async def rollback(self) -> None:
        """Waits for the group's commit, as other engines wait for the lock of the transaction that came first: who
        is refused a row, or finds it changed, must then be able to read by whom."""
        if self._turn is not None:
            self._turn.finish(keep=False)
            task = asyncio.current_task()
            if not (task and task.cancelling()):
                await asyncio.wait([self._turn.over])


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1000)
    for name, wanted in PRAGMAS.items():   # read back: SQLite ignores a PRAGMA that it cannot honour
        connection.execute(f"PRAGMA {name}={wanted}")
        if connection.execute(f"PRAGMA {name}").fetchone()[0] != wanted:
            raise RuntimeError(f"SQLite refuses {name}={wanted}")
    return connection


def _translated(error: Exception) -> DatabaseError:
    code = getattr(error, "sqlite_errorcode", 0)
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return UniqueViolation(unique_name(str(error).partition(": ")[2]))
    return (Transient if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else DatabaseError)(str(error))

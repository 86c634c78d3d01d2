"""MySQL and MariaDB by asyncmy."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncmy
from asyncmy.constants import CLIENT
from asyncmy.cursors import Cursor
from asyncmy.errors import MySQLError
from sqlalchemy.dialects.mysql.asyncmy import dialect as asyncmy_dialect

from infirmary.kernel.database.errors import ConnectionLost, DatabaseError, Transient, UniqueViolation
from infirmary.kernel.database.statement import Write

from . import CLOSES_WITHIN, CONNECTS_WITHIN, IDLES_FOR, Pool, Row

DUPLICATE, DEADLOCK, LOCK_TIMEOUT, CHANGED_UNDER_US = 1062, 1213, 1205, 1020
LOST = (0, 1927, 2006, 2013, 2055)
# Keys must be exact: other collations hold "a" and "A", "e" and "é", "a" and "a " to be the same. The database's default
# makes every later table so. Each server runs the name that it knows and takes the other for a comment.
EXACT = "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80000 utf8mb4_0900_bin */"
MODES = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


class MySql:
    def __init__(self, url: str, size: int = 12) -> None:
        self.dialect = asyncmy_dialect()
        self._at = urlsplit(url)
        self.pool: Pool[Cursor] = Pool(self._connect, lambda cursor: bool(cursor.connection.connected),
                                       lambda cursor: cursor.connection.close(), size)

    async def _connect(self) -> Cursor:
        """A connection and its one cursor: making a cursor per statement costs more than it gives."""
        connection = await asyncmy.connect(
            host=self._at.hostname, port=self._at.port or 3306, user=unquote(self._at.username or ""),
            password=unquote(self._at.password or ""), database=self._at.path[1:], charset="utf8mb4", autocommit=True,
            connect_timeout=CONNECTS_WITHIN, client_flag=CLIENT.FOUND_ROWS,        # rowcount = rows matched, as everywhere else
            stmt_cache_size=500)                  # server-side prepared statements: no client-side escaping
        cursor = connection.cursor()
        # A cancelled client leaves its statement waiting for a lock: 5 s, not the 50 s of the default. A vanished one
        # leaves its locks: MariaDB lets them go.
        await cursor.execute(f"SET SESSION sql_mode='{MODES}', time_zone='+00:00', innodb_lock_wait_timeout=5"
                             f" /*M! , idle_transaction_timeout={IDLES_FOR} */")
        await cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return cursor

    def session(self, *, writing: bool) -> _Session:
        return _Session(self.pool, writing=writing)

    async def run_ddl(self, *statements: str) -> None:
        cursor = await self.pool.take()
        try:
            for sql in (EXACT, *statements):
                await cursor.execute(sql)
        finally:
            self.pool.give(cursor)

    async def close(self) -> None:
        for cursor in self.pool.drain():
            try:
                async with asyncio.timeout(CLOSES_WITHIN):
                    await cursor.connection.ensure_closed()
            except OSError:   # nobody answers
                cursor.connection.close()


class _Session:
    def __init__(self, pool: Pool[Cursor], *, writing: bool) -> None:
        self._pool, self._writing = pool, writing
        self._cursor: Cursor | None = None

    async def _open(self) -> Cursor:
        self._cursor = cursor = await self._pool.take()
        if self._writing:
            await self.run("BEGIN", None)
        return cursor

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Row]:
        cursor = self._cursor or await self._open()
        try:
            await cursor.execute(sql, args)
        except (MySQLError, OSError) as error:
            raise _translated(error, sql) from error
        return await cursor.fetchall()

    async def fetch_one(self, sql: str, args: Sequence[Any]) -> Row | None:
        rows = await self.fetch(sql, args)
        return rows[0] if rows else None

    async def run(self, sql: str, args: Sequence[Any] | None) -> int:
        cursor = self._cursor or await self._open()
        try:
            return await cursor.execute(sql, args)
        except (MySQLError, OSError) as error:
            raise _translated(error, sql) from error

    async def flush(self, writes: Sequence[Write]) -> None:
        for write in writes:
            await self.run(*write)

    async def commit(self, writes: Sequence[Write]) -> None:
        if self._cursor is None and not writes:
            return
        if self._cursor is None and len(writes) == 1:
            self._cursor = await self._pool.take()   # autocommit: the statement is its own transaction
            await self.run(*writes[0])
        elif self._writing:
            begin = [] if self._cursor else ["BEGIN"]
            self._cursor = cursor = self._cursor or await self._pool.take()
            # One packet, one round trip. The server stops at the first error, before COMMIT.
            texts = [*begin, *(cursor.mogrify(sql, args) for sql, args in writes), "COMMIT"]
            done = 0
            try:
                await cursor.execute(";".join(texts))
                done = 1
                while await cursor.nextset():
                    done += 1
            except (MySQLError, OSError) as error:
                raise _translated(error, texts[done]) from error
        self._give_back()

    async def rollback(self) -> None:
        cursor = self._cursor
        if cursor is None:
            return
        try:
            if self._writing and cursor.connection.connected:   # asyncmy hangs up when cancelled in mid-answer
                async with asyncio.timeout(CLOSES_WITHIN):   # who asked may have been cancelled already, and is not twice
                    await cursor.execute("ROLLBACK")
        except (MySQLError, OSError):
            cursor.connection.close()   # the server rolls back what has lost its client
        except BaseException:
            cursor.connection.close()
            raise
        finally:
            self._give_back()

    def _give_back(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._pool.give(cursor)



def _translated(error: Exception, sql: str) -> DatabaseError:
    code, text = (*error.args, "", "")[:2]
    if code == DUPLICATE:   # ... for key 'name', on MySQL 'table.name'; a primary key has no name of its own
        name = text.rstrip("'").rpartition("'")[2].rpartition(".")[2]
        found = re.match(r"(?:INSERT INTO|UPDATE) `?(\w+)", sql)
        return UniqueViolation(found[1] if found and name == "PRIMARY" else name)
    if code in LOST or isinstance(error, OSError):
        return ConnectionLost(str(error))
    if code in (DEADLOCK, LOCK_TIMEOUT, CHANGED_UNDER_US):   # 1205 undoes one statement only; we undo them all
        return Transient(str(error))
    return DatabaseError(str(error))

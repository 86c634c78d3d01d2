"""PostgreSQL by asyncpg."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from infirmary.kernel.database.errors import ConnectionLost, DatabaseError, Transient, UniqueViolation
from infirmary.kernel.database.statement import Write

from . import CLOSES_WITHIN, CONNECTS_WITHIN, IDLES_FOR, Pool, Row

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")
_REFUSALS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class Postgres:
    def __init__(self, dsn: str, size: int = 12) -> None:
        self.dialect = asyncpg_dialect()  # type: ignore[no-untyped-call]
        self._dsn = dsn
        self.pool: Pool[Connection] = Pool(self._connect, lambda conn: not conn.is_closed(),
                                           lambda conn: conn.terminate(), size)

    async def _connect(self) -> Connection:
        # jit costs milliseconds on our small queries. idle_in_transaction frees the locks of a stuck process, and
        # client_connection_check those of a vanished one. lock_timeout (a Transient): a request to cancel that comes
        # before its statement has begun does nothing, and then the cancelled would wait as long as the lock is held.
        return await asyncpg.connect(self._dsn, timeout=CONNECTS_WITHIN, statement_cache_size=1000,
                                     max_cached_statement_lifetime=0,
                                     server_settings={"timezone": "UTC", "jit": "off", "lock_timeout": "5s",
                                                      "random_page_cost": "1.1",   # nobody has spinning disks
                                                      "default_transaction_isolation": "read committed",
                                                      "idle_in_transaction_session_timeout": f"{IDLES_FOR}s",
                                                      "client_connection_check_interval": "2s"})

    def session(self, *, writing: bool) -> _Session:
        return _Session(self.pool, writing=writing)

    async def run_ddl(self, *statements: str) -> None:
        connection = await self.pool.take()
        try:
            await connection.execute(";".join(statements))
        finally:
            self.pool.give(connection)

    async def close(self) -> None:
        for connection in self.pool.drain():
            with suppress(OSError):   # nobody answers: then it is cut
                await connection.close(timeout=CLOSES_WITHIN)


class _Session:
    def __init__(self, pool: Pool[Connection], *, writing: bool) -> None:
        self._pool, self._writing = pool, writing
        self._connection: Connection | None = None

    async def _open(self) -> Connection:
        self._connection = connection = await self._pool.take()
        if self._writing:
            await self.run("BEGIN", ())
        return connection

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Row]:
        connection = self._connection or await self._open()
        return await self._heard(connection.fetch(sql, *args))

    async def fetch_one(self, sql: str, args: Sequence[Any]) -> Row | None:
        connection = self._connection or await self._open()
        return await self._heard(connection.fetchrow(sql, *args))

    async def run(self, sql: str, args: Sequence[Any]) -> int:
        connection = self._connection or await self._open()
        status = await self._heard(connection.execute(sql, *args))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def _heard(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except asyncio.CancelledError:
            assert self._connection
            self._connection.terminate()   # asyncpg would have the next one wait for its end, and that may never come
            raise
        except _REFUSALS as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> DatabaseError:
        # A server that crashes talks to connections that are idle, and asyncpg then no longer knows where it stands.
        if isinstance(error, asyncpg.InternalClientError) and self._connection is not None:
            self._connection.terminate()
        return _translated(error)

    async def flush(self, writes: Sequence[Write]) -> None:
        await self.run(*_as_one(writes))

    async def commit(self, writes: Sequence[Write]) -> None:
        if self._connection is None:
            if writes:   # a single statement is its own transaction: no BEGIN, no COMMIT, one round trip
                self._connection = await self._pool.take()
                await self.flush(writes)
        else:
            if writes:
                await self.flush(writes)
            if self._writing:
                await self.run("COMMIT", ())
        self._give_back()

    async def rollback(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if not connection.is_closed() and connection.is_in_transaction():
                async with asyncio.timeout(CLOSES_WITHIN):   # who asked may have been cancelled already, and is not twice
                    await connection.execute("ROLLBACK")
        except _REFUSALS:
            connection.terminate()   # the server rolls back what has lost its client
        except BaseException:
            connection.terminate()
            raise
        finally:
            self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection)


def _as_one(writes: Sequence[Write]) -> Write:
    """Several INSERTs as one statement: WITH w0 AS (INSERT ...), w1 AS (INSERT ...) INSERT ...

    Only INSERTs come here: parts of one statement do not see each other's rows (foreign keys do: they are
    checked at its end).
    """
    if len(writes) == 1:
        return writes[0]
    return Write(_combined(tuple((write.sql, len(write.args)) for write in writes)),
                 list(chain.from_iterable(write.args for write in writes)))


@lru_cache(maxsize=2000)
def _combined(parts: tuple[tuple[str, int], ...]) -> str:
    texts, offset = [], 0
    for sql, count in parts:
        if "'" in sql:
            raise ValueError(f"cannot renumber the parameters of a statement with literal text: {sql}")
        texts.append(re.sub(r"\$(\d+)", lambda match, by=offset: f"${int(match[1]) + by}", sql))  # type: ignore[misc]
        offset += count
    return "WITH " + ", ".join(f"w{at} AS ({sql})" for at, sql in enumerate(texts[:-1])) + " " + texts[-1]



def _translated(error: Exception) -> DatabaseError:
    match error:
        case asyncpg.UniqueViolationError():
            name, table = error.constraint_name or "", error.table_name or ""   # a primary key has PostgreSQL's name
            return UniqueViolation(table if name == f"{table}_pkey" else name)
        case (asyncpg.PostgresConnectionError() | asyncpg.AdminShutdownError() | asyncpg.CrashShutdownError()
              | asyncpg.CannotConnectNowError() | asyncpg.InternalClientError() | OSError()
              | asyncpg.IdleInTransactionSessionTimeoutError()):   # we were frozen in the middle of one
            return ConnectionLost(str(error))
        case asyncpg.InterfaceError() if "closed" in str(error):   # asyncpg has no class of its own for it
            return ConnectionLost(str(error))
        case (asyncpg.SerializationError() | asyncpg.DeadlockDetectedError() | asyncpg.LockNotAvailableError()
              | asyncpg.InvalidCachedStatementError()):   # the last: a migration ran under us
            return Transient(str(error))
    return DatabaseError(str(error))

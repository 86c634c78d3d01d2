"""What db.py needs of a database. One module per engine; each knows its own engine's manners and nothing else."""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Dialect

from infirmary.kernel.database.errors import ConnectionLost
from infirmary.kernel.database.statement import Write

CONNECTS_WITHIN = 5   # seconds; a frozen server accepts and says nothing
CLOSES_WITHIN = 1     # it need not be told that we leave, or take something back
IDLES_FOR = 15        # in the middle of a transaction; no work of ours lasts so long, so its locks are a dead one's
Row = Iterable[Any]   # a tuple; or an asyncpg Record, which is no Sequence to mypy
C = TypeVar("C")


class Session(Protocol):
    """One conversation. Nothing is borrowed or begun before the first statement, so a transaction that only
    writes goes out whole, in one round trip, at commit."""

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Row]: ...
    async def fetch_one(self, sql: str, args: Sequence[Any]) -> Row | None: ...
    async def run(self, sql: str, args: Sequence[Any]) -> int: ...
    async def flush(self, writes: Sequence[Write]) -> None: ...
    async def commit(self, writes: Sequence[Write]) -> None: ...
    async def rollback(self) -> None:
        """Also called after a failed or cancelled commit(); must give back what was borrowed."""


class Driver(Protocol):
    @property
    def dialect(self) -> Dialect: ...

    def session(self, *, writing: bool) -> Session: ...
    async def run_ddl(self, *statements: str) -> None:
        """As one transaction where the engine can."""
    async def close(self) -> None: ...


class Pool(Generic[C]):
    """Connections, last used first. The drivers' own pools cost a task, a shield and a proxy per loan."""

    def __init__(self, connect: Callable[[], Awaitable[C]], usable: Callable[[C], bool], cut: Callable[[C], None],
                 size: int) -> None:
        self._connect, self._usable, self._cut = connect, usable, cut
        self._room = size
        self._idle: list[C] = []
        self._waiting: deque[asyncio.Future[C | None]] = deque()

    async def take(self) -> C:
        while True:
            while self._idle:
                connection = self._idle.pop()
                if self._usable(connection):
                    return connection
                self._room += 1
            if self._room:
                return await self._opened()
            waiter: asyncio.Future[C | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                handed = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():   # handed over and cancelled in the same breath
                    self._hand_on(waiter.result())
                raise
            if handed is not None:
                return handed

    async def _opened(self) -> C:
        self._room -= 1
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        try:
            connection = await self._connect()
        except BaseException as error:
            self._room += 1
            self._hand_on(None)
            if isinstance(error, Exception):   # whatever it was: there is no database to talk to just now
                raise ConnectionLost(type(error).__name__) from error
            raise
        if task and task.cancelling() > cancelled:   # asyncmy connects under wait_for, which on Python 3.11
            self.give(connection)                    # swallows a cancellation that comes just too late
            raise asyncio.CancelledError
        return connection

    def give(self, connection: C) -> None:
        """What comes back broken is seldom the only one: those beside it may be as dead, and each would keep somebody
        waiting to learn it."""
        if self._usable(connection):
            self._hand_on(connection)
            return
        for one in [connection, *self.drain()]:
            self._cut(one)
            self._room += 1
        self._hand_on(None)

    def _hand_on(self, connection: C | None) -> None:
        """To whoever has waited longest; None means: there is room to open one."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    def drain(self) -> list[C]:
        idle, self._idle = self._idle, []
        return idle

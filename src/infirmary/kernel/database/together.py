"""Transactions that only insert leave together: one round trip and one commit for all that wait.

Reactions are such transactions, and a relay hands out many at a time. When the database refuses the company, each goes
alone, so that a failure stays with whom it belongs to.
"""
from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import OutcomeUnknown, Transient

if TYPE_CHECKING:
    from .drivers import Driver
    from .rows import Insert

MOST = 200            # transactions in one company
LEAVES_WITHIN = 4.0   # seconds; who comes later must not wait for ever behind a line that is dead


class Queued(NamedTuple):
    insert: Insert[Any]
    rows: Sequence[Any]


class _Waiting(NamedTuple):
    queued: Sequence[Queued]
    gone: asyncio.Future[None]


class Together:
    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._waiting: list[_Waiting] = []
        self._leaving: asyncio.Task[None] | None = None

    async def commit(self, queued: Sequence[Queued]) -> None:
        """Returns when they are committed; raises what the database says to these rows alone."""
        one = _Waiting(queued, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if self._leaving is None or self._leaving.done():
            self._leaving = asyncio.create_task(self._leave(), name="together")
        await one.gone

    async def _leave(self) -> None:
        company: list[_Waiting] = []
        try:
            while self._waiting:
                company, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                if len(company) > 1 and await self._gone(company):
                    continue
                await asyncio.gather(*map(self._alone, company))
        finally:
            for one in (*company, *self._waiting):
                _tell(one, Transient("the database was closed before this left"))

    async def _gone(self, company: Sequence[_Waiting]) -> bool:
        """False when they cannot leave as one, for whatever reason: each will hear its own."""
        by_table: dict[Insert[Any], list[Any]] = {}
        for one in company:
            for insert, rows in one.queued:
                by_table.setdefault(insert, []).extend(rows)
        try:
            await self._commit(by_table.items())
        except Exception:   # noqa: BLE001
            return False
        for one in company:
            _tell(one)
        return True

    async def _alone(self, one: _Waiting) -> None:
        try:
            await self._commit(one.queued)
        except Exception as error:   # noqa: BLE001 – it is raised where it belongs
            _tell(one, error)
        else:
            _tell(one)

    async def _commit(self, queued: Iterable[tuple[Insert[Any], Sequence[Any]]]) -> None:
        session = self._driver.session(writing=True)
        try:
            async with asyncio.timeout(LEAVES_WITHIN):
                await session.commit([write for insert, rows in queued for write in insert(self._driver.dialect, rows)])
        except BaseException as error:
            await session.rollback()
            if isinstance(error, TimeoutError):
                raise OutcomeUnknown(f"no word after {LEAVES_WITHIN:.0f} s") from error
            raise

    async def close(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            await asyncio.wait([self._leaving])


def _tell(one: _Waiting, error: Exception | None = None) -> None:
    if one.gone.done():   # told before, or cancelled while it waited
        return
    if error is None:
        one.gone.set_result(None)
    else:
        one.gone.set_exception(error)
        one.gone.exception()   # whoever is cancelled now will not look: no "never retrieved" warning

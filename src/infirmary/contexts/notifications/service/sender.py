"""Takes pending messages to those who deliver them. Any number of processes may do this at once: a claim by compare-and-set
decides who sends which.

A message leaves at least once, and twice only when a process dies between its "taken" and our note of it. It then carries
the same name, by which it can be known: see the ways.
"""
from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from infirmary.contexts.notifications import domain, tables
from infirmary.contexts.notifications.tables import DeliveryRow
from infirmary.kernel.context import Kit
from infirmary.kernel.errors import Refusal
from infirmary.language import Channel

from .by_email import ByEmail
from .by_sms import BySms

log = structlog.get_logger()
LOOKS_EVERY = 3.0    # seconds, when nobody wakes it: for retries, and for what other processes left
AT_ONCE = 8
BATCH = 100
GRACE = 5.0          # seconds for messages that are under way when the process is told to stop


class Way(Protocol):
    """How the messages of one channel leave the house."""

    def ready(self) -> bool:
        """Whether there is somebody to give them to. Else none is tried, and no try is used up."""

    async def post(self, row: DeliveryRow) -> None:
        """Returns when it was taken, within domain.LEASE; raises what went wrong."""

    def class_of(self, error: Exception) -> str:
        """What went wrong, without its text, which repeats the address."""

    def is_final(self, error: Exception) -> bool:
        """Whether it would fail again."""


class Sender:
    """`secret` asks for what a message does not keep: the link of one that has none, or a code."""

    def __init__(self, kit: Kit, secret: Callable[[DeliveryRow], Awaitable[str]]) -> None:
        self._db, self._clock = kit.db, kit.clock
        self._ways: dict[Channel, Way] = {Channel.EMAIL: ByEmail(kit, secret), Channel.SMS: BySms(kit, secret)}
        self._fresh = asyncio.Event()
        self._fresh.set()   # whatever the last process left

    def wake(self) -> None:
        """There is something new to send."""
        self._fresh.set()

    async def work(self) -> None:
        """Wait until there may be something, then send it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_EVERY):
                await self._fresh.wait()
        self._fresh.clear()
        await self.send_due()

    async def send_due(self) -> int:
        """Try all that are due; answers how many left the house."""
        sent = 0
        while (ready := self._ready()) and (due := await self._due(ready)):
            sent += await self._side_by_side(deque(due))
        return sent

    def _ready(self) -> list[Channel]:
        return [channel for channel, way in self._ways.items() if way.ready()]

    async def _due(self, ready: list[Channel]) -> list[DeliveryRow]:
        async with self._db.reading() as reading:
            return await reading.all(tables.DUE, now=self._clock.now(), channels=ready, limit=BATCH)

    async def _side_by_side(self, waiting: deque[DeliveryRow]) -> int:
        async def one_after_the_other() -> int:
            sent = 0
            while waiting:
                sent += await self._deliver(waiting.popleft())
            return sent

        workers = [asyncio.create_task(one_after_the_other()) for _ in range(min(AT_ONCE, len(waiting)))]
        try:
            await asyncio.wait(workers)
        except asyncio.CancelledError:   # told to stop: a message that is cut off now would be sent again
            waiting.clear()
            _, late = await asyncio.wait(workers, timeout=GRACE)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        return sum(await asyncio.gather(*workers))

    async def _deliver(self, row: DeliveryRow) -> bool:
        attempt = row.attempts + 1
        if not await self._db.retry(self._claim, row, attempt):
            return False
        try:
            await self._post(row)
        except Exception as error:   # noqa: BLE001 – whatever it was, the message stays and is tried again
            await self._db.retry(self._note_failure, row, attempt, error)
            return False
        await self._db.retry(self._note_sent, row)
        return True

    async def _claim(self, row: DeliveryRow, attempt: int) -> bool:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            return await tx.run(tables.CLAIM, key=row.id, seen=row.attempts, attempt=attempt, now=now,
                                until=now + domain.LEASE) == 1

    async def _note_sent(self, row: DeliveryRow) -> None:
        async with self._db.transaction() as tx:
            await tx.run(tables.SENT, key=row.id, now=self._clock.now())

    async def _note_failure(self, row: DeliveryRow, attempt: int, error: Exception) -> None:
        way = self._ways[row.channel]
        why = way.class_of(error)[:80]
        then = None if way.is_final(error) or _is_over(error) else domain.next_try(attempt, now=self._clock.now())
        async with self._db.transaction() as tx:
            if then is None:
                await tx.run(tables.FAIL, key=row.id, attempt=attempt, why=why)
            else:
                await tx.run(tables.POSTPONE, key=row.id, attempt=attempt, then=then, why=why)
        say = log.error if then is None else log.warning
        say("message_given_up" if then is None else "message_not_sent", delivery=str(row.id), channel=row.channel.value,
            kind=row.kind, attempt=attempt, error=why)

    async def _post(self, row: DeliveryRow) -> None:
        await self._ways[row.channel].post(row)


def _is_over(error: Exception) -> bool:
    """Whether nobody waits for it any more: a link or a code that is too old."""
    return isinstance(error, Refusal) and error.status in (404, 410, 422)

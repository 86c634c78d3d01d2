"""The bus inside one process: the relays hand facts straight to the consumers of the same house.

Semantics are those of any broker: at least once, in order per aggregate. A consumer that has no effect for a kind of
fact never sees it. Kafka takes this place when the contexts are separate services.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from .database.db import Database
from .database.errors import AlreadyHandled, UniqueViolation
from .events import Event, Fact
from .outbox import ALL_PARKED, PARKED, UNPARK, Parked
from .request import Request, current

log = structlog.get_logger()
Reaction = Callable[[Any, Fact], Awaitable[None]]   # (the typed event, the fact that carried it)


class Consumer:
    """One context as a listener: maps kinds of facts to its service methods."""

    def __init__(self, db: Database, reactions: Mapping[type[Event], Reaction]) -> None:
        self.db = db
        self._reactions = {event.kind: reaction for event, reaction in reactions.items()}

    @property
    def kinds(self) -> set[str]:
        return set(self._reactions)

    async def handle(self, fact: Fact, *, last: bool) -> None:
        """Have the effect once. At the last attempt a failure parks the fact instead of raising."""
        mark = current.set(Request(id=fact.request_id))
        try:
            await self.db.retry(self._react, fact)
        except AlreadyHandled:
            pass
        except Exception as error:
            if not last:
                raise
            await self._park(fact, error)
        finally:
            current.reset(mark)

    async def _react(self, fact: Fact) -> None:
        await self._reactions[fact.kind](fact.event, fact)

    async def _park(self, fact: Fact, error: Exception) -> None:
        log.error("fact_parked", context=self.db.context, kind=fact.kind, fact=str(fact.id), error=type(error).__name__)
        try:
            async with self.db.transaction() as tx:
                PARKED.add(tx, Parked(fact.id, fact.kind, fact.aggregate, fact.version, fact.body, fact.request_id,
                                      fact.happened_at, self.db.clock.now(), type(error).__name__))
        except UniqueViolation:   # parked before, and delivered again
            pass

    async def parked(self) -> list[Parked]:
        async with self.db.reading() as reading:
            return await reading.all(ALL_PARKED)

    async def replay(self, one: Parked) -> None:
        """Try a parked fact again; it stays parked when that fails (and the failure is raised)."""
        await self.handle(one.fact, last=False)
        async with self.db.transaction() as tx:
            await tx.run(UNPARK, key=one.id)


class LocalBus:
    """Delivers to every consumer in this process. Done when all of them have had the effect, or have parked it."""

    def __init__(self) -> None:
        self._consumers: list[Consumer] = []

    def subscribe(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)

    async def deliver(self, fact: Fact, last: bool) -> None:
        failed: Exception | None = None
        for consumer in self._consumers:
            if fact.kind in consumer.kinds:
                try:
                    await consumer.handle(fact, last=last)
                except Exception as error:   # noqa: BLE001 – one consumer's trouble must not keep the fact from the others
                    failed = error
        if failed is not None:
            raise failed

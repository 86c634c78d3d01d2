"""Who listens, and the bus inside one process: the relays hand facts straight to the consumers of the same house.

Semantics are those of any broker: at least once, in order per aggregate. A consumer that has no effect for a kind of
fact never sees it. Kafka takes this place when the contexts are separate services (`kafka`).
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import structlog

from . import tracing
from .database.db import Database
from .database.errors import AlreadyHandled, OutcomeUnknown, Transient, UniqueViolation
from .errors import Unavailable
from .events import Event, Fact
from .outbox import ALL_PARKED, PARKED, UNPARK, Parked
from .request import Request, current

log = structlog.get_logger()
# Somebody is away, and comes back. However often it happens, it is no reason to set a fact aside.
PASSING = (Unavailable, Transient, OutcomeUnknown)
Reaction = Callable[[Any, Fact], Awaitable[None]]   # (the typed event, the fact that carried it)


class Consumer:
    """One context as a listener: maps kinds of facts to its service methods."""

    def __init__(self, db: Database, reactions: Mapping[type[Event], Reaction]) -> None:
        self.db = db
        self._reactions = {event.kind: reaction for event, reaction in reactions.items()}

    @property
    def kinds(self) -> set[str]:
        return set(self._reactions)

    async def handle(self, fact: Fact, *, last: bool) -> bool:
        """Have the effect once. At the last attempt a failure parks the fact instead of raising; then: False. What passes by
        itself is raised even then."""
        mark = current.set(Request(id=fact.request_id))
        try:
            with tracing.reacting(f"{self.db.context} {fact.kind}", fact.traceparent):
                return await self._had_effect(fact, last=last)
        finally:
            current.reset(mark)

    async def _had_effect(self, fact: Fact, *, last: bool) -> bool:
        try:
            await self.db.retry(self._react, fact)
        except AlreadyHandled:
            pass
        except Exception as error:
            if not last or isinstance(error, PASSING):
                raise
            await self._park(fact, error)
            return False
        return True

    async def _react(self, fact: Fact) -> None:
        await self._reactions[fact.kind](fact.event, fact)

    async def _park(self, fact: Fact, error: Exception) -> None:
        log.error("fact_parked", context=self.db.context, kind=fact.kind, fact=str(fact.id), error=type(error).__name__)
        tracing.failed(error)
        try:
            async with self.db.transaction() as tx:
                PARKED.add(tx, Parked(fact.id, fact.kind, fact.aggregate, fact.version, fact.body, fact.request_id,
                                      fact.happened_at, self.db.clock.now(), type(error).__name__, fact.traceparent))
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


class Bus(Protocol):
    """Takes facts to those who listen, at least once and in order per aggregate."""

    async def open(self) -> None: ...

    def subscribe(self, consumer: Consumer) -> None: ...

    def start(self) -> None:
        """Listening begins."""

    async def deliver(self, fact: Fact, last: bool) -> None:
        """Returns when the fact is safe with the bus."""

    async def close(self) -> None: ...


class LocalBus:
    """Delivers to every consumer in this process. Done when all of them have had the effect, or have parked it."""

    def __init__(self) -> None:
        self._consumers: list[Consumer] = []

    async def open(self) -> None: ...

    def subscribe(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)

    def start(self) -> None: ...

    async def close(self) -> None: ...

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

"""Facts reach the bus: every one, in order per aggregate, however often something fails."""
from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import StaleVersion
from infirmary.kernel.events import Fact
from infirmary.kernel.outbox import (
    ATTEMPTS,
    BACK_OFF,
    INBOX,
    INBOX_KEPT,
    OLDEST,
    OUTBOX,
    WAITING,
    Relay,
    forget_old_facts,
)

from .model import COUNT, NOON, VISITS, VisitBooked, a_visit


class Bus:
    """Takes down what is delivered; refuses what `trouble` picks out."""

    def __init__(self, trouble: Callable[[Fact], bool] = lambda _: False) -> None:
        self.trouble = trouble
        self.delivered: list[tuple[UUID, int]] = []
        self.last: list[bool] = []

    async def deliver(self, fact: Fact, last: bool) -> None:
        await asyncio.sleep(0)
        self.last.append(last)
        if self.trouble(fact):
            raise ConnectionError("no bus")
        self.delivered.append((fact.aggregate, fact.version))


async def emit(db: Database, *facts: tuple[UUID, int]) -> None:
    async with db.transaction() as tx:
        for aggregate, version in facts:
            tx.emit(VisitBooked(aggregate=aggregate, version=version))


async def relayed(relay: Relay) -> list[int]:
    """How many facts each round delivered, until a round delivers none."""
    rounds = [await relay.once()]
    while rounds[-1]:
        rounds.append(await relay.once())
    return rounds


async def test_nothing_is_lost_or_out_of_order_with_long_transactions_and_several_relays(db: Database) -> None:
    on_sqlite = db.driver.dialect.name == "sqlite"   # one relay there: rows cannot be locked
    visits = [a_visit() for _ in range(8)]
    async with db.transaction() as tx:
        VISITS.add(tx, *visits)
    delivered: dict[UUID, list[int]] = defaultdict(list)
    emitted: set[tuple[UUID, int]] = set()

    async def deliver(fact: Fact, _: bool) -> None:
        await asyncio.sleep(random.uniform(0, .002))
        delivered[fact.aggregate].append(fact.version)

    async def change(key: UUID) -> None:
        async with db.transaction() as tx:
            visit = await VISITS.get(tx, key)
            assert visit
            saved = await VISITS.save(tx, visit)
            tx.emit(VisitBooked(aggregate=key, version=saved.version))
            await tx.one(COUNT)                                             # the fact is in, not committed
            await asyncio.sleep(random.choice([0, 0, 0, .002 if on_sqlite else .05]))   # long and short ones mixed
        emitted.add((key, saved.version))

    async def writer() -> None:
        for _ in range(25):
            while True:
                try:
                    await db.retry(change, random.choice(visits).id)
                    break
                except StaleVersion:
                    continue

    relays = [asyncio.create_task(Relay(db, deliver, batch=5).run(idle=.001)) for _ in range(1 if on_sqlite else 3)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(writer() for _ in range(16)))
        await _until(lambda: sum(map(len, delivered.values())) >= 400)
    for relay in relays:
        relay.cancel()
    await asyncio.wait(relays)
    assert {(one, version) for one, versions in delivered.items() for version in versions} == emitted
    assert len(emitted) == 400
    for versions in delivered.values():
        assert versions == sorted(set(versions))   # in order, each once: nothing crashed between delivery and mark


async def test_a_fact_that_cannot_be_delivered_holds_back_its_own_aggregate_only(db: Database) -> None:
    db.clock = clock = HeldClock(NOON)
    one, two = new_id(), new_id()
    await emit(db, (one, 1), (two, 1), (one, 2), (two, 2))
    bus = Bus(lambda fact: fact.aggregate == one)
    relay = Relay(db, bus.deliver)
    assert await relayed(relay) == [1, 1, 0]
    assert bus.delivered == [(two, 1), (two, 2)]
    bus.trouble = lambda _: False
    assert await relayed(relay) == [0]   # not yet: it backs off
    clock.advance(BACK_OFF)
    assert await relayed(relay) == [1, 1, 0]
    assert bus.delivered[2:] == [(one, 1), (one, 2)]


async def test_each_failure_doubles_the_wait_and_the_bus_is_told_which_attempt_is_the_last(db: Database) -> None:
    db.clock = clock = HeldClock(NOON)
    await emit(db, (new_id(), 1))
    bus = Bus(lambda _: True)
    relay = Relay(db, bus.deliver)
    waits = []
    for _ in range(ATTEMPTS):
        assert await relay.once() == 0
        async with db.reading() as reading:
            fact = await reading.one(OLDEST)
            assert fact
        waits.append(fact.next_at - clock.now())
        clock.advance(waits[-1] - timedelta(microseconds=1))
        assert await relay.once() == 0
        clock.advance(timedelta(microseconds=1))
    assert waits == [BACK_OFF * 2 ** at for at in range(ATTEMPTS)]
    assert bus.last == [False] * (ATTEMPTS - 1) + [True]
    bus.trouble = lambda _: False
    assert await relay.once() == 1   # and even after the last it is still there to be delivered


async def test_a_relay_that_stops_before_it_can_mark_delivers_again(db: Database) -> None:
    fact, arrived, bus = (new_id(), 1), asyncio.Event(), Bus()
    await emit(db, fact)

    async def deliver_and_hang(one: Fact, last: bool) -> None:
        await bus.deliver(one, last)
        arrived.set()
        await asyncio.sleep(60)

    relay = asyncio.create_task(Relay(db, deliver_and_hang).once())
    await arrived.wait()
    relay.cancel()
    await asyncio.wait([relay])
    assert await relayed(Relay(db, bus.deliver)) == [1, 0]
    assert bus.delivered == [fact, fact]


async def test_a_running_relay_is_woken_by_a_commit_and_outlives_what_goes_wrong(db: Database) -> None:
    facts, bus = [(new_id(), 1) for _ in range(3)], Bus()
    failures = iter([True, False, False, False])
    once, relay = Relay(db, bus.deliver).once, Relay(db, bus.deliver)

    async def once_with_trouble() -> int:
        if next(failures, False):
            raise OSError("the database is away")
        return await once()

    relay.once = once_with_trouble   # type: ignore[method-assign]
    running = asyncio.create_task(relay.run(idle=60))
    db.facts_waiting.set()
    for count, fact in enumerate(facts, 1):
        await emit(db, fact)
        await _until(lambda wanted=count: len(bus.delivered) == wanted)   # type: ignore[misc]
    running.cancel()
    await asyncio.wait([running])
    assert bus.delivered == facts


async def test_old_facts_are_forgotten_once_delivered_and_never_before(db: Database) -> None:
    db.clock = clock = HeldClock(NOON)
    delivered, stuck, handled = (new_id(), 1), (new_id(), 1), new_id()
    await emit(db, delivered, stuck)
    await relayed(Relay(db, Bus(lambda fact: fact.aggregate == stuck[0]).deliver))
    async with db.transaction(once=handled):
        pass
    await forget_old_facts(db)
    assert await _left(db) == (2, 1)
    clock.advance(INBOX_KEPT + timedelta(seconds=1))
    await forget_old_facts(db)
    assert await _left(db) == (1, 0)
    async with db.reading() as reading:
        assert await reading.one(WAITING) == 1


async def _left(db: Database) -> tuple[int, int]:
    async with db.reading() as reading:
        return len(await reading.all(OUTBOX.find())), len(await reading.all(INBOX.find()))


async def _until(condition: Callable[[], Any], patience: float = 5) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(.002)



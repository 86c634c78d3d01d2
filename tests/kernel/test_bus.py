"""Consumers have the effect of each fact once, in the end, and what they cannot handle is kept for people to see."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from infirmary.kernel.bus import Consumer, LocalBus
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.errors import ConnectionLost, OutcomeUnknown
from infirmary.kernel.errors import Unavailable
from infirmary.kernel.events import Event, Fact
from infirmary.kernel.outbox import ATTEMPTS, Relay
from infirmary.kernel.request import Request, current

from .model import COUNT, NOON, VISITS, VisitBooked, a_visit, declared


class SomethingElse(Event, frozen=True, kw_only=True):
    pass


class Ledger:
    """A context that listens: it opens one visit for each fact, unless it is `broken` for that aggregate."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.broken: set[UUID] = set()
        self.tries = 0
        self.heard: list[tuple[UUID, int, str]] = []
        self.consumer = Consumer(db, {VisitBooked: self.on_booked})

    async def on_booked(self, event: VisitBooked, fact: Fact) -> None:
        self.tries += 1
        async with self.db.transaction(once=fact.id) as tx:
            VISITS.add(tx, a_visit(id=fact.id, patient_id=event.aggregate))
            await tx.one(COUNT)
            if event.aggregate in self.broken:
                raise ZeroDivisionError(event.patient)
        self.heard.append((event.aggregate, event.version, current.get().id))

    async def effects(self) -> int:
        async with self.db.reading() as reading:
            return await reading.one(COUNT) or 0


@pytest.fixture
async def ledger(database_url: Callable[[str], str]) -> AsyncIterator[Ledger]:
    db = await Database.open(database_url("ledger"), "ledger", clock=HeldClock(NOON))
    await db.create(declared())
    yield Ledger(db)
    await db.close()


@pytest.fixture
def bus(ledger: Ledger) -> LocalBus:
    bus = LocalBus()
    bus.subscribe(ledger.consumer)
    return bus


async def emit(db: Database, *facts: tuple[UUID, int]) -> None:
    async with db.transaction() as tx:
        for aggregate, version in facts:
            tx.emit(VisitBooked(aggregate=aggregate, version=version, patient="Zoë"))


async def relay_until_quiet(db: Database, bus: LocalBus) -> None:
    """As long as it takes: the clock is moved past every back-off."""
    assert isinstance(db.clock, HeldClock)
    relay, quiet = Relay(db, bus.deliver), 0
    while quiet <= ATTEMPTS:
        quiet = 0 if await relay.once() else quiet + 1
        db.clock.advance(timedelta(minutes=1))


async def test_every_fact_delivered_twice_has_one_effect(db: Database, bus: LocalBus, ledger: Ledger) -> None:
    facts = [(new_id(), version) for version in (1, 1, 1)]
    await emit(db, *facts)

    async def twice(fact: Fact, last: bool) -> None:
        await bus.deliver(fact, last)
        await bus.deliver(fact, last)

    assert await Relay(db, twice).once() == 3
    assert await ledger.effects() == 3
    assert sorted((one, version) for one, version, _ in ledger.heard) == sorted(facts)


async def test_two_relays_that_deliver_at_the_same_moment_have_one_effect(bus: LocalBus, ledger: Ledger) -> None:
    fact = a_fact()
    await asyncio.gather(*(bus.deliver(fact, last=False) for _ in range(10)))
    assert await ledger.effects() == 1


async def test_a_consumer_is_not_troubled_with_facts_it_has_no_use_for(bus: LocalBus, ledger: Ledger) -> None:
    await bus.deliver(a_fact(kind=SomethingElse.kind), last=False)
    await bus.deliver(a_fact(kind="elsewhere.NeverHeardOf"), last=False)
    assert ledger.tries == 0


async def test_a_failing_consumer_is_tried_again_until_it_succeeds_and_the_others_have_had_theirs(
        db: Database, bus: LocalBus, ledger: Ledger) -> None:
    db.clock = HeldClock(NOON)
    one, heard = new_id(), []

    async def hear(event: VisitBooked, fact: Fact) -> None:
        async with db.transaction(once=fact.id):
            pass
        heard.append(event.version)   # after the commit: what was done before is rolled back when it comes twice
    bus.subscribe(Consumer(db, {VisitBooked: hear}))
    ledger.broken = {one}
    await emit(db, (one, 1), (one, 2))
    relay = Relay(db, bus.deliver)
    assert await relay.once() == 0
    assert heard == [1]
    ledger.broken.clear()
    await relay_until_quiet(db, bus)
    assert heard == [1, 2]
    assert [version for _, version, _ in ledger.heard] == [1, 2]
    assert await ledger.consumer.parked() == []


async def test_the_last_attempt_parks_the_fact_and_the_rest_flows_on(
        db: Database, bus: LocalBus, ledger: Ledger) -> None:
    db.clock = HeldClock(NOON)
    one, two = new_id(), new_id()
    ledger.broken = {one}
    await emit(db, (one, 1), (one, 2), (two, 1))
    await relay_until_quiet(db, bus)
    assert ledger.tries == ATTEMPTS * 2 + 1
    assert [(kept.aggregate, kept.version, kept.why) for kept in await ledger.consumer.parked()] == [
        (one, 1, "ZeroDivisionError"), (one, 2, "ZeroDivisionError")]
    assert await ledger.effects() == 1
    assert [aggregate for aggregate, _, _ in ledger.heard] == [two]


@pytest.mark.parametrize("away", [Unavailable(), ConnectionLost("gone"), OutcomeUnknown("gone")], ids=repr)
async def test_what_passes_by_itself_parks_nothing(db: Database, away: Exception) -> None:
    async def asks(event: Event, fact: Fact) -> None:
        raise away

    fact = a_fact()
    consumer = Consumer(db, {type(fact.event): asks})
    with pytest.raises(type(away)):
        await consumer.handle(fact, last=True)
    assert await consumer.parked() == []


async def test_a_parked_fact_delivered_again_is_parked_once(bus: LocalBus, ledger: Ledger) -> None:
    fact = a_fact()
    ledger.broken = {fact.aggregate}
    for _ in range(3):
        await bus.deliver(fact, last=True)
    assert [one.fact for one in await ledger.consumer.parked()] == [fact]


async def test_replay_has_the_effect_once_and_clears_the_list(bus: LocalBus, ledger: Ledger) -> None:
    fact = a_fact()
    ledger.broken = {fact.aggregate}
    await bus.deliver(fact, last=True)
    [parked] = await ledger.consumer.parked()
    with pytest.raises(ZeroDivisionError):
        await ledger.consumer.replay(parked)
    assert await ledger.consumer.parked() == [parked]   # still there
    ledger.broken.clear()
    await ledger.consumer.replay(parked)
    await ledger.consumer.replay(parked)
    assert await ledger.consumer.parked() == []
    assert await ledger.effects() == 1


async def test_a_reaction_knows_the_request_that_caused_it(db: Database, bus: LocalBus, ledger: Ledger) -> None:
    mark = current.set(Request(id="req-7"))
    await emit(db, (new_id(), 1))
    current.reset(mark)
    await Relay(db, bus.deliver).once()
    assert [request_id for _, _, request_id in ledger.heard] == ["req-7"]
    assert current.get().id == ""


async def test_a_fact_whose_consumer_cannot_even_park_it_stays_with_its_sender(
        db: Database, bus: LocalBus, ledger: Ledger) -> None:
    db.clock = HeldClock(NOON)
    await emit(db, (new_id(), 1))
    await ledger.db.driver.run_ddl("ALTER TABLE inbox RENAME TO inbox_away", "ALTER TABLE parked RENAME TO parked_away")
    await relay_until_quiet(db, bus)
    assert ledger.tries > ATTEMPTS
    await ledger.db.driver.run_ddl("ALTER TABLE inbox_away RENAME TO inbox", "ALTER TABLE parked_away RENAME TO parked")
    assert await Relay(db, bus.deliver).once() == 1
    assert await ledger.effects() == 1


def a_fact(kind: str = VisitBooked.kind) -> Fact:
    one = new_id()
    return Fact(new_id(), kind, one, 1, {"aggregate": str(one), "version": 1, "patient": "Zoë"}, "", NOON)

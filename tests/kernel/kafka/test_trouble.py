"""The broker freezes, dies or is not there yet: senders are told within seconds, and nothing is lost."""
from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest

from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.outbox import OUTBOX, WAITING, Relay

from .broker import Broker
from .conftest import MakeBus, MakeJournal
from .journal import Journal, Moved, a_fact, metadata, retried

VISITORS = 20


@pytest.fixture
async def sender(database_url: Callable[[str], str]) -> AsyncIterator[Database]:
    db = await Database.open(database_url("sender"), "sender")
    await db.create(metadata)
    yield db
    await db.close()


async def emit(db: Database, ids: list[UUID], version: int) -> None:
    async with db.transaction() as tx:
        for one in ids:
            tx.emit(Moved(aggregate=one, version=version, where="on"))


async def while_facts_flow(sender: Database, bus: object, journal: Journal,
                           trouble: Callable[[], Awaitable[None]]) -> None:
    """Emits a little all the time, before, during and after the trouble; then everything must have arrived."""
    ids, version, over = [new_id() for _ in range(VISITORS)], 0, False
    relay = asyncio.create_task(Relay(sender, bus.deliver).run(idle=.1))   # type: ignore[attr-defined]

    async def go_on() -> None:
        nonlocal version
        while not over:
            version += 1
            await emit(sender, ids, version)
            await asyncio.sleep(.2)
    going = asyncio.create_task(go_on())
    await journal.reaches(VISITORS)
    await trouble()
    over = True
    await going
    await journal.reaches(version * VISITORS, patience=60)
    async with asyncio.timeout(60):   # the relay marks what went out
        while await waiting(sender):
            await asyncio.sleep(.05)
    relay.cancel()
    await asyncio.wait([relay])
    async with sender.reading() as reading:
        produced = [stored.fact for stored in await reading.all(OUTBOX.find())]
    assert len(produced) == version * VISITORS
    await journal.must_be(produced)


async def waiting(db: Database) -> int:
    async with db.reading() as reading:
        return await reading.one(WAITING) or 0


async def refused(bus: object) -> float:
    """How long the bus took to say no. The fact is one that nobody listens to: it may arrive all the same."""
    from infirmary.kernel.kafka import NotDelivered

    began = monotonic()
    with pytest.raises(NotDelivered):
        await bus.deliver(a_fact(kind="kafka.Unheard"), last=False)   # type: ignore[attr-defined]
    return monotonic() - began


async def test_a_bus_opens_without_its_broker_and_begins_when_that_is_there(
        tmp_path: Path, sender: Database, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    own, journal, fact = Broker(tmp_path), await make_journal("one"), new_id()
    bus = await make_bus(own.servers, journal)
    assert await refused(bus) < 5
    await emit(sender, [fact], 1)
    relay = Relay(sender, bus.deliver)
    assert await relay.once() == 0
    with own:
        async with asyncio.timeout(60):
            while not await relay.once():
                await asyncio.sleep(.1)
        await journal.reaches(1)
        await bus.close()


async def test_a_bus_whose_broker_never_comes_can_be_closed(
        tmp_path: Path, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    bus = await make_bus(Broker(tmp_path).servers, await make_journal("one"))
    undelivered = asyncio.create_task(refused(bus))
    await asyncio.sleep(.2)
    began = monotonic()
    await bus.close()
    await undelivered
    assert monotonic() - began < 12


async def test_a_broker_that_freezes_for_some_seconds_loses_nothing(
        own: Broker, sender: Database, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal = await make_journal("one")
    bus = await make_bus(own.servers, journal)

    async def freeze() -> None:
        own.signal(signal.SIGSTOP)
        assert await refused(bus) < 5
        await asyncio.sleep(3)
        own.signal(signal.SIGCONT)
    await while_facts_flow(sender, bus, journal, freeze)
    await bus.close()


async def test_a_broker_that_is_killed_and_started_again_loses_nothing(
        own: Broker, sender: Database, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal = await make_journal("one")
    bus = await make_bus(own.servers, journal)

    async def crash() -> None:
        for _ in range(2):
            own.kill()
            assert await refused(bus) < 5
            await asyncio.to_thread(own.start)
            await asyncio.sleep(1)
    await while_facts_flow(sender, bus, journal, crash)
    await bus.close()


async def test_a_bus_is_closed_in_time_though_its_broker_is_frozen(
        own: Broker, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal, fact = await make_journal("one"), a_fact()
    bus = await make_bus(own.servers, journal)
    await retried(bus, fact)
    await journal.reaches(1)
    own.signal(signal.SIGSTOP)
    began = monotonic()
    await bus.close()
    assert monotonic() - began < 20
    own.signal(signal.SIGCONT)

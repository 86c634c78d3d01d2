"""What is delivered is safe; every group hears every fact, in order; what cannot be handled is kept for people to see."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from infirmary.kernel import telemetry
from infirmary.kernel.asyncapi import PARKED, fact_of
from infirmary.kernel.audit import Audited
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.outbox import ATTEMPTS

from .conftest import MakeBus, MakeJournal
from .journal import TRACEPARENT, a_fact, deliver, facts, retried

TOPIC = "kafka-events"


async def on_topic(servers: str, topic: str, count: int) -> list[Any]:
    """The first `count` messages of a topic, read by a client that knows nothing of us."""
    import confluent_kafka

    def read() -> list[Any]:
        client = confluent_kafka.Consumer({
            "bootstrap.servers": servers, "group.id": "looking", "auto.offset.reset": "earliest"})
        partitions = client.list_topics(topic, timeout=5).topics[topic].partitions
        client.assign([confluent_kafka.TopicPartition(topic, one, 0) for one in partitions])
        found = client.consume(count, timeout=10)
        client.close()
        return found
    return await asyncio.to_thread(read)


async def test_what_is_delivered_is_on_the_topic_as_a_cloud_event(at: str, prefix: str, make_bus: MakeBus) -> None:
    bus, fact = await make_bus(at), a_fact(version=3)
    await retried(bus, fact)
    [message] = await on_topic(at, prefix + TOPIC, 1)
    assert dict(message.headers()) == {
        "ce_specversion": b"1.0", "ce_id": str(fact.id).encode(), "ce_type": b"kafka.Moved", "ce_source": b"/kafka",
        "ce_subject": str(fact.aggregate).encode(), "ce_time": b"2026-11-20T12:00:00.123456+00:00",
        "ce_sequence": b"0000000003", "ce_requestid": b"req-7", "ce_traceparent": TRACEPARENT.encode(),
        "content-type": b"application/json"}
    assert message.key() == str(fact.aggregate).encode()
    assert fact_of(message.headers(), message.value()) == fact


async def test_audit_entries_of_every_context_share_a_topic(at: str, prefix: str, make_bus: MakeBus) -> None:
    bus, fact = await make_bus(at), a_fact(kind=Audited.kind, request_id="")
    await retried(bus, fact)
    [message] = await on_topic(at, prefix + "audit-events", 1)
    assert fact_of(message.headers(), message.value()) == fact


async def test_every_group_hears_every_fact_once_and_in_order(
        at: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    produced = facts(aggregates=40, versions=10)
    one, two = await make_journal("one"), await make_journal("two")
    await deliver(await make_bus(at, one, two), produced)
    for journal in (one, two):
        await journal.reaches(len(produced))
        await journal.must_be(produced)
        assert set(journal.tries.values()) == {1}


async def test_a_group_that_comes_later_hears_in_order_what_was_said_before(
        at: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    produced = facts(aggregates=10, versions=10)
    await deliver(await make_bus(at), produced)
    journal = await make_journal("one")
    journal.slow = .05   # all of them are there at once, and none takes as long as another
    await make_bus(at, journal)
    await journal.reaches(len(produced))
    await journal.must_be(produced)


async def test_facts_that_nobody_here_knows_or_needs_are_passed_over(
        at: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal, aggregate = await make_journal("one"), new_id()
    bus = await make_bus(at, journal)
    first, last = a_fact(aggregate, 1), a_fact(aggregate, 2)
    for fact in (first, a_fact(aggregate, 1, kind="kafka.NeverHeardOf"), last):
        await retried(bus, fact)
    await journal.reaches(2)
    await journal.must_be([first, last])


async def test_a_poisonous_fact_is_parked_and_copied_and_the_rest_flows_on(
        at: str, prefix: str, make_bus: MakeBus, make_journal: MakeJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    from infirmary.kernel.kafka import listener
    monkeypatch.setattr(listener, "BACK_OFF", timedelta(milliseconds=20))
    journal, poison = await make_journal("one"), new_id()
    journal.broken = {poison}
    bad, others = a_fact(poison, 1), facts(aggregates=30, versions=4)
    bus = await make_bus(at, journal)
    await deliver(bus, [bad, *others])
    await journal.reaches(len(others))
    [message] = await on_topic(at, prefix + PARKED, 1)
    assert fact_of(message.headers(), message.value()) == bad
    assert dict(message.headers())["ce_parkedby"] == b"one"
    assert [(one.fact, one.why) for one in await journal.consumer.parked()] == [(bad, "ZeroDivisionError")]
    assert journal.tries[bad.id] == ATTEMPTS
    journal.broken.clear()
    after = a_fact(poison, 2)
    await retried(bus, after)
    await journal.reaches(len(others) + 1)
    assert {journal.tries[one.id] for one in (*others, after)} == {1}


async def test_a_failing_fact_holds_back_its_own_aggregate_only(
        at: str, make_bus: MakeBus, make_journal: MakeJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    from infirmary.kernel.kafka import listener
    monkeypatch.setattr(listener, "BACK_OFF", timedelta(milliseconds=100))
    journal, stuck = await make_journal("one"), new_id()
    journal.broken = {stuck}
    held, others = [a_fact(stuck, 1), a_fact(stuck, 2)], facts(aggregates=300, versions=2)
    await deliver(await make_bus(at, journal), [*held, *others])
    await journal.reaches(len(others))   # more than are in hand at once
    journal.broken.clear()
    await journal.reaches(len(others) + 2)
    await journal.must_be([*held, *others])


async def test_what_somebody_else_wrote_on_our_topic_is_set_aside(
        at: str, prefix: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    import confluent_kafka
    journal, fact = await make_journal("one"), a_fact()
    bus = await make_bus(at, journal)
    await retried(bus, fact)
    stranger = confluent_kafka.Producer({"bootstrap.servers": at})
    stranger.produce(prefix + TOPIC, b"\xff", str(fact.aggregate), headers={"from": "a stranger"})
    await asyncio.to_thread(stranger.flush)
    after = a_fact(fact.aggregate, 2)
    await retried(bus, after)
    await journal.reaches(2)
    await journal.must_be([fact, after])
    [message] = await on_topic(at, prefix + PARKED, 1)
    assert (message.value(), dict(message.headers())) == (b"\xff", {"from": b"a stranger", "ce_parkedby": b"one"})


async def test_closing_finishes_what_is_in_hand_and_nothing_comes_again(
        at: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal, produced = await make_journal("one"), facts(aggregates=20, versions=2)
    bus = await make_bus(at, journal)
    journal.slow = .5
    await deliver(bus, produced)
    while not journal.tries:
        await asyncio.sleep(.01)
    await bus.close()
    begun = Counter(journal.tries)
    assert await journal.count() == len(begun)
    journal.slow = 0
    await make_bus(at, journal)
    await journal.reaches(len(produced))
    await journal.must_be(produced)
    assert set(journal.tries.values()) == {1}


async def test_the_lag_of_each_group_is_a_gauge(
        at: str, make_bus: MakeBus, make_journal: MakeJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    from infirmary.kernel.kafka import listener
    monkeypatch.setattr(listener, "MEASURE_EVERY", .1)
    journal = await make_journal("lagging")
    journal.gate.clear()
    await deliver(await make_bus(at, journal), facts(aggregates=7, versions=1))
    await lag_becomes(7)
    journal.gate.set()
    await lag_becomes(0)


async def lag_becomes(wanted: float) -> None:
    async with asyncio.timeout(10):
        while telemetry.registry.get_sample_value("event_lag", {"consumer": "lagging", "topic": TOPIC}) != wanted:
            await asyncio.sleep(.05)

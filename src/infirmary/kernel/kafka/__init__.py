"""The bus between processes: facts travel through Apache Kafka, one topic per context, in order per aggregate.

A fact is a CloudEvent 1.0 (binary mode: the envelope in headers, the body as JSON), its key the aggregate. Each context
is one consumer group. What a member has in hand is handled at once, except that an aggregate's facts wait for each
other; a partition's offset moves up to the oldest fact that is not done, and no further. So a fact may come twice, which
the inbox notices, and never not at all. A failing fact is tried again and then parked, as on any bus; a copy of it goes
to `parked-events`. Nothing here raises because the broker is away: it is waited for.
"""
from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import confluent_kafka as kafka
import msgspec
import structlog
from confluent_kafka.admin import AdminClient, NewTopic

from infirmary.kernel.asyncapi import PARKED, Headers, headers_of, topic_of, topics_of
from infirmary.kernel.bus import Consumer
from infirmary.kernel.events import Fact
from infirmary.kernel.outbox import INBOX_KEPT

from .listener import GRACE, Listener
from .sender import NotDelivered, Sender, Trouble, named

__all__ = ["KafkaBus", "NotDelivered"]

log = structlog.get_logger()
RETENTION = INBOX_KEPT / 2   # less than inboxes remember: what comes again is noticed
CLOSING = GRACE + 5          # seconds: a broker that is away must not keep a process from ending


class KafkaBus:
    """Takes the place of `LocalBus`. `servers` is `host:port[,host:port]`, with or without `kafka://` before it;
    `contexts` are all that exist, wherever they run; `prefix` keeps installations on one cluster apart."""

    def __init__(self, servers: str, contexts: Iterable[str], *, partitions: int = 6, prefix: str = "") -> None:
        self._common: dict[str, Any] = {
            "bootstrap.servers": servers.removeprefix("kafka://"), "client.id": "infirmary", "log_level": 2,
            "socket.timeout.ms": 10_000, "reconnect.backoff.max.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 30_000, "error_cb": Trouble()}
        self._prefix, self._partitions = prefix, partitions
        self._topics = [*topics_of(contexts), PARKED]
        self._sender = Sender(self._common)
        self._listeners: list[Listener] = []
        self._opening: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, consumer: Consumer) -> None:
        if consumer.kinds:
            self._listeners.append(Listener(self._common, self._prefix, consumer, self._send))

    async def open(self) -> None:
        """Returns at once; topics are made when the broker is there."""
        self._sender.open()
        self._opening = asyncio.create_task(self._make_topics(), name="kafka-topics")

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen(one), name=f"kafka-{one.group}") for one in self._listeners]

    async def deliver(self, fact: Fact, last: bool) -> None:
        """Returns when the broker has it on all replicas in sync; raises NotDelivered within seconds otherwise."""
        await self._send(topic_of(fact.kind), str(fact.aggregate).encode(), msgspec.json.encode(fact.body),
                         headers_of(fact))

    async def close(self) -> None:
        """Finish what is in hand, commit, leave the groups; never longer than CLOSING."""
        if self._opening is None:
            return
        self._opening.cancel()
        for listener in self._listeners:
            listener.stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSING)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.to_thread(self._sender.close)

    async def _listen(self, listener: Listener) -> None:
        assert self._opening is not None   # start comes after open
        await asyncio.wait([self._opening])
        if not self._opening.cancelled():
            await listener.run()

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        await self._sender.send(self._prefix + topic, key, value, headers)

    async def _make_topics(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._create)
                return
            except Exception as error:   # noqa: BLE001 – whatever it was, nothing works without topics
                log.warning("topics_not_made", error=named(error))
                await asyncio.sleep(1)

    def _create(self) -> None:
        kept = {"retention.ms": str(int(RETENTION.total_seconds() * 1000))}
        wanted = [NewTopic(self._prefix + name, self._partitions, -1, config=kept)   # -1: as the cluster is set up
                  for name in self._topics]
        admin = AdminClient(self._common)   # must outlive the answers
        for made in admin.create_topics(wanted, request_timeout=5).values():
            try:
                made.result()
            except kafka.KafkaException as error:
                if not _is(error, kafka.KafkaError.TOPIC_ALREADY_EXISTS):
                    raise


def _is(error: kafka.KafkaException, code: int) -> bool:
    return isinstance(error.args[0], kafka.KafkaError) and error.args[0].code() == code

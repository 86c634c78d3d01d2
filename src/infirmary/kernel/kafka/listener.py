"""The way from the broker: one consumer as a member of its context's group."""
from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import count
from queue import SimpleQueue
from time import monotonic
from typing import Any, TypeVar

import confluent_kafka as kafka
import structlog
from prometheus_client import Gauge

from infirmary.kernel.asyncapi import PARKED, Headers, fact_of, topic_of
from infirmary.kernel.bus import Consumer
from infirmary.kernel.outbox import ATTEMPTS, BACK_OFF
from infirmary.kernel.telemetry import registry

from .sender import NotDelivered

log = structlog.get_logger()
T = TypeVar("T")
At = tuple[str, int]                    # topic and partition
Chain = tuple[str, int, bytes | None]   # and the key: an aggregate

SESSION, HEARTBEAT = 10.0, .5   # seconds without a sign of life until a member counts as dead; and between the signs
IN_HAND = 200                   # facts of one group in this process that are not done yet
POLL, COMMIT_EVERY, MEASURE_EVERY = .2, .5, 5.0   # seconds
GRACE = 10.0                    # seconds for what is in hand when partitions move on, or the bus is closed
LAG = Gauge("event_lag", "Facts that a consumer group has not handled, in the partitions that this process reads",
            ["consumer", "topic"], registry=registry)


class _Thread:
    """Makes one call after the other, apart from the loop. Unlike an executor, it never keeps a process from ending."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    async def __call__(self, call: Callable[..., T], *args: Any) -> T:
        if not self._thread.is_alive():
            self._thread.start()
        future: Future[T] = Future()
        self._calls.put((future, partial(call, *args)))
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        while (one := self._calls.get()) is not None:
            future, call = one
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:   # noqa: BLE001 – handed over, not swallowed
                    future.set_exception(error)

    def end(self) -> None:
        self._calls.put(None)


class _Partition:
    """One partition that is ours. Its offset may be moved to `position`: all before that is done."""

    def __init__(self) -> None:
        self.pending: dict[int, None] = {}   # offsets in hand, oldest first
        self.following: int | None = None    # the offset after the newest that came
        self.committed: int | None = None

    @property
    def position(self) -> int | None:
        return next(iter(self.pending), self.following)


class Listener:
    """One consumer as a member of its context's group.

    The library's calls block, so they have a thread of their own, one call at a time; all state lives on the loop. When
    partitions are taken from us, the library says so inside `poll`: that thread then waits until the loop has finished
    with them, and only after that does somebody else get them.
    """

    def __init__(self, common: dict[str, Any], prefix: str, consumer: Consumer, send: Callable[..., Awaitable[None]]) -> None:
        self.group = f"{prefix}infirmary.{consumer.db.context}"
        self.stopping = False
        self._consumer, self._send, self._prefix = consumer, send, prefix
        self._topics = sorted({topic_of(kind) for kind in consumer.kinds})
        self._settings = {
            **common, "group.id": self.group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": int(SESSION * 1000),
            "heartbeat.interval.ms": int(HEARTBEAT * 1000), "max.poll.interval.ms": 60_000,
            "queued.max.messages.kbytes": 8192, "on_commit": self._committed}
        self._apart = _Thread(self.group)
        self._fetched: list[kafka.Message] = []
        self._paused = False
        self._partitions: dict[At, _Partition] = {}
        self._chains: dict[Chain, deque[kafka.Message]] = {}
        self._tasks: dict[Chain, asyncio.Task[None]] = {}
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Until `stopping`. Whatever goes wrong, a new member takes up where the last commit was."""
        self._loop = asyncio.get_running_loop()
        try:
            while not self.stopping:
                try:
                    await self._live()
                except Exception as error:
                    log.warning("listener_failed", group=self.group, exc_info=error)
                    await asyncio.sleep(1)
        finally:
            self._apart.end()

    async def _live(self) -> None:
        await self._apart(self._join)
        commit_at = measure_at = 0.0
        try:
            while not self.stopping:
                for message in await self._apart(self._fetch, await self._room_for()):
                    self._take(message)
                if monotonic() > commit_at:
                    await self._commit_done()
                    commit_at = monotonic() + COMMIT_EVERY
                if monotonic() > measure_at:
                    for topic, lag in (await self._apart(self._lag)).items():
                        LAG.labels(self._consumer.db.context, topic).set(lag)
                    measure_at = monotonic() + MEASURE_EVERY
        finally:
            await self._apart(self._client.close)   # which calls `_revoked` for all that we have

    # On the loop ------------------------------------------------------------------------------------------------

    async def _room_for(self) -> int:
        """How many more may come. When there is no room, wait for some, but not so long that the group misses us."""
        if (room := self._left()) <= 0:
            self._room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._room.wait()
            room = self._left()
        return room

    def _left(self) -> int:
        return IN_HAND - sum(len(one.pending) for one in self._partitions.values())

    def _take(self, message: kafka.Message) -> None:
        at, offset = _at(message), message.offset()
        assert offset is not None
        self._partitions[at].following = offset + 1
        kind = next((value for name, value in message.headers() or () if name == "ce_type"), b"")
        if kind and _text(kind) not in self._consumer.kinds:
            return
        self._partitions[at].pending[offset] = None
        chain = (*at, message.key())
        if chain in self._chains:
            self._chains[chain].append(message)
        else:
            self._chains[chain] = deque([message])
            self._tasks[chain] = asyncio.create_task(self._work_off(chain), name=f"kafka-{self.group}-chain")

    async def _work_off(self, chain: Chain) -> None:
        """The facts of one aggregate, one after the other, until none is left."""
        waiting, pending = self._chains[chain], self._partitions[chain[:2]].pending
        while waiting:
            await self._handle(waiting[0])
            del pending[waiting.popleft().offset() or 0]
            self._room.set()
        del self._chains[chain], self._tasks[chain]

    async def _handle(self, message: kafka.Message) -> None:
        headers: Headers = [(name, _text(value).encode()) for name, value in message.headers() or ()]
        try:
            fact = fact_of(headers, message.value() or b"")
        except (KeyError, ValueError) as error:   # somebody else wrote it; nobody here can park it in a database
            log.error("message_is_no_fact", topic=message.topic(), partition=message.partition(),
                      offset=message.offset(), error=type(error).__name__)
        else:
            for attempt in count(1):
                try:
                    if await self._consumer.handle(fact, last=attempt >= ATTEMPTS):
                        return
                    break
                except Exception as error:   # noqa: BLE001 – and if it cannot even be parked, it is tried for ever
                    log.warning("fact_not_handled", context=self._consumer.db.context, kind=fact.kind,
                                fact=str(fact.id), attempt=attempt, error=type(error).__name__)
                    await asyncio.sleep((BACK_OFF * 2 ** min(attempt - 1, ATTEMPTS - 1)).total_seconds())
        headers.append(("ce_parkedby", self._consumer.db.context.encode()))
        while True:
            try:
                await self._send(PARKED, message.key(), message.value(), headers)
                break
            except NotDelivered:
                await asyncio.sleep(1)

    async def _commit_done(self) -> None:
        """In passing, without waiting: when it fails, `_committed` is told, and it is done again."""
        done = {at: one.position for at, one in self._partitions.items()
                if one.position is not None and one.position != one.committed}
        if done:
            await self._apart(self._commit, done)
            for at, position in done.items():
                self._partitions[at].committed = position

    def _commit_again(self, partitions: Iterable[At]) -> None:
        for at in partitions:
            if at in self._partitions:
                self._partitions[at].committed = None

    def _welcome(self, partitions: Iterable[At]) -> None:
        self._partitions.update((at, _Partition()) for at in partitions)

    async def _let_go(self, gone: Collection[At], grace: float) -> dict[At, int]:
        """Finish what is in hand of these partitions; what takes too long is left to whoever gets them."""
        ours = [chain for chain in self._tasks if chain[:2] in gone]
        if tasks := [self._tasks[chain] for chain in ours]:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for chain in ours:
            self._chains.pop(chain, None)
            self._tasks.pop(chain, None)
        left = {at: self._partitions.pop(at) for at in gone if at in self._partitions}
        self._room.set()
        return {at: one.position for at, one in left.items() if one.position is not None}

    # In the thread ----------------------------------------------------------------------------------------------

    def _join(self) -> None:
        self._client: kafka.Consumer = kafka.Consumer(self._settings)
        self._paused = False
        self._client.subscribe([self._prefix + topic for topic in self._topics], on_assign=self._assigned,
                               on_revoke=self._revoked, on_lost=self._lost)

    def _fetch(self, room: int) -> list[kafka.Message]:
        """All that is there, up to `room`; without room only the library is served, so that we stay in the group."""
        if room <= 0:
            self._client.pause(self._client.assignment())
        elif self._paused:
            self._client.resume(self._client.assignment())
        self._paused, self._fetched, patience = room <= 0, [], POLL
        while (message := self._client.poll(patience)) is not None:
            patience = 0
            if error := message.error():   # the library goes on by itself
                log.warning("not_fetched", group=self.group, error=error.name())
                continue
            self._fetched.append(message)
            if len(self._fetched) >= room:
                break
        return self._fetched

    def _commit(self, done: dict[At, int]) -> None:
        """Sent, not waited for (that would take as long as the broker is away). What we do next on this connection,
        such as leaving, comes after it."""
        self._client.commit(offsets=[kafka.TopicPartition(*at, position) for at, position in done.items()],
                            asynchronous=True)

    def _committed(self, error: kafka.KafkaError | None, partitions: list[kafka.TopicPartition]) -> None:
        if error is not None:
            log.warning("offsets_not_committed", group=self.group, error=error.name())
            self._loop.call_soon_threadsafe(self._commit_again, [(one.topic, one.partition) for one in partitions])

    def _lag(self) -> dict[str, int]:
        lag = dict.fromkeys(self._topics, 0)
        with suppress(kafka.KafkaException):
            for one in self._client.committed(self._client.assignment(), timeout=1):
                low, high = self._client.get_watermark_offsets(one, cached=True)
                lag[one.topic.removeprefix(self._prefix)] += max(high - max(one.offset, low, 0), 0)
        return lag

    def _assigned(self, _: object, partitions: list[kafka.TopicPartition]) -> None:
        self._loop.call_soon_threadsafe(self._welcome, [(one.topic, one.partition) for one in partitions])

    def _revoked(self, _: object, partitions: list[kafka.TopicPartition]) -> None:
        if done := self._without(partitions, GRACE):
            self._commit(done)

    def _lost(self, _: object, partitions: list[kafka.TopicPartition]) -> None:
        """The group thought us dead: somebody else has them already, and there is nothing to commit."""
        log.warning("partitions_lost", group=self.group, partitions=len(partitions))
        self._without(partitions, 0)

    def _without(self, partitions: list[kafka.TopicPartition], grace: float) -> dict[At, int]:
        gone = {(one.topic, one.partition) for one in partitions}
        self._fetched[:] = [message for message in self._fetched if _at(message) not in gone]
        with suppress(TimeoutError, RuntimeError):   # the loop has more to do than it can, or has ended: so nothing is left
            return asyncio.run_coroutine_threadsafe(self._let_go(gone, grace), self._loop).result(grace + SESSION)
        return {}


def _at(message: kafka.Message) -> At:
    topic, partition = message.topic(), message.partition()
    assert topic is not None and partition is not None   # it came from the broker  # noqa: PT018
    return topic, partition


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""

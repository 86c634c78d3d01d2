"""The way to the broker: sent is what the broker has confirmed."""
from __future__ import annotations

import asyncio
import threading
from time import monotonic
from typing import Any

import confluent_kafka as kafka
import structlog

from infirmary.kernel.asyncapi import Headers

log = structlog.get_logger()
DELIVERY = 3.0   # seconds until a fact that the broker does not take goes back to its relay
QUIET = 30.0     # seconds between two words about a broker that is away


class NotDelivered(Exception):
    """The broker has not confirmed it. It may have arrived all the same."""


class Sender:
    """A producer, and the thread that hears what became of what it sent."""

    def __init__(self, common: dict[str, Any]) -> None:
        self._settings = {**common, "acks": "all", "enable.idempotence": True, "linger.ms": 2,
                          "message.timeout.ms": int(DELIVERY * 1000), "error_cb": self._trouble}
        self._closing, self._spoilt, self._say = threading.Event(), False, common["error_cb"]

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = kafka.Producer(self._settings)
        self._thread = threading.Thread(target=self._hear, name="kafka-sender", daemon=True)
        self._thread.start()

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        sent: asyncio.Future[None] = self._loop.create_future()

        def told(error: kafka.KafkaError | None, _: object) -> None:
            self._loop.call_soon_threadsafe(_settle, sent, error)

        try:
            self._producer.produce(topic, value, key, headers=[*headers], on_delivery=told)
        except (BufferError, kafka.KafkaException) as error:   # too much waits already, or the producer is spoilt
            raise NotDelivered(named(error)) from error
        await sent

    def _hear(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(.1)
            if self._spoilt:   # for good: it cannot tell any more what arrived; relays will send that again
                self._spoilt, old = False, self._producer
                self._producer = kafka.Producer(self._settings)
                _give_up(old)

    def _trouble(self, error: kafka.KafkaError) -> None:
        self._spoilt = self._spoilt or error.fatal()
        self._say(error)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._producer.flush(DELIVERY)
        _give_up(self._producer)


def _settle(sent: asyncio.Future[None], error: kafka.KafkaError | None) -> None:
    if sent.done():   # cancelled: nobody waits any more
        return
    if error is None:
        sent.set_result(None)
    else:
        sent.set_exception(NotDelivered(error.name()))


def _give_up(producer: kafka.Producer) -> None:
    """Whoever still waits is told that it has not arrived."""
    producer.purge()
    producer.flush(1)


class Trouble:
    """Says that the broker is away: now and then, not at every try of every client."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, error: kafka.KafkaError) -> None:
        grave = error.fatal() or error.code() == kafka.KafkaError._ALL_BROKERS_DOWN   # noqa: SLF001 – so it is called
        if grave and monotonic() > self._quiet_until:
            self._quiet_until = monotonic() + QUIET
            log.warning("kafka_trouble", error=error.name())


def named(error: Exception) -> str:
    """The name of what went wrong, without values."""
    inner = error.args[0] if error.args else None
    return inner.name() if isinstance(inner, kafka.KafkaError) else type(error).__name__

"""A trace follows a request to whoever is asked and to whoever reacts, and says nothing about people."""
from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import aiohttp
import pytest
import structlog
from litestar import get as plain_get

from infirmary.kernel import tracing
from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.binding import Routes
from infirmary.kernel.bus import Consumer, LocalBus
from infirmary.kernel.contract import Contract, Done, get, post
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import Unavailable
from infirmary.kernel.events import Fact
from infirmary.kernel.http import build_app
from infirmary.kernel.outbox import OLDEST, Relay
from infirmary.kernel.remote import over_http
from tests.collector import Collector, collecting
from tests.serving import serving

from .model import declared
from .test_binding import authenticate, keeper
from .test_remote import NOWHERE
from .toy import NewToy, Toy, ToyBox, Toys

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
CANARY = "Rosa Delgado"
FORGED = f"00-{'a' * 32}-{'b' * 16}-01"
REQUEST = "request-0007"


class Shop(Contract, context="shop"):
    @post("/orders/{customer}", status=201, allow={ANYONE: ANY})
    async def order(self, caller: Caller, customer: str, body: NewToy, remark: str = "") -> Toy:
        """Order a toy; somebody else makes it."""

    @get("/fault", allow={ANYONE: ANY})
    async def fault(self, caller: Caller) -> Done:
        """Who is asked has a fault."""


class Counter(Shop):
    def __init__(self, toys: Toys) -> None:
        self.toys = toys

    async def order(self, caller: Caller, customer: str, body: NewToy, remark: str = "") -> Toy:
        return await self.toys.make(keeper, body)

    async def fault(self, caller: Caller) -> Done:
        return await self.toys.faulty(keeper)


class Street:
    """A shop, those who make its toys, and a ledger that hears of what they do. Toymakers believe everybody."""

    def __init__(self, db: Database, ledger: Database) -> None:
        self.db, self.heard, self.broken = db, list[str | None](), False
        self.bus = LocalBus()
        self.consumer = Consumer(ledger, {Audited: self.hear})
        self.bus.subscribe(self.consumer)

    async def hear(self, event: Audited, fact: Fact) -> None:
        if self.broken:
            raise ZeroDivisionError(CANARY)
        async with self.consumer.db.transaction(once=fact.id):
            self.heard.append(tracing.traceparent())

    async def relay(self) -> int:
        return await Relay(self.db, self.bus.deliver).once()

    async def ask(self, verb: str, path: str, **more: Any) -> tuple[int, str]:
        headers = {"X-Request-Id": REQUEST, **more.pop("headers", {})}
        async with self.http.request(verb, self.shop + path, headers=headers, **more) as reply:
            return reply.status, await reply.text()

    async def order(self, **headers: str) -> None:
        toy = {"name": CANARY, "owner_id": str(keeper.account_id)}
        status, text = await self.ask("POST", f"/api/v1/orders/{CANARY}", params={"remark": CANARY}, json=toy,
                                      headers=headers)
        assert status == 201, text


@pytest.fixture
async def street(db: Database, database_url: Callable[[str], str]) -> AsyncIterator[Street]:
    @plain_get("/health/live")
    async def live() -> str:
        return "ok"

    db.context = "toys"
    ledger = await Database.open(database_url("ledger"), "ledger")
    await ledger.create(declared())
    made = Street(db, ledger)
    async with AsyncExitStack() as stack:
        made.http = await stack.enter_async_context(aiohttp.ClientSession())
        makers = await stack.enter_async_context(serving(build_app(
            Routes(Toys, ToyBox(db), db, authenticate).handlers, internal=lambda _: True)))
        counter = Counter(over_http(Toys, lambda: [makers], made.http))
        made.shop = await stack.enter_async_context(serving(build_app(
            [*Routes(Shop, counter, db, authenticate).handlers, live])))
        yield made
    await ledger.close()


@asynccontextmanager
async def traced(share: float = 1) -> AsyncIterator[Collector]:
    """What was collected is complete when this is left."""
    async with collecting() as collector:
        tracing.set_up(collector.url, service="infirmary-street", share=share)
        try:
            yield collector
        finally:
            await asyncio.to_thread(tracing.end)


async def test_one_trace_leads_from_a_request_over_whom_it_asks_to_the_reaction(street: Street) -> None:
    async with traced() as collector:
        await street.order()
        assert await street.relay() == 1
    order, asked = collector.the("server", "shop.order"), collector.the("client", "toys.make")
    made, reaction = collector.the("server", "toys.make"), collector.the("consumer", f"ledger {Audited.kind}")
    assert len(collector.spans) == 4
    assert [one.parent for one in (order, asked, made, reaction)] == ["", order.id, asked.id, made.id]
    assert {(one.trace, one.service, one.failed) for one in collector.spans} == {(order.trace, "infirmary-street", False)}
    assert all(one.attributes["request_id"] == REQUEST for one in collector.spans)
    assert [one.attributes.get("http.response.status_code") for one in (order, asked, made, reaction)] == [201, 201, 201, None]


async def test_a_reaction_goes_on_with_the_trace(street: Street) -> None:
    """What it announces is a consequence of the same request."""
    async with traced() as collector:
        await street.order()
        await street.relay()
    reaction = collector.the("consumer", f"ledger {Audited.kind}")
    [parent] = street.heard
    assert parent is not None and parent[3:52] == f"{reaction.trace}-{reaction.id}"


async def test_nothing_that_was_sent_names_anybody(street: Street) -> None:
    async with traced() as collector:
        await street.order()
        await street.ask("GET", f"/api/v1/nowhere/{CANARY}", params={"name": CANARY})
        await street.ask("POST", f"/api/v1/orders/{CANARY}", json={"name": CANARY, "unknown": CANARY})
        await street.ask("GET", "/api/v1/fault")   # whose message names her
        street.broken = True
        await street.relay()
        [fact] = [one.fact for one in await waiting(street.db)]
        await street.bus.deliver(fact, last=True)
    assert len(collector.spans) >= 9
    for word in (CANARY, "Rosa", "Delgado", "/api/", "127.0.0.1", str(keeper.account_id)):
        assert word.encode() not in collector.raw


async def test_of_an_error_the_class_is_told(street: Street) -> None:
    async with traced() as collector:
        assert (await street.ask("GET", "/api/v1/fault"))[0] == 500
    [asked] = [one for one in collector.spans if one.kind == "client"]
    fault, made = collector.the("server", "shop.fault"), collector.the("server", "toys.faulty")
    assert fault.failed and asked.failed and made.failed
    assert made.attributes["error.type"] == "ZeroDivisionError"
    assert fault.attributes["http.response.status_code"] == made.attributes["http.response.status_code"] == 500


async def test_a_refusal_is_an_answer_and_nobody_to_ask_is_an_error(street: Street) -> None:
    async with traced() as collector:
        assert (await street.ask("GET", "/api/v1/nothing"))[0] == 404
        with pytest.raises(Unavailable):
            await over_http(Toys, lambda: [NOWHERE], street.http).toys(keeper)
    assert not collector.the("server", "none").failed
    away = collector.the("client", "toys.toys")
    assert away.failed and away.attributes["error.type"] == "Unavailable"


async def test_a_reaction_that_fails_says_so_and_so_does_one_whose_fact_is_parked(street: Street) -> None:
    street.broken = True
    async with traced() as collector:
        await street.order()
        await street.relay()
        [stored] = await waiting(street.db)
        assert await street.consumer.handle(stored.fact, last=True) is False
    reactions = [one for one in collector.spans if one.kind == "consumer"]
    assert [(one.failed, one.attributes["error.type"]) for one in reactions] == [(True, "ZeroDivisionError")] * 2
    [parked] = await street.consumer.parked()
    assert parked.fact == stored.fact and parked.traceparent == stored.traceparent is not None


async def test_only_our_own_networks_say_what_a_request_is_a_part_of(street: Street) -> None:
    async with traced() as collector:
        await street.order(traceparent=FORGED)
    assert collector.the("server", "shop.order").parent == ""
    assert b"\xaa" * 16 not in collector.raw


@pytest.mark.parametrize("parent", ["", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01", "00-" + "a" * 600, "ü"])
async def test_a_parent_that_cannot_be_read_is_a_beginning(db: Database, parent: str) -> None:
    app = build_app(Routes(Toys, ToyBox(db), db, authenticate).handlers, internal=lambda _: True)
    async with (traced() as collector, serving(app) as base, aiohttp.ClientSession() as http,
                http.get(f"{base}/api/v1/nowhere", headers={"traceparent": parent}) as reply):
        assert reply.status == 404
    assert collector.the("server", "none").parent == ""


async def test_whoever_keeps_an_eye_on_us_is_not_traced(street: Street) -> None:
    async with traced() as collector:
        assert (await street.ask("GET", "/health/live"))[0] == 200
    assert collector.spans == []


async def test_what_is_not_kept_is_kept_by_nobody_on_its_way(street: Street) -> None:
    async with traced(share=0) as collector:
        await street.order()
        [stored] = await waiting(street.db)
        assert stored.traceparent is not None and stored.traceparent[-1] in "02"   # the last bit says: not kept
        await street.relay()
    assert collector.spans == []


async def test_when_off_nothing_is_said_to_anybody(street: Street) -> None:
    await street.order()
    [stored] = await waiting(street.db)
    assert stored.traceparent is None and tracing.traceparent() is None and not tracing.on()
    await street.relay()
    assert street.heard == [None]


def test_when_off_nothing_is_loaded(engine: str) -> None:
    loads = ("import sys, infirmary.kernel.http, infirmary.kernel.remote, infirmary.kernel.bus, infirmary.kernel.tracing\n"
             "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))")
    assert subprocess.run([sys.executable, "-c", loads], check=False).returncode == 0


async def test_a_collector_that_is_away_costs_spans_and_two_seconds_at_the_end(street: Street) -> None:
    tracing.set_up(NOWHERE, service="infirmary-street", share=1)
    with structlog.testing.capture_logs() as said:
        await street.order()
        begun = monotonic()
        await asyncio.to_thread(tracing.end)
        assert monotonic() - begun < 3
    assert CANARY not in str(said)


async def waiting(db: Database) -> list[Any]:
    async with db.reading() as reading:
        return await reading.all(OLDEST)

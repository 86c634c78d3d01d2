"""Traces begin at the gateway: its span is the services' parent, and says of nobody who or where they are."""
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from infirmary.run.gateway.traces import Traces
from tests.collector import Collector, collecting
from tests.serving import serving

from .conftest import Door, a_gateway
from .upstream import upstream

CANARY = "Rosa-Delgado"
pytestmark = pytest.mark.asyncio(loop_scope="module")
FORGED = f"00-{'a' * 32}-{'b' * 16}-01"



@asynccontextmanager
async def a_traced_gateway(folder: Path, share: float) -> AsyncIterator[tuple[Door, Collector]]:
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(collecting())
        services = {name: [await stack.enter_async_context(serving(upstream(name, keys=lambda: {"keys": []})))]
                    for name in ("identity", "patients")}
        traces = Traces(collector=collector.url, share=share)
        yield await stack.enter_async_context(a_gateway(folder, services, traces=traces)), collector


async def passed_on(door: Door, path: str, **headers: str) -> str:
    """The parent that the service was told of."""
    status, _, body = await door.ask(path, headers=headers)
    assert status == 200
    sent = dict(body["headers"])
    assert sent.get("tracestate", "") == sent.get("b3", "") == ""
    return str(sent["traceparent"])


async def test_the_gateways_span_is_the_parent_of_the_services_and_says_nothing_of_who_asks(
        installed: str, tmp_path: Path) -> None:
    async with a_traced_gateway(tmp_path, 1) as (door, collector):
        parent = await passed_on(door, f"/api/v1/patients/{CANARY}?name={CANARY}", **{
            "User-Agent": CANARY, "Referer": CANARY, "traceparent": FORGED, "tracestate": f"a={CANARY}",
            "b3": f"{'a' * 32}-{'b' * 16}-1", "x-client-trace-id": CANARY,
            "x-request-id": "chosen-by-a-client"})   # no UUID: Envoy itself would not trace it
        for _ in range(5):   # Envoy sends five together, or waits for five seconds
            await passed_on(door, "/api/v1/patients")
        await collector.until(5)
    span = collector.the("server", "patients.patient")
    assert parent == f"00-{span.trace}-{span.id}-01"
    assert (span.service, span.kind, span.parent, span.failed) == ("infirmary-gateway", "server", "", False)
    assert span.attributes["http.status_code"] == "200"
    assert not [word for word in (CANARY, "127.0.0.1", "/api/", "a" * 32) if word.encode() in collector.raw]


async def test_what_is_not_kept_is_not_kept_by_services_either(installed: str, tmp_path: Path) -> None:
    """Otherwise each would begin a trace of its own; and nobody outside may choose."""
    async with a_traced_gateway(tmp_path, 0) as (door, collector):
        for _ in range(10):
            parent = await passed_on(door, "/api/v1/patients", **{
                "x-request-id": str(uuid4()), "x-client-trace-id": "yes-please", "x-envoy-force-trace": "1",
                "traceparent": FORGED})
            assert parent.endswith("-00") and parent[3:35] != "a" * 32
    assert collector.spans == []


async def test_without_a_collector_nothing_is_traced_and_nobody_outside_is_believed(door: Door) -> None:
    status, _, body = await door.ask("/api/v1/patients", headers={"traceparent": FORGED, "tracestate": "a=b", "b3": "1"})
    assert status == 200
    assert not {name for name, _ in body["headers"]} & {"traceparent", "tracestate", "b3"}

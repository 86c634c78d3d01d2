"""A collector of traces that remembers: OTLP over HTTP, on a free port of this machine."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

from .serving import serving


class Span(NamedTuple):
    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]


class Collector:
    """`raw` is all that was sent, for looking for what must not be there."""

    def __init__(self) -> None:
        self.url, self.raw, self.spans = "", b"", list[Span]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"] == "/v1/traces"
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.raw += body
        self.spans += _spans(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/x-protobuf")]})
        await send({"type": "http.response.body", "body": b""})

    def the(self, kind: str, name: str) -> Span:
        [found] = [one for one in self.spans if (one.kind, one.name) == (kind, name)]
        return found

    async def until(self, count: int) -> None:
        """At least so many are there."""
        async with asyncio.timeout(20):
            while len(self.spans) < count:
                await asyncio.sleep(.02)


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    async with serving(collector) as collector.url:
        yield collector


def _spans(body: bytes) -> list[Span]:
    return [Span(_values(resource.resource.attributes)["service.name"], one.name,
                 Sent.SpanKind.Name(one.kind).removeprefix("SPAN_KIND_").lower(), one.trace_id.hex(), one.span_id.hex(),
                 one.parent_span_id.hex(), one.status.code == one.status.STATUS_CODE_ERROR, _values(one.attributes))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans for one in scope.spans]


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}

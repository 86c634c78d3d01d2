"""Facts as the world outside sees them: CloudEvents 1.0 on Kafka topics (binary mode: the envelope in headers, the body
as JSON), and the AsyncAPI 3.0 document that says so, made from the events that are declared."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from .audit import Audited
from .events import Event, Fact

Headers = list[tuple[str, bytes]]
PARKED = "parked-events"   # copies of what a consumer could not handle
_SCHEMA, _MESSAGE = "#/components/schemas/{name}", "#/components/messages/{name}"


def topic_of(kind: str) -> str:
    """Facts of one context travel together: `toys.ToyMade` in `toy-events`; and so do all audit entries."""
    context = "audit" if kind == Audited.kind else kind.partition(".")[0]
    return f"{context.removesuffix('s')}-events"


def topics_of(contexts: Iterable[str]) -> list[str]:
    """All that these contexts write to."""
    return sorted({*(topic_of(f"{context}.") for context in contexts), topic_of(Audited.kind)})


def headers_of(fact: Fact) -> Headers:
    """The envelope. Versions are padded, because CloudEvents compares sequences as text."""
    written = {"ce_specversion": "1.0", "ce_id": str(fact.id), "ce_type": fact.kind,
               "ce_source": f"/{fact.kind.partition('.')[0]}", "ce_subject": str(fact.aggregate),
               "ce_time": fact.happened_at.isoformat(), "content-type": "application/json",
               "ce_sequence": f"{fact.version:010}"}
    if fact.request_id:   # attributes are left out rather than empty
        written["ce_requestid"] = fact.request_id
    if fact.traceparent:
        written["ce_traceparent"] = fact.traceparent
    return [(name, value.encode()) for name, value in written.items()]


def fact_of(headers: Headers, value: bytes) -> Fact:
    """The fact that was sent; KeyError or ValueError when this is none."""
    read = {name: raw.decode() for name, raw in headers}
    return Fact(UUID(read["ce_id"]), read["ce_type"], UUID(read["ce_subject"]), int(read["ce_sequence"]),
                msgspec.json.decode(value), read.get("ce_requestid", ""), datetime.fromisoformat(read["ce_time"]),
                read.get("ce_traceparent"))


def document(contexts: Iterable[str], *, title: str, version: str) -> dict[str, Any]:
    """All that these contexts announce, and where. What others extend is a shape, not an event."""
    channels: dict[str, Any] = {topic: _channel(topic) for topic in topics_of(contexts)}
    events = sorted((event for kind, event in Event.known.items()
                     if topic_of(kind) in channels and not event.__subclasses__()), key=lambda event: event.kind)
    schemas, components = msgspec.json.schema_components(events, ref_template=_SCHEMA)
    for event in events:
        channels[topic_of(event.kind)]["messages"][event.kind] = {"$ref": _MESSAGE.format(name=event.kind)}
    everything = {event.kind: {"$ref": _MESSAGE.format(name=event.kind)} for event in events}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "channels": {**channels, PARKED: {
            **_channel(PARKED), "messages": everything,
            "description": "Copies of what a consumer could not handle. `ce_parkedby` says which consumer."}},
        "operations": {f"send-{topic}": {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}}
                       for topic in [*channels, PARKED]},
        "components": {"messages": {event.kind: _message(event, schema)
                                    for event, schema in zip(events, schemas, strict=True)},
                       "schemas": {**components, "CloudEvent": _ENVELOPE}}}


def _channel(topic: str) -> dict[str, Any]:
    return {"address": topic, "messages": {}, "bindings": {"kafka": {"topic": topic}}}


def _message(event: type[Event], schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": event.kind, "title": event.__name__, "summary": (event.__doc__ or "").split("\n")[0],
        "headers": {"allOf": [{"$ref": _SCHEMA.format(name="CloudEvent")},
                              {"type": "object", "properties": {"ce_type": {"const": event.kind}}}]},
        "payload": schema,
        "correlationId": {"location": "$message.header#/ce_requestid"},
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid", "description": "The aggregate."}}}}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode.",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_sequence",
                 "content-type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _text("The fact. It may be delivered twice.", format="uuid"),
        "ce_type": _text("What happened."),
        "ce_source": _text("Who announces it.", format="uri-reference"),
        "ce_subject": _text("The aggregate: what it happened to.", format="uuid"),
        "ce_time": _text("When it happened.", format="date-time"),
        "ce_sequence": _text("The version that the fact gave its aggregate.", pattern="^[0-9]{10}$"),
        "ce_requestid": _text("The request that caused it, where there was one."),
        "ce_traceparent": _text("The span of a trace that announced it, where there was one (W3C).",
                                pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
        "ce_parkedby": _text("On `parked-events`: the consumer that could not handle it."),
        "content-type": {"const": "application/json"}}}

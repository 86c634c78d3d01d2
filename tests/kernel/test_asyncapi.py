"""The AsyncAPI document says what is on the topics: facts as they are sent fit it, and every reference leads somewhere."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from infirmary.kernel.asyncapi import PARKED, document, fact_of, headers_of, topic_of
from infirmary.kernel.audit import Audited
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.events import Event, Fact

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Painted(Event, frozen=True, kw_only=True):
    """What all paintings say: a shape, never announced itself."""

    colour: str


class PaintedOver(Painted, frozen=True, kw_only=True):
    """Another colour now.

    The rest is for developers.
    """

    before: str | None = None


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a process in which these are the only events."""
    monkeypatch.setattr(Event, "known", {"toys.Painted": Painted, "toys.PaintedOver": PaintedOver,
                                         Audited.kind: Audited, "elsewhere.Moved": Painted})
    monkeypatch.setattr(PaintedOver, "kind", "toys.PaintedOver")
    return document(["toys", "staff"], title="Toys", version="1.2")


def test_each_context_has_a_topic_and_there_are_one_for_audit_entries_and_one_for_what_is_parked(
        described: dict[str, Any]) -> None:
    assert described["asyncapi"] == "3.0.0"
    assert described["info"]["title"] == "Toys" and described["info"]["version"] == "1.2"
    on = {channel["address"]: list(channel["messages"]) for channel in described["channels"].values()}
    assert on == {"toy-events": ["toys.PaintedOver"], "staff-events": [], "audit-events": [Audited.kind],
                  PARKED: [Audited.kind, "toys.PaintedOver"]}
    assert described["components"]["messages"]["toys.PaintedOver"]["summary"] == "Another colour now."


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    found = list(references(described))
    assert found
    for reference in found:
        place: Any = described
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_facts_as_they_are_sent_fit_what_the_document_says(described: dict[str, Any]) -> None:
    event = PaintedOver(aggregate=new_id(), version=12, colour="blue")
    fact = Fact(new_id(), PaintedOver.kind, event.aggregate, 12, msgspec.to_builtins(event), "req-7", datetime.now(UTC),
                TRACEPARENT)
    headers = {name: value.decode() for name, value in headers_of(fact)}
    message = described["components"]["messages"]["toys.PaintedOver"]
    fits(described, message["headers"], headers)
    fits(described, message["payload"], msgspec.json.decode(msgspec.json.encode(fact.body)))
    for wrong in ({**headers, "ce_type": "toys.Sold"}, {**headers, "ce_sequence": "12"}, {**headers, "ce_traceparent": "-"},
                  {name: value for name, value in headers.items() if name != "ce_id"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            fits(described, message["headers"], wrong)
    with pytest.raises(jsonschema_rs.ValidationError):
        fits(described, message["payload"], {"aggregate": str(event.aggregate), "version": 12})


def test_the_envelope_gives_back_what_was_put_in() -> None:
    for request_id, traceparent in (("", None), ("req-7", TRACEPARENT)):
        fact = Fact(new_id(), "toys.PaintedOver", new_id(), 2**31 - 1, {"colour": "Grün", "n": [1, None, {"a": True}]},
                    request_id, datetime(2026, 11, 20, 12, 0, 0, 123456, UTC), traceparent)
        assert fact_of(headers_of(fact), msgspec.json.encode(fact.body)) == fact


def test_topics_are_named_after_contexts() -> None:
    assert [topic_of(kind) for kind in ("appointments.Booked", "staff.Left", "identity.Opened", Audited.kind)] == [
        "appointment-events", "staff-events", "identity-events", "audit-events"]


def fits(described: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    jsonschema_rs.validate({**schema, "components": described["components"]}, value)


def references(inside: object) -> Any:
    if isinstance(inside, dict):
        if isinstance(inside.get("$ref"), str):
            yield inside["$ref"]
        for one in inside.values():
            yield from references(one)
    elif isinstance(inside, list):
        for one in inside:
            yield from references(one)

"""Facts: what a context announces in the past tense, and the envelope it travels in."""
from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A past-tense fact about one aggregate, at the version that the fact gave it.

    Subclasses live in a context's `events.py` and carry ids and the names that others display, never what is confidential.
    """

    aggregate: UUID
    version: int

    known: ClassVar[dict[str, type[Event]]] = {}
    kind: ClassVar[str]   # `toys.ToyMade`: the package that declares the fact, and its name

    def __init_subclass__(cls) -> None:
        cls.kind = f"{cls.__module__.split('.')[-2]}.{cls.__name__}"
        Event.known[cls.kind] = cls


class Fact(msgspec.Struct, frozen=True):
    """An event as stored and delivered (CloudEvents 1.0: id, source and type, subject, time, data)."""

    id: UUID
    kind: str
    aggregate: UUID
    version: int
    body: Any
    request_id: str
    happened_at: datetime
    traceparent: str | None = None   # the span that announced it (W3C)

    @property
    def event(self) -> Event | None:
        """The typed event; None when this process does not know its kind."""
        declared = Event.known.get(self.kind)
        return None if declared is None else msgspec.convert(self.body, type=declared)

"""What is known about the request being answered, for whoever writes a log line, an audit entry or a fact."""
from __future__ import annotations

from contextvars import ContextVar
from uuid import UUID

import msgspec


class Once(msgspec.Struct, frozen=True):
    """An Idempotency-Key as one caller used it on one operation of one context."""

    context: str
    principal: UUID
    operation: str
    key: str
    fingerprint: str   # of the request: the same key with another body is a mistake, not a repetition


class Request(msgspec.Struct, frozen=True):
    id: str = ""
    address: str = ""
    once: Once | None = None


current: ContextVar[Request] = ContextVar("request", default=Request())   # noqa: B039 – frozen, so never shared state

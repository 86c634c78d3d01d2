"""What is known about the request being answered, for whoever writes a log line, an audit entry or a fact."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
    key: str = ""   # an Idempotency-Key for the next operation that is asked

current: ContextVar[Request] = ContextVar("request", default=Request())   # noqa: B039 – frozen, so never shared state


@contextlib.contextmanager
def changed(**fields: object) -> Iterator[None]:
    """The request with other fields, for as long as the block runs."""
    mark = current.set(msgspec.structs.replace(current.get(), **fields))
    try:
        yield
    finally:
        current.reset(mark)

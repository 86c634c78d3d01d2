"""Traces: who asked whom for the sake of one request, what followed from it, and how long each step took.

Off until a collector is named: then nothing is loaded for it, and what is called here costs next to nothing. A span is
called after an operation or a kind of fact; it knows the request's id, the status, and the class of what went wrong.
Nothing else is ever put into it: addresses, values and messages are people's.
"""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from .otlp import Spans

_OFF: AbstractContextManager[None] = nullcontext()
_spans: list[Spans] = []   # none: off


def set_up(collector: str, *, service: str, share: float) -> None:
    """From now on in this process, which must not fork any more: a thread sends what has ended. `collector` is
    http://host:port and speaks OTLP; `share` of the traces that begin here are kept, those that others have begun as
    they decided."""
    from .otlp import Spans  # late: only separate services have these packages
    _spans.append(Spans(collector, service, share))


def end() -> None:
    """Send what there is, within two seconds, and be off."""
    while _spans:
        _spans.pop().end()


def on() -> bool:
    return bool(_spans)


def answering(parent: str | None) -> AbstractContextManager[Span | None]:
    """Around the answer to a request. `done` names its span and sends it; one that is never done is forgotten."""
    return _spans[0].answering(parent) if _spans else _OFF


def done(span: Span, name: str, status: int) -> None:
    span.update_name(name)
    answered(span, status)
    span.end()


def asking(name: str) -> AbstractContextManager[Span | None]:
    """Around a question to another process, which goes on with the trace if it is given `traceparent()`."""
    return _spans[0].asking(name) if _spans else _OFF


def answered(span: Span | None, status: int) -> None:
    """The HTTP status that came back or is given. Refusals are answers, not errors."""
    if span is not None and _spans:   # the last requests are answered when it is off already
        _spans[0].answered(span, status)


def reacting(name: str, parent: str | None) -> AbstractContextManager[Span | None]:
    """Around a reaction to a fact, whose `traceparent` is the parent."""
    return _spans[0].reacting(name, parent) if _spans else _OFF


def failed(error: BaseException) -> None:
    """What went wrong inside the innermost span here: its class, never its message."""
    if _spans:
        _spans[0].failed(error)


def traceparent() -> str | None:
    """The innermost span here as others are told of it (W3C, 55 characters); None where there is none."""
    return _spans[0].traceparent() if _spans else None

"""Logs people can search and machines can count: one JSON line per event, a static name with fields, no personal data.

Tracebacks name the place and the class of a fault but not its message: messages carry values, and values are people's.
"""
from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .request import current

registry = CollectorRegistry()
REQUESTS = Counter("http_requests", "Requests answered", ["operation", "status"], registry=registry)
SECONDS = Histogram("http_request_seconds", "Time to answer", ["operation"], registry=registry,
                    buckets=(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5))


FACTS_WAITING = Gauge("facts_waiting", "Facts not yet delivered to the bus", ["context"], registry=registry)
FACTS_OLDEST = Gauge("facts_oldest_seconds", "How long the oldest of them has waited", ["context"], registry=registry)
FACTS_PARKED = Gauge("facts_parked", "Facts that could not be handled, set aside", ["context"], registry=registry)


def _with_request(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if request_id := current.get().id:
        fields.setdefault("request_id", request_id)
    return fields


def _traceback_without_values(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    error = fields.pop("exc_info", None)
    if isinstance(error, BaseException):
        chain = []
        while error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            chain.append({"class": type(error).__name__, "at": [f"{f.filename}:{f.lineno} {f.name}" for f in frames]})
            error = error.__cause__ or error.__context__
        fields["error"] = chain
    return fields


_LEVELS = logging.getLevelNamesMapping()
_threshold = [logging.INFO]


def set_level(level: str) -> None:
    """From now on, in every logger of this process."""
    _threshold[0] = _LEVELS[level.upper()]


def _loud_enough(_: Any, method: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Loggers are cached with the level that they were made with; this one may change while they live."""
    if _LEVELS.get(method.upper(), logging.ERROR) < _threshold[0]:
        raise structlog.DropEvent
    return fields


def set_up_logs(*, level: str = "info", pretty: bool = False, with_messages: bool = False) -> None:
    """`with_messages` shows whole tracebacks: for development only, because messages hold values."""
    errors: list[Any] = ([structlog.processors.format_exc_info] if with_messages and not pretty
                         else [] if with_messages else [_traceback_without_values])
    set_level(level)
    structlog.configure(
        processors=[_loud_enough, structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), _with_request,
                    *errors, structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr), cache_logger_on_first_use=True)


def metrics() -> bytes:
    """Everything counted so far, in Prometheus' text format."""
    return generate_latest(registry)

"""Which address is answered by which service: routes made from what the contracts declare."""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from infirmary.kernel.contract import Contract, Operation
from infirmary.language import SERVICE

WEB = "web"
SERVED_BY = {"system": "identity"}   # contexts without a service of their own
DOCUMENTS = ("/api/v1/openapi.json", "/api/v1/asyncapi.json")   # of all contracts; the pages' service has them
PAGE_STREAMS = ("/notifications/stream", "/diary/stream", "/visits/{visit_id}/video/stream")

TIMEOUT, TRY_READ, TRY_WRITE = 10.0, 3.0, 5.0   # seconds
STREAM_SILENT = "120s"   # a stream says something every 15 seconds, if only that it is alive
# A second spelling of an address: letters, digits and -._~ need no encoding, and services would decode them.
RESPELT = r".*%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe]).*"

Route = dict[str, Any]
# Nothing was sent: safe for everything. `reset` is also "sent, and then silence".
NOT_SENT = "connect-failure,refused-stream,reset-before-request"
AT_ALL = "connect-failure,refused-stream,reset"


def service_of(context: str) -> str:
    return SERVED_BY.get(context, context)


def services_of(contracts: Iterable[type[Contract]]) -> list[str]:
    """Every service that the gateway sends requests to, the pages' last."""
    asked = [service_of(one.context) for one in contracts if any(map(_open, one.operations.values()))]
    return [*dict.fromkeys(asked), WEB]


def routes(contracts: Sequence[type[Contract]]) -> list[Route]:
    """In the order in which Envoy tries them: the first that fits decides."""
    operations = sorted((operation for contract in contracts for operation in contract.operations.values()), key=_rank)
    return [
        _nowhere("respelt", {"safe_regex": {"regex": RESPELT}}),
        _alive(),
        *(_nowhere("internal", {"path_separated_prefix": path}) for path in ("/health", "/metrics")),
        *(_to(WEB, "web.document", {"path": path}, **_again(AT_ALL, TRY_READ)) for path in DOCUMENTS),
        *(route for _, same in groupby(operations, key=_rank) for route in _of_path(list(same))),
        *(_nowhere("unknown", {"prefix": prefix}) for prefix in ("/api/v1/", "/.well-known/")),
        *(_to(WEB, "web.stream", _path(path), timeout=0, idle_timeout=STREAM_SILENT) for path in PAGE_STREAMS),
        _to(WEB, "web.page", {"prefix": "/", "headers": [_method("GET")]}, **_again(AT_ALL, TRY_READ)),
        _to(WEB, "web.deed", {"prefix": "/"}, **_again(NOT_SENT)),
    ]


def _rank(operation: Operation) -> tuple[list[bool], str]:
    """Literal segments before names, as in the services: /slots/earliest is no slot called earliest."""
    path = operation.prefix + operation.path
    return ["{" in segment for segment in path.split("/")], re.sub(r"{\w+}", "{}", path)


def _of_path(operations: list[Operation]) -> Iterator[Route]:
    """All routes of one path. A method that nobody declared is the service's to refuse, when anything is open there."""
    match = _path(operations[0].prefix + operations[0].path)
    for operation in operations:
        if not _open(operation):
            yield _nowhere("internal", {**match, "headers": [_method(operation.verb)]})
        else:
            yield from _of_operation(operation, match)
    service = service_of(operations[0].context)
    if any(map(_open, operations)):
        yield _to(service, f"{operations[0].context}.other", match)
    else:
        yield _nowhere("internal", match)


def _of_operation(operation: Operation, match: dict[str, Any]) -> Iterator[Route]:
    service, method = service_of(operation.context), _method(operation.verb)
    if operation.media == "text/event-stream":
        yield _to(service, operation.id, {**match, "headers": [method]}, timeout=0, idle_timeout=STREAM_SILENT)
    elif operation.verb == "GET":
        yield _to(service, operation.id, {**match, "headers": [method]}, **_again(AT_ALL, TRY_READ))
    else:
        if operation.verb == "POST":   # a key is kept for somebody: without a token it means nothing
            keyed = [method, *({"name": name, "present_match": True} for name in ("idempotency-key", "authorization"))]
            yield _to(service, operation.id, {**match, "headers": keyed}, **_again(AT_ALL, TRY_WRITE + operation.queues))
        # PUT, PATCH and DELETE too are sent once: the second would find the version changed by the first.
        yield _to(service, operation.id, {**match, "headers": [method]}, **_again(NOT_SENT))


def _open(operation: Operation) -> bool:
    """Whether anybody but services may ask it."""
    return set(operation.allow) != {SERVICE}


def _path(path: str) -> dict[str, Any]:
    if "{" not in path:
        return {"path": path}
    regex = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", path))
    return {"safe_regex": {"regex": regex}}


def _method(verb: str) -> dict[str, Any]:
    return {"name": ":method", "string_match": {"exact": verb}}


def _to(service: str, name: str, match: dict[str, Any], *, timeout: float = TIMEOUT, **more: Any) -> Route:
    return {"name": name, "match": match, "route": {"cluster": service, "timeout": f"{timeout:g}s", **more}}


def _again(on: str, within: float = TIMEOUT) -> dict[str, Any]:
    """Try elsewhere what got no answer. An answer is passed on, a 503 too: it says itself when to come back."""
    return {"retry_policy": {
        "retry_on": on, "num_retries": 3, "per_try_timeout": f"{within:g}s",
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}]}}


def _nowhere(name: str, match: dict[str, Any]) -> Route:
    """Answered 404 here; nothing behind the gateway hears of it."""
    return {"name": name, "match": match, "direct_response": {"status": 404}}


def _alive() -> Route:
    return {"name": "gateway.live", "match": {"path": "/health/live"},
            "direct_response": {"status": 200, "body": {"inline_string": '{"status":"ok","checks":{}}'}},
            "response_headers_to_add": [{"header": {"key": "content-type", "value": "application/json"},
                                         "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}

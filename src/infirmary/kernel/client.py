"""Two ends of a contract for those who ask: in the same process a plain call, elsewhere HTTP. The caller's code is the
same, only frozen values cross, and refusals arrive as the same class."""
from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import msgspec

from .access import Caller
from .contract import Contract, File, Operation, Stream, wire_name
from .database.db import Database, inside_transaction
from .database.errors import UniqueViolation
from .errors import FieldError, Refusal, Unavailable
from .idempotency import answer_before, once_of
from .request import changed, current

C = TypeVar("C", bound=Contract)
DEADLINE = 2.0     # seconds for one call, tries included
TRIES = 3          # of calls that are safe to repeat
TRIPS_AFTER, OPEN_FOR = 5, 2.0   # the breaker: failures in a row, and seconds of not asking


class PolicyNotApplied(Exception):
    """An operation answered without having applied its scope: a fault in the service, never shown to the caller."""


async def ask_service(operation: Operation, method: Callable[..., Awaitable[Any]], caller: Caller, *args: Any,
                      **given: Any) -> Any:
    """Check the policy, call, and see that the scope was applied: the same for every end."""
    permitted = caller.permitted(operation.allow)
    answer = await method(permitted, *args, **given)
    if permitted.permit is None or not permitted.permit.applied:
        raise PolicyNotApplied(operation.id)
    return answer


async def ask_once(db: Database, key: str, operation: Operation, method: Callable[..., Awaitable[Any]], caller: Caller,
                   given: dict[str, Any]) -> Any:
    """As `ask_service`, with an Idempotency-Key: asked again, the first answer comes back and nothing happens."""
    assert caller.account_id is not None   # nobody's keys cannot be told apart
    once = once_of(operation.context, operation.name, caller.account_id, key, given, db.secret)
    before = await answer_before(db, once)
    if before is None:
        try:
            with changed(once=once, key=""):
                return await ask_service(operation, method, caller, **given)
        except (Refusal, UniqueViolation):
            # Perhaps refused because the same request, sent twice at once, has just succeeded.
            before = await answer_before(db, once)
            if before is None:
                raise
    return msgspec.convert(before.answer, type=operation.answer)


def _outside_transaction(operation: Operation) -> None:
    if inside_transaction():
        raise RuntimeError(f"{operation.id} asked inside an open transaction: ask first, then write")


def in_process(contract: type[C], find: Callable[[], tuple[C, Database]]) -> C:
    """Ask the implementation in this process; `find` is late so that contexts may need each other."""

    def ask(operation: Operation) -> Callable[..., Any]:
        async def call(self: Any, caller: Caller, *args: Any, **given: Any) -> Any:
            _outside_transaction(operation)
            service, db = find()
            method = getattr(service, operation.name)
            if operation.verb == "POST" and (key := current.get().key) and caller.account_id is not None:
                bound = operation.signature.bind(self, caller, *args, **given).arguments
                asked = {name: value for name, value in bound.items() if name not in ("self", "caller")}
                return await ask_once(db, key, operation, method, caller, asked)
            return await ask_service(operation, method, caller, *args, **given)

        return call

    return _client(contract, ask)


class Breaker:
    """Stops asking somebody who has failed again and again, and lets one call through after a pause."""

    def __init__(self) -> None:
        self._failures, self._open_until = 0, 0.0

    def check(self) -> None:
        if monotonic() < self._open_until:
            raise Unavailable(retry_after=1)

    def record(self, *, ok: bool) -> None:
        self._failures = 0 if ok else self._failures + 1
        if self._failures >= TRIPS_AFTER:
            self._open_until = monotonic() + OPEN_FOR


def over_http(contract: type[C], base: Callable[[], str], http: aiohttp.ClientSession) -> C:
    """Ask over HTTP, as the caller (with its token). Reads are repeated on failure, and so are writes: each carries an
    Idempotency-Key of its own. When the deadline has passed: Unavailable."""
    breaker = Breaker()

    def ask(operation: Operation) -> Callable[..., Any]:
        repeatable = operation.verb in ("GET", "POST")
        decoder = msgspec.json.Decoder(operation.answer) if operation.answer not in (File, Stream) else None

        async def call(self: Any, caller: Caller, *args: Any, **given: Any) -> Any:
            _outside_transaction(operation)
            url, request = _written(operation, caller, operation.signature.bind(self, caller, *args, **given).arguments)
            until = monotonic() + DEADLINE
            for tried in range(1, (TRIES if repeatable else 1) + 1):
                breaker.check()
                try:
                    timeout = aiohttp.ClientTimeout(total=max(until - monotonic(), .001))
                    async with http.request(operation.verb, base() + url, timeout=timeout, **request) as reply:
                        raw = await reply.read()
                    breaker.record(ok=reply.status < 500)
                    if reply.status >= 400:
                        raise _refusal(reply.status, raw, reply.headers.get("Retry-After"))
                    if decoder is None:
                        return File(_file_name(reply), raw)
                    return decoder.decode(raw or b"{}")
                except Unavailable:
                    if tried == TRIES or not repeatable or monotonic() > until:
                        raise
                except (aiohttp.ClientError, TimeoutError) as error:
                    breaker.record(ok=False)
                    if tried == TRIES or not repeatable or monotonic() > until:
                        raise Unavailable(retry_after=1) from error
                await asyncio.sleep(random.uniform(0, .05 * 2 ** tried))   # noqa: S311 – jitter, not a secret
            raise Unavailable(retry_after=1)

        return call

    return _client(contract, ask)


def _written(operation: Operation, caller: Caller, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    path = operation.path.format(**{name: quote(str(given[name]), safe="") for name in operation.path_names})
    query = {wire_name(name): _text(given[name]) for name in operation.query_names if given.get(name) is not None}
    headers = {"X-Request-Id": current.get().id}
    if caller.token:
        headers["Authorization"] = f"Bearer {caller.token}"
    if given.get("if_match") is not None:
        headers["If-Match"] = f'"{given["if_match"]}"'
    if operation.verb == "POST":
        headers["Idempotency-Key"] = current.get().key or str(uuid4())
    request: dict[str, Any] = {"params": query, "headers": headers}
    if "body" in given:
        if operation.form:
            fields = msgspec.to_builtins(given["body"])
            request["data"] = {name: value for name, value in fields.items() if value is not None}
        else:
            request["data"] = msgspec.json.encode(given["body"])
            headers["Content-Type"] = "application/json"
    return operation.prefix + path, request


def _text(value: Any) -> str:
    made = msgspec.to_builtins(value)
    return str(made).lower() if isinstance(made, bool) else str(made)


def _file_name(reply: aiohttp.ClientResponse) -> str:
    return (reply.content_disposition.filename if reply.content_disposition else None) or "file"


def _refusal(status: int, raw: bytes, retry_after: str | None) -> Refusal:
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    made = Refusal.known.get(problem.get("code", ""), Unavailable if status >= 500 else Refusal)
    errors = [FieldError(one["field"], one["message"]) for one in problem.get("errors", [])]
    standard = {"type", "title", "status", "detail", "code", "errors", "request_id"}
    return made(problem.get("detail", ""), errors=errors, retry_after=int(retry_after) if retry_after else None,
                **{name: value for name, value in problem.items() if name not in standard})


def _client(contract: type[C], ask: Callable[[Operation], Callable[..., Any]]) -> C:
    methods = {name: ask(operation) for name, operation in contract.operations.items()}
    made: C = type(f"{contract.__name__}Client", (contract,), methods)()
    return made


"""A contract for those who ask it in another process: HTTP, over all instances of a service in turn.

A call has one deadline. What is safe to repeat is tried again, at another instance where there is one: reads, writes
that carry an Idempotency-Key, and whatever was never sent. An instance that fails again and again is left alone for a
while. When nobody answers in time: Unavailable, which every caller has an answer to.
"""
from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from time import monotonic
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import msgspec

from . import tracing
from .access import Caller
from .client import client_of, outside_transaction
from .contract import Contract, Download, File, Operation, Stream, wire_name
from .errors import FieldError, Refusal, Unavailable
from .request import current

C = TypeVar("C", bound=Contract)
DEADLINE = 2.0       # seconds for one call, tries included; what queues in the service (`Operation.queues`) has them after
PATIENCE = 1.0       # seconds for one try of what may be tried elsewhere
TRIES = 3
TRIPS_AFTER, OPEN_FOR = 5, 2.0   # the breaker: failures in a row, and seconds of not asking
UPLOADING = 60.0     # seconds for a call that brings a file
SILENCE = 60.0       # seconds without a byte after which a stream is over

Sign = Callable[[Caller], str]   # the token that proves who asks; empty for nobody


class Breaker:
    """Stops asking somebody who has failed again and again, and lets calls through after a pause."""

    def __init__(self) -> None:
        self._failures, self._open_until = 0, 0.0

    @property
    def closed(self) -> bool:
        return monotonic() >= self._open_until

    def record(self, *, ok: bool) -> None:
        self._failures = 0 if ok else self._failures + 1
        if self._failures >= TRIPS_AFTER:
            self._open_until = monotonic() + OPEN_FOR


class Peers:
    """The instances of one service, asked in turn; `find` answers their addresses as last heard."""

    def __init__(self, find: Callable[[], Sequence[str]]) -> None:
        self._find, self._next = find, random.randrange(1000)   # noqa: S311 – whom we begin with
        self._breakers: dict[str, Breaker] = {}

    def choose(self, tried: Sequence[str]) -> tuple[str, Breaker]:
        """Somebody else than those just tried, if there is anybody; refuses when nobody is to be asked."""
        known = self._find()
        for gone in self._breakers.keys() - set(known):
            del self._breakers[gone]
        usable = [url for url in known if self._breaker(url).closed]
        fresh = [url for url in usable if url not in tried] or usable
        if not fresh:
            raise Unavailable(retry_after=1)
        self._next += 1
        url = fresh[self._next % len(fresh)]
        return url, self._breaker(url)

    def _breaker(self, url: str) -> Breaker:
        return self._breakers.setdefault(url, Breaker())


class Letter(NamedTuple):
    """A request, written once and sent to whoever is chosen."""

    verb: str
    path: str
    rest: dict[str, Any]


def over_http(contract: type[C], find: Callable[[], Sequence[str]], http: aiohttp.ClientSession, *,
              sign: Sign = lambda caller: caller.token) -> C:
    """Ask over HTTP, as the caller."""
    peers = Peers(find)

    def ask(operation: Operation) -> Callable[..., Any]:
        if operation.answer in (Download, Stream):
            return _streamed(operation, peers, http, sign)
        decode = None if operation.answer is File else msgspec.json.Decoder(operation.answer).decode

        async def call(self: Any, caller: Caller, *args: Any, **given: Any) -> Any:
            outside_transaction(operation)
            with tracing.asking(operation.id) as span:
                letter = _written(operation, caller, operation.signature.bind(self, caller, *args, **given).arguments, sign)
                reply, raw = await _answered(letter, peers, http, repeatable=_repeatable(operation, caller),
                                             within=UPLOADING if operation.upload else DEADLINE + operation.queues,
                                             patience=PATIENCE + operation.queues)
                tracing.answered(span, reply.status)
            if reply.status >= 400:
                raise _refusal(reply.status, raw, reply.headers.get("Retry-After"))
            return File(_file_name(reply), raw) if decode is None else decode(raw or b"{}")

        return call

    return client_of(contract, ask)


def _repeatable(operation: Operation, caller: Caller) -> bool:
    """Reads, and writes under a key; a service keeps the keys of those it can tell apart."""
    return operation.verb == "GET" or (operation.verb == "POST" and not operation.upload and caller.account_id is not None)


async def _answered(letter: Letter, peers: Peers, http: aiohttp.ClientSession, *,
                    repeatable: bool, within: float, patience: float) -> tuple[aiohttp.ClientResponse, bytes]:
    until, tried = monotonic() + within, list[str]()
    while True:
        url, breaker = peers.choose(tried)
        tried.append(url)
        left = until - monotonic()
        try:
            timeout = aiohttp.ClientTimeout(total=max(min(left, patience) if repeatable else left, .001))
            async with http.request(letter.verb, url + letter.path, timeout=timeout, **letter.rest) as reply:
                raw = await reply.read()
            breaker.record(ok=reply.status < 500)
            if reply.status != 503 or not repeatable:
                return reply, raw
            failed: Exception = _refusal(503, raw, reply.headers.get("Retry-After"))
        except aiohttp.ClientConnectorError as error:   # never sent
            breaker.record(ok=False)
            failed = Unavailable(retry_after=1)
            failed.__cause__ = error
        except (aiohttp.ClientError, TimeoutError) as error:
            breaker.record(ok=False)
            if not repeatable:
                raise Unavailable(retry_after=1) from error
            failed = Unavailable(retry_after=1)
            failed.__cause__ = error
        if len(tried) == TRIES or monotonic() > until:
            raise failed
        await asyncio.sleep(random.uniform(0, .05 * 2 ** len(tried)))   # noqa: S311 – jitter, not a secret


def _streamed(operation: Operation, peers: Peers, http: aiohttp.ClientSession, sign: Sign) -> Callable[..., Any]:
    async def call(self: Any, caller: Caller, *args: Any, **given: Any) -> Download | Stream:
        """The first answer comes before the stream does, so that a refusal is raised here."""
        outside_transaction(operation)
        with tracing.asking(operation.id) as span:
            letter = _written(operation, caller, operation.signature.bind(self, caller, *args, **given).arguments, sign)
            url, breaker = peers.choose(())
            try:
                timeout = aiohttp.ClientTimeout(total=None, connect=DEADLINE, sock_read=SILENCE)
                reply = await http.request(letter.verb, url + letter.path, timeout=timeout, **letter.rest)
            except (aiohttp.ClientError, TimeoutError) as error:
                breaker.record(ok=False)
                raise Unavailable(retry_after=1) from error
            tracing.answered(span, reply.status)
        breaker.record(ok=reply.status < 500)
        if reply.status >= 400:
            async with reply:
                raise _refusal(reply.status, await reply.read(), reply.headers.get("Retry-After"))
        return Download(_file_name(reply), _pieces(reply)) if operation.answer is Download else Stream(_chunks(reply))

    return call


async def _chunks(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Ends when the other side ends, or dies: who listens comes again."""
    async with reply:
        try:
            async for chunk in reply.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError):
            return


async def _pieces(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """All of a file, or an error: who gets half of it must know."""
    async with reply:
        async for chunk in reply.content.iter_any():
            yield chunk


def _written(operation: Operation, caller: Caller, given: dict[str, Any], sign: Sign) -> Letter:
    path = operation.path.format(**{name: quote(str(given[name]), safe="") for name in operation.path_names})
    query = {wire_name(name): _text(given[name]) for name in operation.query_names if given.get(name) is not None}
    request = current.get()
    headers = {"X-Request-Id": request.id} if request.id else {}
    if request.address:   # whom it is for; believed only from our own networks
        headers["X-Forwarded-For"] = request.address
    if parent := tracing.traceparent():
        headers["traceparent"] = parent
    if token := sign(caller):
        headers["Authorization"] = f"Bearer {token}"
    if given.get("if_match") is not None:
        headers["If-Match"] = f'"{given["if_match"]}"'
    if operation.verb == "POST":
        headers["Idempotency-Key"] = request.key or str(uuid4())
    rest: dict[str, Any] = {"params": query, "headers": headers}
    if "body" in given:
        if operation.upload:
            rest["data"] = given["body"].chunks
            headers["Content-Type"] = operation.takes
        elif operation.form:
            fields = msgspec.to_builtins(given["body"])
            rest["data"] = {name: value for name, value in fields.items() if value is not None}
        else:
            rest["data"] = msgspec.json.encode(given["body"])
            headers["Content-Type"] = "application/json"
    return Letter(operation.verb, operation.prefix + path, rest)


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

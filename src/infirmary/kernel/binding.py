"""The HTTP end of a contract: routes made from the declared operations.

The web framework routes; reading and answering is done here with msgspec, so that what a contract declares (bounds,
unknown fields, required headers) is exactly what is enforced, and every refusal is problem+json with the field named.
"""
from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import Parameter
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl, unquote_plus

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream as StreamResponse
from litestar.types import ASGIApp, Empty, Receive, Scope, Send

from . import tracing
from .access import NOBODY, Caller
from .client import ask_once, ask_service
from .contract import Contract, Download, File, Operation, Stream, Upload, wire_name
from .database.db import Database
from .database.errors import ConnectionLost, OutcomeUnknown, Transient
from .errors import (
    Broken,
    FieldError,
    Malformed,
    NotFound,
    NotSignedIn,
    Refusal,
    RoleMayNot,
    StaleVersion,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    VersionMissing,
)
from .request import current
from .stream import while_allowed

log = structlog.get_logger()
Method = Callable[..., Awaitable[Any]]
Authenticate = Callable[[str], Caller]   # bearer token -> caller, or NotSignedIn
_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')
_KEY = re.compile(r"[\x21-\x7e]{1,64}")


class Routes:
    """All operations of one context as HTTP route handlers."""

    def __init__(self, contract: type[Contract], service: Contract, db: Database, authenticate: Authenticate) -> None:
        self._db, self._authenticate = db, authenticate
        self.handlers = [self._route(operation, getattr(service, operation.name))
                         for operation in contract.operations.values()]

    def _route(self, operation: Operation, method: Method) -> HTTPRouteHandler:
        read = Reader(operation)

        async def handler(request: Request[Any, Any, Any]) -> ASGIApp:
            caller = NOBODY
            try:
                caller = self._caller(request, operation)
                caller.permitted(operation.allow)   # before the body is looked at: strangers learn nothing from it
                given = await read(request)
                key = self._key(request, operation, caller)
                answer = (await ask_service(operation, method, caller, **given) if key is None else
                          await ask_once(self._db, key, operation, method, caller, given))
                if isinstance(answer, Stream) and caller.token:   # a sign-in that ends, ends what it listens to
                    answer = Stream(while_allowed(answer.chunks, partial(self._authenticate, caller.token)))
                return respond(operation, answer, request)
            except Refusal as refusal:
                await self._remember_denial(operation, caller, refusal)
                return refused(refusal).to_asgi_response(None, request)
            except Exception as error:   # noqa: BLE001 – the last line: a clear answer, and the fault in the log
                return refused(fault(operation.id, error)).to_asgi_response(None, request)

        handler.__name__ = operation.name
        path = re.sub(r"{(\w+)}", r"{\1:str}", operation.prefix + operation.path)
        return HTTPRouteHandler(path, http_method=operation.verb, status_code=operation.status,  # type: ignore[arg-type]
                                include_in_schema=False, opt={"operation": operation},
                                request_max_body_size=None if operation.upload else Empty)(handler)

    def _caller(self, request: Request[Any, Any, Any], operation: Operation) -> Caller:
        given = _header(request, b"authorization")
        if given is None:
            return NOBODY
        kind, _, token = given.partition(" ")
        if kind.lower() == "basic" and takes_a_client(operation):   # of the body: who it is, the operation will see
            return NOBODY
        if "," in token or kind.lower() != "bearer" or not token:   # of two, a proxy may have checked the other one
            raise NotSignedIn
        return self._authenticate(token)

    @staticmethod
    def _key(request: Request[Any, Any, Any], operation: Operation, caller: Caller) -> str | None:
        key = _header(request, b"idempotency-key")
        if key is None or operation.verb != "POST" or operation.upload \
                or caller.account_id is None:   # nobody's keys cannot be told apart
            return None
        if not _KEY.fullmatch(key):
            raise Malformed(errors=[FieldError("Idempotency-Key", "Use 1 to 64 visible ASCII characters.")])
        return key

    async def _remember_denial(self, operation: Operation, caller: Caller, refusal: Refusal) -> None:
        """Who was refused what: authentication faults stay in the metrics, denials of somebody known are audited."""
        if caller.account_id is None or not isinstance(refusal, RoleMayNot | NotFound):
            return
        try:
            async with self._db.transaction() as tx:
                tx.audit("access.denied", caller, outcome="refused", entity=operation.id, code=refusal.code)
        except Exception as error:
            log.error("denial_not_audited", operation=operation.id, exc_info=error)


class Reader:
    """Turns a request into the arguments of one operation; compiled once per operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        hints = operation.hints
        self._paths = [(name, hints[name]) for name in operation.path_names]
        defaults = {p.name: p.default for p in operation.parameters}
        kinds = {name: _present(hints[name]) for name in operation.query_names}
        fields = [(name, kind) if defaults[name] is Parameter.empty else (name, kind, defaults[name])
                  for name, kind in kinds.items()]
        self._query = msgspec.defstruct(f"{operation.name}_query", sorted(fields, key=len),
                                        rename={name: wire_name(name) for name in operation.query_names},
                                        forbid_unknown_fields=True)
        self._numbers = {wire_name(name) for name, kind in kinds.items() if _plain(kind) in (int, float, bool)}
        self._body = None if operation.body is None or operation.form or operation.upload else msgspec.json.Decoder(operation.body)

    async def __call__(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """The arguments. Refuses with the fields named."""
        operation, given = self._operation, dict[str, Any]()
        for name, kind in self._paths:
            try:
                given[name] = msgspec.convert(request.path_params[name], type=kind, strict=False)
            except msgspec.ValidationError as error:
                raise NotFound from error
        query = self._from_query(request.scope["query_string"])
        for name in operation.query_names:
            given[name] = getattr(query, name)
        if operation.wants_version is not None:
            given["if_match"] = self._version(_header(request, b"if-match"))
        if operation.upload:
            if _media_type(request) != operation.takes:
                raise UnsupportedMediaType(f"Send this as {operation.takes}.")
            given["body"] = Upload(request.stream())
        elif operation.body is not None:
            try:
                raw = await request.body()
            except RequestEntityTooLarge as error:
                raise TooLarge from error
            client = _client(_header(request, b"authorization") or "") if takes_a_client(operation) else {}
            given["body"] = self._from_body(_media_type(request), raw, client)
        return given

    def _from_query(self, raw: bytes) -> Any:
        given: dict[str, Any] = {**_pairs(raw)}
        for name in self._numbers & given.keys():   # all the others are written as text in JSON too
            with contextlib.suppress(msgspec.DecodeError):
                given[name] = msgspec.json.decode(given[name])
        try:
            return msgspec.convert(given, type=self._query)
        except msgspec.ValidationError as error:
            raise malformed(error) from error

    def _version(self, given: str | None) -> int | None:
        if given is None:
            if self._operation.wants_version:
                raise VersionMissing
            return None
        match = _ETAG.fullmatch(given.strip())
        if match is None:
            raise StaleVersion   # RFC 9110: a tag that matches nothing is a failed precondition
        return int(match[1])

    def _from_body(self, kind: str, raw: bytes, client: Mapping[str, str]) -> Any:
        try:
            if self._body is None:
                if kind != "application/x-www-form-urlencoded":
                    raise UnsupportedMediaType("Send this as application/x-www-form-urlencoded.")
                fields = _pairs(raw)
                if client and "client_secret" in fields:
                    raise Malformed(errors=[FieldError("client_secret", "Say who you are once: here or as HTTP Basic.")])
                return msgspec.convert({**fields, **client}, type=self._operation.body, strict=False)
            if kind != "application/json":
                raise UnsupportedMediaType("Send this as application/json.")
            if b"\\u0000" in raw:   # no database keeps it, and no name contains it
                raise Malformed(errors=[FieldError("", "Leave out the character U+0000.")])
            return self._body.decode(raw)
        except msgspec.ValidationError as error:
            raise malformed(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(errors=[FieldError("", "This is not valid JSON in UTF-8.")]) from error


def _header(request: Request[Any, Any, Any], name: bytes) -> str | None:
    """A header, its values joined (RFC 9110, 5.3). The framework would take all headers apart to find one."""
    found = [value for given, value in request.scope["headers"] if given == name]
    return b", ".join(found).decode("latin-1") if found else None


def _media_type(request: Request[Any, Any, Any]) -> str:
    return (_header(request, b"content-type") or "").partition(";")[0].strip().lower()


def takes_a_client(operation: Operation) -> bool:
    return operation.form and "client_secret" in operation.body.__struct_fields__


def _client(authorization: str) -> dict[str, str]:
    """Who a program is, from HTTP Basic (RFC 6749, 2.3.1): both halves are percent-encoded before they are joined."""
    kind, _, coded = authorization.partition(" ")
    if kind.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(coded, validate=True).decode("ascii").partition(":")
        return {"client_id": unquote_plus(client_id, errors="strict"), "client_secret": unquote_plus(secret, errors="strict")}
    except ValueError as error:
        raise NotSignedIn from error


def _pairs(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=False, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise Malformed(errors=[FieldError("", "This is not valid UTF-8, percent-encoded.")]) from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed(errors=[FieldError("", "Name each field once.")])
    if any("\0" in text for pair in pairs for text in pair):
        raise Malformed(errors=[FieldError("", "Leave out the character U+0000.")])
    return found


def _present(kind: Any) -> Any:
    """What a parameter may be when it is there: `X | None` is X, as the text "null" is no value."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return Union[tuple(one for one in get_args(kind) if one is not NoneType)]   # noqa: UP007 – made at run time


def _plain(kind: Any) -> Any:
    """The type itself, without what `Annotated` says about it."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


_AT = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"field `([^`]+)`")


def malformed(error: msgspec.ValidationError) -> Malformed:
    """msgspec says what is wrong and where; we say it per field."""
    match = _AT.match(str(error))
    text, field = (match[1], match[2] or "") if match else (str(error), "")
    if "field `" in text and (named := _NAMED.search(text)):
        field = ".".join(filter(None, (field, named[1])))
        text = ("This field is not known here; leave it out." if "unknown" in text else "This field is needed.")
    return Malformed(errors=[FieldError(field.removesuffix("[...]"), text)])


class Whole:
    """A response that is complete. The framework's own takes 30 us to be made into this."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, media: str, body: bytes, *headers: tuple[bytes, bytes],
                 keep: bytes = b"no-store") -> None:
        self._status, self._body = status, body
        self._headers = [(b"content-type", media.encode()), (b"content-length", b"%d" % len(body)),
                         (b"cache-control", keep), *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def respond(operation: Operation, answer: Any, request: Request[Any, Any, Any]) -> ASGIApp:
    if isinstance(answer, Stream):
        return StreamResponse(answer.chunks, media_type="text/event-stream", headers={
            "Cache-Control": "no-store", "X-Accel-Buffering": "no"}).to_asgi_response(None, request)
    media = f"{operation.media}; charset=utf-8" if operation.media.startswith("text/") else operation.media
    if isinstance(answer, Download):
        return StreamResponse(answer.chunks, media_type=operation.media, headers={   # it adds the charset itself
            "Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{answer.name}"',
        }).to_asgi_response(None, request)
    if isinstance(answer, File):
        named = (b"content-disposition", f'attachment; filename="{answer.name}"'.encode())
        if not answer.tag:
            return Whole(operation.status, media, answer.content, named)
        kept, keep = (b"etag", f'"{answer.tag}"'.encode()), b"private, no-cache"   # never used without asking
        if f'"{answer.tag}"' in (_header(request, b"if-none-match") or ""):
            return Whole(304, media, b"", kept, keep=keep)
        return Whole(operation.status, media, answer.content, named, kept, keep=keep)
    version = getattr(answer, "version", None)
    tag = () if version is None else ((b"etag", b'"%d"' % version),)
    return Whole(operation.status, "application/json", msgspec.json.encode(answer), *tag)


def refused(refusal: Refusal) -> Response[bytes]:
    """Any refusal as problem+json."""
    headers = {"Cache-Control": "no-store"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    elif refusal.status in (429, 503):
        headers["Retry-After"] = "1"
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(refusal.problem(current.get().id)), status_code=refusal.status,
                    media_type="application/problem+json", headers=headers)


def fault(where: str, error: Exception) -> Refusal:
    """What is no refusal of ours: a database that is away, or a fault."""
    match error:
        case OutcomeUnknown():
            return Unavailable("We cannot tell whether this was done. Ask again with the same Idempotency-Key, or look.")
        case ConnectionLost() | Transient():
            return Unavailable()
        case OverflowError():
            return Malformed("A number or a date is out of range.")
    log.error("request_failed", at=where, exc_info=error)
    tracing.failed(error)
    return Broken()

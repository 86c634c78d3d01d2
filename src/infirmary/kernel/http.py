"""One process's HTTP face: the framework, and around it one layer that names, counts and logs each request."""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from . import request as context
from . import tracing
from .binding import refused
from .deadline import ANSWERED_WITHIN, InTime
from .errors import Broken, Malformed, MethodNotAllowed, NoSuchPath, Refusal, TooLarge
from .telemetry import REQUESTS, SECONDS

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = structlog.get_logger()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{8,64}")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")
QUIET = {"live", "ready"}   # asked every second by whoever keeps an eye on us
BODY_LIMIT = 1 << 20   # bytes

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def build_app(handlers: Sequence[HTTPRouteHandler], *, internal: Callable[[str], bool] | None = None,
              seconds: float = ANSWERED_WITHIN) -> ASGIApp:
    """The ASGI app: routes, and every refusal of the framework itself as problem+json.

    `internal`: addresses (of a gateway, of other services) whose X-Forwarded-For and traceparent are believed; None:
    nobody's. `seconds`: how long a request may wait for its answer.
    """

    def refusal_of(_: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        answer = refused(_as_refusal(error))
        if isinstance(error, MethodNotAllowedException):
            answer.headers["Allow"] = ", ".join(sorted((error.headers or {}).get("allow", "").split(", ")))
        return answer

    app = Litestar([_Routes(handlers)], openapi_config=None, logging_config=None,
                   exception_handlers={HTTPException: refusal_of, Refusal: refusal_of, Exception: refusal_of},
                   request_max_body_size=BODY_LIMIT)
    return Observed(InTime(app, seconds), internal or (lambda _: False))


def _as_refusal(error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case NotFoundException():
            return NoSuchPath()
        case MethodNotAllowedException():
            return MethodNotAllowed()
        case HTTPException(status_code=413):
            return TooLarge()
        case HTTPException(status_code=status) if status < 500:
            return Malformed()
    log.error("request_failed", exc_info=error)
    tracing.failed(error)
    return Broken()


class _Routes(Router):
    """All routes in one registration. One at a time, the framework compares each with all before it, and answers OPTIONS of
    a path with the methods of its first handler alone."""

    def __init__(self, handlers: Sequence[HTTPRouteHandler]) -> None:
        super().__init__("/", route_handlers=[])
        self._by_path: dict[str, dict[Any, Any]] = {}
        for handler in handlers:
            handler.owner = self
            for path in handler.paths:
                known = self._by_path.setdefault(path, {})
                if twice := known.keys() & handler.http_methods:
                    raise ValueError(f"{twice} {path} is answered by two handlers")
                known.update(dict.fromkeys(handler.http_methods, handler))

    @property
    def route_handler_method_map(self) -> dict[str, dict[Any, Any]]:
        return self._by_path

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The framework copies what it registers, and handlers hold what cannot be copied: ours are registered once."""
        return self


class Observed:
    """Outermost: gives each request its id, adds the security headers, counts and logs. Pure ASGI: 4 us, not 250."""

    def __init__(self, app: ASGIApp, internal: Callable[[str], bool]) -> None:
        self._app, self._internal = app, internal
        self._security = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:   # nothing here speaks WebSocket
            return
        begun, status = perf_counter(), 500
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid4())
        mark = context.current.set(context.Request(request_id, self._address(scope)))

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()),
                                      *((n, v) for n, v in self._security if n not in present)]
            await send(message)

        span: Span | None = None
        try:
            with tracing.answering(self._parent(scope) if tracing.on() else None) as span:
                await self._app(scope, receive, with_headers)
        finally:
            context.current.reset(mark)
            handler = scope.get("route_handler")
            operation = handler.opt.get("operation") if handler else None
            name = operation.id if operation else getattr(handler, "handler_name", "none")
            seconds = perf_counter() - begun
            REQUESTS.labels(name, status).inc()
            SECONDS.labels(name).observe(seconds)
            if span is not None and name not in QUIET:
                tracing.done(span, name, status)
            tell = log.debug if name in QUIET else log.info
            tell("request", request_id=request_id, method=scope["method"], operation=name, status=status,
                     ms=round(seconds * 1000, 2))   # the operation, not the path: paths carry ids

    def _parent(self, scope: Scope) -> str | None:
        """The span that this request is a part of, if one of us says so."""
        if not self._internal(_peer(scope)):
            return None
        return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)

    def _address(self, scope: Scope) -> str:
        """Whose request it is. Only the last address named counts: it was added by the one who is believed."""
        peer = _peer(scope)
        if not self._internal(peer):
            return peer
        named = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        last = named[-1].rpartition(b",")[2].strip().decode("latin-1") if named else ""
        return last if _ADDRESS.fullmatch(last) else peer


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""

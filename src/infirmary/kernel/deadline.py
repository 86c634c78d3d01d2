"""Nobody waits for ever: a request that is not answered in time is refused, whatever it waits for."""
from __future__ import annotations

import asyncio

import structlog
from litestar import Request
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

from .binding import fault, refused
from .database.errors import OutcomeUnknown
from .errors import Unavailable

log = structlog.get_logger()
ANSWERED_WITHIN = 9.0   # seconds from the last word of the request to the first of the answer; our gateway gives up at 10
SAFE = {"GET", "HEAD", "OPTIONS"}


class InTime:
    """Pure ASGI. An answer that has begun may take as long as it likes: streams do."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop, begun = asyncio.get_running_loop(), False

        async def hearing() -> HTTPReceiveMessage:
            message = await receive()
            if not begun and not patience.expired():   # a long body on a slow line is not our delay
                patience.reschedule(loop.time() + self._seconds)
            return message  # type: ignore[return-value]

        async def answering(message: Message) -> None:
            nonlocal begun
            if not begun and not patience.expired():
                begun = True
                patience.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as patience:
                await self._app(scope, hearing, answering)
        except TimeoutError:
            if begun or not patience.expired():
                raise
            log.warning("request_given_up")
            refusal = Unavailable() if scope["method"] in SAFE else fault("deadline", OutcomeUnknown())  # type: ignore[typeddict-item]
            answer = refused(refusal).to_asgi_response(None, Request(scope))
            await answer(scope, receive, send)

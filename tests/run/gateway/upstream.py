"""A small service for the gateway to have behind it: it says what reached it.

    python -m tests.run.gateway.upstream NAME PORT
"""
from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any


def upstream(name: str, *, keys: Callable[[], dict[str, Any]] | None = None, takes: float = 0) -> Any:
    """Answers each request with what it saw, after `takes` seconds; `keys` is the key set of those who sign."""
    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/health/live":
            return await _answer(send, {"status": "ok"})
        if path == "/.well-known/jwks.json" and keys is not None:
            return await _answer(send, keys())
        if path.endswith("/stream"):
            return await _count(send)
        await asyncio.sleep(takes)
        headers = [(key.decode(), value.decode()) for key, value in scope["headers"]]
        return await _answer(send, {"service": name, "method": scope["method"], "path": path, "headers": headers})

    return app


async def _answer(send: Any, body: Any) -> None:
    content = json.dumps(body).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"application/json"), (b"content-length", b"%d" % len(content)), (b"server", b"secret/1.0")]})
    await send({"type": "http.response.body", "body": content, "more_body": False})


async def _count(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for n in range(3):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % n, "more_body": True})
        await asyncio.sleep(.3)
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":   # under the server that services run under: it writes a whole answer at once
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server.embed import Server

    asyncio.run(Server(upstream(sys.argv[1]), address="127.0.0.1", port=int(sys.argv[2]), interface=Interfaces.ASGINL,
                       log_level=LogLevels.error).serve())

"""Serve an ASGI app on a free port of this machine, in this event loop, for as long as a test needs it."""
from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn


@contextlib.asynccontextmanager
async def serving(app: Any, *, lifespan: str = "off") -> AsyncIterator[str]:
    """Yields the base address."""
    with contextlib.closing(socket.socket(proto=socket.IPPROTO_TCP)) as listener:   # so named, asyncio sends at once
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan=lifespan, ws="none", proxy_headers=False,  # type: ignore[arg-type]
                                               timeout_graceful_shutdown=1, timeout_keep_alive=60))   # who asks hangs up after 15 s
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for _ in range(100):   # clients that have hung up are noticed a moment later; then nothing is left open
                if not server.server_state.connections:
                    break
                await asyncio.sleep(.005)
            server.should_exit = True
            await task

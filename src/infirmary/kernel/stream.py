"""What changes, told as it happens: server-sent events (HTML Living Standard, 9.2)."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

import msgspec

from .database.errors import DatabaseError
from .errors import Refusal

T = TypeVar("T")

LOOKS_EVERY = 3.0   # seconds, for what other processes wrote
HEARTBEAT = 15.0    # seconds of silence; proxies close what says nothing
LASTS = 600.0       # seconds; then browsers come again, with a token that is still good


async def changes(look: Callable[[], Awaitable[T]], tell: Callable[[T | None, T], bytes],
                  woken: asyncio.Event | None = None, *, looks_every: float | None = None,
                  lasts: float | None = None) -> AsyncIterator[bytes]:
    """What `tell` makes of what was seen before (None at first) and now; empty: nothing. `woken`: look at once."""
    woken, now, seen = woken or asyncio.Event(), asyncio.get_running_loop().time, None
    until, silent_since = now() + (lasts or LASTS), now()
    while now() < until:
        try:
            before, seen = seen, await look()
        except DatabaseError:   # it comes back, and so do browsers
            return
        said = tell(before, seen) or (b": still here\n\n" if now() >= silent_since + HEARTBEAT else b"")
        if said:
            yield said
            silent_since = now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(looks_every or LOOKS_EVERY):
                await woken.wait()
        woken.clear()   # before looking: what is written meanwhile is seen the next time


async def while_allowed(chunks: AsyncIterator[bytes], check: Callable[[], object]) -> AsyncIterator[bytes]:
    """These, until `check` refuses; it is asked with each of them, and while nothing is said every few seconds."""
    awaited: asyncio.Future[bytes] | None = None
    try:
        while True:
            awaited = awaited or asyncio.ensure_future(anext(chunks))
            done, _ = await asyncio.wait({awaited}, timeout=LOOKS_EVERY)
            check()
            if done:
                yield awaited.result()
                awaited = None
    except (StopAsyncIteration, Refusal):
        return
    finally:
        if awaited is not None:
            awaited.cancel()
            await asyncio.gather(awaited, return_exceptions=True)
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def event(name: str, data: dict[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"

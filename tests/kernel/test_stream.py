"""What is told as it happens is told for as long as one may hear it."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from infirmary.kernel import stream
from infirmary.kernel.errors import NotSignedIn


class Chatter:
    """Says something as often as it is told to, then nothing; knows when nobody listens any more."""

    def __init__(self, *said: bytes) -> None:
        self.said, self.closed = said, False

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for one in self.said:
                yield one
            await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_a_silent_stream_ends_when_the_right_to_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOKS_EVERY", .01)
    chatter, asked = Chatter(b"one"), 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise NotSignedIn

    async with asyncio.timeout(2):
        assert [one async for one in stream.while_allowed(chatter.chunks(), check)] == [b"one"]
    assert (asked, chatter.closed) == (4, True)


async def test_nothing_is_said_once_it_has_ended() -> None:
    def refuse() -> None:
        raise NotSignedIn

    chatter = Chatter(b"one")
    assert [one async for one in stream.while_allowed(chatter.chunks(), refuse)] == []
    assert chatter.closed


async def test_who_hears_no_more_leaves_nothing_running() -> None:
    chatter = Chatter(b"one", b"two")
    heard = stream.while_allowed(chatter.chunks(), lambda: None)
    assert await anext(heard) == b"one"
    await heard.aclose()   # type: ignore[attr-defined]
    assert chatter.closed

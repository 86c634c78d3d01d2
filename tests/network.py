"""A line between two processes that can be made slow or bad: what a network does, and a machine with one address cannot.

    async with Line.to(port) as line:
        line.delay = 5.0      # seconds that every piece takes, each way
        line.loss = .3        # of the pieces are lost; TCP sends them again, later and later
        line.silent = True    # nothing comes through any more, and nobody is told

TCP hides lost packets as waiting: 0.2 s, doubled at each further loss; a lost opening costs a second first (RFC 6298).
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Self

AGAIN, OPENS_AGAIN = .2, 1.0   # seconds until TCP tries once more
PIECE = 1 << 16


class Line:
    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.delay, self.loss, self.silent = 0.0, 0.0, False
        self._chance = random.Random(1)
        self._running: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Self]:
        line = cls(port)
        server = await asyncio.start_server(line._joined, "127.0.0.1", 0)
        line.port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            server.close()
            for task in line._running:
                task.cancel()
            await asyncio.gather(*line._running, return_exceptions=True)

    def mend(self) -> None:
        self.delay, self.loss, self.silent = 0.0, 0.0, False

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me
        self._running.add(me)
        try:
            await self._waits(OPENS_AGAIN)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            there = asyncio.create_task(self._carry(reader, far_writer))
            back = asyncio.create_task(self._carry(far_reader, writer))
            try:
                await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (there, back):
                    task.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
                far_writer.close()
        except OSError:
            pass   # nobody answers there: we hang up, too
        finally:
            writer.close()
            self._running.discard(me)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                await self._waits(AGAIN)
                writer.write(piece)
                await writer.drain()

    async def _waits(self, again: float) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        while self.loss and self._chance.random() < self.loss:
            await asyncio.sleep(again)
            again *= 2


def port_of(url: str) -> int:
    """`postgresql://user@host:port/name`, `host:port` or `http://host:port`."""
    return int(url.rpartition("@")[2].split("//")[-1].split("/")[0].rpartition(":")[2])


def through(line: Line, url: str) -> str:
    return url.replace(f":{port_of(url)}", f":{line.port}", 1)

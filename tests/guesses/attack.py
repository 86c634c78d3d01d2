"""Those who guess, and those who are signed in meanwhile."""
from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from urllib.parse import urlencode

from tests import load

CONNECTIONS = 16   # of those who guess from one address
PAUSE = .02        # seconds between two questions of somebody who is signed in


@dataclass
class Outcome:
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    seconds: float = 0


def a_guess(username: str, password: str, chance: random.Random) -> bytes:
    """A sign-in that says it was passed on for somebody else, as those do who hope to be believed."""
    body = urlencode({"grant_type": "password", "username": username, "password": password})
    forged = ", ".join(str(IPv4Address(chance.getrandbits(32))) for _ in range(2))
    return (f"POST /api/v1/auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {forged}\r\nX-Real-IP: {forged[:7]}\r\n"
            f"Forwarded: for={forged[:7]}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


async def guessed(port: int, guess: Callable[[int], bytes], heard: Callable[[int, int], None], count: int,
                  addresses: Sequence[str], rate: float) -> Outcome:
    """So many guesses, each told what it was answered, so many a second, each address over connections of its own (this machine has a whole network)."""
    outcome, begun = Outcome(), time.monotonic()
    workers = max(CONNECTIONS, len(addresses))

    async def work(first: int) -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        for at in range(first, count, workers):
            await asyncio.sleep(begun + at / rate - time.monotonic())
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, local_addr=(addresses[first % len(addresses)], 0))
                writer.write(guess(at))
                status, _ = await load._answer(reader)
                outcome.statuses[status] += 1
                heard(at, status)
            except (OSError, EOFError):
                outcome.lost += 1
                reader = writer = None
        if writer is not None:
            writer.close()

    await asyncio.gather(*(work(first) for first in range(workers)))
    outcome.seconds = time.monotonic() - begun
    return outcome


class Regular:
    """Somebody who signs in now and then, on a device that is known, while others guess at their password."""

    def __init__(self, port: int, username: str, password: str, device: str) -> None:
        self._port, self._form, self._device = port, {"grant_type": "password", "username": username, "password": password}, device
        self.statuses: Counter[int] = Counter()

    async def comes_and_goes(self, enough: Callable[[], bool]) -> None:
        while not enough():
            body = urlencode({**self._form, "device_tokens": self._device}).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.closing(writer):
                writer.write(b"POST /api/v1/auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/"
                             b"x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                status, answer = await load._answer(reader)
            self.statuses[status] += 1
            if status == 200:
                self._device = json.loads(answer)["device_token"]
            await asyncio.sleep(10 * PAUSE)


class Bystander:
    """Somebody who is signed in and works: how long the answers take."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._ask = port, load.request("GET", "/api/v1/auth/me", token=token).raw
        self.seconds: list[float] = []

    async def works(self, enough: Callable[[], bool]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        with contextlib.closing(writer):
            while not enough():
                begun = time.perf_counter()
                writer.write(self._ask)
                status, _ = await load._answer(reader)
                assert status == 200
                self.seconds.append(time.perf_counter() - begun)
                await asyncio.sleep(PAUSE)

    @property
    def p95(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 95 // 100]

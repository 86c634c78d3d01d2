"""A load that costs little: keep-alive HTTP/1.1 over plain sockets, in as many processes as asked for.

Used by the races and by the benchmark, where the client must not eat the processor that it measures.
"""
from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Sent:
    """One request to send: made of bytes beforehand, so that sending is all there is to do."""

    raw: bytes
    tag: Any = None


@dataclass
class Got:
    tag: Any
    status: int
    body: bytes
    seconds: float


@dataclass
class Outcome:
    answers: list[Got] = field(default_factory=list)
    lost: list[Any] = field(default_factory=list)   # tags of requests without an answer: nobody knows

    def by_status(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for answer in self.answers:
            found[answer.status] = found.get(answer.status, 0) + 1
        return found


def request(verb: str, path: str, *, token: str = "", body: Any = None, headers: dict[str, str] | None = None,
            tag: Any = None) -> Sent:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{verb} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{n}: {v}" for n, v in (headers or {}).items())]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    elif verb != "GET":
        lines.append("Content-Length: 0")
    return Sent("\r\n".join(lines).encode() + b"\r\n\r\n" + data, tag)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        return status, await reader.readexactly(int(lower[at + 15:lower.index(b"\r\n", at)]))
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return status, body
    return status, b""


async def drive(base: str, sends: Sequence[Sent], *, connections: int, keep: bool = True,
                until: float | None = None, outcome: Outcome | None = None) -> Outcome:
    """Send everything over so many connections at once; with `until` (monotonic), start again and again till then.
    `outcome` is filled meanwhile."""
    where, outcome, at = urlsplit(base), outcome or Outcome(), iter(range(10**12))

    async def work() -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        try:
            while True:
                n = next(at)
                if n >= len(sends) if until is None else time.monotonic() >= until:
                    break
                sent = sends[n % len(sends)]
                begun = time.perf_counter()
                try:
                    if writer is None:
                        reader, writer = await asyncio.open_connection(where.hostname, where.port)
                    assert reader is not None
                    writer.write(sent.raw)
                    status, body = await _answer(reader)
                except (OSError, EOFError, ValueError):
                    outcome.lost.append(sent.tag)
                    if writer is not None:
                        writer.close()
                    writer = None
                    await asyncio.sleep(.02)
                    continue
                outcome.answers.append(Got(sent.tag, status, body if keep else b"", time.perf_counter() - begun))
        finally:
            if writer is not None:
                writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return outcome


def _process(base: str, sends: Sequence[Sent], connections: int, keep: bool, seconds: float | None, barrier: Any,
             answers: Any) -> None:
    barrier.wait()
    until = None if seconds is None else time.monotonic() + seconds
    answers.send(asyncio.run(drive(base, sends, connections=connections, keep=keep, until=until)))


def from_processes(base: str, sends: Sequence[Sent], *, processes: int = 4, connections: int = 16, keep: bool = True,
                   seconds: float | None = None, meanwhile: Callable[[], Any] = lambda: None) -> Outcome:
    """The same from several processes, which all begin at once; `meanwhile` runs here while they work."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(processes + 1)
    running = []
    for n in range(processes):
        mine, theirs = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_process, args=(base, sends[n::processes], connections, keep, seconds, barrier, theirs))
        process.start()
        running.append((process, mine))
    barrier.wait()
    meanwhile()
    total = Outcome()
    for process, mine in running:
        part: Outcome = mine.recv()
        total.answers += part.answers
        total.lost += part.lost
        process.join()
    return total

"""Keeps processes running on one machine: starts them in order, restarts what dies, and says who is where.

`topology.json` in the data folder always tells the truth: `[{"name", "role", "pid", "url"}]`. Every child dies with the
supervisor, whatever that dies of.
"""
from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()
READY_WITHIN = 120.0                 # seconds
AGAIN, AGAIN_AT_MOST = .2, 5.0       # seconds before a process that died is started again; doubled while it keeps dying
STEADY = 10.0                        # seconds after which it counts as running
PATIENCE = 25.0                      # seconds between SIGTERM and SIGKILL
DIES_WITH_PARENT = 1                 # prctl(2): PR_SET_PDEATHSIG
_libc = ctypes.CDLL(None)


def end_with_parent(how: signal.Signals) -> None:
    """From now on this process gets that signal when the one that began it has ended, whatever that ended of (Linux)."""
    if sys.platform == "linux":
        _libc.prctl(DIES_WITH_PARENT, how)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process to keep. `stage` orders the start, and backwards the end: a stage begins when the one before is ready."""

    name: str
    role: str
    command: Sequence[str]
    url: str = ""
    stage: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None              # an unprivileged user, where the program refuses to be root
    stop: signal.Signals = signal.SIGTERM
    ready: Callable[[], Awaitable[bool]] | None = None


class Entry(msgspec.Struct, frozen=True):
    name: str
    role: str
    pid: int
    url: str


class Supervisor:
    """`between`: what has to be done once before a stage begins, on what the stages before it brought up."""

    def __init__(self, programs: Sequence[Program], folder: Path, *, say: Callable[[str], None] = lambda _: None,
                 between: Mapping[int, Callable[[], Awaitable[None]]] | None = None) -> None:
        self._programs, self._folder, self._say = sorted(programs, key=lambda one: one.stage), folder, say
        self._between = between or {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def topology(self) -> Path:
        return self._folder / "topology.json"

    async def start(self) -> None:
        """Everything, stage by stage. Raises when a stage does not become ready."""
        for stage in sorted({one.stage for one in self._programs}):
            if stage in self._between:
                await self._between[stage]()
            members = [one for one in self._programs if one.stage == stage]
            for one in members:
                self._keepers.append(asyncio.create_task(self._keep(one), name=f"keep-{one.name}"))
            await asyncio.gather(*map(self._until_ready, members))
            self._say(f"  {', '.join(one.name for one in members)} {'is' if len(members) == 1 else 'are'} ready")

    async def stop(self) -> None:
        """In the opposite order, each with time to finish what it has in hand."""
        self._stopping = True
        for stage in sorted({one.stage for one in self._programs}, reverse=True):
            members = [one for one in self._programs if one.stage == stage]
            await asyncio.gather(*map(self._end, members))
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self.topology.unlink(missing_ok=True)

    async def _keep(self, program: Program) -> None:
        pause = AGAIN
        while not self._stopping:
            began = monotonic()
            process = self._running[program.name] = await self._spawned(program)
            self._write()
            code = await process.wait()
            if self._stopping:
                return
            pause = AGAIN if monotonic() - began > STEADY else min(pause * 2, AGAIN_AT_MOST)
            log.warning("process_died", name=program.name, pid=process.pid, code=code, again_in=pause)
            await asyncio.sleep(pause)

    async def _spawned(self, program: Program) -> asyncio.subprocess.Process:
        folder = self._folder / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{program.name}.log").open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *program.command, env={**os.environ, **program.environment}, stdin=asyncio.subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True, user=program.user, group=program.user,
                extra_groups=None if program.user is None else [],
                preexec_fn=lambda: end_with_parent(signal.SIGKILL))

    async def _until_ready(self, program: Program) -> None:
        until = monotonic() + READY_WITHIN
        while monotonic() < until:
            with contextlib.suppress(Exception):
                if program.name in self._running and (program.ready is None or await program.ready()):
                    return
            await asyncio.sleep(.1)
        raise TimeoutError(f"{program.name} did not become ready in {READY_WITHIN:.0f} s; "
                           f"see {self._folder / 'logs' / program.name}.log")

    async def _end(self, program: Program) -> None:
        process = self._running.get(program.name)
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(program.stop)
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _write(self) -> None:
        entries: list[Any] = [Entry("supervisor", "supervisor", os.getpid(), "")]
        for one in self._programs:
            process = self._running.get(one.name)
            if process is not None and process.returncode is None:
                entries.append(Entry(one.name, one.role, process.pid, one.url))
        draft = self.topology.with_suffix(".draft")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(entries), indent=1))
        draft.replace(self.topology)   # whole or not at all: others read it at any time

"""Kills and freezes processes of a running hospital, whichever chance picks."""
from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from infirmary.run.supervisor import Entry

from .history import History

SPARED = {"supervisor", "mail"}


def entries(folder: Path) -> list[Entry]:
    return msgspec.json.decode((folder / "topology.json").read_bytes(), type=list[Entry])


def family(pid: int) -> list[int]:
    """The process and everything it started: a frozen database is one whose backends are frozen too."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


class Nemesis:
    def __init__(self, folder: Path, history: History, chance: random.Random, *, frozen_for: float,
                 chooses: Callable[[Entry], bool] = lambda _: True) -> None:
        self._folder, self._history, self._chance, self._frozen_for = folder, history, chance, frozen_for
        self._chooses = chooses

    async def strike(self) -> str:
        """One fault; a freeze lasts its time here. Answers whom it hit."""
        victim = self._chance.choice([one for one in entries(self._folder)
                                      if one.role not in SPARED and self._chooses(one)])
        if self._chance.random() < .85:
            self._history.write(-1, "kill", victim.name, "info", pid=victim.pid)
            self._send(victim.pid, signal.SIGKILL)
            return f"killed {victim.name}"
        pids = family(victim.pid)
        self._history.write(-1, "freeze", victim.name, "info", pid=victim.pid)
        for pid in pids:
            self._send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._frozen_for)
        finally:
            for pid in pids:
                self._send(pid, signal.SIGCONT)
            self._history.write(-1, "thaw", victim.name, "info", pid=victim.pid)
        return f"froze {victim.name}"

    async def outage(self, name: str, seconds: float) -> None:
        """Killed, and not started again for so long: meanwhile whoever would do that is frozen."""
        known = {one.name: one.pid for one in entries(self._folder)}
        self._history.write(-1, "outage", name, "info", pid=known[name])
        self._send(known["supervisor"], signal.SIGSTOP)
        try:
            self._send(known[name], signal.SIGKILL)
            await asyncio.sleep(seconds)
        finally:
            self._send(known["supervisor"], signal.SIGCONT)

    @staticmethod
    def _send(pid: int, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):   # it died by itself meanwhile, of what hit another
            os.kill(pid, what)

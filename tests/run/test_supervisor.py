"""What dies is started again, the topology tells the truth, and nothing outlives the supervisor."""
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from infirmary.run.supervisor import Entry, Program, Supervisor

SLEEP = ["sleep", "1000"]


def entries(folder: Path) -> dict[str, Entry]:
    return {one.name: one for one in msgspec.json.decode((folder / "topology.json").read_bytes(), type=list[Entry])}


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_dies_comes_back_under_its_name(tmp_path: Path) -> None:
    supervisor = Supervisor([Program(name="one", role="service", command=SLEEP, url="http://127.0.0.1:1")], tmp_path)
    await supervisor.start()
    first = entries(tmp_path)["one"]
    assert (first.role, first.url) == ("service", "http://127.0.0.1:1")
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: entries(tmp_path).get("one", first).pid != first.pid)
    again = entries(tmp_path)["one"].pid
    assert alive(again)
    await supervisor.stop()
    assert not alive(again)
    assert not supervisor.topology.exists()


async def test_a_stage_begins_when_the_one_before_is_ready_and_prepared(tmp_path: Path) -> None:
    seen: list[str] = []
    begun = asyncio.get_running_loop().time()

    async def ready() -> bool:
        if asyncio.get_running_loop().time() < begun + .4:
            raise OSError("nobody answers yet")
        seen.append("ready")
        return True

    async def between() -> None:
        assert "second" not in entries(tmp_path)
        seen.append("between")

    supervisor = Supervisor([Program(name="second", role="service", command=SLEEP, stage=1),
                             Program(name="first", role="database", command=SLEEP, ready=ready)], tmp_path,
                            between={1: between})
    await supervisor.start()
    assert seen == ["ready", "between"]
    assert {"first", "second"} < entries(tmp_path).keys()
    await supervisor.stop()


async def test_who_does_not_end_when_asked_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infirmary.run.supervisor.PATIENCE", .5)
    deaf = ["sh", "-c", "trap '' TERM; while :; do sleep .1; done"]
    supervisor = Supervisor([Program(name="deaf", role="service", command=deaf)], tmp_path)
    await supervisor.start()
    await asyncio.sleep(.3)
    pid = entries(tmp_path)["deaf"].pid
    await supervisor.stop()
    assert not alive(pid)


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = ("import asyncio, sys; from pathlib import Path; from infirmary.run.supervisor import *\n"
              "async def main():\n"
              "    await Supervisor([Program(name='one', role='service', command=['sleep', '1000'])], Path(sys.argv[1])).start()\n"
              "    await asyncio.sleep(100)\n"
              "asyncio.run(main())")
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    deadline = time.monotonic() + 15
    child = 0
    while not child and time.monotonic() < deadline:
        with contextlib.suppress(OSError, KeyError):
            child = entries(tmp_path)["one"].pid
        time.sleep(.05)
    assert alive(child)
    process.kill()
    process.wait()
    while alive(child) and time.monotonic() < deadline:
        time.sleep(.05)
    assert not alive(child)

"""A hospital whose database is at the end of a slow line, a bad one and a dead one, under load."""
from __future__ import annotations

import asyncio
import random
from datetime import UTC
from pathlib import Path
from time import monotonic

import aiohttp
import msgspec
import pytest

from infirmary.kernel.deadline import ANSWERED_WITHIN
from infirmary.language import RECEPTION
from infirmary.run.catalogue import CONTEXTS
from tests import servers
from tests.hospital import Running, seed, settings_for, token
from tests.network import Line, port_of, through

from . import judge
from .final import at_rest
from .history import History
from .workload import Client, Clinic

CLIENTS = 8
PROBED = ("/api/v1/appointments?limit=5", "/api/v1/patients?q=pat", "/api/v1/departments", "/health/live")


async def probe(base: str, access: str, stop: asyncio.Event) -> list[tuple[int, float]]:
    """What somebody hears who waits as long as it takes: statuses, and after how many seconds."""
    heard: list[tuple[int, float]] = []
    async with aiohttp.ClientSession(base, timeout=aiohttp.ClientTimeout(total=60)) as http:
        while not stop.is_set():
            for path in PROBED:
                begun = monotonic()
                async with http.get(path, headers={"Authorization": f"Bearer {access}"}) as reply:
                    assert reply.status != 503 or reply.headers["Retry-After"]
                    heard.append((reply.status, monotonic() - begun))
            await asyncio.sleep(.2)
    return heard


@pytest.mark.skipif(bool(servers.unavailable("postgresql")), reason="PostgreSQL is not installed")
async def test_a_slow_a_bad_and_a_dead_line_to_the_database_cost_time_and_nothing_else(tmp_path: Path) -> None:
    prefix = "network"
    direct = servers.postgres().url(prefix + "_{context}")
    for context in CONTEXTS:
        await asyncio.to_thread(servers.postgres().create, f"{prefix}_{context.name}")
    seeded = await seed(settings_for(tmp_path, direct), doctors=4, patients=40)
    async with Line.to(port_of(direct)) as line:
        settings = settings_for(tmp_path, through(line, direct))
        hospital = Running(settings)
        await asyncio.to_thread(hospital.start)
        try:
            history, stop, access = History(tmp_path / "history.jsonl"), asyncio.Event(), token(settings, RECEPTION)
            clinic = Clinic([str(one.id) for one in seeded.doctors], [str(one.id) for one in seeded.patients],
                            seeded.first_day.astimezone(UTC), slots=72 * 5)
            clients = [asyncio.create_task(Client(n, hospital.base, clinic, history, lambda: access,
                                                  random.Random(n)).run(stop)) for n in range(CLIENTS)]
            probing = asyncio.create_task(probe(hospital.base, access, stop))
            await asyncio.sleep(2)
            line.delay = 5
            await asyncio.sleep(14)
            line.mend()
            line.loss = .3
            await asyncio.sleep(8)
            line.silent = True
            await asyncio.sleep(10)
            line.mend()
            await asyncio.sleep(4)
            stop.set()
            await asyncio.gather(*clients)
            heard = await probing
            history.close()
            (tmp_path / "final.json").write_bytes(msgspec.json.encode(await at_rest(lambda name: direct.format(context=name))))
        finally:
            await asyncio.to_thread(hospital.stop)
    assert judge.main(tmp_path) == 0
    assert {status for status, _ in heard} == {200, 503}
    assert max(seconds for _, seconds in heard) < ANSWERED_WITHIN + 2

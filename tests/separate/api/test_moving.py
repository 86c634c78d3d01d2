"""Processes come and go, and what they run with changes, while people are asking."""
from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp

from infirmary.language import ADMIN, RECEPTION
from infirmary.run.up import DATABASES
from tests import load
from tests.hospital import Seeded, free_port, token
from tests.separate.place import configure, plan_of, push, told
from tests.services import Services

CONNECTIONS, READS, BOOKINGS = 8, 270, 30   # reads and bookings of one round
SLOT = timedelta(minutes=20)
FOUND_WITHIN = 20.0    # seconds
TAKEN_UP_WITHIN = 2.0


async def instances(place: Services) -> dict[str, list[dict[str, object]]]:
    """Who runs, as an administrator reads it."""
    async with aiohttp.ClientSession() as http, http.get(
            place.base + "/api/v1/system/services",
            headers={"Authorization": f"Bearer {token(place.settings, ADMIN)}"}) as reply:
        assert reply.status == 200
        return {one["context"]: one["instances"] for one in await reply.json()}


@contextlib.asynccontextmanager
async def one_more(place: Services, service: str) -> AsyncIterator[tuple[Process, str]]:
    """Another process of this service and its address, as an operator would add it by hand. On leaving it is told to
    stop."""
    plan, port = plan_of(place), free_port()
    store = DATABASES[place.database](place.folder, plan.ports["database"], plan.password)
    before = len((await instances(place))[service])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infirmary", "serve", service, "--port", str(port),
        env={**told(place), "INFIRMARY_DATABASE": store.url(service)}, start_new_session=True)
    try:
        async with asyncio.timeout(FOUND_WITHIN):
            while len((await instances(place))[service]) == before:
                await asyncio.sleep(.1)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


class Crowd:
    """Asks until it is told to stop: reads, and bookings under a key, which the gateway may try elsewhere."""

    def __init__(self, place: Services, seeded: Seeded) -> None:
        self._place, self._desk = place, token(place.settings, RECEPTION)
        self._doctor, self._patients = seeded.doctors[3].id, itertools.cycle(one.id for one in seeded.patients[50:])
        self._times = (seeded.first_day + n * SLOT for n in itertools.count())
        self.stop, self.heard, self.rounds = asyncio.Event(), load.Outcome(), 0

    def _round(self) -> list[load.Sent]:
        reads = [load.request("GET", f"/api/v1/appointments?doctor_id={self._doctor}&limit=5", token=self._desk)
                 for _ in range(READS)]
        bookings = [load.request("POST", "/api/v1/appointments", token=self._desk, body={
            "patient_id": str(next(self._patients)), "doctor_id": str(self._doctor),
            "starts_at": next(self._times).isoformat()}, headers={"Idempotency-Key": str(uuid4())})
            for _ in range(BOOKINGS)]
        return random.sample(reads + bookings, READS + BOOKINGS)

    async def ask(self) -> None:
        while not self.stop.is_set():
            heard = await load.drive(self._place.base, self._round(), connections=CONNECTIONS)
            self.heard.answers += heard.answers
            self.heard.lost += heard.lost
            self.rounds += 1

    async def asked_for(self, rounds: int) -> None:
        """So many more, begun and ended from now on."""
        until = self.rounds + 1 + rounds
        while self.rounds < until:
            await asyncio.sleep(.05)


async def answered_by(address: str) -> int:
    """How many requests a process has answered, as it says itself."""
    async with aiohttp.ClientSession() as http, http.get(address + "/metrics") as reply:
        lines = [line for line in (await reply.text()).splitlines() if line.startswith("http_requests_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if "appointments." in line))


async def test_a_process_that_is_added_and_one_that_is_removed_lose_no_request(place: Services, seeded: Seeded) -> None:
    crowd = Crowd(place, seeded)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.ask())
        async with one_more(place, "appointments") as (added, address):
            await crowd.asked_for(2)
            assert await answered_by(address) > 20   # it takes part
        assert added.returncode == 0
        await crowd.asked_for(2)
        crowd.stop.set()
    assert crowd.heard.lost == []
    assert crowd.heard.by_status() == {200: crowd.rounds * READS, 201: crowd.rounds * BOOKINGS}
    assert added.pid not in {one["pid"] for one in (await instances(place))["appointments"]}


async def test_a_configuration_that_is_pushed_runs_everywhere_two_seconds_later(place: Services, tmp_path: Path) -> None:
    before = await instances(place)
    [first] = {one["config_version"] for copies in before.values() for one in copies}

    said = await push(place, tmp_path / "config", booking={"most_open_visits": 19})
    pushed_at = time.monotonic()
    assert "most_open_visits: 19" in said
    version = int(said.split()[1])
    now: dict[str, list[dict[str, object]]] = {}
    while {one["config_version"] for copies in now.values() for one in copies} != {version}:
        now = await instances(place)
        assert time.monotonic() - pushed_at < TAKEN_UP_WITHIN, now
    assert {one["id"] for copies in now.values() for one in copies} == {
        one["id"] for copies in before.values() for one in copies}   # nobody was started again for it

    await configure(place, "rollback", str(first))

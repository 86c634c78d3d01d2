"""A hospital of separate processes somewhere on earth where the day has just begun: what is booked for later today can
be lived today, without anybody's clock being moved."""
from __future__ import annotations

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
import yaml
from msgspec import Struct
from sqlalchemy import bindparam, select

from infirmary.kernel.database.columns import UtcDateTime
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.kernel.outbox import WAITING, inbox, outbox
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.run.up import Plan, environment
from infirmary.settings import Settings
from tests.hospital import free_port, zone_at
from tests.provider.lying import CLIENT, a_secret_in
from tests.services import Services, missing, services

PATIENCE = 20.0   # seconds: other tests run beside, and facts are tried again after a pause
EARLY = 2         # o'clock
EARLIER = timedelta(minutes=1)
PROVIDER_PORT = free_port()   # where those who test signing in with a provider have one
CONFIG = Path(__file__).parents[2] / "deploy" / "config"


@contextmanager
def a_place(*, database: str = "postgresql", replicas: int) -> Iterator[tuple[Services, ZoneInfo]]:
    if reason := missing(database):
        pytest.skip(reason)
    zone = zone_at(EARLY)
    with TemporaryDirectory() as folder, services(replicas=replicas, database=database, environment={
            "INFIRMARY_HOSPITAL__ZONE": zone, "INFIRMARY_OIDC__HARBOUR__NAME": "Harbour ID",
            "INFIRMARY_OIDC__HARBOUR__ISSUER": f"http://127.0.0.1:{PROVIDER_PORT}",
            "INFIRMARY_OIDC__HARBOUR__CLIENT_ID": CLIENT,
            "INFIRMARY_OIDC__HARBOUR__SECRET_FILE": a_secret_in(Path(folder))}) as place:
        yield place, ZoneInfo(zone)


class Told(Struct, frozen=True):
    id: UUID
    kind: str


TOLD = Query(select(outbox.c.id, outbox.c.kind).where(outbox.c.happened_at >= bindparam("since", type_=UtcDateTime)), Told)
HEARD = Query(select(inbox.c.fact_id).where(inbox.c.handled_at >= bindparam("since", type_=UtcDateTime)), UUID)


_listeners: dict[str, set[str]] = {}


async def listeners() -> dict[str, set[str]]:
    """Which kinds of facts each context reacts to."""
    if not _listeners:
        with TemporaryDirectory() as folder:
            house = House(Settings(data=folder))
            await house.open()
            _listeners.update({name: room.consumer.kinds for name, room in house.rooms.items()})
            await house.close()
    return _listeners


class Facts:
    """Whether what was announced since we began has had its effects, straight from the tables."""

    def __init__(self, dbs: dict[str, Database], listeners: dict[str, set[str]]) -> None:
        self._dbs, self._listeners, self._since = dbs, listeners, datetime.now(UTC) - EARLIER

    @classmethod
    @asynccontextmanager
    async def of(cls, url: Callable[[str], str]) -> AsyncIterator[Self]:
        async with AsyncExitStack() as opened:
            dbs = {}
            for context in CONTEXTS:
                dbs[context.name] = await Database.open(url(context.name), context.name, size=1)
                opened.push_async_callback(dbs[context.name].close)
            yield cls(dbs, await listeners())

    async def arrive(self) -> None:
        """Until every listener has handled all it listens to: what their reactions announced, too."""
        try:
            async with asyncio.timeout(PATIENCE):
                while await self.under_way():
                    await asyncio.sleep(.05)
        except TimeoutError:
            raise AssertionError(f"after {PATIENCE:.0f} s: {await self.under_way()}") from None
        self._since = datetime.now(UTC) - EARLIER

    async def under_way(self) -> list[str]:
        """What somebody has yet to handle. Inboxes first: what a reaction announced is there when its mark is."""
        heard = {}
        for name, db in self._dbs.items():
            async with db.reading() as reading:
                heard[name] = set(await reading.all(HEARD, since=self._since))
        found = []
        for name, db in self._dbs.items():
            async with db.reading() as reading:
                told, waiting = await reading.all(TOLD, since=self._since), await reading.one(WAITING)
            found += [f"{waiting} facts of {name}"] if waiting else []
            found += [f"{fact.kind} for {who}" for who, kinds in self._listeners.items() for fact in told
                      if fact.kind in kinds and fact.id not in heard[who]]
        return found


def plan_of(place: Services) -> Plan:
    return msgspec.json.decode((place.folder / "plan.json").read_bytes(), type=Plan)


def told(place: Services) -> dict[str, str]:
    """The environment of every process of this hospital."""
    return {**os.environ, **environment(plan_of(place), place.folder)}


async def configure(place: Services, *words: str) -> str:
    """`infirmary config`, as an operator types it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infirmary", "config", *words, "--author", "a test", env=told(place), stdout=PIPE)
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0
    return said


async def push(place: Services, folder: Path, **changed: Any) -> str:
    """The files under deploy/config with these sections changed, to every process."""
    shutil.copytree(CONFIG, folder)
    file = folder / told(place)["INFIRMARY_ENVIRONMENT"] / "common.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changed}))
    return await configure(place, "push", "--folder", str(folder))

"""The access matrix, asked at the gateway.

It differs from what a single process answers in two ways, and in no other: what only services may ask has no address
there, for nobody; and a token that is no living person's is refused by the gateway itself, also where anyone may ask.
"""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import asyncpg
import msgspec
import pytest
import pytest_asyncio

from infirmary.kernel.clock import SystemClock
from infirmary.kernel.contract import Operation
from infirmary.language import SERVICE
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import REVOCATIONS_EVERY, House
from infirmary.settings import Hospital
from tests.architecture.judge import MATRIX, NO_SUCH_PATH, NOT_SIGNED_IN, Cell, Judge, Row, cells_of
from tests.architecture.requests import OPERATIONS
from tests.architecture.world import HOUSE, PROVIDER, World
from tests.provider.lying import a_provider, a_secret_in
from tests.separate.place import PROVIDER_PORT, Facts, configure, push
from tests.services import Services

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHECKED = "/api/v1"   # under which the gateway looks at tokens; what is published beside it needs none
# What denials leave, what travels by itself (an entry to the trail, a mail to its reader), and how far it has come.
# What is told to those who wait changes with the time, and what was said in a video room is forgotten.
BY_ITSELF = {"answered", "throttle", "alembic_version", "audit_event", "audit_term", "delivery", "queue_line",
             "video_signal"}
IMPORTS_AT_WORK = "SELECT count(*) FROM patient_import WHERE status IN ('checking', 'applying', 'undoing')"
ROWS = {"outbox": "SELECT id, kind, aggregate, version, body FROM outbox WHERE kind != 'kernel.Audited'"}
DIGEST = "SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM ({}) t"
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
DENIALS = "SELECT body FROM outbox WHERE kind = 'kernel.Audited' AND body::text LIKE '%access.denied%'"


class Beside(World):
    """Makes what is asked about in a house of its own on the services' databases; their processes move the facts."""

    facts: Facts

    async def facts_arrive(self) -> None:
        await self.facts.arrive()

    async def revocations_arrive(self) -> None:
        await asyncio.sleep(3 * REVOCATIONS_EVERY)


class AtTheGateway(Judge):
    refused_by_rule = Judge.refused_by_rule | {"identity.ask_for_codes"}   # staff need a stronger factor, as in a hospital

    def __init__(self, world: Beside, strangers: dict[str, str], databases: dict[str, asyncpg.Connection]) -> None:
        super().__init__(world, strangers)
        self._facts, self._databases = world.facts, databases

    def cells(self, operation: Operation, row: Row) -> list[Cell]:
        inside = set(operation.allow) == {SERVICE}
        bad = {SERVICE, "an expired token"} if operation.prefix == CHECKED else set()
        return [replace(cell, expected=NOT_SIGNED_IN if cell.who in bad else
                        NO_SUCH_PATH if inside else cell.expected) for cell in cells_of(operation.id, row)]

    async def kept(self) -> dict[str, str]:
        """When everything has come to rest: what was made for these questions, too."""
        await self._facts.arrive()
        async with asyncio.timeout(30):
            while await self._databases["patients"].fetchval(IMPORTS_AT_WORK):
                await asyncio.sleep(.2)
        found = {}
        for name, database in self._databases.items():
            for (table,) in await database.fetch(TABLES):
                if table not in BY_ITSELF and (name, table) != ("audit", "inbox"):
                    rows = ROWS.get(table, f'SELECT * FROM "{table}"')
                    found[f"{name}.{table}"] = await database.fetchval(DIGEST.format(rows))
        return found

    async def denials(self) -> list[dict[str, Any]]:
        bodies = [json.loads(body) for database in self._databases.values() for (body,) in await database.fetch(DENIALS)]
        return [body for body in bodies if body["action"] == "access.denied"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(running: tuple[Services, ZoneInfo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AtTheGateway]:
    place, zone = running
    # All questions are asked of the same few people, who have more and more visits before them.
    await push(place, tmp_path_factory.mktemp("many-visits") / "config", booking={"most_open_visits": 1000})
    async with AsyncExitStack() as opened:
        provider = await opened.enter_async_context(a_provider(SystemClock(), PROVIDER_PORT))
        oidc = {PROVIDER: provider.settings(a_secret_in(tmp_path_factory.mktemp("secret")))}
        house = House(msgspec.structs.replace(place.settings, hospital=Hospital(zone=zone.key), oidc=oidc), contexts=HOUSE)
        await house.open()
        opened.push_async_callback(house.close)
        world = Beside(house, SystemClock(), await opened.enter_async_context(aiohttp.ClientSession()), provider, place.base,
                       mark=" of the matrix")
        world.facts = await opened.enter_async_context(Facts.of(place.url))
        await world.settle()
        databases = {}
        for context in CONTEXTS:
            databases[context.name] = await asyncpg.connect(place.url(context.name))
            opened.push_async_callback(databases[context.name].close)
        yield AtTheGateway(world, await world.strangers(), databases)
    await configure(place, "rollback", "1")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_it_answers_as_the_matrix_says(judge: AtTheGateway, name: str) -> None:
    assert not await judge.complaints(OPERATIONS[name], MATRIX[name])

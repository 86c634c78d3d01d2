"""The same hospital as the architecture tests have: people and things whose owner is known."""
from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infirmary.run.catalogue import CONTEXTS
from tests import servers
from tests.architecture.conftest import world
from tests.architecture.world import World, a_world

__all__ = ["world", "world_on_each"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql", "mariadb"])
async def world_on_each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
                        ) -> AsyncIterator[World]:
    """The hospital, on each engine in turn."""
    if reason := servers.unavailable(request.param):
        pytest.skip(reason)
    folder, database = tmp_path_factory.mktemp("hospital"), "sqlite://{data}/{context}.db"
    if request.param != "sqlite":
        server = servers.postgres() if request.param == "postgresql" else servers.mariadb()
        prefix = f"{os.environ.get('PYTEST_XDIST_WORKER', 'test')}_nonsense_"
        urls = [server.create(prefix + context.name) for context in CONTEXTS]
        database = urls[0].removesuffix(CONTEXTS[0].name) + "{context}"
    async with a_world(folder, database) as settled:
        yield settled

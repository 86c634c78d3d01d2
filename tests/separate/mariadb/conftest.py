"""The same on MariaDB, one process of each service."""
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from zoneinfo import ZoneInfo

import pytest

from tests.journeys.world import World
from tests.separate.journeys import a_journey
from tests.separate.place import a_place
from tests.services import Services


@pytest.fixture(scope="package")
def running() -> Iterator[tuple[Services, ZoneInfo]]:
    with a_place(database="mariadb", replicas=1) as found:
        yield found


@pytest.fixture
async def world(running: tuple[Services, ZoneInfo]) -> AsyncIterator[World]:
    async with a_journey(*running) as found:
        yield found

"""One hospital for all tests of this package: two processes of each service on PostgreSQL, Kafka, etcd and Envoy."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from zoneinfo import ZoneInfo

import pytest

from tests.hospital import Seeded, seed
from tests.journeys.world import World
from tests.separate.journeys import a_journey
from tests.separate.place import a_place
from tests.services import Services


@pytest.fixture(scope="package")
def running() -> Iterator[tuple[Services, ZoneInfo]]:
    with a_place(replicas=2) as found:
        yield found


@pytest.fixture(scope="package")
def place(running: tuple[Services, ZoneInfo]) -> Services:
    return running[0]


@pytest.fixture(scope="package")
def seeded(place: Services) -> Seeded:
    """Doctors and patients for those tests that need some; each takes doctors of its own."""
    return asyncio.run(seed(place.settings, doctors=4, patients=60))


@pytest.fixture
async def world(running: tuple[Services, ZoneInfo]) -> AsyncIterator[World]:
    async with a_journey(*running) as found:
        yield found

"""The journeys' world, where the hospital is separate processes and everything is asked at the gateway."""
from __future__ import annotations

import random
import string
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from unittest.mock import patch
from zoneinfo import ZoneInfo

import aiohttp

from infirmary.kernel.clock import SystemClock
from tests.journeys.conftest import over
from tests.journeys.world import World
from tests.services import Services

from .place import PATIENCE, Facts


@dataclass(kw_only=True)
class Separate(World):
    facts: Facts

    async def facts_arrive(self) -> None:
        await self.facts.arrive()

    def day_comes(self, at: datetime) -> None:
        """It has: the visits are later today."""
        assert at.astimezone(self.day.tzinfo).date() == self.day.date()

    def at_work(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()   # it is, all the time


@asynccontextmanager
async def a_journey(place: Services, zone: ZoneInfo) -> AsyncIterator[World]:
    """Whoever asks has a person's patience; between each other the services keep their deadlines."""
    patient = patch.multiple("infirmary.kernel.remote", DEADLINE=PATIENCE, PATIENCE=PATIENCE, TRIES=5)
    with patient:
        async with aiohttp.ClientSession() as http, Facts.of(place.url) as facts:
            yield Separate(
                settings=place.settings, clock=SystemClock(), ask=over(place.base, http), facts=facts,
                day=datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0),
                mark="".join(random.choices(string.ascii_lowercase, k=8)))

"""Journeys run twice: asking in the same process, and asking over HTTP. Every fact is delivered twice.

And against separate processes: tests/separate.
"""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infirmary.kernel.bus import LocalBus
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.contract import Contract
from infirmary.kernel.events import Fact
from infirmary.kernel.http import build_app
from infirmary.kernel.remote import over_http
from infirmary.run.house import House, again_and_again
from infirmary.settings import Settings
from tests.house import MONDAY
from tests.serving import serving

from .world import World


class TwiceBus(LocalBus):
    """Delivers every fact twice, as any bus may."""

    async def deliver(self, fact: Fact, last: bool) -> None:
        await super().deliver(fact, last)
        await super().deliver(fact, last)


@dataclass(kw_only=True)
class OneProcess(World):
    """Facts move when the test says so, and time too."""

    house: House
    clock: HeldClock

    async def facts_arrive(self) -> None:
        await self.house.deliver_facts()

    def day_comes(self, at: datetime) -> None:
        self.clock.advance(at - self.clock.now())
        self.house.revocations.learn({})

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(again_and_again(job)) for room in self.house.rooms.values()
                 for job in room.context.jobs(room.service)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def over(base: str, http: aiohttp.ClientSession) -> Callable[[type[Any]], Any]:
    """Clients for all contracts, which are answered at this address."""
    clients: dict[type[Contract], Any] = {}

    def ask(contract: type[Any]) -> Any:
        if contract not in clients:
            clients[contract] = over_http(contract, lambda: [base], http)
        return clients[contract]

    return ask


@pytest.fixture(params=["in process", "over http"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = HeldClock(MONDAY)
    house = House(Settings(data=str(tmp_path)), clock=clock)
    house.bus = TwiceBus()
    await house.open()
    told: dict[str, Any] = {"house": house, "clock": clock, "settings": house.settings,
                            "day": MONDAY.replace(hour=0) + timedelta(days=1)}
    try:
        if request.param == "in process":
            yield OneProcess(ask=house.ask, **told)
            return
        async with serving(build_app(house.api())) as base, aiohttp.ClientSession() as http:
            yield OneProcess(ask=over(base, http), **told)
    finally:
        await house.close()

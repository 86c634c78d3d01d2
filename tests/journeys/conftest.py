"""Journeys run twice: asking in the same process, and asking over HTTP. Every fact is delivered twice."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import pytest

from infirmary.kernel.access import Caller
from infirmary.kernel.bus import LocalBus
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.contract import Contract
from infirmary.kernel.events import Fact
from infirmary.kernel.http import build_app
from infirmary.kernel.remote import over_http
from infirmary.kernel.tokens import KeyRing, Signer
from infirmary.run.house import House
from infirmary.settings import Settings
from tests.house import MONDAY
from tests.serving import serving

C = TypeVar("C", bound=Contract)


class TwiceBus(LocalBus):
    """Delivers every fact twice, as any bus may."""

    async def deliver(self, fact: Fact, last: bool) -> None:
        await super().deliver(fact, last)
        await super().deliver(fact, last)


@dataclass
class World:
    house: House
    clock: HeldClock
    ask: Callable[[type[Any]], Any]

    def signed_in(self, caller: Caller) -> Caller:
        """The caller with a token, so that it can ask over HTTP too."""
        signer = Signer(KeyRing(self.house.settings.folder / "keys", self.clock), issuer=self.house.settings.public_url,
                        audience="infirmary", clock=self.clock)
        assert caller.account_id and caller.session_id
        subjects = {field: own for field, own in caller.subjects.items() if field != "account_id"}
        return msgspec.structs.replace(caller, token=signer.sign(
            account_id=caller.account_id, session_id=caller.session_id, name=caller.name, roles=sorted(caller.roles),
            subjects=subjects))

    async def facts_arrive(self) -> None:
        await self.house.deliver_facts()

    def after_sign_in(self, access_token: str) -> Caller:
        return self.house.verifier.caller(access_token)


@pytest.fixture(params=["in process", "over http"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = HeldClock(MONDAY)
    house = House(Settings(data=str(tmp_path)), clock=clock)
    house.bus = TwiceBus()
    await house.open()
    try:
        if request.param == "in process":
            yield World(house, clock, house.ask)
            return
        async with serving(build_app(house.api())) as base, aiohttp.ClientSession() as http:
            clients: dict[type[Contract], Any] = {}

            def ask(contract: type[Any]) -> Any:
                if contract not in clients:
                    clients[contract] = over_http(contract, lambda: [base], http)
                return clients[contract]

            yield World(house, clock, ask)
    finally:
        await house.close()



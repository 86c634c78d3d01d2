"""Where a journey happens. The story is the same in one process and against separate ones."""
from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from infirmary.kernel.access import Caller
from infirmary.kernel.clock import Clock
from infirmary.kernel.tokens import KeyRing, Signer, Verifier, public_keys
from infirmary.settings import Settings

T = TypeVar("T")
PATIENCE = 40.0   # seconds, for what the hospital does by itself; the rarest of it every fifteen


@dataclass(kw_only=True)
class World(ABC):
    settings: Settings
    clock: Clock
    ask: Callable[[type[Any]], Any]
    day: datetime     # the midnight with which the day of all visits begins, in the hospital's own zone
    mark: str = ""    # in names that must be the only ones of their kind, where others are at work too

    @abstractmethod
    async def facts_arrive(self) -> None:
        """Everything announced so far has had its effects."""

    @abstractmethod
    def day_comes(self, at: datetime) -> None:
        """It is the day of the visits, and this is the time."""

    @abstractmethod
    def at_work(self) -> AbstractAsyncContextManager[None]:
        """What the hospital does by itself, from time to time, goes on."""

    async def until(self, look: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        """What is seen once it is so."""
        async with asyncio.timeout(PATIENCE), self.at_work():
            while not good(seen := await look()):
                await self.facts_arrive()
                await asyncio.sleep(.05)
        await self.facts_arrive()
        return seen

    @property
    def _ring(self) -> KeyRing:
        return KeyRing(self.settings.folder / "keys", self.clock)

    def signed_in(self, caller: Caller) -> Caller:
        """The caller with a token, so that it can ask over HTTP too."""
        signer = Signer(self._ring, issuer=self.settings.public_url, audience="infirmary", clock=self.clock)
        assert caller.account_id and caller.session_id
        subjects = {field: own for field, own in caller.subjects.items() if field != "account_id"}
        return msgspec.structs.replace(caller, token=signer.sign(
            account_id=caller.account_id, session_id=caller.session_id, name=caller.name, roles=sorted(caller.roles),
            subjects=subjects))

    def after_sign_in(self, access_token: str) -> Caller:
        return Verifier(public_keys(self._ring), issuer=self.settings.public_url, audience="infirmary", clock=self.clock,
                        revocations=None).caller(access_token)

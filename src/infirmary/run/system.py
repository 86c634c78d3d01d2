"""Answers for the running system: each process speaks for its own rooms, and the one that holds identity for all."""
from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.errors import NotFound, Unavailable
from infirmary.kernel.outbox import OLDEST, WAITING
from infirmary.language import service
from infirmary.system import Backstage, ParkedEvent, Running, ServiceState, StillFails, System

if TYPE_CHECKING:
    from .house import House, Room

ME = service("system")


class BackstageService(Backstage):
    def __init__(self, house: House) -> None:
        self._house = house

    def _room(self, context: str) -> Room:
        room = self._house.rooms.get(context)
        if room is None:
            raise NotFound
        return room

    async def state(self, caller: Caller, context: str) -> ServiceState:
        room = self._room(context)
        async with room.db.reading() as reading:
            waiting, oldest = await reading.one(WAITING), await reading.one(OLDEST)
        age = (room.db.clock.now() - oldest.happened_at).total_seconds() if oldest else 0.0
        return ServiceState(context=context, facts_waiting=waiting or 0, oldest_waits_seconds=max(age, 0.0),
                            parked=len(await room.consumer.parked()))

    async def parked(self, caller: Caller, context: str) -> list[ParkedEvent]:
        return [ParkedEvent(id=one.id, context=context, kind=one.kind, happened_at=one.happened_at,
                            parked_at=one.parked_at, why=one.why) for one in await self._room(context).consumer.parked()]

    async def replay(self, caller: Caller, context: str, event_id: UUID) -> Done:
        room = self._room(context)
        one = next((one for one in await room.consumer.parked() if one.id == event_id), None)
        if one is None:
            raise NotFound
        try:
            await room.consumer.replay(one)
        except Exception as error:
            raise StillFails(f"It fails with {type(error).__name__}. It stays parked.") from error
        return Done()


class SystemService(System):
    """Asks every context's own process, here or elsewhere."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def services(self, caller: Caller) -> list[ServiceState]:
        return [await self._state(context) for context in self._house.everywhere]

    async def _state(self, context: str) -> ServiceState:
        instances = [Running(id=one.id, url=one.url, pid=one.pid, version=one.version, config_version=one.config_version)
                     for one in self._house.instances(context)]
        try:
            return msgspec.structs.replace(await self._house.backstage(context).state(ME, context), instances=instances)
        except Unavailable:
            return ServiceState(context=context, facts_waiting=0, oldest_waits_seconds=0.0, parked=0, answers=False,
                                instances=instances)

    async def parked(self, caller: Caller) -> list[ParkedEvent]:
        found: list[ParkedEvent] = []
        for context in self._house.everywhere:
            with contextlib.suppress(Unavailable):   # that it does not answer is told with the services
                found += await self._house.backstage(context).parked(ME, context)
        return found

    async def replay(self, caller: Caller, context: str, event_id: UUID) -> Done:
        if context not in self._house.everywhere:
            raise NotFound
        return await self._house.backstage(context).replay(ME, context, event_id)

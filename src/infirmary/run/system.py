"""Answers for the running system, from the rooms of this house."""
from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.errors import NotFound
from infirmary.kernel.outbox import OLDEST, WAITING
from infirmary.system import ParkedEvent, ServiceState, StillFails, System

if TYPE_CHECKING:
    from .house import House


class SystemService(System):
    def __init__(self, house: House) -> None:
        self._house = house

    async def services(self, caller: Caller) -> list[ServiceState]:
        found = []
        for room in self._house.rooms.values():
            async with room.db.reading() as reading:
                waiting, oldest = await reading.one(WAITING), await reading.one(OLDEST)
            age = (room.db.clock.now() - oldest.happened_at).total_seconds() if oldest else 0.0
            found.append(ServiceState(context=room.name, facts_waiting=waiting or 0, oldest_waits_seconds=max(age, 0.0),
                                      parked=len(await room.consumer.parked())))
        return found

    async def parked(self, caller: Caller) -> list[ParkedEvent]:
        return [ParkedEvent(id=one.id, context=room.name, kind=one.kind, happened_at=one.happened_at,
                            parked_at=one.parked_at, why=one.why)
                for room in self._house.rooms.values() for one in await room.consumer.parked()]

    async def replay(self, caller: Caller, context: str, event_id: UUID) -> Done:
        room = self._house.rooms.get(context)
        one = next((one for one in await room.consumer.parked() if one.id == event_id), None) if room else None
        if room is None or one is None:
            raise NotFound
        try:
            await room.consumer.replay(one)
        except Exception as error:
            raise StillFails(f"It fails with {type(error).__name__}. It stays parked.") from error
        return Done()

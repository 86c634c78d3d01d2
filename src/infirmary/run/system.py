"""What may be asked about the running system: event lag, parked events, health."""
from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Done, get, post
from infirmary.kernel.errors import Conflict, NotFound
from infirmary.kernel.outbox import OLDEST, WAITING
from infirmary.language import ADMIN

if TYPE_CHECKING:
    from .house import House


class ServiceState(Struct, frozen=True, kw_only=True):
    """One context: facts not yet delivered, how long the oldest has waited (seconds), facts parked."""

    context: str
    facts_waiting: int
    oldest_waits_seconds: float
    parked: int


class ParkedEvent(Struct, frozen=True, kw_only=True):
    """A fact that a context could not handle. Its content is not shown: it may name people."""

    id: UUID
    context: str
    kind: str
    happened_at: datetime
    parked_at: datetime
    why: str


class StillFails(Conflict):
    """It could not be handled this time either. It stays parked."""


class System(Contract, context="system"):
    @get("/system/services", allow={ADMIN: ANY})
    async def services(self, caller: Caller) -> list[ServiceState]:
        """Every context with its event lag and parked events."""

    @get("/system/events/parked", allow={ADMIN: ANY})
    async def parked(self, caller: Caller) -> list[ParkedEvent]:
        """Events that were set aside after several tries."""

    @post("/system/events/{context}/{event_id}/replay", allow={ADMIN: ANY}, refuses=[NotFound, StillFails])
    async def replay(self, caller: Caller, context: str, event_id: UUID) -> Done:
        """Try a parked event again."""


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

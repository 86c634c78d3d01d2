"""What may be asked about the running system: event lag and parked events."""
from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Done, Instant, get, post
from infirmary.kernel.errors import Conflict, NotFound
from infirmary.language import ADMIN


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
    happened_at: Instant
    parked_at: Instant
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

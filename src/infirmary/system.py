"""What may be asked about the running system: who runs, event lag and parked events."""
from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Done, Instant, get, post
from infirmary.kernel.errors import Conflict, NotFound
from infirmary.language import ADMIN, SERVICE


class Running(Struct, frozen=True, kw_only=True):
    """One running copy of a service, as the registry knows it, and the version of the configuration it has taken."""

    id: str
    url: str
    pid: int
    version: str
    config_version: int


class ServiceState(Struct, frozen=True, kw_only=True):
    """One context: facts not yet delivered, how long the oldest has waited (seconds), facts parked.

    `answers` is False where nobody of it could be asked; its figures are zero then. `instances` is empty in one process.
    """

    context: str
    facts_waiting: int
    oldest_waits_seconds: float
    parked: int
    answers: bool = True
    instances: list[Running] = []


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
        """Every context with its event lag and parked events, and who runs it."""

    @get("/system/events/parked", allow={ADMIN: ANY})
    async def parked(self, caller: Caller) -> list[ParkedEvent]:
        """Events that were set aside after several tries."""

    @post("/system/events/{context}/{event_id}/replay", allow={ADMIN: ANY}, refuses=[NotFound, StillFails])
    async def replay(self, caller: Caller, context: str, event_id: UUID) -> Done:
        """Try a parked event again."""


class Backstage(Contract, context="backstage"):
    """What the process that answers for the system asks each of the others."""

    @get("/backstage/{context}/state", allow={SERVICE: ANY}, refuses=[NotFound])
    async def state(self, caller: Caller, context: str) -> ServiceState:
        """How it stands with one context that runs here."""

    @get("/backstage/{context}/parked", allow={SERVICE: ANY}, refuses=[NotFound])
    async def parked(self, caller: Caller, context: str) -> list[ParkedEvent]:
        """What this context has set aside."""

    @post("/backstage/{context}/parked/{event_id}/replay", allow={SERVICE: ANY}, refuses=[NotFound, StillFails])
    async def replay(self, caller: Caller, context: str, event_id: UUID) -> Done:
        """Try one of them again."""

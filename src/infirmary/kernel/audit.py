"""Audit entries: who did what to whose record. They leave in the transaction of the effect, as facts of their own."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from .events import Event


class Audited(Event, frozen=True, kw_only=True):
    """One entry. Each is its own aggregate (version 1), so that no entry waits for another.

    `subject_id` is the person whose record is concerned; `entity` what was touched, as `type/id`;
    `detail` short words and nothing confidential. Modelled on FHIR AuditEvent (agent, entity, outcome).
    """

    at: datetime
    context: str
    action: str
    outcome: str
    actor_id: UUID | None
    actor_name: str
    actor_roles: list[str]
    subject_id: UUID | None
    entity: str
    detail: dict[str, str]
    request_id: str
    address: str

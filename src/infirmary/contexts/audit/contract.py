"""What may be asked of the audit trail."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Instant, Limit, Page, get
from infirmary.language import ADMIN, AUDITOR, SearchText


class AuditEvent(Struct, frozen=True, kw_only=True):
    """FHIR AuditEvent in short: who (`actor`), did what (`action`, `outcome`), to what (`entity`), of whom
    (`patient_id`), when, from where."""

    id: UUID
    at: Instant
    context: str
    action: str
    outcome: str
    actor_id: UUID | None
    actor_name: str
    actor_roles: list[str]
    patient_id: UUID | None
    entity: str
    detail: dict[str, str]
    request_id: str
    address: str


class Audit(Contract, context="audit"):
    @get("/audit-events", allow={ADMIN: ANY, AUDITOR: ANY})
    async def audit_events(self, caller: Caller, actor: SearchText | None = None, patient_id: UUID | None = None,
                           action: Annotated[str, Meta(max_length=80)] | None = None,
                           entity: Annotated[str, Meta(max_length=120)] | None = None, from_: Instant | None = None,
                           to: Instant | None = None, limit: Limit = 25,
                           cursor: Cursor | None = None) -> Page[AuditEvent]:
        """Entries, newest first. `actor` is an account id or part of a name; `action` may end at a dot
        (`appointment.` finds every step of visits). Looking at the trail is itself audited."""

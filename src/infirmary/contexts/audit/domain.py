"""The rules of the trail: what an entry keeps, and how it is looked for."""
from __future__ import annotations

from uuid import UUID

from infirmary.kernel.audit import Audited

from .contract import AuditEvent

LONGEST_NAME = 191   # as far as every engine has it in an index
LONGEST_ENTITY = 191


def kept(event: Audited, entry_id: UUID) -> AuditEvent:
    """The entry, cut where it would not fit: the trail never refuses one."""
    return AuditEvent(
        id=entry_id, at=event.at, context=event.context[:40], action=event.action[:80], outcome=event.outcome[:20],
        actor_id=event.actor_id, actor_name=event.actor_name[:250], actor_roles=event.actor_roles,
        patient_id=event.subject_id, entity=event.entity[:LONGEST_ENTITY], detail=event.detail,
        request_id=event.request_id[:64], address=event.address[:64])


def account_of(actor: str) -> UUID | None:
    """The account that is meant, where an id was given and not a name."""
    try:
        return UUID(actor.strip())
    except ValueError:
        return None

"""Use cases of the audit trail."""
from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from infirmary.kernel.access import Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Page
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.events import Fact

from . import domain, tables
from .contract import Audit, AuditEvent


class AuditService(Audit):
    def __init__(self, kit: Kit) -> None:
        self.db = kit.db
        self._terms: set[tables.Term] = set()

    async def audit_events(self, caller: Caller, actor: str | None = None, patient_id: UUID | None = None,
                           action: str | None = None, entity: str | None = None, from_: datetime | None = None,
                           to: datetime | None = None, limit: int = 25, cursor: str | None = None) -> Page[AuditEvent]:
        asked: dict[str, Any] = {"actor": actor, "patient_id": patient_id, "action": action, "entity": entity,
                                 "from": from_, "to": to}
        async with self.db.reading() as reading:
            found, further = await tables.page(reading, _filters(**asked), after=cursor, limit=limit)
        async with self.db.transaction() as tx:   # which filters, never what for: it may be a name
            tx.audit("audit.searched", caller, subject_id=patient_id, entity="audit-events",
                     filters=",".join(name for name, value in asked.items() if value))
        return Page([one.shown for one in found], further)

    async def keep(self, event: Audited, fact: Fact) -> None:
        entry = domain.kept(event, fact.id)
        while True:
            try:
                return await self._keep(entry)
            except UniqueViolation as clash:
                if clash.on == tables.audit_event.name:   # kept is kept, however late it comes again
                    return None
                if clash.on != tables.audit_term.name:   # else another entry has just brought the same name or action
                    raise

    async def _keep(self, entry: AuditEvent) -> None:
        async with self.db.transaction(once=entry.id) as tx:
            await tables.keep(tx, entry, self._terms)


def _filters(actor: str | None, action: str | None, **others: Any) -> dict[str, Any]:
    found = {{"from": "from_"}.get(name, name): value for name, value in others.items() if value}
    if actor and (account_id := domain.account_of(actor)):
        found["actor_id"] = account_id
    elif actor and actor.strip():
        found["actor_key_like"] = tables.containing(actor)
    if action and action.endswith("."):
        found["action_like"] = tables.beginning(action)
    elif action:
        found["action"] = action
    return found

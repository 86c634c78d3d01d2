"""Words for tests about the audit trail."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from infirmary.contexts.audit.contract import Audit, AuditEvent
from infirmary.kernel.access import Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.bus import Consumer
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.events import Fact
from infirmary.kernel.outbox import OUTBOX, outbox
from infirmary.language import ADMIN, AUDITOR, Role

MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
_ALL = OUTBOX.find(order_by=[outbox.c.id])


def a_caller(role: Role, **subjects: UUID) -> Caller:
    account = new_id()
    return Caller(account_id=account, name=f"The {role}", roles=frozenset({role}),
                  subjects={"account_id": account, **subjects}, token="t")


admin, auditor = a_caller(ADMIN), a_caller(AUDITOR)


def an_entry(action: str = "patient.read", *, at: datetime = MONDAY, actor_name: str = "Amara Okafor",
             **more: Any) -> Audited:
    given = {"context": "patients", "outcome": "done", "actor_id": new_id(), "actor_roles": ["doctor"],
             "subject_id": None, "entity": "patient/1", "detail": {}, "request_id": "r-1", "address": "10.0.0.7", **more}
    return Audited(aggregate=new_id(), version=1, at=at, action=action, actor_name=actor_name, **given)


def as_delivered(entry: Audited) -> Fact:
    return Fact(new_id(), Audited.kind, entry.aggregate, 1, msgspec.json.decode(msgspec.json.encode(entry)), "r", MONDAY)


@dataclass
class Trail:
    """The audit trail alone on its database, asked through its contract."""

    ask: Audit
    db: Database
    clock: HeldClock
    hears: Consumer

    async def keep(self, *entries: Audited) -> list[Fact]:
        """As the relay delivers them."""
        facts = [as_delivered(entry) for entry in entries]
        for fact in facts:
            await self.hears.handle(fact, last=False)
        return facts

    async def found(self, **filters: Any) -> list[AuditEvent]:
        return (await self.ask.audit_events(auditor, **filters)).items

    async def actions(self, **filters: Any) -> list[str]:
        return [entry.action for entry in await self.found(**filters)]

    async def searches(self) -> list[Audited]:
        """What was written about looking at the trail."""
        async with self.db.reading() as reading:
            return [event for one in await reading.all(_ALL) if isinstance(event := one.fact.event, Audited)]

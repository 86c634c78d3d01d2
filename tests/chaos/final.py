"""What the databases hold when everything has come to rest."""
from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select

from infirmary.contexts.appointments import tables as appointments
from infirmary.contexts.audit.tables import audit_event
from infirmary.contexts.reports import tables as reports
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.kernel.outbox import ALL_PARKED, WAITING, inbox, outbox
from infirmary.run.catalogue import CONTEXTS

from .history import Final, FinalVisit

REST = 120.0   # seconds that the backlog may take


class Announced(Struct, frozen=True):
    id: UUID
    kind: str
    aggregate: UUID
    version: int




FACTS = Query(select(outbox.c.id, outbox.c.kind, outbox.c.aggregate, outbox.c.version), Announced)
HANDLED = Query(select(inbox.c.fact_id), UUID)
AUDITED = Query(select(audit_event.c.id), UUID)
VISITS = appointments.VISITS.find()
OCCUPIED = appointments.taken.OCCUPANCY.find()
STEPS = appointments.STEPS.find()
REPORTED = reports.VISITS.find()


async def at_rest(url: Callable[[str], str]) -> Final:
    """Waits until nothing is on its way any more (or REST is over), then reads everything."""
    async with AsyncExitStack() as opened:
        dbs = {}
        for context in CONTEXTS:
            dbs[context.name] = db = await Database.open(url(context.name), context.name, size=2)
            opened.push_async_callback(db.close)
        until, before = monotonic() + REST, -1
        while monotonic() < until:
            waiting, handled = 0, 0
            for db in dbs.values():
                async with db.reading() as reading:
                    waiting += await reading.one(WAITING) or 0
                    handled += len(await reading.all(HANDLED))
            if waiting == 0 and handled == before:
                break
            before = handled
            await asyncio.sleep(3)
        facts, inboxes, unpublished, parked = {}, {}, {}, {}
        for name, db in dbs.items():
            async with db.reading() as reading:
                facts[name] = [(one.id, one.aggregate, one.version, one.kind) for one in await reading.all(FACTS)]
                inboxes[name] = await reading.all(HANDLED)
                unpublished[name] = await reading.one(WAITING) or 0
                parked[name] = len(await reading.all(ALL_PARKED))
        steps: dict[UUID, list[int]] = defaultdict(list)
        async with dbs["appointments"].reading() as reading:
            visits = [FinalVisit(one.id, one.doctor_id, one.patient_id, one.starts_at, one.ends_at, one.status.value,
                                 one.version) for one in await reading.all(VISITS)]
            occupied = [(one.resource_id, one.grain, one.appointment_id) for one in await reading.all(OCCUPIED)]
            for step in await reading.all(STEPS):
                steps[step.appointment_id].append(step.version)
        async with dbs["reports"].reading() as reading:
            reported = {one.visit_id: (one.version, one.status.value) for one in await reading.all(REPORTED)}
        async with dbs["audit"].reading() as reading:
            audited = await reading.all(AUDITED)
    return Final(visits=visits, occupied=occupied, facts=facts, handled=inboxes, unpublished=unpublished, parked=parked,
                 reported=reported, steps=dict(steps), audited=audited)

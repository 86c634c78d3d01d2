"""Who and what is to take part in a visit, as it is known now, and when they are free."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import DeskAsksColleagues, Obstacle, ObstacleCode, Participant
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.appointments.domain.obstacles import obstacle
from infirmary.contexts.appointments.domain.participants import ALONE, Company, KeptResource
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables import participants as rows
from infirmary.kernel.access import Caller
from infirmary.kernel.database.db import Reading

from .base import AROUND, busy_grains

OFFERED = 5   # others of the kind, beside one that is taken


async def company(reading: Reading, ids: Iterable[UUID]) -> Company:
    """Each once, in the order asked for."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return ALONE
    doctors = {one.doctor_id: one for one in await reading.all(tables.SCHEDULES_OF, ids=wanted)}
    things = {one.id: one for one in await reading.all(rows.RESOURCES_OF, ids=wanted)}
    return Company([doctors[one] for one in wanted if one in doctors], [things[one] for one in wanted if one in things],
                   [one for one in wanted if one not in doctors and one not in things])


async def company_of(reading: Reading, visit: Visit) -> Company:
    return await company(reading, [one.id for one in visit.participants])


def may_ask(caller: Caller, company: Company, already: Iterable[Participant] = ()) -> None:
    """Doctors plan their own time, and not that of colleagues."""
    if not caller.unlimited and company.without(already).doctors:
        raise DeskAsksColleagues


async def company_taken(reading: Reading, company: Company, begins: datetime, ends: datetime, own: Collection[UUID | None], *,
                        now: datetime, offers: bool) -> list[Obstacle]:
    """Whose time is taken, from when until when, and `offers`: others of the kind that are free then."""
    if company == ALONE:
        return []
    time = hours.grains(begins, ends)
    busy: defaultdict[tuple[UUID, bool], set[int]] = defaultdict(set)
    taken = [row for row in await reading.all(
        tables.taken.OCCUPIED, resources=company.ids, since=time.start - AROUND, until=time.stop + AROUND)
        if row.appointment_id not in own]
    holds = {hold.id: hold for hold in await reading.all(
        tables.holds.HOLDS_OF, ids=list({row.appointment_id for row in taken if row.grain in time}))} if taken else {}
    for row in taken:
        if row.appointment_id not in holds or holds[row.appointment_id].expires_at > now:
            busy[row.resource_id, row.appointment_id in holds].add(row.grain)
    found = []
    for one in company.doctors:
        for code, held in ((ObstacleCode.DOCTOR_TAKEN, False), (ObstacleCode.TIME_HELD, True)):
            found += [obstacle(code, whose="doctor", name=one.doctor_name, participant_id=one.doctor_id, starts_at=since,
                               ends_at=until) for since, until in hours.clashes(time, busy[one.doctor_id, held])]
    for thing in company.things:
        if clashes := hours.clashes(time, busy[thing.id, False]):
            others = await _others(reading, thing, begins, ends, company, now) if offers else []
            found += [obstacle(ObstacleCode.RESOURCE_TAKEN, whose="resource", name=thing.name, participant_id=thing.id,
                               starts_at=since, ends_at=until, others=others) for since, until in clashes]
    return found


async def _others(reading: Reading, thing: KeptResource, begins: datetime, ends: datetime, company: Company, now: datetime,
                  ) -> list[Participant]:
    """Of the same kind, of its department or of the whole hospital, and free."""
    alike = [one for one in await reading.all(rows.TO_BE_HAD) if one.kind is thing.kind and one.id not in company.ids
             and one.department_id in (thing.department_id, None)]
    busy = await busy_grains(reading, [one.id for one in alike], begins, begins, now=now)
    wanted = hours.grains(begins, ends)
    return [one.participant for one in alike if busy[one.id].isdisjoint(wanted)][:OFFERED]

"""How many visits a doctor takes on a day."""
from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import DayIsFull
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables.days import DAYS, KEPT, TURN, Day
from infirmary.kernel.database.db import Database, Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation


class Limit(NamedTuple):
    """At most so many visits of this doctor may begin from `since` until `until`; `own` is not counted, holds that last at
    `now` are."""

    doctor_id: UUID
    since: datetime
    until: datetime
    most: int
    own: UUID
    now: datetime


def limit_of(schedule: Schedule, wanted: Visit | Hold, zone: ZoneInfo, now: datetime) -> Limit | None:
    if schedule.most_per_day is None:
        return None
    since, until = _day(hours.day_of(wanted.starts_at, zone), zone)
    return Limit(schedule.doctor_id, since, until, schedule.most_per_day, wanted.id, now)


async def prepare(db: Database, limit: Limit) -> None:
    """The row of the day, for all who will count it."""
    async with db.reading() as reading:
        if await reading.one(KEPT, doctor=limit.doctor_id, since=limit.since) is not None:
            return
    with contextlib.suppress(UniqueViolation):
        async with db.transaction() as tx:
            DAYS.add(tx, Day(limit.doctor_id, limit.since))


async def count_in(tx: Transaction, limit: Limit) -> None:
    """Refuse when the day is full. The row is held until the commit, so of two for the last place one waits, and then sees
    what the other has taken."""
    await tx.run(TURN, doctor=limit.doctor_id, since=limit.since)
    if len(await _starts(tx, [limit.doctor_id], limit.since, limit.until, now=limit.now, own=[limit.own])) >= limit.most:
        raise DayIsFull


async def full_days(reading: Reading, schedules: Iterable[Schedule], since: datetime, until: datetime, zone: ZoneInfo, *,
                    now: datetime, patient_id: UUID | None = None, own: Collection[UUID | None] = ()) -> dict[UUID, list[range]]:
    """The grains of the days that begin in this time and take no more; the patient's own hold leaves room for them."""
    limited = {one.doctor_id: one.most_per_day for one in schedules if one.most_per_day is not None}
    if not limited:
        return {}
    first, last = hours.day_of(since, zone), hours.day_of(until, zone)
    starts = await _starts(reading, list(limited), _day(first, zone)[0], _day(last, zone)[1], now=now, own=own,
                           patient_id=patient_id)
    taken = Counter((doctor_id, hours.day_of(at, zone)) for doctor_id, at in starts)
    full: dict[UUID, list[range]] = {doctor_id: [] for doctor_id in limited}
    for (doctor_id, day), visits in taken.items():
        if visits >= limited[doctor_id]:
            full[doctor_id].append(hours.grains(*_day(day, zone)))
    return full


async def _starts(reading: Reading, doctors: list[UUID], since: datetime, until: datetime, *, now: datetime,
                  own: Collection[UUID | None] = (), patient_id: UUID | None = None) -> list[tuple[UUID, datetime]]:
    """When the visits that count begin, and the times that are held; what is booked over others does not count."""
    visits = await reading.all(tables.COUNTED, doctors=doctors, since=since, until=until)
    holds = await reading.all(tables.holds.LIVING, doctors=doctors, since=since, until=until, now=now)
    return [*((one.doctor_id, one.starts_at) for one in visits if one.id not in own),
            *((one.doctor_id, one.starts_at) for one in holds if one.id not in own and one.holder_id != patient_id)]


def _day(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return hours.start_of_day(day, zone), hours.start_of_day(day + timedelta(days=1), zone)

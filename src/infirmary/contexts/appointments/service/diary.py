"""A diary as it changes, for everybody who looks at it."""
from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.domain import hours
from infirmary.kernel import stream
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Stream

from .base import Base, there
from .free_times import must_be_short


class Seen(NamedTuple):
    """Enough to see that something is not as it was: no visit changes without a new version, nothing is held, and
    nothing comes free, without a row more or less."""

    hours: int
    visits: tables.Tally
    taken: int


class Diary(Base):
    async def diary_changes(self, caller: Caller, doctor_id: UUID, from_: datetime, to: datetime) -> Stream:
        caller.must_reach(doctor_id=doctor_id)
        must_be_short(from_, to)
        async with self.db.reading() as reading:
            there(await tables.SCHEDULES.get(reading, doctor_id))
        return Stream(stream.changes(partial(self._look, doctor_id, from_, to), _told))

    async def _look(self, doctor_id: UUID, since: datetime, until: datetime) -> Seen:
        time = hours.grains(since, until)
        async with self.db.reading() as reading:
            schedule = there(await tables.SCHEDULES.get(reading, doctor_id))
            visits = await reading.one(tables.TALLY, doctor_id=doctor_id, since=since, until=until)
            taken = await reading.one(tables.taken.TAKEN, resource=doctor_id, since=time.start, until=time.stop)
        return Seen(schedule.version, there(visits), taken or 0)


def _told(before: Seen | None, seen: Seen) -> bytes:
    if before is None:
        return b": here\n\n"
    return stream.event("diary", {}) if seen != before else b""

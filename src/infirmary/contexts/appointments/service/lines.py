"""The queues of today, as every deed that changes one finds and leaves them."""
from __future__ import annotations

import asyncio
import contextlib
from datetime import date, datetime, timedelta
from uuid import UUID

from msgspec import to_builtins
from msgspec.structs import replace

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import Mode, Status
from infirmary.contexts.appointments.contract.queue import Delay, TokenStatus
from infirmary.contexts.appointments.domain import hours, queue
from infirmary.contexts.appointments.domain.queue import Line, Token
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables import queue as rows
from infirmary.kernel.context import Kit
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation

from .base import Base, busy_grains

FOLLOWED = {Status.CHECKED_IN, Status.IN_PROGRESS, Status.COMPLETED, Status.NO_SHOW}


class Lines(Base):
    """Whoever changes a queue locks its row before any other, so that nobody waits for each other in a circle."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.watching: set[asyncio.Event] = set()   # of those who look at a queue

    def line_today(self, department_id: UUID) -> UUID:
        return queue.line_id(department_id, self.today)

    @property
    def today(self) -> date:
        return hours.day_of(self.clock.now(), self.zone)

    async def open_line(self, department_id: UUID, department_name: str) -> UUID:
        """Today's queue of a department, begun if it has not been."""
        line_id = self.line_today(department_id)
        async with self.db.reading() as reading:
            if await rows.LINES.get(reading, line_id):
                return line_id
        with contextlib.suppress(UniqueViolation):   # somebody else has begun it
            async with self.db.transaction() as tx:
                rows.LINES.add(tx, queue.opened(department_id, department_name, self.today))
        return line_id

    async def tell(self, tx: Transaction, line: Line, cause: Delay | None = None, back: UUID | None = None) -> Line:
        """Keep the locked queue, with what everybody in it is told from now on. `back`: who was called and not there."""
        told = await self.told_now(tx, line, cause, back)
        await rows.keep(tx, told)
        return told

    async def told_now(self, reading: Reading, line: Line, cause: Delay | None, back: UUID | None = None) -> Line:
        now = self.clock.now()
        tokens = await reading.all(rows.IN_LINE_OF, line_id=line.id)
        schedules = await reading.all(tables.ACTIVE_IN, department_id=line.department_id)
        took = await reading.all(rows.LATELY, department_id=line.department_id, since=now - queue.LOOKED_BACK,
                                 limit=queue.REMEMBERED)
        minutes = queue.minutes_lately([one.ended_at - one.called_at for one in took if one.ended_at and one.called_at],
                                       schedules)
        busy = await busy_grains(reading, [one.doctor_id for one in schedules], now, now + timedelta(hours=16), now=now)
        called = {one.doctor_id: one.called_at for one in tokens
                  if one.status is TokenStatus.CALLED and one.doctor_id and one.called_at}
        doctors = queue.at_work(schedules, busy, called, minutes, now=now, zone=self.zone)
        fresh = queue.foretold([one for one in tokens if one.status is TokenStatus.WAITING], doctors, minutes)
        told = queue.told_anew(line.known, fresh, cause, back)
        return replace(line, told=to_builtins({str(key): one for key, one in told.items()}), doctors=len(doctors),
                       minutes=minutes)

    def wake(self) -> None:
        for woken in self.watching:
            woken.set()

    # --- Visits that were booked --------------------------------------------------------------------------------------

    async def line_of(self, tx: Transaction, visit: Visit) -> Line | None:
        """The queue that a visit in its new state has to do with, locked."""
        if visit.status not in FOLLOWED or visit.mode is Mode.VIDEO:
            return None
        day = hours.day_of(visit.starts_at, self.zone)
        if visit.status is Status.CHECKED_IN and day != hours.day_of(visit.changed_at, self.zone):
            return None
        return await rows.locked(tx, queue.line_id(visit.department_id, day))

    async def follow(self, tx: Transaction, line: Line | None, visit: Visit) -> None:
        """What became of a visit, in the queue: who is checked in gets a number there, who is seen leaves it."""
        if line is None:
            return
        cause = None
        token = await tx.one(rows.OF_VISIT, line_id=line.id, appointment_id=visit.id)
        if token is None:
            if visit.status is not Status.CHECKED_IN:
                return
            token, cause = queue.checked_in(visit, token_id=new_id(), line=line, now=visit.changed_at), Delay.BOOKED_TIME
            rows.TOKENS.add(tx, token)
            line = replace(line, last_number=token.number)
        else:
            after = _after(token, visit)
            if after is None:
                return
            if after.status is TokenStatus.CALLED:
                cause = Delay.BOOKED_TIME
            await rows.TOKENS.save(tx, after)
        await self.tell(tx, line, cause)

    # --- Time passes --------------------------------------------------------------------------------------------------

    async def tend_queues(self) -> None:
        """Tell those who wait what has changed by itself, and close the queues of days that are over."""
        async with self.db.reading() as reading:
            lines = await reading.all(rows.OPEN_LINES)
        for line in lines:
            if line.day < self.today:
                await self.db.retry(self._close, line.id)
            else:
                await self.tell_anew(line)

    async def tell_anew(self, line: Line, cause: Delay | None = None) -> None:
        async with self.db.reading() as reading:
            if await self.told_now(reading, line, cause) == line:
                return
        await self.db.retry(self._tell_anew, line.id, cause)
        self.wake()

    async def _tell_anew(self, line_id: UUID, cause: Delay | None) -> None:
        async with self.db.transaction() as tx:
            if line := await rows.locked(tx, line_id):
                await self.tell(tx, line, cause)

    async def doctor_changed(self, department_id: UUID) -> None:
        async with self.db.reading() as reading:
            line = await rows.LINES.get(reading, self.line_today(department_id))
        if line is not None:
            await self.tell_anew(line, Delay.DOCTOR_LEFT)

    async def _close(self, line_id: UUID) -> None:
        """Who was called has been seen; who still waits is told that it was for nothing today."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            line = await rows.locked(tx, line_id)
            if line is None:
                return
            for token in await tx.all(rows.IN_LINE_OF, line_id=line.id):
                await self._end_of_day(tx, token, line, now)
            await rows.keep(tx, replace(line, told={}, closed=True))
        self.wake()

    async def _end_of_day(self, tx: Transaction, token: Token, line: Line, now: datetime) -> None:
        waited = token.status is TokenStatus.WAITING
        kept = await rows.TOKENS.save(tx, queue.over(
            token, TokenStatus.CLOSED if waited else TokenStatus.SEEN, now=now))
        if waited:
            tx.emit(events.NotSeenThatDay(aggregate=kept.id, version=kept.version, patient_id=kept.patient_id,
                                          department_name=line.department_name, number=kept.number))


def _after(token: Token, visit: Visit) -> Token | None:
    match visit.status:
        case Status.IN_PROGRESS if token.status is TokenStatus.WAITING:
            return queue.called(token, visit, room="", now=visit.changed_at)
        case Status.COMPLETED:
            return queue.over(token, TokenStatus.SEEN, now=visit.changed_at)
        case Status.NO_SHOW:
            return queue.over(token, TokenStatus.NO_SHOW, now=visit.changed_at)
    return None

"""Standing in line, and being called."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from msgspec.structs import replace

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import DoctorNotAvailable, Overbooking, Why
from infirmary.contexts.appointments.contract import queue as contract
from infirmary.contexts.appointments.contract.queue import (
    CallNext,
    Delay,
    HasANumber,
    NobodyToCall,
    NotInThisPlace,
    Precedence,
    PutBefore,
    TakeNumber,
    TokenStatus,
)
from infirmary.contexts.appointments.domain import hours, queue, visits
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.queue import Line, Token
from infirmary.contexts.appointments.domain.visits import Move, Visit
from infirmary.contexts.appointments.tables import queue as rows
from infirmary.contexts.patients.contract import PatientCard
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed, NotFound, StaleVersion

from .base import busy_grains, record, there
from .holding import HeldNoMoreError, Room, giving_way, make_way
from .lines import Lines

Changed = Callable[[Token], Token]
CAUSES = {Precedence.NONE: None, Precedence.EMERGENCY: Delay.EMERGENCY}   # any other: Delay.PRECEDENCE


class WalkIns(Lines):
    async def queue(self, caller: Caller, department_id: UUID | None = None,
                    doctor_id: UUID | None = None) -> contract.Queue:
        doctor_id = caller.only(doctor_id=doctor_id).get("doctor_id")
        async with self.db.reading() as reading:
            if doctor_id is not None:
                schedules = [there(await tables.SCHEDULES.get(reading, doctor_id))]
            elif department_id is not None:
                schedules = await reading.all(tables.ACTIVE_IN, department_id=department_id)
            else:
                raise Malformed(errors=[FieldError("department_id", "Name a department or a doctor.")])
            if not schedules or department_id not in (None, schedules[0].department_id):
                raise NotFound
            one = schedules[0]
            line = (await rows.LINES.get(reading, self.line_today(one.department_id))
                    or queue.opened(one.department_id, one.department_name, self.today, one.visit_minutes))
            tokens = await reading.all(rows.IN_LINE_OF, line_id=line.id)
        seen = [token for token in tokens if doctor_id is None or queue.may_be_called(token, doctor_id)]
        seen.sort(key=lambda token: (token.status is TokenStatus.WAITING, token.order))
        return contract.Queue(
            department_id=line.department_id, department_name=line.department_name, doctors=line.doctors,
            minutes=line.minutes, version=line.version,
            items=[queue.shown(token, line, now=self.clock.now(), named=caller.unlimited or token.doctor_id == doctor_id)
                   for token in seen])

    async def token_of(self, caller: Caller, token_id: UUID) -> contract.Token:
        async with self.db.reading() as reading:
            token = there(await rows.TOKENS.get(reading, token_id))
            line = there(await rows.LINES.get(reading, token.line_id))
        caller.must_reach(token)
        return queue.shown(token, line, now=self.clock.now())

    async def take_number(self, caller: Caller, body: TakeNumber) -> contract.Token:
        patient = await self.patients.card(caller, body.patient_id)
        async with self.db.reading() as reading:
            schedules = {one.doctor_id: one for one in
                         await reading.all(tables.ACTIVE_IN, department_id=body.department_id)}
        if not schedules:
            raise NotFound
        if body.doctor_id is not None and body.doctor_id not in schedules:
            raise DoctorNotAvailable
        line_id = await self.open_line(body.department_id, next(iter(schedules.values())).department_name)
        doctor_name = schedules[body.doctor_id].doctor_name if body.doctor_id else ""
        try:
            token = await self.db.retry(self._take_number, caller, body, line_id, patient, doctor_name)
        except UniqueViolation as no:
            if no.on != rows.ONE_IN_LINE:
                raise
            async with self.db.reading() as reading:
                kept = await reading.one(rows.IN_LINE_ABOUT, line_id=line_id, open_about=patient.id)
            raise HasANumber(token_id=str(kept.id) if kept else None, number=kept.number if kept else None) from no
        self.wake()
        return token

    async def _take_number(self, caller: Caller, body: TakeNumber, line_id: UUID, patient: PatientCard,
                           doctor_name: str) -> contract.Token:
        async with self.db.transaction() as tx:
            line = await _locked(tx, line_id)
            token = queue.walk_in(body, token_id=new_id(), line=line, patient=patient, doctor_name=doctor_name,
                                  now=self.clock.now())
            rows.TOKENS.add(tx, token)
            cause = CAUSES.get(token.precedence, Delay.PRECEDENCE)
            return await self._kept(tx, caller, token, replace(line, last_number=token.number), "taken", cause)

    async def put_before(self, caller: Caller, token_id: UUID, body: PutBefore) -> contract.Token:
        cause = CAUSES.get(body.precedence, Delay.PRECEDENCE) or Delay.REORDERED
        return await self._change(caller, token_id, partial(queue.put_before, precedence=body.precedence, note=body.note),
                                  "put_before", cause=cause)

    async def recall(self, caller: Caller, token_id: UUID) -> contract.Token:
        return await self._change(caller, token_id, partial(queue.recalled, now=self.clock.now()), "recalled")

    async def leave_queue(self, caller: Caller, token_id: UUID, body: Why) -> contract.Token:
        return await self._change(caller, token_id, partial(queue.left, now=self.clock.now()), "left")

    async def back_in_line(self, caller: Caller, token_id: UUID) -> contract.Token:
        return await self._change(caller, token_id, partial(queue.back_in_line, now=self.clock.now()), "put_back",
                                  cause=Delay.CAME_BACK, booked=visits.PUT_BACK, walk_in=visits.TAKE_BACK)

    async def not_there(self, caller: Caller, token_id: UUID) -> contract.Token:
        grace = timedelta(minutes=self.live.value.booking.grace_minutes)
        return await self._change(caller, token_id, partial(queue.not_there, now=self.clock.now(), grace=grace),
                                  "no_show", booked=visits.NOT_THERE, walk_in=visits.NOT_THERE)

    async def _change(self, caller: Caller, token_id: UUID, change: Changed, done: str, *, cause: Delay | None = None,
                      booked: Move | None = None, walk_in: Move | None = None) -> contract.Token:
        """`booked` and `walk_in`: what becomes of the visit with it."""
        async with self.db.reading() as reading:
            token = there(await rows.TOKENS.get(reading, token_id))
        caller.must_reach(token)
        move = walk_in if token.booked_at is None else booked
        while True:   # again when the visit was changed meanwhile
            try:
                shown = await self.db.retry(self._store_change, caller, token, change, done, cause, move)
            except StaleVersion:
                continue
            self.wake()
            if move is not None:
                self.freed.set()
            return shown

    async def _store_change(self, caller: Caller, token: Token, change: Changed, done: str, cause: Delay | None,
                            move: Move | None) -> contract.Token:
        async with self.db.transaction() as tx:
            line = await _locked(tx, token.line_id)
            token = there(await rows.TOKENS.get(tx, token.id))
            visit_id = token.appointment_id
            changed = await rows.TOKENS.save(tx, change(token))
            if move is not None and visit_id is not None:
                await self._move_visit(tx, caller, visit_id, move)
            return await self._kept(tx, caller, changed, line, done, cause)

    async def _move_visit(self, tx: Transaction, caller: Caller, visit_id: UUID, move: Move) -> Visit:
        before = there(await tables.VISITS.get(tx, visit_id))
        visit = visits.moved(before, move, now=self.clock.now(), zone=self.zone)
        if not await tables.change_state(tx, visit):
            raise StaleVersion
        await tables.taken.release(tx, visit, visits.freed(visit))
        record(tx, caller, visit, visits.event(move.event, visit, caller.account_id), move.done)
        return visit

    async def _kept(self, tx: Transaction, caller: Caller, token: Token, line: Line, done: str,
                     cause: Delay | None) -> contract.Token:
        """What every change leaves behind."""
        told = await self.tell(tx, line, cause, back=token.id if cause is Delay.CAME_BACK else None)
        tx.audit(f"queue.{done}", caller, subject_id=token.patient_id, entity=f"token/{token.id}", status=token.status)
        return tx.answer(queue.shown(token, told, now=self.clock.now()))

    # --- Calling ------------------------------------------------------------------------------------------------------

    async def call_next(self, caller: Caller, body: CallNext) -> contract.Token:
        caller.must_reach(doctor_id=body.doctor_id)
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, body.doctor_id)
        if schedule is None or not schedule.active:
            raise DoctorNotAvailable
        while True:   # again when somebody else took the time meanwhile: then it is not free the next time
            try:
                shown = await self.db.retry(self._call_next, caller, schedule, body.room.strip())
            except (HeldNoMoreError, StaleVersion):
                continue
            except UniqueViolation as no:
                if no.on != tables.taken.occupancy.name:
                    raise
                continue
            self.wake()
            return shown

    async def _call_next(self, caller: Caller, schedule: Schedule, room: str) -> contract.Token:
        now = self.clock.now()
        async with self.db.transaction() as tx:
            line = await rows.locked(tx, self.line_today(schedule.department_id))
            tokens = await tx.all(rows.IN_LINE_OF, line_id=line.id) if line else []
            waiting = sorted((one for one in tokens if one.status is TokenStatus.WAITING), key=lambda one: one.order)
            may = [one for one in waiting if queue.may_be_called(one, schedule.doctor_id)]
            if line is None or not may:
                raise NobodyToCall("Nobody waits for this doctor. Who is booked or takes a number stands here.")
            busy = await busy_grains(tx, {schedule.doctor_id, *(one.patient_id for one in may)}, now, now, now=now)
            for token in may:
                visit = await self._begin(tx, caller, token, schedule, busy, room)
                if visit is not None:
                    break
            else:
                raise _no_time(busy[schedule.doctor_id], now)
            called = await rows.TOKENS.save(tx, queue.called(token, visit, room=room, now=now))
            cause = Delay.BOOKED_TIME if token.booked_at is not None and token is not waiting[0] else None
            return await self._kept(tx, caller, called, line, "called", cause)

    async def _begin(self, tx: Transaction, caller: Caller, token: Token, schedule: Schedule,
                     busy: Mapping[UUID, AbstractSet[int]], room: str) -> Visit | None:
        """A booked visit has its time already; anybody else takes what is free now, as any visit takes it. An emergency
        does not wait for that: it begins over whatever the doctor has."""
        if token.appointment_id is not None:
            return await self._move_visit(tx, caller, token.appointment_id, visits.START)
        now, theirs = self.clock.now(), busy[token.patient_id]
        begun = partial(queue.visit_now, token, schedule, visit_id=new_id(), room=room, by=caller.account_id, now=now,
                        zone=self.zone)
        visit = begun(busy[schedule.doctor_id] | theirs)
        if visit is None and token.precedence is Precedence.EMERGENCY and (visit := begun(theirs)):
            visit = visits.over(visit, await tables.taken.lane_over(tx, visit), Overbooking.URGENT)
        if visit is None:
            return None
        await make_way(tx, Room(await giving_way(tx, visit, None, now)))
        tables.taken.OCCUPANCY.add(tx, *tables.taken.occupied(visit))
        tables.VISITS.add(tx, visit)
        record(tx, caller, visit, visits.event(events.VisitStarted, visit, caller.account_id), visits.START.done)
        return visit


async def _locked(tx: Transaction, line_id: UUID) -> Line:
    line = await rows.locked(tx, line_id)
    if line is None:
        raise NotInThisPlace("The queue of that day is closed. Take a number for today.")
    return line


def _no_time(busy: set[int], now: datetime) -> NobodyToCall:
    grain = hours.seconds(now) // hours.GRAIN
    while grain in busy or grain + 1 in busy:
        grain += 1
    until = hours.instant(grain * hours.GRAIN)
    return NobodyToCall("Who waits has no booked time, and the doctor's time is taken for now. If that visit is over, complete "
                        "it; if its patient has not come, say so or move it. Or call again when the time is free.",
                        free_from=until.isoformat())

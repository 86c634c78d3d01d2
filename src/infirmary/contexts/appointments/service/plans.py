"""Visits that stand in a doctor's leave: finding them, proposing where they go, and moving them, each on its own."""
from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from msgspec.structs import replace

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import (
    DayIsFull,
    DoctorNotAvailable,
    RescheduleAppointment,
    SlotNotOffered,
    TimeIsPast,
    TimeIsTaken,
)
from infirmary.contexts.appointments.contract.plans import (
    FreeTime,
    ItemStatus,
    MakePlan,
    MovePlan,
    NothingToMove,
    PlanAtWork,
    PlanIsOver,
    PlanLine,
    PlanStatus,
    Target,
    UnderLeave,
    Unmoved,
)
from infirmary.contexts.appointments.domain import hours, plans, visits
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.plans import Diaries, Item, Plan
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables import plans as rows
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.database.statement import Query
from infirmary.kernel.errors import FieldError, Malformed, Refusal, StaleVersion

from .base import busy_grains, record, there
from .booking import Booking, put_elsewhere
from .company import company_of
from .days import full_days, limit_of
from .holding import Room

LOOKS_EVERY = 5.0   # seconds, when nobody wakes it: for plans that another process was asked to carry out
WHY = {SlotNotOffered: Unmoved.NOT_OFFERED, TimeIsPast: Unmoved.TIME_PAST, DoctorNotAvailable: Unmoved.DOCTOR_LEFT}


class MovingTogether(Booking):
    # --- Looking ------------------------------------------------------------------------------------------------------

    async def under_leave(self, caller: Caller, doctor_id: UUID | None = None, from_: datetime | None = None,
                          to: datetime | None = None) -> list[UnderLeave]:
        within, now = caller.only(doctor_id=doctor_id), self.clock.now()
        if (from_ is None) != (to is None) or (from_ is not None and not within):
            raise Malformed(errors=[FieldError("from", "Name a doctor, from and until; or nothing, for all leave.")])
        async with self.db.reading() as reading:
            doctors = ([there(await tables.SCHEDULES.get(reading, within["doctor_id"]))] if within else
                       await reading.all(tables.ALL_SCHEDULES))
            if from_ is not None and to is not None:
                plans.span(from_, to)
                return [await _hit(reading, doctors[0], from_, to, now)]
            found = [await _hit(reading, doctor, begins, ends, now) for doctor in doctors
                     for begins, ends in ((hours.instant(one[0]), hours.instant(one[1])) for one in doctor.away)
                     if ends > now]
        return sorted((one for one in found if one.count or one.accompanied),
                      key=lambda one: (one.starts_at, one.doctor_name))

    async def plans(self, caller: Caller, doctor_id: UUID | None = None, limit: int = 25,
                    cursor: str | None = None) -> Page[PlanLine]:
        within = caller.only(doctor_id=doctor_id)
        async with self.db.reading() as reading:
            found, following = await rows.pages(frozenset(within)).page(reading, after=cursor, limit=limit, **within)
        return Page([plans.line(one) for one in found], following)

    async def plan(self, caller: Caller, plan_id: UUID) -> MovePlan:
        async with self.db.reading() as reading:
            plan = await _plan(reading, caller, plan_id)
            return await _shown(reading, plan)

    async def times_for(self, caller: Caller, plan_id: UUID, appointment_id: UUID) -> list[FreeTime]:
        now = self.clock.now()
        async with self.db.reading() as reading:
            plan = await _plan(reading, caller, plan_id)
            await _item(reading, plan, appointment_id)
            visit = there(await tables.VISITS.get(reading, appointment_id))
            diaries = await self._diaries(reading, plan, [visit], now)
            for item in await reading.all(rows.ITEMS_OF, plan_id=plan.id):
                if item.status is ItemStatus.PROPOSED and item.appointment_id != visit.id:
                    diaries.give(visit, plans.target(item))
        return plans.choices(diaries, visit)

    # --- Planning -----------------------------------------------------------------------------------------------------

    async def make_plan(self, caller: Caller, body: MakePlan) -> MovePlan:
        caller.must_reach(doctor_id=body.doctor_id)
        plans.span(body.starts_at, body.ends_at)
        now = self.clock.now()
        async with self.db.reading() as reading:
            doctor = there(await tables.SCHEDULES.get(reading, body.doctor_id))
            standing = await _standing(reading, doctor, body.starts_at, body.ends_at, now)
            plan = plans.make(body, doctor, plan_id=new_id(), left_over=max(0, len(standing) - plans.MOST),
                              by=_by(caller), own_only=not caller.unlimited, now=now)
            if not standing:
                raise NothingToMove
            standing = standing[:plans.MOST]
            items = plans.propose(plan, standing, await self._diaries(reading, plan, standing, now), new_id)
        return await self.db.retry(self._keep_plan, caller, plan, items)

    async def _keep_plan(self, caller: Caller, plan: Plan, items: Sequence[Item]) -> MovePlan:
        async with self.db.transaction() as tx:
            rows.PLANS.add(tx, plan)
            rows.ITEMS.add(tx, *items)
            _audit(tx, caller, plan, "made")
            return tx.answer(await _shown(tx, plan, items))

    async def _diaries(self, reading: Reading, plan: Plan, standing: Sequence[Visit], now: datetime) -> Diaries:
        since, until = plans.window(standing, now=now)
        doctor = there(await tables.SCHEDULES.get(reading, plan.doctor_id))
        doctors = plans.among(plan.whither, doctor, await reading.all(tables.ACTIVE), (plan.starts_at, plan.ends_at))
        companies = {one.id: await company_of(reading, one) for one in standing}
        busy = await busy_grains(reading, {
            *(one.doctor_id for one in doctors), *(one.patient_id for one in standing),
            *(one for company in companies.values() for one in company.ids)}, since, until, now=now)
        for doctor_id, days in (await full_days(reading, doctors, since, until, self.zone, now=now)).items():
            busy[doctor_id].update(*days)
        for visit in standing:   # nobody is in their own way
            for whose in (visit.patient_id, *(one.id for one in visit.participants)):
                busy[whose].difference_update(hours.grains(visit.starts_at, visit.ends_at))
        return Diaries(doctors, busy, companies, since=since, until=until, zone=self.zone)

    async def set_target(self, caller: Caller, plan_id: UUID, appointment_id: UUID, body: Target,
                         if_match: int) -> MovePlan:
        if body.doctor_id is not None:
            caller.must_reach(doctor_id=body.doctor_id)   # the new diary too
        async with self.db.reading() as reading:
            plan = await _plan(reading, caller, plan_id)
            item = await _item(reading, plan, appointment_id)
            visit = there(await tables.VISITS.get(reading, appointment_id))
        if plan.version != if_match:
            raise StaleVersion
        if plan.status in (PlanStatus.APPLYING, PlanStatus.UNDOING):
            raise PlanAtWork
        if plan.status is PlanStatus.UNDONE or item.status not in (ItemStatus.PROPOSED, ItemStatus.STANDING):
            raise PlanIsOver
        time = await self._possible(plan, item, visit, body) if body.starts_at else None
        return await self.db.retry(self._keep_target, caller, plan, plans.aimed(item, time, Unmoved.LEFT_OUT))

    async def _possible(self, plan: Plan, item: Item, visit: Visit, body: Target) -> FreeTime:
        """By the rules and by what is free just now: told early, although it is decided later."""
        assert body.starts_at is not None
        doctor_id = body.doctor_id or plan.doctor_id
        async with self.db.reading() as reading:
            schedule = await tables.SCHEDULES.get(reading, doctor_id)
            wish = RescheduleAppointment(starts_at=body.starts_at, doctor_id=doctor_id)
            time = plans.free_time(schedule, wish.starts_at, item)
            after = plans.moved(plan, plans.aimed(item, time, Unmoved.LEFT_OUT), visit, schedule,
                                await company_of(reading, visit), now=self.clock.now(), zone=self.zone)
            everybody = [after.doctor_id, after.patient_id, *(one.id for one in after.participants)]
            busy = await busy_grains(reading, everybody, after.starts_at, after.ends_at, now=self.clock.now())
            others = [one for one in await reading.all(rows.ITEMS_OF, plan_id=plan.id)
                      if one.status is ItemStatus.PROPOSED and one.id != item.id]
        wanted, own = hours.grains(after.starts_at, after.ends_at), hours.grains(visit.starts_at, visit.ends_at)
        for other in map(plans.target, others):
            busy[other.doctor_id].update(hours.grains(other.starts_at, other.ends_at))
        if any((set(wanted) - (set(own) if whose != after.doctor_id or whose == visit.doctor_id else set())) & busy[whose]
               for whose in everybody):
            raise TimeIsTaken("Somebody has this time already, or another visit of the plan goes there. Choose another.")
        return time

    async def _keep_target(self, caller: Caller, plan: Plan, item: Item) -> MovePlan:
        async with self.db.transaction() as tx:
            kept = await rows.PLANS.save(tx, plan)
            await rows.ITEMS.save(tx, item)
            _audit(tx, caller, kept, "edited")
            return tx.answer(await _shown(tx, kept))

    # --- Carrying it out ----------------------------------------------------------------------------------------------

    async def apply_plan(self, caller: Caller, plan_id: UUID, if_match: int | None = None) -> MovePlan:
        return await self._set_to_work(caller, plan_id, if_match, PlanStatus.APPLYING)

    async def undo_plan(self, caller: Caller, plan_id: UUID, if_match: int | None = None) -> MovePlan:
        return await self._set_to_work(caller, plan_id, if_match, PlanStatus.UNDOING)

    async def _set_to_work(self, caller: Caller, plan_id: UUID, if_match: int | None, work: PlanStatus) -> MovePlan:
        """Asked again while it is at work or has nothing left to do, it changes nothing."""
        while True:
            async with self.db.reading() as reading:
                plan = await _plan(reading, caller, plan_id)
                known = await reading.all(rows.ITEMS_OF, plan_id=plan.id)
                due = any(plans.is_due(item, back=work is PlanStatus.UNDOING) for item in known)
                if plan.status is work or (plan.status is plans.AFTER[work] and not due):
                    return await _shown(reading, plan, known)
            if if_match not in (None, plan.version):
                raise StaleVersion
            if plan.status in (PlanStatus.APPLYING, PlanStatus.UNDOING):
                raise PlanAtWork
            if plan.status is PlanStatus.UNDONE and work is PlanStatus.APPLYING:
                raise PlanIsOver
            by_account, by_name, by_roles = _by(caller)
            try:
                answer = await self.db.retry(self._start_work, caller, replace(
                    plan, status=work, by_account=by_account, by_name=by_name, by_roles=by_roles))
            except StaleVersion:
                continue
            self.planned.set()
            return answer

    async def _start_work(self, caller: Caller, plan: Plan) -> MovePlan:
        async with self.db.transaction() as tx:
            kept = await rows.PLANS.save(tx, plan)
            _audit(tx, caller, kept, kept.status.value)
            return tx.answer(await _shown(tx, kept))

    async def tend_plans(self) -> None:
        """Wait until there may be a plan to carry out, and do it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_EVERY):
                await self.planned.wait()
        self.planned.clear()
        await self.carry_out_plans()

    async def carry_out_plans(self) -> None:
        """Whatever is at work, from where it stopped. Any number of processes may do this at once, and any may be killed:
        the version of each item decides who moves its visit, in the transaction that moves it."""
        async with self.db.reading() as reading:
            at_work = await reading.all(rows.AT_WORK)
        for plan in at_work:
            back = plan.status is PlanStatus.UNDOING
            async with self.db.reading() as reading:
                items = await reading.all(rows.ITEMS_OF, plan_id=plan.id)
            for item in items:
                if plans.is_due(item, back=back):
                    await self._carry_out(plan, item, self._back if back else self._there)
            with contextlib.suppress(StaleVersion):
                await self.db.retry(self._finish, plan)
        if at_work:
            self.freed.set()

    async def _carry_out(self, plan: Plan, item: Item,
                         where_to: Callable[[Reading, Plan, Item, Visit], Awaitable[Visit | Unmoved]]) -> None:
        while True:
            async with self.db.reading() as reading:
                item = there(await rows.ITEMS.get(reading, item.id))
                work = there(await rows.PLANS.get(reading, plan.id)).status   # after the item, which is edited at rest only
                if work is not plan.status or not plans.is_due(item, back=work is PlanStatus.UNDOING):
                    return   # somebody else has seen to it
                visit = there(await tables.VISITS.get(reading, item.appointment_id))
                after = await where_to(reading, plan, item, visit)
                doctor = isinstance(after, Visit) and plan.status is PlanStatus.APPLYING and await tables.SCHEDULES.get(
                    reading, after.doctor_id)   # back where it was there is room
            try:
                if isinstance(after, Unmoved):
                    await self.db.retry(self._leave_it, plan, item, after)
                else:
                    room = Room(limit=limit_of(doctor, after, self.zone, self.clock.now()) if doctor else None)
                    await self.taking(after, partial(self._move_item, plan, item, visit, after), room, own=None)
                return
            except StaleVersion:
                continue   # the visit or the item was changed just now: look again
            except (UniqueViolation, DayIsFull) as no:
                if isinstance(no, UniqueViolation) and no.on != tables.taken.occupancy.name:
                    raise
                with contextlib.suppress(StaleVersion):
                    await self.db.retry(self._leave_it, plan, item, Unmoved.TIME_TAKEN)

    async def _there(self, reading: Reading, plan: Plan, item: Item, visit: Visit) -> Visit | Unmoved:
        if not plans.at_origin(plan, item, visit) or item.to_doctor_id is None:
            return Unmoved.CHANGED_SINCE
        schedule = await tables.SCHEDULES.get(reading, item.to_doctor_id)
        try:
            return plans.moved(plan, item, visit, schedule, await company_of(reading, visit), now=self.clock.now(),
                               zone=self.zone)
        except Refusal as no:
            return WHY.get(type(no), Unmoved.NOT_OFFERED)

    async def _back(self, reading: Reading, plan: Plan, item: Item, visit: Visit) -> Visit | Unmoved:
        if not plans.at_target(item, visit):
            return Unmoved.CHANGED_SINCE
        doctor = await tables.SCHEDULES.get(reading, plan.doctor_id)
        return plans.moved_back(item, visit, doctor, now=self.clock.now(), zone=self.zone)

    async def _move_item(self, plan: Plan, item: Item, before: Visit, after: Visit, room: Room) -> None:
        back = plan.status is PlanStatus.UNDOING
        async with self.db.transaction() as tx:
            await rows.ITEMS.save(tx, replace(item, status=ItemStatus.MOVED_BACK if back else ItemStatus.MOVED, why=None))
            await put_elsewhere(tx, before, after, room)
            fact = visits.event(
                events.AppointmentRescheduled, after, plan.by_account, previous_starts_at=before.starts_at,
                previous_doctor_id=before.doctor_id, previous_participants=before.participants,
                part_of=events.PartOf.MOVE_PLAN_UNDONE if back else events.PartOf.MOVE_PLAN)
            record(tx, _who(plan), after, fact, "rescheduled")

    async def _leave_it(self, plan: Plan, item: Item, why: Unmoved) -> None:
        back = plan.status is PlanStatus.UNDOING
        async with self.db.transaction() as tx:
            await rows.ITEMS.save(tx, replace(item, why=why) if back else plans.aimed(item, None, why))

    async def _finish(self, plan: Plan) -> None:
        back = plan.status is PlanStatus.UNDOING
        async with self.db.transaction() as tx:
            items = await tx.all(rows.ITEMS_OF, plan_id=plan.id)
            if any(plans.is_due(item, back=back) for item in items):
                return
            kept = await rows.PLANS.save(tx, replace(plan, status=plans.AFTER[plan.status]))
            of_now = [item for item in items if item.status is (ItemStatus.MOVED_BACK if back else ItemStatus.MOVED)]
            received = Counter(plan.doctor_id if back else item.to_doctor_id or plan.doctor_id for item in of_now)
            tx.emit(events.MovePlanDone(
                aggregate=plan.id, version=kept.version, doctor_id=plan.doctor_id, doctor_name=plan.doctor_name,
                starts_at=plan.starts_at, ends_at=plan.ends_at, moved=len(of_now), standing=len(items) - len(of_now),
                undone=back, received=[events.Received(who, n) for who, n in sorted(received.items())],
                by_account=plan.by_account))
            _audit(tx, _who(plan), kept, kept.status.value)


async def _hit(reading: Reading, doctor: Schedule, begins: datetime, ends: datetime, now: datetime) -> UnderLeave:
    return plans.under_leave(doctor, begins, ends, await _standing(reading, doctor, begins, ends, now),
                             await _standing(reading, doctor, begins, ends, now, tables.ACCOMPANIED_UNDER_LEAVE))


async def _standing(reading: Reading, doctor: Schedule, begins: datetime, ends: datetime, now: datetime,
                    whose: Query[Visit] = tables.UNDER_LEAVE) -> list[Visit]:
    """Visits that touch this time, and are not over."""
    since = max(begins, now)
    return await reading.all(whose, doctor_id=doctor.doctor_id, since=since, until=ends,
                             earliest_start=since - visits.LONGEST)


async def _plan(reading: Reading, caller: Caller, plan_id: UUID) -> Plan:
    plan = there(await rows.PLANS.get(reading, plan_id))
    caller.must_reach(plan)
    return plan


async def _item(reading: Reading, plan: Plan, appointment_id: UUID) -> Item:
    item = await reading.one(rows.ITEM, plan_id=plan.id, appointment_id=appointment_id)
    return there(item)


async def _shown(reading: Reading, plan: Plan, items: Sequence[Item] | None = None) -> MovePlan:
    known = items if items is not None else await reading.all(rows.ITEMS_OF, plan_id=plan.id)
    about = await reading.all(tables.SHOWN_OF, ids=[item.appointment_id for item in known])
    return plans.shown(plan, known, {one.id: one for one in about})


def _by(caller: Caller) -> tuple[UUID | None, str, list[str]]:
    return caller.account_id, caller.name, sorted(caller.roles)


def _who(plan: Plan) -> Caller:
    return Caller(account_id=plan.by_account, name=plan.by_name, roles=frozenset(plan.by_roles))


def _audit(tx: Transaction, caller: Caller, plan: Plan, done: str) -> None:
    tx.audit(f"move_plan.{done}", caller, entity=f"move_plan/{plan.id}", doctor_id=str(plan.doctor_id))

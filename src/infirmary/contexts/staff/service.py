"""What staff does: departments open and close, people join and leave, doctors say when they see patients."""
from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from msgspec.structs import asdict, replace

from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Done, Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.database.statement import Query
from infirmary.kernel.errors import FieldError, NotFound, StaleVersion

from . import domain, tables
from .contract import (
    AmendDoctor,
    Department,
    DepartmentForm,
    DepartmentInUse,
    Doctor,
    DoctorForm,
    Hours,
    HoursForm,
    Leave,
    LeaveForm,
    NameTaken,
    NoSuchDepartment,
    Occupation,
    Staff,
    StaffForm,
    StaffMember,
)
from .events import DepartmentChanged
from .tables import (
    DEPARTMENTS,
    DOCTORS,
    HOURS,
    LEAVE,
    MEMBERS,
    KeptDepartment,
    KeptDoctor,
    KeptHours,
    KeptLeave,
    KeptMember,
)

T = TypeVar("T")
K = TypeVar("K", KeptDepartment, KeptDoctor, KeptMember)
P = ParamSpec("P")


def retried(use_case: Callable[Concatenate[StaffService, P], Coroutine[Any, Any, T]],
            ) -> Callable[Concatenate[StaffService, P], Coroutine[Any, Any, T]]:
    """Run again as a whole on deadlock: a use case does nothing outside its transaction."""
    @wraps(use_case)
    async def run(self: StaffService, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.db.retry(use_case, self, *args, **given)
    return run


class StaffService(Staff):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock = kit.db, kit.clock

    async def departments(self, caller: Caller, limit: int = 100, cursor: str | None = None) -> Page[Department]:
        async with self.db.reading() as reading:
            rows, following = await tables.OPEN_DEPARTMENTS.page(reading, after=cursor, limit=limit)
        return Page([row.shown for row in rows], following)

    async def department(self, caller: Caller, department_id: UUID) -> Department:
        async with self.db.reading() as reading:
            return _there(await DEPARTMENTS.get(reading, department_id)).shown

    @retried
    async def open_department(self, caller: Caller, body: DepartmentForm) -> Department:
        form = domain.tidy(body)
        opened = KeptDepartment(new_id(), **asdict(form), open_name=domain.key(form.name))
        try:
            async with self.db.transaction() as tx:
                DEPARTMENTS.add(tx, opened)
                tx.emit(_changed(opened))
                tx.audit("department.opened", caller, entity=f"department/{opened.id}")
                return tx.answer(opened.shown)
        except UniqueViolation as clash:
            raise _name_taken(clash, form) from clash

    @retried
    async def replace_department(self, caller: Caller, department_id: UUID, body: DepartmentForm,
                                 if_match: int) -> Department:
        form = domain.tidy(body)
        try:
            async with self.db.transaction() as tx:
                before = await _held(tx, tables.DEPARTMENT_HELD, department_id, if_match)
                after = await DEPARTMENTS.save(tx, replace(before, **asdict(form), open_name=domain.key(form.name)))
                if (after.name, after.accepts_first) != (before.name, before.accepts_first):
                    held = await tx.all(tables.DOCTORS_HELD, department_id=department_id)
                    await self._announce(tx, after, [await DOCTORS.save(tx, doctor) for doctor in held])
                tx.emit(_changed(after))
                tx.audit("department.changed", caller, entity=f"department/{department_id}")
        except UniqueViolation as clash:
            raise _name_taken(clash, form) from clash
        return after.shown

    @retried
    async def close_department(self, caller: Caller, department_id: UUID, if_match: int) -> Department:
        async with self.db.transaction() as tx:
            before = await _held(tx, tables.DEPARTMENT_HELD, department_id, if_match)
            # More than a look: who places a doctor here holds the department too.
            if doctors := await tx.one(tables.DOCTORS_IN, department_id=department_id):
                raise DepartmentInUse(doctors=doctors)
            after = await DEPARTMENTS.save(tx, replace(before, open_name=None, retired_at=self.clock.now()))
            tx.emit(_changed(after))
            tx.audit("department.closed", caller, entity=f"department/{department_id}")
        return after.shown

    async def doctors(self, caller: Caller, department_id: UUID | None = None, specialty: str | None = None,
                      q: str = "", limit: int = 25, cursor: str | None = None) -> Page[Doctor]:
        filters: dict[str, Any] = tables.words(q)
        if department_id is not None:
            filters["department_id"] = department_id
        if specialty is not None:
            filters["specialty"] = domain.key(specialty)
        pages = tables.doctor_pages(frozenset(filters))
        async with self.db.reading() as reading:
            rows, following = await pages.page(reading, after=cursor, limit=limit, **filters)
        return Page([row.shown(row.department_name) for row in rows], following)

    async def doctor(self, caller: Caller, doctor_id: UUID) -> Doctor:
        async with self.db.reading() as reading:
            row = await reading.one(tables.DOCTOR, key=doctor_id)
        return _there(row).shown(_there(row).department_name)

    @retried
    async def engage_doctor(self, caller: Caller, body: DoctorForm) -> Doctor:
        engaged = KeptDoctor(new_id(), **asdict(domain.tidy(body))).to_be_found()
        async with self.db.transaction() as tx:
            department = await _open(tx, body.department_id)
            DOCTORS.add(tx, engaged)
            await self._announce(tx, department, [engaged])
            tx.audit("doctor.engaged", caller, entity=f"doctor/{engaged.id}")
            return tx.answer(engaged.shown(department.name))

    async def replace_doctor(self, caller: Caller, doctor_id: UUID, body: DoctorForm, if_match: int) -> Doctor:
        return await self.amend_doctor(caller, doctor_id, AmendDoctor(**asdict(body)), if_match)

    @retried
    async def amend_doctor(self, caller: Caller, doctor_id: UUID, body: AmendDoctor, if_match: int) -> Doctor:
        async with self.db.transaction() as tx:
            if isinstance(body.department_id, UUID):
                await _open(tx, body.department_id)
            before = await _held(tx, tables.DOCTOR_HELD, doctor_id, if_match)
            form = domain.amended(before.form, body)
            after = await self._save(tx, replace(before, **asdict(form), version=if_match + 1).to_be_found())
            tx.audit("doctor.amended", caller, entity=f"doctor/{doctor_id}")
        return after

    @retried
    async def retire_doctor(self, caller: Caller, doctor_id: UUID, if_match: int) -> Doctor:
        async with self.db.transaction() as tx:
            before = await _held(tx, tables.DOCTOR_HELD, doctor_id, if_match)
            after = await self._save(tx, replace(before, retired_at=self.clock.now(), version=if_match + 1))
            tx.audit("doctor.retired", caller, entity=f"doctor/{doctor_id}")
        return after

    async def hours(self, caller: Caller, doctor_id: UUID) -> Hours:
        async with self.db.reading() as reading:
            _there(await DOCTORS.get(reading, doctor_id))
            return (await HOURS.get(reading, doctor_id) or tables.no_hours(doctor_id)).shown

    @retried
    async def set_hours(self, caller: Caller, doctor_id: UUID, body: HoursForm, if_match: int) -> Hours:
        caller.must_reach(doctor_id=doctor_id)
        wanted = KeptHours(doctor_id, body.visit_minutes, body.buffer_minutes, domain.week(body.weekly), if_match,
                           body.video, body.most_per_day, body.overbook)
        async with self.db.transaction() as tx:
            doctor = await _held(tx, tables.DOCTOR_HELD, doctor_id)
            before = await HOURS.get(tx, doctor_id)
            if if_match != (before.version if before else 0):
                raise StaleVersion
            if before:
                after = await HOURS.save(tx, wanted)
            else:
                HOURS.add(tx, after := replace(wanted, version=1))
            await self._save(tx, doctor)
            tx.audit("hours.set", caller, entity=f"doctor/{doctor_id}")
        return after.shown

    async def leaves(self, caller: Caller, doctor_id: UUID, from_: datetime | None = None,
                     to: datetime | None = None) -> list[Leave]:
        caller.must_reach(doctor_id=doctor_id)
        since = from_ or self.clock.now()
        async with self.db.reading() as reading:
            _there(await DOCTORS.get(reading, doctor_id))
            if to is None:
                rows = await reading.all(tables.LEAVE_FROM, doctor_id=doctor_id, after=since)
            else:
                rows = await reading.all(tables.LEAVE_BETWEEN, doctor_id=doctor_id, after=since, before=to)
        return [row.shown for row in rows]

    @retried
    async def take_leave(self, caller: Caller, doctor_id: UUID, body: LeaveForm) -> Leave:
        caller.must_reach(doctor_id=doctor_id)
        starts_at, ends_at = domain.span(body)
        taken = KeptLeave(new_id(), doctor_id, starts_at, ends_at, body.reason.strip())
        async with self.db.transaction() as tx:
            doctor = await _held(tx, tables.DOCTOR_HELD, doctor_id)
            # More than a look: who changes this doctor's leave holds the doctor too.
            in_the_way = await tx.all(tables.LEAVE_BETWEEN, doctor_id=doctor_id, after=starts_at, before=ends_at)
            domain.must_be_free([one.shown for one in in_the_way])
            LEAVE.add(tx, taken)
            await self._save(tx, doctor)
            tx.audit("leave.taken", caller, entity=f"leave/{taken.id}", doctor=str(doctor_id))
            return tx.answer(taken.shown)

    @retried
    async def end_leave(self, caller: Caller, doctor_id: UUID, leave_id: UUID) -> Done:
        caller.must_reach(doctor_id=doctor_id)
        async with self.db.transaction() as tx:
            doctor = await _held(tx, tables.DOCTOR_HELD, doctor_id)
            if await tx.run(tables.TAKE_BACK, key=leave_id, doctor_id=doctor_id) != 1:
                raise NotFound
            await self._save(tx, doctor)
            tx.audit("leave.taken_back", caller, entity=f"leave/{leave_id}", doctor=str(doctor_id))
        return Done()

    async def members(self, caller: Caller, q: str = "", occupation: Occupation | None = None,
                      department_id: UUID | None = None, limit: int = 25,
                      cursor: str | None = None) -> Page[StaffMember]:
        filters: dict[str, Any] = tables.words(q)
        if occupation is not None:
            filters["occupation"] = occupation
        if department_id is not None:
            filters["department_id"] = department_id
        pages = tables.member_pages(frozenset(filters))
        async with self.db.reading() as reading:
            rows, following = await pages.page(reading, after=cursor, limit=limit, **filters)
        return Page([row.shown for row in rows], following)

    @retried
    async def engage(self, caller: Caller, body: StaffForm) -> StaffMember:
        engaged = KeptMember(new_id(), **asdict(domain.tidy(body))).to_be_found()
        async with self.db.transaction() as tx:
            if body.department_id:
                await _open(tx, body.department_id)
            MEMBERS.add(tx, engaged)
            tx.audit("staff.engaged", caller, entity=f"staff/{engaged.id}")
            return tx.answer(engaged.shown)

    async def member(self, caller: Caller, staff_id: UUID) -> StaffMember:
        async with self.db.reading() as reading:
            return _there(await MEMBERS.get(reading, staff_id)).shown

    @retried
    async def replace_member(self, caller: Caller, staff_id: UUID, body: StaffForm, if_match: int) -> StaffMember:
        form = domain.tidy(body)
        async with self.db.transaction() as tx:
            if form.department_id:
                await _open(tx, form.department_id)
            before = await _held(tx, tables.MEMBER_HELD, staff_id, if_match)
            after = await MEMBERS.save(tx, replace(before, **asdict(form)).to_be_found())
            tx.audit("staff.amended", caller, entity=f"staff/{staff_id}")
        return after.shown

    @retried
    async def retire_member(self, caller: Caller, staff_id: UUID, if_match: int) -> StaffMember:
        async with self.db.transaction() as tx:
            before = await _held(tx, tables.MEMBER_HELD, staff_id, if_match)
            after = await MEMBERS.save(tx, replace(before, retired_at=self.clock.now()))
            tx.audit("staff.retired", caller, entity=f"staff/{staff_id}")
        return after.shown

    async def _save(self, tx: Transaction, doctor: KeptDoctor) -> Doctor:
        """Save a doctor who is held, which counts one fact more, and announce it."""
        after = await DOCTORS.save(tx, doctor)
        department = _there(await DEPARTMENTS.get(tx, after.department_id))
        await self._announce(tx, department, [after])
        return after.shown(department.name)

    async def _announce(self, tx: Transaction, department: KeptDepartment, doctors: Sequence[KeptDoctor]) -> None:
        """The whole state of each doctor, as their next fact. They are held, so nothing of it changes meanwhile."""
        if not doctors:
            return
        ids = [doctor.id for doctor in doctors]
        hours = {row.doctor_id: row for row in await tx.all(tables.HOURS_OF, ids=ids)}
        leave = await tx.all(tables.LEAVE_OF, ids=ids, after=self.clock.now() - domain.AWAY_KEPT)
        for doctor in doctors:
            tx.emit(domain.schedule(
                doctor.shown(department.name), department.shown, hours.get(doctor.id, tables.no_hours(doctor.id)).shown,
                [one.shown for one in leave if one.doctor_id == doctor.id], facts=doctor.facts))


def _there(found: T | None) -> T:
    if found is None:
        raise NotFound
    return found


async def _held(tx: Transaction, query: Query[K], key: UUID, if_match: int | None = None) -> K:
    """The row, for us alone until we commit: there, not retired, and as the caller has seen it."""
    held = await tx.one(query, key=key)
    if held is None:
        raise NotFound
    if if_match is not None and held.version != if_match:
        raise StaleVersion
    return held


async def _open(tx: Transaction, department_id: UUID) -> KeptDepartment:
    """The department that somebody is placed in. Held, so that it cannot be closed or renamed meanwhile."""
    held = await tx.one(tables.DEPARTMENT_HELD, key=department_id)
    if held is None:
        raise NoSuchDepartment(errors=[FieldError("department_id", "Choose a department that is open.")])
    return held


def _changed(department: KeptDepartment) -> DepartmentChanged:
    return DepartmentChanged(aggregate=department.id, version=department.version, name=department.name,
                             active=department.retired_at is None)


def _name_taken(clash: UniqueViolation, form: DepartmentForm) -> Exception:
    if clash.on != "department_open_name":
        return clash
    return NameTaken(f"There is a department called {form.name} already. Choose another name, or use that one.",
                     errors=[FieldError("name", "Choose a name that no open department has.")])

"""Words for tests about the house and its people."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from infirmary.contexts.staff.contract import (
    Department,
    DepartmentForm,
    Doctor,
    DoctorForm,
    HoursForm,
    LeaveForm,
    Occupation,
    Opening,
    Staff,
    StaffForm,
)
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.events import Event
from infirmary.kernel.outbox import OUTBOX, outbox
from infirmary.language import ADMIN, AUDITOR, CASHIER, DOCTOR, NURSE, PATIENT, PHARMACIST, RECEPTION, Role

E = TypeVar("E", bound=Event)
MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)


def a_caller(role: Role, **subjects: UUID) -> Caller:
    account = new_id()
    return Caller(account_id=account, name=f"The {role}", roles=frozenset({role}),
                  subjects={"account_id": account, **subjects}, token=f"{role}-{account}")


def a_doctor_caller(doctor_id: UUID) -> Caller:
    return a_caller(DOCTOR, doctor_id=doctor_id)


admin, reception, nurse = a_caller(ADMIN), a_caller(RECEPTION), a_caller(NURSE)
patient = a_caller(PATIENT, patient_id=new_id())
others = [patient, a_caller(PHARMACIST), a_caller(CASHIER), a_caller(AUDITOR)]
nobody = NOBODY

_ALL = OUTBOX.find(order_by=[outbox.c.id])


@dataclass
class World:
    """Staff alone on its database, asked through its contract."""

    staff: Staff
    db: Database
    clock: HeldClock

    async def a_department(self, name: str = "Cardiology", **more: Any) -> Department:
        return await self.staff.open_department(admin, DepartmentForm(name=name, **more))

    async def a_doctor(self, department: Department | None = None, **more: Any) -> Doctor:
        place = department or await self.a_department(name=f"Department {new_id()}")
        return await self.staff.engage_doctor(admin, a_doctor_form(department_id=place.id, **more))

    async def facts(self, kind: type[E], aggregate: UUID | None = None) -> list[E]:
        """What was announced so far, by version."""
        async with self.db.reading() as reading:
            stored = await reading.all(_ALL)
        found = [one.fact.event for one in stored]
        return sorted((event for event in found
                       if isinstance(event, kind) and aggregate in (None, event.aggregate)),
                      key=lambda event: (event.aggregate, event.version))

    async def schedule(self, doctor_id: UUID) -> ScheduleChanged:
        """The last word on a doctor."""
        return (await self.facts(ScheduleChanged, doctor_id))[-1]

    async def entries(self) -> list[Audited]:
        async with self.db.reading() as reading:
            stored = await reading.all(_ALL)
        return [event for one in stored if isinstance(event := one.fact.event, Audited)]


def a_doctor_form(**changes: Any) -> DoctorForm:
    return DoctorForm(**{"given_name": "Amara", "family_name": "Okafor", "specialty": "Cardiology", "room": "2.14",
                         "department_id": new_id(), **changes})


def a_member_form(**changes: Any) -> StaffForm:
    return StaffForm(**{"given_name": "Siobhán", "family_name": "Ní Bhriain", "occupation": Occupation.NURSE,
                        **changes})


def an_opening(weekday: int, starts: str, ends: str, location: str = "") -> Opening:
    return Opening(weekday=weekday, starts=starts, ends=ends, location=location)


def a_week(*openings: Opening, visit_minutes: int = 20) -> HoursForm:
    weekly: Sequence[Opening] = openings or [an_opening(1, "09:00", "12:00"), an_opening(3, "13:00", "17:00")]
    return HoursForm(visit_minutes=visit_minutes, buffer_minutes=5, weekly=list(weekly))


def some_leave(first_day: float = 1, days: float = 7, reason: str = "") -> LeaveForm:
    """From so many days after Monday, for so many days."""
    starts_at = MONDAY + timedelta(days=first_day)
    return LeaveForm(starts_at=starts_at, ends_at=starts_at + timedelta(days=days), reason=reason)

"""Words for tests about figures: what happened, told as facts."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from infirmary.contexts.appointments import events as visits
from infirmary.contexts.appointments.contract import Mode, Status
from infirmary.contexts.patients.events import PatientRegistered
from infirmary.contexts.reports.contract import HospitalFigures, Period, Reports
from infirmary.contexts.staff.events import DepartmentChanged
from infirmary.kernel.access import Caller
from infirmary.kernel.bus import Consumer
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.events import Event, Fact
from infirmary.language import ADMIN

MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
DUBLIN = ZoneInfo("Europe/Dublin")
EYES, EARS, SKIN = new_id(), new_id(), new_id()
NAMES = {EYES: "Eyes", EARS: "Ears", SKIN: "Skin"}
admin = Caller(account_id=new_id(), name="Ad Min", roles=frozenset({ADMIN}))

KINDS: dict[Status, type[visits.VisitChanged]] = {
    Status.REQUESTED: visits.AppointmentRequested, Status.BOOKED: visits.AppointmentBooked,
    Status.CHECKED_IN: visits.PatientCheckedIn, Status.IN_PROGRESS: visits.VisitStarted,
    Status.COMPLETED: visits.VisitCompleted, Status.DECLINED: visits.AppointmentDeclined,
    Status.CANCELLED: visits.AppointmentCancelled, Status.NO_SHOW: visits.PatientDidNotCome}


def a_fact(event: Event, at: datetime = MONDAY) -> Fact:
    return Fact(new_id(), type(event).kind, event.aggregate, event.version, msgspec.to_builtins(event), "", at)


def a_visit_event(visit_id: UUID, version: int, status: Status, starts_at: datetime, *, department_id: UUID = EYES,
                  kind: type[visits.VisitChanged] | None = None, department_name: str = "", **more: Any) -> Event:
    return (kind or KINDS[status])(
        aggregate=visit_id, version=version, status=status, patient_id=new_id(), patient_name="Pat Ient",
        doctor_id=new_id(), doctor_name="Dr Doc Tor", department_id=department_id,
        department_name=department_name or NAMES[department_id], starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=20), mode=Mode.IN_PERSON, location="", by_account=None, created_at=MONDAY,
        **more)


def a_department_event(department_id: UUID, version: int, name: str, *, active: bool = True) -> Event:
    return DepartmentChanged(aggregate=department_id, version=version, name=name, active=active)


def a_registration_event(patient_id: UUID | None = None) -> Event:
    return PatientRegistered(aggregate=patient_id or new_id(), version=1, name="Pat Ient", number=1)


@dataclass
class World:
    """Reports alone on its database: told facts, asked through its contract."""

    reports: Reports
    consumer: Consumer
    db: Database
    clock: HeldClock
    empty: Callable[[], Any]

    async def tell(self, event: Event, at: datetime = MONDAY) -> Fact:
        return await self.deliver(a_fact(event, at))

    async def deliver(self, fact: Fact) -> Fact:
        """As the bus does: a fact handled before is handled."""
        await self.consumer.handle(fact, last=False)
        return fact

    async def a_visit(self, *path: Status, at: datetime = MONDAY, **more: Any) -> UUID:
        """A visit that went this way, one fact per status."""
        visit_id = new_id()
        for version, status in enumerate(path, 1):
            await self.tell(a_visit_event(visit_id, version, status, at, **more))
        return visit_id

    async def figures(self, period: Period = Period.WEEK) -> HospitalFigures:
        return await self.reports.hospital(admin, period)

    def at(self, now: datetime) -> None:
        self.clock.advance(now - self.clock.now())

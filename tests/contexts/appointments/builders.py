"""Visits in words: a clinic with its database, a register of patients, and callers of every role."""
from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from infirmary.contexts.appointments.contract import Appointment, Appointments, BookAppointment, Mode, Status
from infirmary.contexts.appointments.contract.resources import ResourceForm, ResourceKind
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import Schedule, announced
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.reactions import reactions
from infirmary.contexts.appointments.service import AppointmentsService
from infirmary.contexts.appointments.tables import VISITS, appointment, metadata
from infirmary.contexts.appointments.tables.taken import OCCUPANCY
from infirmary.contexts.identity.contract import Identity, Recipient
from infirmary.contexts.patients.contract import Acting, Gender, GuardianKind, PatientCard, Patients
from infirmary.contexts.staff.contract import Opening
from infirmary.contexts.staff.events import Away, ScheduleChanged
from infirmary.kernel.access import Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.bus import Consumer
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Contract
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import NotFound
from infirmary.kernel.events import Event, Fact
from infirmary.kernel.live_config import Live
from infirmary.kernel.outbox import OUTBOX, outbox
from infirmary.language import ADMIN, DOCTOR, NURSE, PATIENT, RECEPTION, Role, service
from infirmary.live import LiveConfig
from infirmary.settings import Hospital, Settings

CASES = int(os.environ.get("HYPOTHESIS_CASES", "150"))   # of each property; ask for more to look harder
MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)   # a Monday morning; Dublin is on UTC then


def at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    """A time on that Monday, or days after it."""
    return MONDAY.replace(hour=hour, minute=minute) + timedelta(days=day)


def opening(weekday: int, starts: str = "09:00", ends: str = "17:00", location: str = "") -> Opening:
    return Opening(weekday=weekday, starts=starts, ends=ends, location=location)


EVERY_DAY = [opening(weekday) for weekday in range(1, 8)]


def hours(doctor_id: UUID | None = None, *, weekly: Sequence[Opening] = EVERY_DAY, minutes: int = 20, buffer: int = 0,
          away: Sequence[tuple[datetime, datetime]] = (), version: int = 1, **more: Any) -> ScheduleChanged:
    known: dict[str, Any] = {
        "doctor_name": "Dr Amara Okafor", "specialty": "Cardiology", "room": "Room 3", "department_id": UUID(int=7),
        "department_name": "Heart", "accepts_first": False, "active": True, **more}
    return ScheduleChanged(aggregate=doctor_id or new_id(), version=version, visit_minutes=minutes, buffer_minutes=buffer,
                           weekly=list(weekly), away=[Away(*one) for one in away], **known)


def a_schedule(**given: Any) -> Schedule:
    return announced(hours(**given))


def a_caller(*roles: Role, name: str = "Somebody", **subjects: UUID) -> Caller:
    account = new_id()
    return Caller(account_id=account, name=name, roles=frozenset(roles), subjects={"account_id": account, **subjects})


reception, nurse, admin = a_caller(RECEPTION, name="Re Ception"), a_caller(NURSE), a_caller(ADMIN)
another_context = service("patients")


def as_patient(patient_id: UUID) -> Caller:
    return a_caller(PATIENT, name="Pat Ient", patient_id=patient_id)


def as_doctor(doctor_id: UUID) -> Caller:
    return a_caller(DOCTOR, name="Doc Tor", doctor_id=doctor_id)


class Register(Patients):
    """Everybody is in it; doctors find whom they treat."""

    def __init__(self) -> None:
        self.retired: set[UUID] = set()
        self.treated: set[UUID] = set()
        self.guardians: dict[UUID, UUID] = {}   # whom a patient's guardian is

    async def acting(self, caller: Caller, patient_id: UUID) -> Acting:
        own = caller.subjects.get("patient_id")
        if own is None or self.guardians.get(patient_id) != own:
            caller.must_reach(patient_id=patient_id)
            return Acting(patient_id=patient_id, kind=None)
        caller.reaches(patient_id=patient_id)
        return Acting(patient_id=patient_id, kind=GuardianKind.PARENT)

    async def card(self, caller: Caller, patient_id: UUID) -> PatientCard:
        if DOCTOR in caller.roles and patient_id not in self.treated:
            raise NotFound
        if DOCTOR not in caller.roles:
            caller.must_reach(patient_id=patient_id)
        elif caller.permit:
            caller.permit.applied = True
        return PatientCard(id=patient_id, number=1, name="Pat Ient", birth_date=date(1990, 5, 17), gender=Gender.OTHER,
                           retired=patient_id in self.retired)


class Directory(Identity):
    """Whose accounts there are."""

    def __init__(self) -> None:
        self.people: list[Caller] = []

    def add(self, person: Caller) -> None:
        if person not in self.people:
            self.people.append(person)

    async def recipients(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                         account_id: UUID | None = None) -> list[Recipient]:
        return [Recipient(one.account_id, one.name, "", one.subjects.get("patient_id"), one.subjects.get("doctor_id"))
                for one in self.people if one.account_id and account_id in (None, one.account_id)]


class Clinic:
    """The context at work on a database of its own; `ask` goes through the policies, as everybody must."""

    def __init__(self, db: Database, clock: HeldClock, settings: Settings, kind: type[AppointmentsService]) -> None:
        self.db, self.clock, self.register = db, clock, Register()
        self.directory = Directory()
        others: dict[type[Contract], Contract] = {Patients: self.register, Identity: self.directory}
        kit = Kit(settings=settings, clock=clock, db=db, data=Path(), master=b"", live=Live(LiveConfig, "appointments"),
                  ask=lambda contract: in_process(contract, lambda: (others[contract], db)))
        self.service = kind(kit)
        self.ask: Appointments = in_process(Appointments, lambda: (self.service, db))
        self.consumer = Consumer(db, reactions(self.service))

    async def hear(self, event: Event, fact_id: UUID | None = None) -> None:
        fact = Fact(fact_id or new_id(), event.kind, event.aggregate, event.version, msgspec.to_builtins(event), "",
                    self.clock.now())
        await self.consumer.handle(fact, last=False)

    async def doctor(self, **given: Any) -> UUID:
        announcement = hours(**given)
        await self.hear(announcement)
        return announcement.aggregate

    async def thing(self, name: str = "Room 1", kind: ResourceKind = ResourceKind.ROOM, **more: Any) -> UUID:
        return (await self.ask.add_resource(admin, ResourceForm(kind=kind, name=name, **more))).id

    async def facts(self) -> list[Event]:
        """What was announced, oldest first; audit entries apart."""
        return [event for event in await self._outbox() if not isinstance(event, Audited)]

    async def audited(self) -> list[Audited]:
        return [event for event in await self._outbox() if isinstance(event, Audited)]

    async def _outbox(self) -> list[Event]:
        async with self.db.reading() as reading:
            rows = await reading.all(OUTBOX.find(order_by=[outbox.c.id]))
        return [event for row in rows if (event := row.fact.event)]

    async def taken(self) -> dict[tuple[UUID, int], UUID]:
        """Who has which five minutes of whom."""
        async with self.db.reading() as reading:
            rows = await reading.all(OCCUPANCY.find())
        return {(row.resource_id, row.grain): row.appointment_id for row in rows}

    async def visits(self) -> list[Visit]:
        async with self.db.reading() as reading:
            return await reading.all(VISITS.find(order_by=[appointment.c.starts_at, appointment.c.id]))

    async def book(self, doctor_id: UUID, starts_at: datetime, *, patient_id: UUID | None = None, caller: Caller = reception,
                   **more: Any) -> Appointment:
        return await self.ask.book(caller, BookAppointment(
            patient_id=patient_id or new_id(), doctor_id=doctor_id, starts_at=starts_at, **more))


@contextlib.asynccontextmanager
async def a_clinic(url: str, *, now: datetime = MONDAY, zone: str = "Europe/Dublin",
                   kind: type[AppointmentsService] = AppointmentsService) -> AsyncIterator[Clinic]:
    clock = HeldClock(now)
    db = await Database.open(url, "appointments", clock=clock)
    await db.create(metadata)
    try:
        yield Clinic(db, clock, Settings(hospital=Hospital(zone=zone)), kind)
    finally:
        await db.close()


NINE = at(9)


def a_visit(status: Status = Status.BOOKED, *, starts_at: datetime = NINE, minutes: int = 20, **more: Any) -> Visit:
    known: dict[str, Any] = {
        "id": new_id(), "patient_id": new_id(), "patient_name": "Pat Ient", "doctor_id": new_id(),
        "doctor_name": "Dr Amara Okafor", "department_id": UUID(int=7), "department_name": "Heart",
        "starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=minutes), "local_start": "", "zone": "",
        "mode": Mode.IN_PERSON, "reason": "", "status": status, "status_reason": "", "location": "Room 3",
        "created_at": MONDAY, "created_by": None, "changed_at": MONDAY, "version": 1, **more}
    return Visit(**known)


def those_of(visit: Appointment | Visit | Hold) -> list[UUID]:
    """Whose time it takes."""
    return [visit.doctor_id, visit.patient_id, *(() if isinstance(visit, Hold) else (one.id for one in visit.participants))]


def grains_of(visit: Appointment | Visit) -> set[tuple[UUID, int]]:
    """What it takes, one by one."""
    moment, found = visit.starts_at, set()
    while moment < visit.ends_at:
        number = int(moment.timestamp()) // 300
        found |= {(whose, number) for whose in those_of(visit)}
        moment += timedelta(minutes=5)
    return found

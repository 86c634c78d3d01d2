"""Words for tests about the register."""
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from infirmary.contexts.appointments.contract import Appointment, Appointments, Mode, OpenVisits, Status
from infirmary.contexts.appointments.events import VisitChanged
from infirmary.contexts.identity.contract import Identity, Recipient
from infirmary.contexts.patients.contract import Demographics, Enrol, Patient, Patients
from infirmary.contexts.patients.service import PatientsService
from infirmary.kernel.access import Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.bus import Consumer
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.contract import Done
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.events import Event, Fact
from infirmary.kernel.outbox import OUTBOX, outbox
from infirmary.language import (
    ADMIN,
    AUDITOR,
    CASHIER,
    DOCTOR,
    NURSE,
    PATIENT,
    PHARMACIST,
    RECEPTION,
    Role,
    StepUpRequired,
    service,
)

E = TypeVar("E", bound=Event)
V = TypeVar("V", bound=VisitChanged)
MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
_ALL = OUTBOX.find(order_by=[outbox.c.id])


def a_caller(role: Role, **subjects: UUID) -> Caller:
    account = new_id()
    return Caller(account_id=account, name=f"The {role}", roles=frozenset({role}),
                  subjects={"account_id": account, **subjects}, token="t")


def a_patient_caller(patient: Patient) -> Caller:
    return a_caller(PATIENT, patient_id=patient.id)


def a_doctor_caller(doctor_id: UUID) -> Caller:
    return a_caller(DOCTOR, doctor_id=doctor_id)


admin, reception, nurse, auditor = a_caller(ADMIN), a_caller(RECEPTION), a_caller(NURSE), a_caller(AUDITOR)
cashier, pharmacist = a_caller(CASHIER), a_caller(PHARMACIST)
identity = service("identity")


def demographics(given_name: str = "Delia", family_name: str = "Vega", birth_date: date = date(1968, 3, 14),
                 **more: Any) -> Demographics:
    return Demographics(given_name=given_name, family_name=family_name, birth_date=birth_date, **more)


@dataclass
class Visits(Appointments):
    """Appointments, as far as the register asks it."""

    open: dict[UUID, int] = field(default_factory=dict)
    colliding: list[Appointment] = field(default_factory=list)

    async def collisions(self, caller: Caller, patient_id: UUID, other_id: UUID) -> list[Appointment]:
        return self.colliding

    async def open_visits(self, caller: Caller, patient_id: UUID) -> OpenVisits:
        return OpenVisits(self.open.get(patient_id, 0))


@dataclass
class Accounts(Identity):
    """Identity, as far as the register asks it."""

    of: set[UUID] = field(default_factory=set)
    fresh: bool = True

    async def recipients(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                         account_id: UUID | None = None) -> list[Recipient]:
        return [Recipient(new_id(), "Delia", "delia@example.test", patient_id)] if patient_id in self.of else []

    async def stepped_up(self, caller: Caller) -> Done:
        caller.must_reach(account_id=caller.account_id)
        if not self.fresh:
            raise StepUpRequired
        return Done()


@dataclass
class Register:
    """The register alone on its database, asked through its contract."""

    ask: Patients
    db: Database
    clock: HeldClock
    visits: Visits
    hears: Consumer
    service: PatientsService
    accounts: Accounts

    async def a_patient(self, given_name: str = "Delia", family_name: str = "Vega", birth_date: date = date(1968, 3, 14),
                        **more: Any) -> Patient:
        return await self.ask.register(reception, demographics(given_name, family_name, birth_date, **more))

    async def enrolled(self, patient_id: UUID, **more: Any) -> Patient:
        return await self.ask.enrol(identity, Enrol(patient_id=patient_id, demographics=demographics(**more)))

    async def found(self, q: str = "", caller: Caller = reception, **more: Any) -> list[str]:
        """Whom a search finds, by their given names."""
        return [one.given_name for one in (await self.ask.search(caller, q, **more)).items]

    async def facts(self, kind: type[E]) -> list[E]:
        async with self.db.reading() as reading:
            return [event for one in await reading.all(_ALL) if isinstance(event := one.fact.event, kind)]

    async def entries(self, action: str = "") -> list[Audited]:
        return [entry for entry in await self.facts(Audited) if entry.action.startswith(action)]

    async def hear(self, event: Event) -> Fact:
        """As the relay delivers it."""
        stored = msgspec.json.decode(msgspec.json.encode(event))
        fact = Fact(new_id(), type(event).kind, event.aggregate, event.version, stored, "r", MONDAY)
        await self.hears.handle(fact, last=False)
        return fact


def a_visit(kind: type[V], patient: Patient, doctor_id: UUID, *, visit: UUID | None = None, version: int = 1,
            at: datetime = MONDAY, **more: Any) -> V:
    return kind(aggregate=visit or new_id(), version=version, status=Status.BOOKED, patient_id=patient.id,
                patient_name=patient.name, doctor_id=doctor_id, doctor_name="Dr Amara Okafor", department_id=new_id(),
                department_name="Cardiology", starts_at=at, ends_at=at + timedelta(minutes=20), mode=Mode.IN_PERSON,
                location="", by_account=None, created_at=MONDAY, **more)

"""A notifications desk for a test: a real service on a real database, and an identity that knows three people."""
from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from infirmary.contexts.appointments.contract import Mode, Status
from infirmary.contexts.appointments.events import (
    AppointmentBooked,
    AppointmentRequested,
    AppointmentRescheduled,
    VisitChanged,
)
from infirmary.contexts.identity.contract import Identity, LinkExpired, Recipient, ResetLink, SentCode
from infirmary.contexts.notifications.contract import Notifications
from infirmary.contexts.notifications.reactions import reactions
from infirmary.contexts.notifications.service import NotificationsService
from infirmary.contexts.notifications.tables import metadata
from infirmary.contexts.patients.contract import Guardianship, Patients
from infirmary.kernel.access import Caller
from infirmary.kernel.bus import Consumer
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import NotFound
from infirmary.kernel.events import Event, Fact
from infirmary.language import ADMIN, DOCTOR, PATIENT
from infirmary.sandbox.catchers import Catchers
from infirmary.sandbox.mail import MailCatcher
from infirmary.settings import Hospital, Mail, Settings, Sms

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)         # a Friday; Dublin is on UTC then
THURSDAY = datetime(2026, 11, 26, 9, 20, tzinfo=UTC)
MARY, OKAFOR, SILVA = "Mary Byrne", "Dr Ngozi Okafor", "Dr Ana Silva"


class Person(msgspec.Struct, frozen=True):
    name: str
    role: str
    id: UUID            # of the patient or the doctor
    account_id: UUID
    email: str

    @property
    def caller(self) -> Caller:
        field = "patient_id" if self.role == PATIENT else "doctor_id"
        return Caller(account_id=self.account_id, name=self.name, roles=frozenset({self.role}),
                      subjects={"account_id": self.account_id, field: self.id})


mary = Person(MARY, PATIENT, new_id(), new_id(), "mary@byrne.example")
okafor = Person(OKAFOR, DOCTOR, new_id(), new_id(), "okafor@infirmary.example")
silva = Person(SILVA, DOCTOR, new_id(), new_id(), "silva@infirmary.example")
admin = Caller(account_id=new_id(), name="Ad Min", roles=frozenset({ADMIN}))


class KnownPeople(Identity, Patients):
    """Identity and the register, as far as notifications asks them."""

    def __init__(self, *people: Person) -> None:
        self.people = list(people)
        self.links: dict[UUID, ResetLink] = {}
        self.codes: dict[UUID, SentCode] = {}
        self.phones: dict[UUID, str] = {}
        self.failure: Exception | None = None
        self.guardianships: list[Guardianship] = []

    async def recipients(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                         account_id: UUID | None = None) -> list[Recipient]:
        if self.failure:
            raise self.failure
        return [Recipient(one.account_id, one.name, one.email, patient_id if one.id == patient_id else None,
                          doctor_id if one.id == doctor_id else None, self.phones.get(one.account_id, ""))
                for one in self.people
                if one.account_id == account_id or one.id == (patient_id if one.role == PATIENT else doctor_id)]

    async def guardians(self, caller: Caller, patient_id: UUID, standing: bool = False, limit: int = 25,
                        cursor: str | None = None) -> Page[Guardianship]:
        assert standing
        return Page([one for one in self.guardianships if one.ward_id == patient_id])

    async def reset_link(self, caller: Caller, reset_id: UUID) -> ResetLink:
        if self.failure:
            raise self.failure
        if reset_id not in self.links:
            raise LinkExpired
        return self.links[reset_id]

    async def sent_code(self, caller: Caller, code_id: UUID) -> SentCode:
        if code_id not in self.codes:
            raise NotFound
        return self.codes[code_id]


class Desk:
    """`service` as others see it is `ask`; facts come in through `hears`, as the bus would bring them."""

    def __init__(self, db: Database, clock: HeldClock, data: Path, identity: KnownPeople, settings: Settings) -> None:
        self.db, self.clock, self.data, self.identity = db, clock, data, identity
        self.service = NotificationsService(Kit(
            settings=settings, clock=clock, db=db, ask=lambda contract: in_process(contract, lambda: (identity, db)),
            data=data, master=b""))
        self.ask = in_process(Notifications, lambda: (self.service, db))
        self.consumer = Consumer(db, reactions(self.service))

    async def hears(self, event: Event, fact: Fact | None = None) -> Fact:
        fact = fact or a_fact(event)
        await self.consumer.handle(fact, last=False)
        return fact


@contextlib.asynccontextmanager
async def a_desk(database_url: Callable[[str], str], data: Path, *, identity: KnownPeople | None = None,
                 fresh: bool = True, clock: HeldClock | None = None, mail: Mail | None = None,
                 sms: Sms | None = None) -> AsyncIterator[Desk]:
    """`fresh=False`: one more process on the same database."""
    clock = clock or HeldClock(NOW)
    db = await Database.open(database_url("notifications"), "notifications", clock=clock)
    if fresh:
        await db.create(metadata)
    try:
        yield Desk(db, clock, data, identity or KnownPeople(mary, okafor, silva),
                   Settings(data=str(data), hospital=Hospital(), mail=mail or Mail(), sms=sms or Sms(),
                            public_url="https://hospital.example"))
    finally:
        await db.close()


@contextlib.asynccontextmanager
async def a_catcher(data: Path) -> AsyncIterator[MailCatcher]:
    catcher = MailCatcher(data / "mail")
    await catcher.start()
    try:
        yield catcher
    finally:
        await catcher.stop()


@contextlib.asynccontextmanager
async def catchers_in(data: Path) -> AsyncIterator[Catchers]:
    """For e-mail and text messages."""
    catchers = Catchers(data)
    await catchers.start()
    try:
        yield catchers
    finally:
        await catchers.stop()


def a_fact(event: Event) -> Fact:
    return Fact(new_id(), type(event).kind, event.aggregate, event.version, msgspec.to_builtins(event), "", NOW)


def a_visit(kind: type[VisitChanged] = AppointmentBooked, *, by: UUID | None = None, patient_name: str = MARY,
            doctor_name: str = OKAFOR, department_name: str = "Cardiology", location: str = "Room 4",
            starts_at: datetime = THURSDAY, mode: Mode = Mode.IN_PERSON, **more: object) -> VisitChanged:
    if kind is AppointmentRescheduled:
        more = {"previous_starts_at": starts_at - timedelta(days=1), "previous_doctor_id": okafor.id, **more}
    status = Status.REQUESTED if kind is AppointmentRequested else Status.BOOKED
    return kind(**{
        "aggregate": new_id(), "version": 1, "status": status, "patient_id": mary.id, "patient_name": patient_name,
        "doctor_id": okafor.id, "doctor_name": doctor_name, "department_id": new_id(),
        "department_name": department_name, "location": location, "mode": mode, "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=20), "by_account": by, "created_at": NOW, **more})

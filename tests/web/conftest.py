"""A small hospital on a Monday morning, made once and copied for each test, and visitors of every role."""
from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from litestar.types import ASGIApp

from infirmary.contexts.appointments.contract import Appointment, Appointments, BookAppointment, Status
from infirmary.contexts.identity.contract import Account, Identity, OpenAccount
from infirmary.contexts.patients.contract import Demographics, Gender, Patient, Patients
from infirmary.contexts.staff.contract import (
    Department,
    DepartmentForm,
    Doctor,
    DoctorForm,
    HoursForm,
    Occupation,
    Opening,
    Staff,
    StaffForm,
    StaffMember,
)
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.contract import Contract
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.http import build_app
from infirmary.kernel.tokens import KeyRing, Signer
from infirmary.language import ADMIN, AUDITOR, CASHIER, DOCTOR, NURSE, PATIENT, PHARMACIST, RECEPTION, Role
from infirmary.run.all_in_one import site_of
from infirmary.run.house import SYSTEM_AT, House
from infirmary.settings import Settings
from infirmary.system import System
from infirmary.web.app import handlers
from infirmary.web.pages import mail
from tests.house import MONDAY, a_patient_caller, admin, reception

from .visitor import Visitor

C = TypeVar("C", bound=Contract)
MINUTE = timedelta(minutes=1)


class People(msgspec.Struct, kw_only=True):
    """Who and what is there. Okafor's department answers first; Brennan's books at once."""

    cardiology: Department
    general: Department
    okafor: Doctor
    brennan: Doctor
    rosa: Patient
    lan: Patient
    samuel: Patient
    nurse: StaffMember
    account: Account
    booked: Appointment      # Rosa with Okafor, today at 9:00
    waiting: Appointment     # Samuel with Okafor, today at 8:00, checked in
    requested: Appointment   # Lan with Okafor, tomorrow at 10:00


class NoMails:
    """A catcher that has caught what a test put there."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def mails(self, limit: int = 50) -> list[Any]:
        return self.kept[:limit]

    def mail(self, mail_id: UUID) -> Any:
        return next((one for one in self.kept if one.id == mail_id), None)


@dataclass
class Hospital:
    house: House
    clock: HeldClock
    app: ASGIApp
    people: People
    mails: NoMails

    def ask(self, contract: type[C]) -> C:
        return self.house.ask(contract)

    def replace(self, contract: type[C], answers: C) -> None:
        """From now on the pages ask this one instead."""
        at = SYSTEM_AT if contract is System else contract.context
        self.house._clients[contract, at] = answers

    def visitor(self, *roles: Role, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                account_id: UUID | None = None) -> Visitor:
        """Signed in with these roles; a doctor is Okafor, a patient Rosa, unless said otherwise."""
        made = Visitor(self.app)
        subjects = {"patient_id": patient_id or (self.people.rosa.id if PATIENT in roles else None),
                    "doctor_id": doctor_id or (self.people.okafor.id if DOCTOR in roles else None)}
        signer = Signer(KeyRing(self.house.settings.folder / "keys", self.clock), issuer=self.house.settings.public_url,
                        audience="infirmary", clock=self.clock)
        if roles:
            made.cookies["access"] = signer.sign(
                account_id=account_id or new_id(), session_id=new_id(), name="Mirela Popescu", roles=sorted(roles),
                subjects={name: value for name, value in subjects.items() if value})
        return made

    @property
    def desk(self) -> Visitor:
        return self.visitor(RECEPTION)

    @property
    def doctor(self) -> Visitor:
        return self.visitor(DOCTOR)

    @property
    def administrator(self) -> Visitor:
        return self.visitor(ADMIN)

    async def wait(self, minutes: int) -> None:
        """Time passes; whoever was signed in has to be a new visitor after ten minutes."""
        self.clock.advance(minutes * MINUTE)
        await self.house.learn_revocations()

    async def visit(self, one: Appointment) -> Appointment:
        return await self.ask(Appointments).appointment(reception, one.id)

    async def book(self, patient: Patient, doctor: Doctor, at: datetime, **more: Any) -> Appointment:
        made = await self.ask(Appointments).book(reception, BookAppointment(
            patient_id=patient.id, doctor_id=doctor.id, starts_at=at, **more))
        await self.house.deliver_facts()
        return made


EVERY_ROLE = (PATIENT, DOCTOR, NURSE, RECEPTION, PHARMACIST, CASHIER, ADMIN, AUDITOR)
WEEK = HoursForm(visit_minutes=20, weekly=[
    Opening(weekday=day, starts=starts, ends=ends, location="Room 3.02")
    for day in range(1, 6) for starts, ends in (("08:00", "12:00"), ("13:00", "17:00"))])


async def _people(house: House, clock: HeldClock) -> People:
    staff, register, appointments = house.ask(Staff), house.ask(Patients).register, house.ask(Appointments)
    cardiology = await staff.open_department(admin, DepartmentForm(name="Cardiology", accepts_first=True,
                                                                   icon="heartbeat"))
    general = await staff.open_department(admin, DepartmentForm(name="General medicine"))
    okafor = await staff.engage_doctor(admin, DoctorForm(
        given_name="Amara", family_name="Okafor", specialty="Cardiology", department_id=cardiology.id, room="Room 3.02"))
    brennan = await staff.engage_doctor(admin, DoctorForm(
        given_name="Niamh", family_name="Brennan", specialty="General medicine", department_id=general.id))
    for doctor in (okafor, brennan):
        await staff.set_hours(admin, doctor.id, WEEK, if_match=0)
    rosa = await register(reception, Demographics(given_name="Rosa", family_name="Delgado Vega", gender=Gender.FEMALE,
                                                  birth_date=date(1968, 3, 14), phone="0600 555 114"))
    lan = await register(reception, Demographics(given_name="Thị Lan", family_name="Nguyễn", phone="0600 555 630",
                                                 birth_date=date(1991, 5, 7), email="lan@example.org"))
    samuel = await register(reception, Demographics(given_name="Samuel", family_name="Osei",
                                                    birth_date=date(1981, 1, 3)))
    nurse = await staff.engage(admin, StaffForm(given_name="Thandiwe", family_name="Mokoena",
                                                occupation=Occupation.NURSE))
    account = await house.ask(Identity).open_account(admin, OpenAccount(
        email="boss@example.org", name="Henrik Salo", roles=[ADMIN], password="a long password of his"))
    await house.deliver_facts()
    booked = await appointments.book(reception, BookAppointment(
        patient_id=rosa.id, doctor_id=okafor.id, starts_at=MONDAY + 60 * MINUTE, reason="Breathless on stairs"))
    waiting = await appointments.book(reception, BookAppointment(
        patient_id=samuel.id, doctor_id=okafor.id, starts_at=MONDAY))
    waiting = await appointments.check_in(reception, waiting.id)
    requested = await appointments.book(a_patient_caller(lan.id), BookAppointment(
        patient_id=lan.id, doctor_id=okafor.id, starts_at=MONDAY + timedelta(days=1, hours=2), reason="Swollen ankles"))
    assert requested.status is Status.REQUESTED
    await house.deliver_facts()
    return People(cardiology=cardiology, general=general, okafor=okafor, brennan=brennan, rosa=rosa, lan=lan,
                  samuel=samuel, nurse=nurse, account=account, booked=booked, waiting=waiting, requested=requested)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the hospital, which each test copies."""
    folder = tmp_path_factory.mktemp("hospital") / "data"

    async def make() -> None:
        house = House(Settings(data=str(folder)), clock=HeldClock(MONDAY))
        await house.open()
        people = await _people(house, HeldClock(MONDAY))
        await house.close()
        (folder / "people.json").write_bytes(msgspec.json.encode(people))

    asyncio.run(make())
    return folder


@contextlib.asynccontextmanager
async def a_copy(made: Path, folder: Path) -> AsyncIterator[Hospital]:
    shutil.copytree(made, folder)
    clock, mails = HeldClock(MONDAY), NoMails()
    house = House(Settings(data=str(folder)), clock=clock)
    await house.open()
    app = build_app([*house.api(), *handlers(site_of(house), mail.pages_of(mails))])
    try:
        people = msgspec.json.decode((folder / "people.json").read_bytes(), type=People)
        yield Hospital(house, clock, app, people, mails)
    finally:
        await house.close()


@pytest.fixture
async def hospital(made: Path, tmp_path: Path) -> AsyncIterator[Hospital]:
    async with a_copy(made, tmp_path / "data") as opened:
        yield opened

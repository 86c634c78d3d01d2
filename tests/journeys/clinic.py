"""Where journeys are made: one department with one doctor, and those who ask."""
from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.identity.contract import Identity, OpenAccount, RegisterPatient, TokenRequest
from infirmary.contexts.notifications.contract import Notifications
from infirmary.contexts.patients.contract import Demographics, Patients
from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, HoursForm, Opening, Staff
from infirmary.kernel.access import NOBODY, Caller
from infirmary.language import Role
from tests.house import admin, auditor, reception

from .world import World

PASSWORD = "correct horse battery"


class Clinic:
    """One department that accepts first, one doctor with an account, and whoever asks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin, self.reception = world.signed_in(admin), world.signed_in(reception)
        self.auditor = world.signed_in(auditor)

    async def open(self, *, accepts_first: bool = False, hours: tuple[str, str] = ("08:00", "12:00")) -> Clinic:
        staff = self.world.ask(Staff)
        department = await staff.open_department(self.admin, DepartmentForm(
            name=f"Cardiology{self.world.mark}", accepts_first=accepts_first))
        self.doctor = await staff.engage_doctor(self.admin, DoctorForm(
            given_name="Amara", family_name="Okafor", specialty="Cardiology", department_id=department.id))
        await staff.set_hours(self.admin, self.doctor.id, HoursForm(visit_minutes=20, weekly=[
            Opening(weekday=day, starts=hours[0], ends=hours[1]) for day in range(1, 8)]), if_match=0)
        await self.world.ask(Identity).open_account(self.admin, OpenAccount(
            email=self.email("Amara"), name="Dr Amara Okafor", roles=[Role.DOCTOR], password=PASSWORD,
            doctor_id=self.doctor.id))
        await self.world.facts_arrive()
        self.as_doctor = await self.sign_in("Amara")
        return self

    def email(self, name: str) -> str:
        return f"{name.lower()}{self.world.mark}@example.org"

    async def sign_in(self, name: str) -> Caller:
        tokens = await self.world.ask(Identity).token(NOBODY, TokenRequest(
            grant_type="password", username=self.email(name), password=PASSWORD))
        return self.world.after_sign_in(tokens.access_token)

    async def sign_up(self, name: str = "Rosa") -> Caller:
        await self.world.ask(Identity).register(NOBODY, RegisterPatient(
            email=self.email(name), password=PASSWORD, given_name=name, family_name="Delgado",
            birth_date=date(1968, 3, 14), phone="0600 555 114"))
        await self.world.facts_arrive()
        return await self.sign_in(name)

    async def free(self, caller: Caller = NOBODY) -> list[datetime]:
        day = self.world.day
        found = await self.world.ask(Appointments).slots(caller, from_=day, to=day + timedelta(days=1),
                                                         doctor_id=self.doctor.id)
        return [slot.starts_at for slot in found.items]

    async def titles(self, caller: Caller) -> list[str]:
        await self.world.facts_arrive()
        return [one.title for one in (await self.world.ask(Notifications).notifications(caller)).items][::-1]

    async def registered(self, name: str, *, birth_date: date = date(1968, 3, 14)) -> UUID:
        """Somebody without an account, whom the desk has registered."""
        found = await self.world.ask(Patients).register(self.reception, Demographics(
            given_name=name, family_name=f"Delgado{self.world.mark}", birth_date=birth_date, phone="0600 555 114"))
        return found.id

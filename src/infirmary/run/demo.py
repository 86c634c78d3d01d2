"""The demo hospital: made through the same contracts that people use, by living through six weeks on a held clock."""
from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from infirmary.contexts.appointments.contract import (
    Appointment,
    Appointments,
    Because,
    BookAppointment,
    Mode,
    Slot,
    Status,
    Why,
)
from infirmary.contexts.appointments.contract.feedback import GiveFeedback
from infirmary.contexts.appointments.contract.queue import Precedence, TakeNumber
from infirmary.contexts.appointments.contract.resources import Resource, ResourceForm, ResourceKind, SetParticipants
from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.contexts.notifications.contract import Notifications
from infirmary.contexts.patients.contract import Demographics, Gender, Patient, Patients
from infirmary.contexts.patients.contract.around import ConsentForm, ContactForm, CoverageForm, Decision
from infirmary.contexts.patients.contract.guardians import GuardianForm, GuardianKind
from infirmary.contexts.staff.contract import (
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
from infirmary.kernel.access import Caller
from infirmary.kernel.clock import HeldClock, SystemClock
from infirmary.kernel.errors import Refusal
from infirmary.kernel.settings import SettingsRefused
from infirmary.language import ADMIN, PATIENT, RECEPTION, Role
from infirmary.settings import Settings

from . import demo_names as names
from .house import House

PASSWORD = "infirmary-demo-1"   # noqa: S105 – printed on purpose; demo data folders are refused outside the demo
PAST_DAYS, COMING_DAYS, PATIENTS_COUNT, NEWCOMERS, VISITS_A_DAY = 42, 14, 200, 40, 26
AT_ONCE = 24   # calls under way together, so that they share commits
SIGN_INS = [(f"{role}@demo.test", who) for role, who in (
    ("admin", "administration, dashboard, accounts"), ("doctor", "Dr Amara Okafor, Cardiology"), ("nurse", "nurse"),
    ("reception", "front desk"), ("pharmacist", "pharmacist"), ("cashier", "cashier"), ("auditor", "audit trail"),
    ("patient", "Rosa Delgado Vega"))]
operator = Caller(account_id=UUID(int=1), name="Front desk", roles=frozenset({ADMIN, RECEPTION}))
Say = Callable[[str], None]


async def make_demo(settings: Settings, *, say: Say) -> None:
    """Make the hospital unless it is there. A making that was interrupted is begun again."""
    made, making = settings.folder / "demo", settings.folder / "demo.making"
    if made.exists():
        return
    if making.exists():
        shutil.rmtree(settings.folder)
    elif settings.folder.exists() and any(settings.folder.glob("*.db")):
        raise SettingsRefused(f"{settings.data} holds a hospital that is not the demo. Use another --data folder.")
    settings.folder.mkdir(parents=True, exist_ok=True)
    making.touch()
    say("Making the demo hospital (once, under a minute)")
    zone = settings.hospital.tz
    now = SystemClock().now()
    clock = HeldClock(_at(now.astimezone(zone).date() - timedelta(days=PAST_DAYS), 7, zone))
    house = House(settings, clock=clock)
    await house.open()
    try:
        await Demo(house, clock, now, say).make()
    finally:
        await house.close()
    making.rename(made)


def _at(day: date, hour: float, zone: Any) -> datetime:
    whole = int(hour)
    return datetime.combine(day, time(whole, int((hour - whole) * 60)), zone).astimezone(UTC)


class Demo:
    def __init__(self, house: House, clock: HeldClock, now: datetime, say: Say) -> None:
        self.house, self.clock, self.now, self.say = house, clock, now, say
        self.zone = house.settings.hospital.tz
        self.chance = random.Random(7)   # noqa: S311 – the same hospital each time, no secret
        self.appointments = house.ask(Appointments)
        self.today = now.astimezone(self.zone).date()
        self.patients: list[UUID] = []
        self.family: list[UUID] = []   # for whom Rosa acts
        self.seen: list[Appointment] = []   # on the day before
        self.doctors: list[Doctor] = []
        self.things: list[Resource] = []
        self.who_else = random.Random(8)   # noqa: S311 – apart, so that who and what takes part changes nobody's fate

    async def make(self) -> None:
        await self.make_staff()
        await self.make_patients(PATIENTS_COUNT - NEWCOMERS)
        await self.make_accounts()
        await self.make_family()
        for n in range(-PAST_DAYS, COMING_DAYS + 1):
            day = self.today + timedelta(days=n)
            if -30 <= n < 0 and len(self.patients) < PATIENTS_COUNT:
                await self.make_patients(2)
            await self.book_day(day)
            if n < 0:
                await self.live_day(day)
            if n % 7 == 0:
                self.say(f"  Visits, week of {day:%d %b}")
        await self.live_today()
        await self.walk_in()
        await self.read_old_news()
        await self.ask_for_times()
        await self.house.deliver_facts()

    # --- people ----------------------------------------------------------------------------------------------------

    async def make_staff(self) -> None:
        self.say("  Departments, doctors and their hours")
        staff = self.house.ask(Staff)
        departments = {one.name: await staff.open_department(operator, one) for one in (
            DepartmentForm(name=name, location=place, icon=icon, accepts_first=first)
            for name, place, icon, first in names.DEPARTMENTS)}
        for given, family, department, specialty, room, minutes, weekly in names.DOCTORS:
            doctor = await staff.engage_doctor(operator, DoctorForm(
                given_name=given, family_name=family, specialty=specialty, department_id=departments[department].id,
                room=room))
            await staff.set_hours(operator, doctor.id, HoursForm(
                visit_minutes=minutes, overbook=1, **names.LIMITS.get(specialty, {}),
                video=department not in names.HANDS_ON, weekly=[
                Opening(weekday=day, starts=starts, ends=ends, location=room)
                for days, stretches in weekly for day in days for starts, ends in stretches]), if_match=0)
            self.doctors.append(doctor)
        self.by_video = {one.id for one in self.doctors if one.department_name not in names.HANDS_ON}
        away = self.doctors[-1]
        await staff.take_leave(operator, away.id, LeaveForm(
            starts_at=_at(self.today + timedelta(days=3), 0, self.zone),
            ends_at=_at(self.today + timedelta(days=8), 0, self.zone), reason="Annual leave"))
        for given, family, occupation, where in names.STAFF:
            await staff.engage(operator, StaffForm(
                given_name=given, family_name=family, occupation=Occupation(occupation),
                department_id=departments[where].id if where else None))
        await self.house.deliver_facts()
        self.things = [await self.appointments.add_resource(operator, ResourceForm(
            kind=ResourceKind(kind), name=name, department_id=departments[where].id if where else None))
            for kind, name, where in names.THINGS]

    async def make_patients(self, count: int) -> None:
        register = self.house.ask(Patients).register
        known = len(self.patients)
        if not known:
            self.say(f"  {count} patients; {PATIENTS_COUNT - count} more come later")
        people = [names.patient(n, self.chance, self.today) for n in range(known, known + count)]
        made = await self.all_of(register(operator, Demographics(
            given_name=given, family_name=family, birth_date=born, gender=Gender(gender), phone=phone, email=email,
            language=language)) for given, family, born, gender, phone, email, language in people)
        await self.write_up(sorted(made, key=lambda one: one.number))
        self.patients += [one.id for one in sorted(made, key=lambda one: one.number)]
        if not known:
            self.rosa = next(one.id for one in made if one.email == "patient@demo.test")
        await self.house.deliver_facts()

    async def write_up(self, patients: list[Patient]) -> None:
        """Whom to call, who pays and what was agreed to, for most of them."""
        record, calls = self.house.ask(Patients), list[Awaitable[Any]]()
        texts = await record.consent_texts(operator)
        for one in patients:
            relationship, given = names.RELATIVES[one.number % len(names.RELATIVES)]
            if one.number % 3:
                calls.append(record.add_contact(operator, one.id, ContactForm(
                    name=f"{given} {one.family_name}", relationship=relationship, phone=f"0600 777 {one.number % 1000:03}",
                    emergency=True, next_of_kin=True)))
            if one.number % 5:
                calls.append(record.add_coverage(operator, one.id, CoverageForm(
                    payer=names.PAYERS[one.number % len(names.PAYERS)], member_number=f"M{700_000 + 37 * one.number}",
                    valid_from=self.today.replace(month=1, day=1))))
            calls += [record.decide(operator, one.id, ConsentForm(
                purpose=text.purpose, decision=Decision.GIVEN, text_version=text.version))
                for n, text in enumerate(texts) if (one.number + n) % 2]
        await self.all_of(calls)

    async def make_accounts(self) -> None:
        self.say("  Sign-ins")
        accounts = self.house.ask(Identity)
        for role, name in names.ACCOUNTS:
            await accounts.open_account(operator, OpenAccount(
                email=f"{role}@demo.test", name=name, roles=[Role(role)], password=PASSWORD,
                patient_id=self.rosa if role == "patient" else None,
                doctor_id=self.doctors[0].id if role == "doctor" else None))
        await self.house.deliver_facts()

    async def make_family(self) -> None:
        """Rosa sees to her daughter and to her father."""
        record = self.house.ask(Patients)
        for given, family, years, gender, kind, document in names.FAMILY:
            ward = await record.register(operator, Demographics(
                given_name=given, family_name=family, birth_date=self.today.replace(year=self.today.year - years, day=1),
                gender=Gender(gender)))
            await record.name_guardian(operator, ward.id, GuardianForm(
                guardian_id=self.rosa, kind=GuardianKind(kind), document=document, reason="Lives with her."))
            self.family.append(ward.id)
        await self.house.deliver_facts()

    # --- visits ----------------------------------------------------------------------------------------------------

    async def book_day(self, day: date) -> None:
        """Fill part of a day; the further away, the emptier."""
        share = 1.0 if day <= self.today else max(.25, .9 - .05 * (day - self.today).days)
        start = _at(day, 0, self.zone)
        slots: list[Slot] = []
        for doctor in self.doctors:
            free = (await self.appointments.slots(operator, from_=start, to=start + timedelta(days=1),
                                                  doctor_id=doctor.id)).items
            wanted = 14 if doctor is self.doctors[0] else VISITS_A_DAY // 7
            slots += sorted(self.chance.sample(free, min(len(free), round(wanted * share))), key=lambda one: one.starts_at)
        booked = await self.all_of(self.book(slot) for slot in slots)
        await self.all_of(self.bring_in(one) for one in booked if one is not None and self.who_else.random() < .1)
        await self.house.deliver_facts()

    async def book(self, slot: Slot) -> Appointment | None:
        patient, offered = self.chance.choice(self.patients), slot.doctor_id in self.by_video
        try:
            return await self.appointments.book(operator, BookAppointment(
                patient_id=patient, doctor_id=slot.doctor_id, starts_at=slot.starts_at,
                reason=self.chance.choice(names.REASONS), mode=Mode.VIDEO if offered and self.chance.random() < .1 else Mode.IN_PERSON))
        except Refusal:   # this patient is busy then: so be it
            return None

    async def bring_in(self, one: Appointment) -> None:
        """A room or a device, and now and then a colleague, where they are free then."""
        fitting = [thing.id for thing in self.things if thing.department_id in (one.department_id, None)]
        colleagues = [doctor.id for doctor in self.doctors
                      if doctor.department_id == one.department_id and doctor.id != one.doctor_id]
        chosen = [self.who_else.choice(fitting), *self.who_else.sample(colleagues, self.who_else.random() < .3)]
        with contextlib.suppress(Refusal):
            await self.appointments.set_participants(operator, one.id, SetParticipants(participants=chosen),
                                                     if_match=one.version)

    async def visits_of(self, day: date) -> list[Appointment]:
        found: list[Appointment] = []
        cursor = None
        while True:
            page = await self.appointments.appointments(operator, day=day, status=Status.BOOKED, limit=100, cursor=cursor)
            found += page.items
            if (cursor := page.next_cursor) is None:
                return found

    async def live_day(self, day: date) -> None:
        """A day long past: nearly all came; some cancelled, a few did not come."""
        visits = await self.visits_of(day)
        fates = self.chance.choices(["seen", "no_show", "cancelled"], [88, 5, 7], k=len(visits))
        seen = [one for one, fate in zip(visits, fates, strict=True) if fate == "seen"]
        await self.all_of(self.appointments.cancel(operator, one.id, Why("Feels better"))
                          for one, fate in zip(visits, fates, strict=True) if fate == "cancelled")
        await self.ask_how_it_was()
        for hour, step in ((9, self.appointments.check_in), (9.5, self.appointments.start), (18, self.appointments.complete)):
            self._move_to(_at(day, hour, self.zone))
            await self.all_of(step(operator, one.id) for one in seen)
        self.seen = seen
        self._move_to(_at(day, 23, self.zone))
        await self.all_of(self.appointments.no_show(operator, one.id)
                          for one, fate in zip(visits, fates, strict=True) if fate == "no_show")
        await self.house.deliver_facts()
        self._move_to(_at(day + timedelta(days=1), 6, self.zone))

    async def ask_how_it_was(self) -> None:
        """Every third of those seen the day before has answered by the next morning."""
        said: list[Awaitable[Any]] = []
        for one in self.seen:
            [rating], writes = self.chance.choices(range(1, 6), [3, 6, 14, 38, 39]), self.chance.random() < .4
            comment = self.chance.choice(names.REMARKS[rating]) if writes else ""
            if self.chance.random() < .35:
                said.append(self.appointments.give_feedback(
                    self._online(one.patient_id), one.id, GiveFeedback(rating=rating, comment=comment)))
        await self.all_of(said)
        await self.house.rooms["appointments"].service.release_feedback()

    async def live_today(self) -> None:
        """Today up to now, minute by minute: some are done, some wait, one is with the doctor."""
        deeds: list[tuple[datetime, int, Callable[[], Awaitable[Any]]]] = []
        for n, one in enumerate(await self.visits_of(self.today)):
            came = one.starts_at - timedelta(minutes=self.chance.randint(4, 25))
            begun = max(came, one.starts_at) + timedelta(minutes=self.chance.randint(0, 12))
            if self.chance.random() < .05:
                deeds.append((one.starts_at + timedelta(minutes=20), n, self._deed(self.appointments.no_show, one)))
                continue
            deeds += [(came, n, self._deed(self.appointments.check_in, one)),
                      (begun, n, self._deed(self.appointments.start, one)),
                      (begun + (one.ends_at - one.starts_at) * .8, n, self._deed(self.appointments.complete, one))]
        for at, _, deed in sorted(deeds, key=lambda deed: deed[:2]):
            if at < self.now:
                self._move_to(at)
                await deed()
        self._move_to(self.now)
        await self.house.deliver_facts()

    async def walk_in(self) -> None:
        """Some have come without a booked time, and wait with a number."""
        for n, (precedence, note) in enumerate(names.WALK_INS):
            await self.appointments.take_number(operator, TakeNumber(
                patient_id=self.patients[60 + n], department_id=self.doctors[n % 3 and -1].department_id,
                precedence=Precedence(precedence), note=note, reason=names.REASONS[n]))
        await self.house.deliver_facts()

    @staticmethod
    def _deed(step: Callable[..., Awaitable[Any]], one: Appointment) -> Callable[[], Awaitable[Any]]:
        return lambda: step(operator, one.id)

    async def ask_for_times(self) -> None:
        """Requests waiting for an answer, one declined, and what Rosa has before her."""
        cardiology = [doctor for doctor in self.doctors if doctor.department_name == "Cardiology"]
        for n, patient in enumerate([self.rosa, *self.patients[40:45]]):
            made = await self.book_as_patient(patient, cardiology[n % 2].id, days=5 + n, reason=names.REASONS[n])
            if made and n == 4:
                await self.appointments.decline(operator, made.id, Because("Your family doctor can see you sooner for this."))
        general = next(doctor for doctor in self.doctors if doctor.department_name == "General medicine")
        await self.book_as_patient(self.rosa, general.id, days=1, reason="Blood test results")
        await self.book_as_patient(self.rosa, self.doctors[0].id, days=0, reason="How the new tablets are going",
                                   mode=Mode.VIDEO, caller=operator)
        for n, ward in enumerate(self.family):
            await self.book_as_patient(ward, general.id, days=2 + n, reason="Vaccination")

    async def read_old_news(self) -> None:
        """Six weeks of notifications have been read by now."""
        for one in (await self.house.ask(Identity).accounts(operator, limit=100)).items:
            await self.house.ask(Notifications).read_all(Caller(
                account_id=one.id, roles=frozenset(one.roles), subjects={"account_id": one.id}))

    async def book_as_patient(self, patient: UUID, doctor: UUID, *, days: int, reason: str, mode: Mode = Mode.IN_PERSON,
                              caller: Caller | None = None) -> Appointment | None:
        caller = caller or self._online(patient)
        start = _at(self.today + timedelta(days=days), 0, self.zone)
        for slot in (await self.appointments.slots(caller, from_=start, to=start + timedelta(days=9), doctor_id=doctor)).items:
            try:
                return await self.appointments.book(caller, BookAppointment(
                    patient_id=patient, doctor_id=doctor, starts_at=slot.starts_at, reason=reason, mode=mode))
            except Refusal:   # taken, or the patient is busy: the next one
                continue
        return None

    @staticmethod
    def _online(patient: UUID) -> Caller:
        return Caller(account_id=UUID(int=2), name="Online", roles=frozenset({PATIENT}), subjects={"patient_id": patient})

    # --- tools -----------------------------------------------------------------------------------------------------

    def _move_to(self, at: datetime) -> None:
        self.clock.advance(max(at - self.clock.now(), timedelta()))

    async def all_of(self, calls: Iterable[Awaitable[Any]]) -> list[Any]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(call: Awaitable[Any]) -> Any:
            async with gate:
                return await call

        return await asyncio.gather(*map(one, calls))

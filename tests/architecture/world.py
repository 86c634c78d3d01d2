"""One hospital, served over HTTP, whose people and things are known by whose they are.

Seen from the calling patient or doctor: `own` is the patient Alma (and each account's own things), `treated` is Teo,
whom the calling doctor sees, and `other` is Bo, with whom neither has anything to do. `ward` is a child whose mother Alma is, and
`former-ward` somebody whose legal guardian she was until a moment ago.
"""
from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pyotp
from argon2 import PasswordHasher
from msgspec.structs import replace

from infirmary.contexts.appointments import tables as visits_kept
from infirmary.contexts.appointments.contract import Appointments, BookAppointment, Mode, Status
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.identity import tables as accounts_kept
from infirmary.contexts.identity.contract import Account, AmendAccount, Identity, MadeCredential, OpenAccount
from infirmary.contexts.identity.domain import Purpose, email_key
from infirmary.contexts.identity.domain.federation import pair_key
from infirmary.contexts.identity.service import IdentityService
from infirmary.contexts.identity.service.ceremonies import user_handle
from infirmary.contexts.identity.tables import clients as programs_kept
from infirmary.contexts.identity.tables import contact_points as points_kept
from infirmary.contexts.identity.tables import federation as logins_kept
from infirmary.contexts.identity.tables.passkeys import PASSKEYS, PasskeyRow
from infirmary.contexts.identity.tables.sent_codes import SENT_CODES, SentCodeRow
from infirmary.contexts.notifications import tables as notes_kept
from infirmary.contexts.notifications.contract import DeliveryStatus
from infirmary.contexts.patients.contract import (
    Demographics,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    Patient,
    Patients,
)
from infirmary.contexts.patients.events import PatientAmended
from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, HoursForm, LeaveForm, Opening, Staff
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest
from infirmary.kernel.clock import Clock, HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.http import build_app
from infirmary.kernel.outbox import PARKED, Parked
from infirmary.kernel.tokens import KeyRing, Signer
from infirmary.language import ADMIN, DOCTOR, PATIENT, SERVICE, Channel, Role, service
from infirmary.run import operations
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.settings import Settings
from tests.authenticator import Authenticator, text
from tests.house import MONDAY
from tests.provider.lying import LyingProvider, a_provider, a_secret_in
from tests.serving import serving

from .asks import Ask, Reply

OWN, TREATED, OTHER = "own", "treated", "other"
WARD, FORMER_WARD = "ward", "former-ward"
PASSWORD = "three grey otters"
PROVIDER = "harbour"
PEOPLE = tuple(role for role in Role if role is not SERVICE)
EVERY_DAY = HoursForm(visit_minutes=20, weekly=[
    Opening(weekday=day, starts="00:00", ends="24:00") for day in range(1, 8)])
QUICK = PasswordHasher(1, 8, parallelism=1)   # as argon2id as the real one, without its price
HOUSE = tuple(dataclasses.replace(one, service=lambda kit: IdentityService(kit, hasher=QUICK))
              if one.contract is Identity else one for one in CONTEXTS)
# Written by every denial and every repetition, and read by nobody who was denied.
_NOTES = {"answered", "throttle", "alembic_version"}


@dataclass(frozen=True)
class Subject:
    """Whose thing a request is about. `words` occur in this person's data and nowhere else."""

    whose: str
    patient_id: UUID
    family_name: str
    doctor_id: UUID    # whom the patient sees
    diary_id: UUID     # the doctor whose diary this is
    account_id: UUID
    words: tuple[str, ...]


def _session_of(account_id: UUID) -> UUID:
    """The one that tokens of this account are made for."""
    return UUID(int=account_id.int ^ 1)


@dataclass
class World:
    house: House
    clock: Clock
    http: aiohttp.ClientSession
    provider: LyingProvider   # an honest one here
    base: str = ""
    mark: str = ""   # in names that must be the only ones of their kind, where others are at work too
    accounts: dict[str, Account] = field(default_factory=dict)   # by role, and "treated", "other"
    doctors: dict[str, UUID] = field(default_factory=dict)
    departments: dict[str, UUID] = field(default_factory=dict)
    patients: dict[str, UUID] = field(default_factory=dict)
    demographics: dict[str, Demographics] = field(default_factory=dict)
    things: dict[str, UUID] = field(default_factory=dict)   # whatever else a test wants to find again
    _count: Any = field(default_factory=itertools.count)

    # --- people ------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        live = self.house.rooms["appointments"].service.live   # the same few people are asked about again and again
        live.value = replace(live.value, booking=replace(live.value.booking, most_open_visits=1000))
        staff, register = self.house.ask(Staff), self.house.ask(Patients).register
        for name in ("Cardiology", "Dermatology"):
            made = await staff.open_department(ROOT, DepartmentForm(name=f"{name}{self.mark}", accepts_first=True))
            self.departments[name] = made.id
        for whose, family, department in ((OWN, "Dorn", "Cardiology"), (TREATED, "Castell", "Cardiology"),
                                          (OTHER, "Ekdal", "Dermatology")):
            doctor = await staff.engage_doctor(ROOT, DoctorForm(
                given_name="Dana", family_name=family, specialty="Medicine",
                department_id=self.departments[department]))
            await staff.set_hours(ROOT, doctor.id, EVERY_DAY, if_match=0)
            self.doctors[whose] = doctor.id
        for whose, given, family, digits in ((OWN, "Alma", "Arvensis", "111"), (TREATED, "Teo", "Tamarix", "222"),
                                             (OTHER, "Bo", "Bergamotte", "333")):
            form = Demographics(given_name=given, family_name=family, birth_date=date(1980, 1, 1),
                                phone=f"+353 1 {digits} 4567", email=f"{family.lower()}@home.test",
                                address=f"{digits} {family} Road")
            self.demographics[whose], self.patients[whose] = form, (await register(ROOT, form)).id
        await self.facts_arrive()
        for role in PEOPLE:
            self.accounts[role] = await self.open_account(role)
        for whose in (TREATED, OTHER):
            self.accounts[whose] = await self.open_account(PATIENT, whose)
        await self.make_wards(register)
        self.accounts[FORMER_WARD] = await self.open_account(PATIENT, FORMER_WARD)   # somebody is told of every visit
        for whose in self.patients:
            await self.book(self.subject("", whose))
        await self.facts_arrive()

    async def make_wards(self, register: Callable[[Caller, Demographics], Awaitable[Patient]]) -> None:
        patients = self.house.ask(Patients)
        for whose, given, family, digits, kind in (
                (WARD, "Wim", "Wacholder", "444", GuardianKind.PARENT),
                (FORMER_WARD, "Fee", "Fingerkraut", "555", GuardianKind.LEGAL_GUARDIAN)):
            form = Demographics(given_name=given, family_name=family, birth_date=date(2020, 1, 1),
                                phone=f"+353 1 {digits} 4567", email=f"{family.lower()}@home.test",
                                address=f"{digits} {family} Road")
            before = await register(ROOT, replace(form, family_name="Asbefore"))   # as Alma is told of them
            self.demographics[whose], self.patients[whose] = form, before.id
            self.doctors[whose] = self.doctors[OTHER]
            made = await patients.name_guardian(ROOT, self.patients[whose], GuardianForm(
                guardian_id=self.patients[OWN], kind=kind, reason="Sees to them.", document="Birth certificate"))
            if whose == FORMER_WARD:
                await patients.end_guardianship(ROOT, self.patients[whose], made.id, EndGuardianship(
                    reason="The court's order has ended."), if_match=made.version)
            await patients.replace(ROOT, before.id, form, if_match=before.version)

    async def facts_arrive(self) -> None:
        await self.house.deliver_facts()

    async def revocations_arrive(self) -> None:
        await self.house.learn_revocations()

    async def open_account(self, role: Role, whose: str = OWN) -> Account:
        patient_id = self.patients[whose] if role is PATIENT else None
        form = self.demographics[whose]
        name = f"{form.given_name} {form.family_name}" if patient_id else role.title()
        return await self.house.ask(Identity).open_account(ROOT, OpenAccount(
            email=f"{role}.{whose}@door.test", name=name, roles=[role], password=PASSWORD, patient_id=patient_id,
            doctor_id=self.doctors[OWN] if role is DOCTOR else None))

    def subject(self, role: str, whose: str) -> Subject:
        """What a request of this role is about."""
        form = self.demographics[whose]
        account = self.accounts.get(role if whose == OWN else whose)
        doctor = self.doctors[OWN if whose == TREATED else OTHER]
        return Subject(whose, self.patients[whose], form.family_name, doctor, self.doctors[whose],
                       account.id if account else new_id(), self.words(whose))

    def words(self, whose: str) -> tuple[str, ...]:
        form = self.demographics[whose]
        assert form.phone
        assert form.email
        return (form.family_name, form.phone, form.email, form.address, f"{form.family_name}'s secret",
                f"{PATIENT}.{whose}@door.test")

    def hidden_from(self, role: str) -> tuple[str, ...]:
        """Words that never occur in what this role reads, whatever it asks."""
        return {PATIENT: self.words(TREATED) + self.words(OTHER) + self.words(FORMER_WARD),
                DOCTOR: self.words(OWN) + self.words(OTHER)}.get(Role(role), ())

    # --- tokens ------------------------------------------------------------------------------------------------------

    def token(self, role: str, *, ago: timedelta = timedelta(0)) -> str:
        """As this installation would sign it, now or a while ago."""
        if role == SERVICE:
            return self.house.trust.sign(service("somewhere"))
        account = self.accounts.get(role)
        subjects = {"patient_id": account.patient_id, "doctor_id": account.doctor_id} if account else {}
        account_id = account.id if account else UUID(int=0)
        return self.sign(account_id, [role], subjects, ago=ago, session_id=_session_of(account_id))

    def sign(self, account_id: UUID, roles: list[str], subjects: dict[str, UUID | None], *,
             session_id: UUID | None = None, ago: timedelta = timedelta(0)) -> str:
        signer = Signer(KeyRing(self.house.settings.folder / "keys", self.clock), issuer=self.house.settings.public_url,
                        audience="infirmary", clock=HeldClock(self.clock.now() - ago))
        return signer.sign(account_id=account_id, session_id=session_id or new_id(), name=f"The {roles[0]}",
                           roles=[str(role) for role in roles], subjects={k: v for k, v in subjects.items() if v})

    async def strangers(self) -> dict[str, str]:
        """Tokens that would open every door, if they were still good."""
        everything = [*map(str, PEOPLE)], {"patient_id": self.patients[OWN], "doctor_id": self.doctors[OWN]}
        identity = self.house.ask(Identity)
        disabled = await identity.open_account(ROOT, OpenAccount(email="gone@door.test", name="Gone", roles=[ADMIN],
                                                                 password=PASSWORD))
        tokens = {"an expired token": self.sign(new_id(), *everything, ago=timedelta(minutes=20)),
                  "a disabled account": self.sign(disabled.id, *everything)}
        await identity.amend_account(ROOT, disabled.id, AmendAccount(disabled=True), if_match=disabled.version)
        session = await self.session(disabled.id)
        tokens["an ended session"] = self.sign(new_id(), *everything, session_id=session)
        ended = Caller(account_id=disabled.id, roles=frozenset({ADMIN}), subjects={"account_id": disabled.id})
        await identity.end_session(ended, session)
        await self.revocations_arrive()
        return tokens

    # --- things ------------------------------------------------------------------------------------------------------

    def count(self) -> int:
        return next(self._count)

    def free_time(self) -> datetime:
        """A slot of every doctor that nobody has been given yet."""
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        return hour + timedelta(days=1, minutes=20 * self.count())

    async def book(self, of: Subject) -> None:
        await self.house.ask(Appointments).book(ROOT, BookAppointment(
            patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=self.free_time(),
            reason=f"{of.family_name}'s secret"))

    async def visit(self, of: Subject, status: Status = Status.BOOKED, *, mode: Mode = Mode.IN_PERSON) -> Visit:
        """A fresh one, of now, in this state."""
        now, form = self.clock.now(), self.demographics[of.whose]
        visit = Visit(new_id(), of.patient_id, f"{form.given_name} {form.family_name}", of.doctor_id, "Dr Somebody",
                      new_id(), "Somewhere", now, now + timedelta(minutes=20), now.isoformat(), "Europe/Dublin",
                      mode, f"{of.family_name}'s secret", status, "", "", now, None, now, 1)
        step = visits_kept.KeptStep(visit.id, 1, status, now, form.given_name, None, now, f"{of.family_name}'s secret")
        async with self.house.rooms["appointments"].db.transaction() as tx:
            visits_kept.VISITS.add(tx, visit)
            visits_kept.STEPS.add(tx, step)
        return visit

    async def session(self, account_id: UUID) -> UUID:
        now = self.clock.now()
        row = accounts_kept.SessionRow(new_id(), account_id, now, now, now + timedelta(hours=1), "192.0.2.1")
        async with self.house.rooms["identity"].db.transaction() as tx:
            accounts_kept.SESSIONS.add(tx, row)
        return row.id

    async def usual_password(self, account_id: UUID) -> None:
        """And nothing besides it."""
        async with self.house.rooms["identity"].db.transaction() as tx:
            await tx.run(accounts_kept.SET_PASSWORD, key=account_id, hashed=QUICK.hash(PASSWORD))
            await tx.run(accounts_kept.DROP_TOTP, key=account_id)
            await tx.run(accounts_kept.DROP_RECOVERY_CODES, key=account_id)
            await tx.run(points_kept.DROP_ALL, key=account_id)

    async def fresh(self, account_id: UUID) -> None:
        """The password was given just now where this account is signed in."""
        now = self.clock.now()
        if any(account_id == one.id for one in self.accounts.values()):
            async with self.house.rooms["identity"].db.transaction() as tx:
                await tx.run(accounts_kept.END, key=_session_of(account_id))
                accounts_kept.SESSIONS.add(tx, accounts_kept.SessionRow(
                    _session_of(account_id), account_id, now, now, now + timedelta(hours=1), "192.0.2.1", now))

    async def authenticator(self, account_id: UUID, *, confirmed: bool = True) -> str:
        """An app that the account has, or is about to have; answers the code that it shows."""
        await self.usual_password(account_id)
        secret, room = pyotp.random_base32(), self.house.rooms["identity"]
        if any(account_id == one.id for one in self.accounts.values()):
            async with room.db.transaction() as tx:
                accounts_kept.TOTPS.add(tx, accounts_kept.TotpRow(
                    account_id, room.service.sealed(account_id, secret), self.clock.now() if confirmed else None, 0))
        return pyotp.TOTP(secret).at(self.clock.now())

    async def login(self, account_id: UUID) -> UUID:
        """At a provider of its own."""
        return await self._login(account_id, "https://id.test", f"somebody {self.count()}")

    async def known_there(self, account_id: UUID) -> str:
        """By which name the account is known at our provider."""
        name = f"somebody {self.count()}"
        await self._login(account_id, self.provider.issuer, name)
        return name

    async def _login(self, account_id: UUID, issuer: str, subject: str) -> UUID:
        row = logins_kept.LoginRow(new_id(), account_id, f"provider-{self.count()}", issuer, subject,
                                   pair_key(issuer, subject), "", self.clock.now(), None)
        async with self.house.rooms["identity"].db.transaction() as tx:
            logins_kept.LOGINS.add(tx, row)
        return row.id
    async def passkey(self, account_id: UUID) -> tuple[UUID, Authenticator]:
        """A passkey of the account, and the device that it is on."""
        room, device = self.house.rooms["identity"], Authenticator(self.house.settings.passkey_origin)
        whose = account_id if any(account_id == one.id for one in self.accounts.values()) else self.accounts[OTHER].id
        made = room.service.ceremonies.made(msgspec.convert(device.makes(
            {"user": {"id": user_handle(whose)}, "challenge": text(b"any")}), MadeCredential), b"any")
        row = PasskeyRow(
            id=new_id(), account_id=whose, credential_hash=digest(made.credential_id), credential_id=made.credential_id,
            public_key=made.public_key, transports="", uses=0, synced=False, name="A phone", created_at=self.clock.now(),
            last_used_at=None, version=1)
        async with room.db.transaction() as tx:
            PASSKEYS.add(tx, row)
        return row.id, device

    async def client(self) -> UUID:
        """A program."""
        now = self.clock.now()
        row = programs_kept.ClientRow(new_id(), "A program", [Role.NURSE], new_id().hex, now, now, None, None, 1)
        async with self.house.rooms["identity"].db.transaction() as tx:
            programs_kept.CLIENTS.add(tx, row)
        return row.id

    async def code_by_mail(self) -> tuple[UUID, str]:
        """A request for a code of the patient's account, and the code."""
        return await self._sent_code(self.accounts[PATIENT].id, Purpose.SIGN_IN)

    async def code_to_confirm(self, account_id: UUID) -> tuple[UUID, str]:
        """A request for a code to the account's own mailbox, and the code."""
        return await self._sent_code(account_id, Purpose.CONFIRM)

    async def _sent_code(self, account_id: UUID, purpose: Purpose) -> tuple[UUID, str]:
        room = self.house.rooms["identity"]
        row = SentCodeRow(new_id(), account_id, email_key(str(account_id)), 0, self.clock.now() + timedelta(minutes=10), None,
                          Channel.EMAIL, None, purpose)
        async with room.db.transaction() as tx:
            SENT_CODES.add(tx, row)
        return row.id, room.service.code_of(row.id)

    async def contact_point(self, account_id: UUID, *, second_factor: bool) -> None:
        """The account's own mailbox, confirmed, and nothing else."""
        if any(account_id == one.id for one in self.accounts.values()):
            await self._contact_point(account_id, second_factor=second_factor)

    async def _contact_point(self, account_id: UUID, *, second_factor: bool) -> None:
        async with self.house.rooms["identity"].db.transaction() as tx:
            await tx.run(points_kept.DROP_ALL, key=account_id)
            points_kept.CONTACT_POINTS.add(tx, points_kept.ContactPointRow(
                account_id, Channel.EMAIL, "somebody@home.test", self.clock.now(), second_factor))

    async def mfa_token(self) -> str:
        """What somebody holds who has given the password of an account that asks for a code, too."""
        made = await self.house.ask(Identity).open_account(ROOT, OpenAccount(
            email=f"codes.{self.count()}@door.test", name="Some Body", roles=[Role.NURSE], password=PASSWORD))
        await self._contact_point(made.id, second_factor=True)
        room = self.house.rooms["identity"]
        token: str = room.service.mfa_token(await room.service.account_there(made.id), "fresh")
        return token

    async def preferences_version(self, account_id: UUID) -> int:
        """Of what the account has chosen; 0: nothing yet."""
        async with self.house.rooms["notifications"].db.reading() as reading:
            row = await notes_kept.PREFERENCES.get(reading, account_id)
        return row.version if row else 0

    async def reset(self) -> UUID:
        """A link for a new password, of an account made for it."""
        now = self.clock.now()
        account = await self.house.ask(Identity).open_account(ROOT, OpenAccount(
            email=f"forgot.{self.count()}@door.test", name="Forgetful", roles=[Role.NURSE], password=PASSWORD))
        row = accounts_kept.ResetRow(id=new_id(), account_id=account.id, invitation=False,
                                     expires_at=now + timedelta(hours=1), used_at=None)
        async with self.house.rooms["identity"].db.transaction() as tx:
            accounts_kept.RESETS.add(tx, row)
        return row.id

    async def reset_token(self) -> str:
        link = await self.house.ask(Identity).reset_link(service("test"), await self.reset())
        return link.url.partition("token=")[2]

    async def notification(self, account_id: UUID, of: Subject) -> UUID:
        theirs = account_id in (self.accounts[PATIENT].id, self.accounts[TREATED].id, self.accounts[OTHER].id)
        title = f"{of.family_name}'s secret" if theirs else "News"
        row = notes_kept.NotificationRow(new_id(), account_id, new_id(), title, "A visit.", "/", self.clock.now(), None)
        async with self.house.rooms["notifications"].db.transaction() as tx:
            notes_kept.NOTIFICATIONS.add(tx, row)
        return row.id

    async def delivery(self) -> UUID:
        now = self.clock.now()
        row = notes_kept.DeliveryRow(new_id(), new_id(), new_id(), Channel.EMAIL, "visit", new_id(), "x@home.test",
                                     "News", "", "", "", DeliveryStatus.FAILED, 6, "Refused", now, now, None)
        async with self.house.rooms["notifications"].db.transaction() as tx:
            notes_kept.DELIVERIES.add(tx, row)
        return row.id

    async def leave(self, doctor_id: UUID) -> UUID:
        starts = self.clock.now() + timedelta(days=400 + self.count())
        return (await self.house.ask(Staff).take_leave(ROOT, doctor_id, LeaveForm(
            starts_at=starts, ends_at=starts + timedelta(hours=1)))).id

    async def parked(self) -> UUID:
        event = PatientAmended(aggregate=new_id(), version=1, name="Somebody", number=1)
        now = self.clock.now()
        row = Parked(new_id(), event.kind, event.aggregate, 1, event, "", now, now, "ValueError")
        async with self.house.rooms["appointments"].db.transaction() as tx:
            PARKED.add(tx, row)
        return row.id

    # --- asking and looking ------------------------------------------------------------------------------------------

    async def send(self, ask: Ask, token: str = "", *, base: str = "", **headers: str) -> Reply:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await ask.sent(self.http, base or self.base, headers)

    @contextlib.asynccontextmanager
    async def serving(self, handlers: list[Any]) -> AsyncIterator[str]:
        async with serving(build_app(handlers)) as base:
            yield base

    def kept(self) -> dict[str, str]:
        """What is in every table, short enough to compare; without the notes that denials leave."""
        found = {}
        for room in self.house.rooms.values():
            with contextlib.closing(sqlite3.connect(self.house.settings.folder / f"{room.name}.db")) as reader:
                names = [name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for name in set(names) - _NOTES:
                    only = " WHERE kind != 'kernel.Audited'" if name == "outbox" else ""
                    rows = sorted(map(repr, reader.execute(f'SELECT * FROM "{name}"{only}')))
                    digest = hashlib.sha256("".join(rows).encode()).hexdigest()
                    found[f"{room.name}.{name}"] = f"{len(rows)} rows, {digest}"
        return found

    def fingerprints(self, context: str) -> set[str]:
        """Of the requests whose answers are kept."""
        with contextlib.closing(sqlite3.connect(self.house.settings.folder / f"{context}.db")) as reader:
            return {fingerprint for (fingerprint,) in reader.execute("SELECT fingerprint FROM answered")}

    def audited(self, action: str) -> list[dict[str, Any]]:
        """Entries of this action, wherever they were written."""
        bodies = []
        for room in self.house.rooms.values():
            with contextlib.closing(sqlite3.connect(self.house.settings.folder / f"{room.name}.db")) as reader:
                bodies += [json.loads(body) for (body,) in reader.execute(
                    "SELECT body FROM outbox WHERE kind = 'kernel.Audited'")]
        return [body for body in bodies if body["action"] == action]


ROOT = Caller(account_id=new_id(), name="Ad Min", roles=frozenset({ADMIN}))


@contextlib.asynccontextmanager
async def a_world(folder: Path, database: str = "sqlite://{data}/{context}.db") -> AsyncIterator[World]:
    clock = HeldClock(MONDAY)
    async with a_provider(clock) as provider, aiohttp.ClientSession() as http:
        settings = Settings(data=str(folder), database=database, public_url="https://hospital.test", strong_factor=(),
                            oidc={PROVIDER: provider.settings(a_secret_in(folder))})
        house = House(settings, clock=clock, contexts=HOUSE)
        await house.open()
        try:
            world = World(house, clock, http, provider)
            await world.settle()
            async with world.serving([*house.api(), *operations.handlers(house)]) as world.base:
                yield world
        finally:
            await house.close()

"""A door to the hospital on a real database, and the people who come to it."""
from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from sqlalchemy import func, select

from infirmary.contexts.identity.contract import (
    Account,
    EmailTaken,
    ForgottenPassword,
    Identity,
    OpenAccount,
    Registered,
    RegisterPatient,
    TokenRequest,
    Tokens,
)
from infirmary.contexts.identity.service import IdentityService
from infirmary.contexts.identity.tables import metadata
from infirmary.contexts.patients.contract import Enrol, Gender, Patient, Patients
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.kernel.errors import NotSignedIn
from infirmary.kernel.events import Event
from infirmary.kernel.outbox import Stored, outbox
from infirmary.kernel.request import Request, current
from infirmary.kernel.tokens import Revocations, Verifier, public_keys
from infirmary.language import ADMIN, Role, service
from infirmary.settings import Environment, Settings

MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
PASSWORD = "three unrelated words"
MASTER = b"the installation's own secret..."
FACTS = Query(select(outbox).order_by(outbox.c.id), Stored)

admin = Caller(account_id=new_id(), name="Ad Min", roles=frozenset({ADMIN}))
gatekeeper = service("gatekeeper")


class CountingHasher(PasswordHasher):
    """Argon2 as fast as it goes; says how much work was done."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost, memory_cost=8, parallelism=1)
        self.done: Counter[str] = Counter()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.done["hash"] += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 – argon2's name
        self.done["verify"] += 1
        return super().verify(hash, password)


class Register(Patients):
    """The register of patients, as far as identity asks it."""

    def __init__(self) -> None:
        self.enrolled: dict[UUID, Enrol] = {}
        self.last: Enrol | None = None
        self.refusal: Exception | None = None
        self.answer_lost: Exception | None = None
        self.hangs: asyncio.Event | None = None
        self.was_asked = asyncio.Event()

    async def enrol(self, caller: Caller, body: Enrol) -> Patient:
        self.last = body
        self.was_asked.set()
        if self.hangs is not None:
            await self.hangs.wait()
        if self.refusal is not None:
            raise self.refusal
        first = self.enrolled.setdefault(body.patient_id, body).demographics
        if self.answer_lost is not None:
            raise self.answer_lost
        return Patient(id=body.patient_id, number=len(self.enrolled), given_name=first.given_name,
                       family_name=first.family_name, birth_date=first.birth_date, gender=Gender.UNKNOWN,
                       phone=first.phone, email=first.email, address="", language="", created_at=MONDAY,
                       retired_at=None, version=1)


class Door:
    """Identity at work, asked through its contract, and a guard who knows only the keys and the revocations."""

    def __init__(self, db: Database, folder: Path, clock: HeldClock, environment: Environment) -> None:
        self.db, self.folder, self.clock = db, folder, clock
        self.settings = Settings(data=str(folder), public_url="https://hospital.test", environment=environment)
        self.register, self.hasher = Register(), CountingHasher()
        self.restart()

    def restart(self, hasher: CountingHasher | None = None) -> None:
        """Another process on the same database and keys."""
        self.hasher = hasher or self.hasher
        patients = in_process(Patients, lambda: (self.register, self.db))
        kit = Kit(settings=self.settings, clock=self.clock, db=self.db, ask=lambda _: patients,  # type: ignore[arg-type]
                  data=self.folder, master=MASTER)
        self.service = made = IdentityService(kit, hasher=self.hasher)
        self.ask = in_process(Identity, lambda: (made, self.db))
        self.revocations = Revocations(self.clock)
        self.guard = Verifier(public_keys(made.ring), issuer="https://hospital.test", audience="infirmary",
                              clock=self.clock, revocations=self.revocations)

    def wait(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        self.clock.advance(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))

    # --- what people do --------------------------------------------------------------------------------------------

    async def registers(self, email: str = "ada@example.test", **fields: Any) -> Registered:
        return await self.ask.register(NOBODY, a_registration(email=email, **fields))

    async def opens(self, email: str, *roles: Role, **fields: Any) -> Account:
        """An account made by the administration; with a password unless said otherwise."""
        return await self.ask.open_account(admin, an_account(email, *roles, **fields))

    async def signs_in(self, email: str = "ada@example.test", password: str = PASSWORD) -> Tokens:
        return await self.ask.token(NOBODY, TokenRequest(grant_type="password", username=email, password=password))

    async def administrator(self) -> Caller:
        """One who has just signed in."""
        with contextlib.suppress(EmailTaken):
            await self.opens("boss@example.test", ADMIN)
        return await self.caller(await self.signs_in("boss@example.test"))

    async def refreshes(self, tokens: Tokens | str) -> Tokens:
        token = tokens if isinstance(tokens, str) else tokens.refresh_token
        return await self.ask.token(NOBODY, TokenRequest(grant_type="refresh_token", refresh_token=token))

    async def caller(self, tokens: Tokens) -> Caller:
        """Who the guard sees, knowing what was revoked so far."""
        revoked = await self.ask.revocations(gatekeeper)
        self.revocations.learn({one.id: one.since for one in revoked})
        return self.guard.caller(tokens.access_token)

    async def lets_in(self, tokens: Tokens) -> bool:
        try:
            await self.caller(tokens)
        except NotSignedIn:
            return False
        return True

    async def gets_a_link(self, email: str = "ada@example.test") -> str:
        """The token in the link that the e-mail would carry."""
        await self.ask.forgot_password(NOBODY, ForgottenPassword(email))
        return await self.link_of((await self.facts("PasswordResetRequested"))[-1].aggregate)

    async def link_of(self, reset_id: UUID) -> str:
        url = (await self.ask.reset_link(service("notifications"), reset_id)).url
        return parse_qs(urlsplit(url).query)["token"][0]

    # --- what is left behind ---------------------------------------------------------------------------------------

    async def facts(self, name: str) -> list[Stored]:
        async with self.db.reading() as reading:
            return [fact for fact in await reading.all(FACTS) if fact.kind.endswith(f".{name}")]

    async def events(self, kind: type[Event]) -> list[Any]:
        return [msgspec.convert(fact.body, kind) for fact in await self.facts(kind.__name__)]

    async def audited(self, action: str) -> list[Audited]:
        return [entry for entry in await self.events(Audited) if entry.action == action]

    async def count(self, table: Any) -> int:
        async with self.db.reading() as reading:
            return await reading.one(Query(select(func.count()).select_from(table), int)) or 0


@contextlib.asynccontextmanager
async def a_door(url: str, folder: Path, environment: Environment = Environment.DEVELOPMENT) -> AsyncIterator[Door]:
    clock = HeldClock(MONDAY)
    db = await Database.open(url, "identity", clock=clock)
    await db.create(metadata)
    yield Door(db, folder, clock, environment)
    await db.close()


@contextlib.contextmanager
def coming_from(address: str) -> Any:
    """Requests in this block come from there."""
    mark = current.set(Request(id="a-request", address=address))
    try:
        yield
    finally:
        current.reset(mark)


def a_registration(**fields: Any) -> RegisterPatient:
    return RegisterPatient(**{"email": "ada@example.test", "password": PASSWORD, "given_name": "Ada",
                              "family_name": "Okafor", "birth_date": date(1991, 5, 4), "phone": "+353 1 555 0100",
                              **fields})


def an_account(email: str, *roles: Role, **fields: Any) -> OpenAccount:
    return OpenAccount(**{"email": email, "name": "Some Body", "roles": list(roles or [Role.RECEPTION]),
                          "password": PASSWORD, **fields})

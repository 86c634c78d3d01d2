"""What every part of the service needs: the tools of the house, and the few steps that several use cases share."""
from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import Account, AlreadyLinked, EmailTaken, Identity
from infirmary.contexts.identity.domain import State
from infirmary.contexts.identity.events import PasswordResetRequested
from infirmary.contexts.identity.tables import AccountRow, ResetRow, RevocationRow
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.errors import FieldError
from infirmary.kernel.request import current
from infirmary.kernel.tokens import KeyRing, Revocations, Signer, Verifier, public_keys
from infirmary.language import Role

from .breached import Breached
from .passwords import Passwords
from .throttle import Bucket, Throttle

AUDIENCE = "infirmary"
LINKED = {f"account_{field}": field for field in ("patient_id", "doctor_id", "staff_id")}   # constraint -> field


class Base(Identity):
    def __init__(self, kit: Kit, *, hasher: PasswordHasher | None = None) -> None:
        self.kit, self.db, self.clock = kit, kit.db, kit.clock
        self.issuer: str = kit.settings.public_url
        self.production: bool = kit.settings.production
        self.passwords = Passwords(hasher)
        listed: str = kit.settings.breached_passwords
        self.breached = Breached(Path(listed) if listed else None)
        self.throttle = Throttle(kit.db, kit.clock, kit.secret("throttle"))
        self.ring = KeyRing(kit.settings.folder / "keys", kit.clock)
        self.signer = Signer(self.ring, issuer=self.issuer, audience=AUDIENCE, clock=kit.clock)
        self.verifier = Verifier(public_keys(self.ring), issuer=self.issuer, audience=AUDIENCE, clock=kit.clock,
                                 revocations=Revocations(kit.clock))

    def derived(self, purpose: str, value: bytes) -> bytes:
        """32 bytes that only this installation can make of the value."""
        return hmac.digest(self.kit.secret(purpose), value, hashlib.sha256)

    async def check_password(self, password: str, *, email: str, names: Iterable[str], field: str = "password") -> None:
        """Refuses passwords that are guessed first."""
        domain.check_password(password, email=email, names=names, field=field)
        await self.breached.refuse(password, field)

    # --- how often -------------------------------------------------------------------------------------------------

    def from_here(self, what: str) -> Bucket:
        """Counts what is done from the address of this request."""
        address = current.get().address
        limit = domain.limit_of(address, production=self.production)
        return self.throttle.bucket(limit, what, "address", domain.network(address))

    def tries_at(self, email_key: str) -> tuple[Bucket, list[Bucket]]:
        """What counts a failed try at this account's password: the account's own bucket, and those it shares."""
        return (self.throttle.bucket(domain.TRIES_PER_ACCOUNT, "password", "account", email_key),
                [self.from_here("password"), self.throttle.bucket(domain.TRIES_OVERALL, "password", "overall")])

    async def proved(self, email_key: str, stored: str | None, password: str, *, known: Bucket | None = None) -> bool:
        """One try at a password. It counts as a failure until `forgiven`. `known`: what counts the tries of whoever has
        given this account's password before, who neither counts nor waits with strangers."""
        account, others = self.tries_at(email_key)
        counted = [known] if known else [account, *others]
        await self.throttle.refuse_full(counted)
        async with self.passwords.place(known=known is not None):   # counted when its turn comes: who waits has not failed
            await self.throttle.take(counted)
            return await self.passwords.match(stored, password)

    def tries_of(self, caller: Caller) -> Bucket:
        """What counts the tries at one's own password by somebody who is signed in."""
        return self.throttle.bucket(domain.TRIES_PER_DEVICE, "password", "session", str(caller.session_id))

    def codes_at(self, email_key: str, kind: str = "code") -> list[Bucket]:
        """What counts a code that is tried at this account: as a wrong one, until somebody is let in. A "sent code" is
        counted apart: anybody may try those, and must not lock up the authenticator app of who knows the password."""
        return [self.throttle.bucket(domain.CODES_PER_ACCOUNT, kind, "account", email_key),
                self.throttle.bucket(domain.CODES_IN_A_ROW, kind, "account", email_key, "in a row")]

    async def forgiven(self, tx: Transaction, email_key: str, *, with_password: bool = True, known: Bucket | None = None) -> None:
        """Somebody was let in: the account begins anew, and the try at the password was none at a stranger's. Who is `known`
        begins anew alone: what strangers tried at the account stays counted."""
        account, others = self.tries_at(email_key)
        codes = [*self.codes_at(email_key), *self.codes_at(email_key, "sent code")]
        await self.throttle.forgive(tx, [known or account, *codes], others if with_password and not known else [])

    # --- accounts --------------------------------------------------------------------------------------------------

    async def roles(self, tx: Reading, *accounts: UUID) -> Mapping[UUID, list[Role]]:
        found: dict[UUID, list[Role]] = {account: [] for account in accounts}
        if accounts:
            for row in await tx.all(tables.ROLES_OF, accounts=accounts):
                found[row.account_id].append(row.role)
        return {account: sorted(roles) for account, roles in found.items()}

    def new_account(self, *, email: str, name: str, state: State, now: datetime, **fields: Any) -> AccountRow:
        row = {"password_hash": None, "patient_id": None, "doctor_id": None, "staff_id": None, "claim": None,
               "claimed_until": None, **fields}
        return AccountRow(id=new_id(), email=email, email_key=domain.email_key(email), name=name,
                          name_key=domain.name_key(name), search=domain.search_text(name, email), state=state,
                          created_at=now, last_sign_in_at=None, version=1, **row)

    async def left_over(self, email_key: str) -> AccountRow | None:
        """A registration with this address that came to nothing. Refuses when the address is somebody's."""
        async with self.db.reading() as reading:
            before = await reading.one(tables.BY_EMAIL, email_key=email_key)
        if before is None:
            return None
        if before.state is not State.PENDING:
            raise clash("account_email_key")
        if before.claimed_until and before.claimed_until > self.clock.now():
            raise EmailTaken("Somebody is registering with this e-mail address at this moment. Try again in a minute.")
        return before

    async def take_over(self, tx: Transaction, left_over: AccountRow | None) -> None:
        if left_over and not await tx.run(tables.VACATE, key=left_over.id, seen=left_over.version):
            raise clash("account_email_key")   # somebody else has just done so

    # --- endings ---------------------------------------------------------------------------------------------------

    async def void_tokens(self, tx: Transaction, account_id: UUID) -> None:
        """All access tokens of the account as it was so far. Its row is locked: no other is being signed."""
        now = self.clock.now()
        if not await tx.run(tables.REVOKE_AGAIN, key=account_id, now=now):
            tables.REVOCATIONS.add(tx, RevocationRow(account_id, now))

    async def end_session_in(self, tx: Transaction, session_id: UUID) -> bool:
        """Whether it was still there to end."""
        ended = await tx.run(tables.END, key=session_id) == 1
        if ended:
            tables.REVOCATIONS.add(tx, RevocationRow(session_id, self.clock.now()))
        return ended

    async def end_all_sessions(self, tx: Transaction, account_id: UUID) -> None:
        await tx.run(tables.END_ALL, account_id=account_id)
        await self.void_tokens(tx, account_id)

    # --- links for a new password ----------------------------------------------------------------------------------

    def offer_link(self, tx: Transaction, account_id: UUID | None, *, invitation: bool) -> None:
        """Without an account the row is made all the same: whether there is one must not show in the time it takes."""
        lasts = domain.INVITED_FOR if invitation else domain.RESET_WITHIN
        reset = ResetRow(new_id(), account_id, invitation, self.clock.now() + lasts, None)
        tables.RESETS.add(tx, reset)
        if account_id is not None:
            tx.emit(PasswordResetRequested(aggregate=reset.id, version=1, account_id=account_id, invitation=invitation))


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def seen(row: AccountRow, roles: Iterable[Role]) -> Account:
    """The account as it is shown."""
    return Account(id=row.id, email=row.email, name=row.name, roles=sorted(roles), patient_id=row.patient_id,
                   doctor_id=row.doctor_id, staff_id=row.staff_id, disabled=row.state is State.DISABLED,
                   created_at=row.created_at, last_sign_in_at=row.last_sign_in_at, version=row.version)


def themselves(row: AccountRow, roles: Iterable[Role] = ()) -> Caller:
    """The account as the one who acts, for the audit trail: whoever signs in is nobody until then."""
    return Caller(account_id=row.id, name=row.name, roles=frozenset(roles))


def entity(row: AccountRow | None) -> str:
    return f"account/{row.id if row else 'unknown'}"


def clash(on: str) -> EmailTaken | AlreadyLinked:
    """What a unique column of the account means to people."""
    field = LINKED.get(on)
    if field is None:
        return EmailTaken(errors=[FieldError("email", "Use another address, or sign in with this one.")])
    return AlreadyLinked(errors=[FieldError(field, "Leave this out, or take it from the other account first.")])


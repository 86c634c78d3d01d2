"""Passkeys: made, used to sign in, renamed, removed.

A challenge is made without a trace: its deadline stands in it, and so does a proof that we made it, for one purpose.
That it is good once is decided when it is answered, by a unique row in the transaction of the effect.
"""
from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from msgspec import structs

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    ChallengeSpent,
    NewPasskey,
    Passkey,
    PasskeyKnown,
    PasskeyOptions,
    PasskeyRefused,
    PasskeyUnfit,
    RenamePasskey,
    Tokens,
    TooManyPasskeys,
    UsedCredential,
    UsePasskey,
)
from infirmary.contexts.identity.domain import State
from infirmary.contexts.identity.events import FactorChange
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables import passkeys as kept
from infirmary.contexts.identity.tables.passkeys import PASSKEYS, SPENT, PasskeyRow, SpentRow
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest
from infirmary.kernel.contract import Done
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, StaleVersion

from .base import themselves
from .ceremonies import Ceremonies, Made, Unfit, Used, challenge_in
from .letting_in import LettingIn
from .sessions import locked
from .throttle import Bucket

T = TypeVar("T")
Effect: TypeAlias = Callable[[Transaction, AccountRow], Awaitable[T | None]]
TO_USE = b"use"
SALT_BYTES, DEADLINE_BYTES = 16, 8


class Passkeys(LettingIn):
    @property
    def ceremonies(self) -> Ceremonies:
        return Ceremonies(self.kit.settings)

    # --- making, naming and removing -------------------------------------------------------------------------------

    async def passkeys(self, caller: Caller) -> list[Passkey]:
        caller.must_reach(account_id=caller.account_id)
        return await self._passkeys_of(caller.account_id)

    async def passkeys_of(self, caller: Caller, account_id: UUID) -> list[Passkey]:
        await self.account_there(account_id)
        return await self._passkeys_of(account_id)

    async def _passkeys_of(self, account_id: UUID | None) -> list[Passkey]:
        async with self.db.reading() as reading:
            return [_seen(row) for row in await reading.all(kept.OF_ACCOUNT, account_id=account_id)]

    async def passkey_options(self, caller: Caller) -> PasskeyOptions:
        caller.must_reach(account_id=caller.account_id)
        account = await self.account_there(caller.account_id)
        async with self.db.reading() as reading:
            await self.must_be_fresh(reading, caller)
            there = await reading.all(kept.OF_ACCOUNT, account_id=account.id)
        if len(there) >= domain.MOST_PASSKEYS:
            raise TooManyPasskeys
        return PasskeyOptions(self.ceremonies.to_make(account, self._challenge(_to_make(account.id)), there))

    async def add_passkey(self, caller: Caller, body: NewPasskey) -> Passkey:
        caller.must_reach(account_id=caller.account_id)
        try:
            challenge = challenge_in(body.credential.response.client_data)
            made = self.ceremonies.made(body.credential, challenge)
        except Unfit:
            raise PasskeyUnfit from None
        try:
            return await self.db.retry(self._add, caller, body, challenge, made)
        except UniqueViolation as taken:
            raise (PasskeyKnown if taken.on == "passkey_credential_hash" else ChallengeSpent) from None

    async def _add(self, caller: Caller, body: NewPasskey, challenge: bytes, made: Made) -> Passkey:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            self._spend(tx, challenge, _to_make(account.id))
            if (await tx.one(kept.HOW_MANY, account_id=account.id) or 0) >= domain.MOST_PASSKEYS:
                raise TooManyPasskeys
            row = PasskeyRow(new_id(), account.id, digest(made.credential_id), made.credential_id, made.public_key,
                             " ".join(body.credential.response.transports), made.uses, made.synced, body.name.strip(),
                             self.clock.now(), None, 1)
            PASSKEYS.add(tx, row)
            self.tell_of_factor(tx, caller, account, FactorChange.PASSKEY_ADDED)
            return tx.answer(_seen(row))

    async def rename_passkey(self, caller: Caller, passkey_id: UUID, body: RenamePasskey, if_match: int) -> Passkey:
        return await self.db.retry(self._rename, caller, passkey_id, body.name.strip(), if_match)

    async def _rename(self, caller: Caller, passkey_id: UUID, name: str, if_match: int) -> Passkey:
        async with self.db.transaction() as tx:
            row = await self._mine(tx, caller, passkey_id)
            if row.version != if_match or not await tx.run(kept.RENAME, key=row.id, seen=if_match, new_name=name):
                raise StaleVersion
            tx.audit("passkey.renamed", caller, entity=f"passkey/{row.id}")
            return tx.answer(_seen(structs.replace(row, name=name, version=if_match + 1)))

    async def remove_passkey(self, caller: Caller, passkey_id: UUID) -> Done:
        return await self.db.retry(self._remove, caller, passkey_id)

    async def _remove(self, caller: Caller, passkey_id: UUID) -> Done:
        async with self.db.transaction() as tx:
            account = await locked(tx, caller.account_id)
            row = await self._mine(tx, caller, passkey_id)
            await self.must_be_fresh(tx, caller)
            await tx.run(kept.DROP, key=row.id)
            self.tell_of_factor(tx, caller, account, FactorChange.PASSKEY_REMOVED)
            return tx.answer(Done())

    @staticmethod
    async def _mine(reading: Reading, caller: Caller, passkey_id: UUID) -> PasskeyRow:
        row = await PASSKEYS.get(reading, passkey_id)
        caller.must_reach(row)
        if row is None:
            raise NotFound
        return row

    # --- using -----------------------------------------------------------------------------------------------------

    async def passkey_challenge(self, caller: Caller) -> PasskeyOptions:
        return PasskeyOptions(self.ceremonies.to_use(self._challenge(TO_USE)))

    async def passkey_token(self, caller: Caller, body: UsePasskey) -> Tokens:
        return await self._used(caller, body.credential, self._signed_in_by_passkey)   # no answer is kept, as in `token`

    async def _signed_in_by_passkey(self, tx: Transaction, account: AccountRow) -> Tokens:
        await self.forgiven(tx, account.email_key, with_password=False)
        return await self.let_in(tx, account)

    async def passkey_step_up(self, caller: Caller, body: UsePasskey) -> Done:
        caller.must_reach(account_id=caller.account_id)

        async def proved(tx: Transaction, account: AccountRow) -> Done | None:
            if account.id != caller.account_id or not await tx.run(
                    tables.PROVE, key=caller.session_id, now=self.clock.now()):
                return None   # another's passkey, or the sign-in has ended
            tx.audit("session.stepped_up", caller, entity=f"session/{caller.session_id}")
            return tx.answer(Done())

        return await self._used(caller, body.credential, proved)

    async def _used(self, caller: Caller, credential: UsedCredential, effect: Effect[T]) -> T:
        """The effect for the account whose passkey it is, committed with the note of its use."""
        here = self.from_here("passkey")
        await self.throttle.take([here])
        async with self.db.reading() as reading:
            known = await reading.one(kept.BY_CREDENTIAL, credential_hash=digest(credential.id))
        done: T | None = None
        with suppress(Unfit):
            challenge = challenge_in(credential.response.client_data)
            used = self.ceremonies.used(credential, challenge, known) if known else None
            if known and used:
                try:
                    done = await self.db.retry(self._use, known, used, challenge, here, effect)
                except UniqueViolation:
                    raise ChallengeSpent from None
        if done is None:
            async with self.db.transaction() as tx:
                tx.audit("passkey.refused", caller, outcome="refused",
                         entity=f"passkey/{known.id if known else 'unknown'}")
            raise PasskeyRefused
        return done

    async def _use(self, known: PasskeyRow, used: Used, challenge: bytes, here: Bucket, effect: Effect[T]) -> T | None:
        async with self.db.transaction() as tx:
            account = await tx.one(tables.LOCKED, key=known.account_id)
            if account is None or account.state is not State.ACTIVE:
                return None
            self._spend(tx, challenge, TO_USE)
            if not await tx.run(kept.USE, key=known.id, uses=used.uses, synced=used.synced, now=self.clock.now()):
                if await PASSKEYS.get(tx, known.id):   # else it was removed while we were looking
                    self.tell_of_factor(tx, themselves(account), account, FactorChange.PASSKEY_COPIED)
                return None
            await self.throttle.forgive(tx, [], [here])
            return await effect(tx, account)

    # --- challenges ------------------------------------------------------------------------------------------------

    def _challenge(self, purpose: bytes) -> bytes:
        ends = int((self.clock.now() + domain.CHALLENGE_FOR).timestamp())
        made = ends.to_bytes(DEADLINE_BYTES) + secrets.token_bytes(SALT_BYTES)
        return made + self._proof_of(purpose, made)

    def _spend(self, tx: Transaction, challenge: bytes, purpose: bytes) -> None:
        """Refuses what we did not make for this, and what is too old; that it was used before, the row refuses."""
        made, proof = challenge[:DEADLINE_BYTES + SALT_BYTES], challenge[DEADLINE_BYTES + SALT_BYTES:]
        if not hmac.compare_digest(self._proof_of(purpose, made), proof):
            raise ChallengeSpent
        ends = datetime.fromtimestamp(int.from_bytes(made[:DEADLINE_BYTES]), UTC)
        if ends <= self.clock.now():
            raise ChallengeSpent
        SPENT.add(tx, SpentRow(hashlib.sha256(challenge).hexdigest(), ends))

    def _proof_of(self, purpose: bytes, made: bytes) -> bytes:
        return self.derived("passkey-challenge", purpose + made)


def _to_make(account_id: UUID) -> bytes:
    return b"make" + account_id.bytes


def _seen(row: PasskeyRow) -> Passkey:
    return Passkey(id=row.id, name=row.name, synced=row.synced, created_at=row.created_at,
                   last_used_at=row.last_used_at, version=row.version)

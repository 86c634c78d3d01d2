"""Passwords forgotten, chosen by a link, and changed."""
from __future__ import annotations

import hmac
from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    ChangePassword,
    ForgottenPassword,
    LinkExpired,
    NewPassword,
    ResetLink,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import State
from infirmary.contexts.identity.events import PasswordChanged
from infirmary.contexts.identity.tables import AccountRow, ResetRow
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.errors import FieldError, NotFound, TooManyTries

from .base import Base, base64url, entity, themselves


class PasswordCare(Base):
    async def forgot_password(self, caller: Caller, body: ForgottenPassword) -> Done:
        """The same answer and the same work, whether or not there is such an account."""
        await self.throttle.take([self.from_here("forgot")])
        email_key = domain.email_key(body.email)
        async with self.db.reading() as reading:
            account = await reading.one(tables.BY_EMAIL, email_key=email_key)
        to_tell = account if account and account.state is State.ACTIVE else None
        try:
            await self.throttle.take([self.throttle.bucket(domain.MAILS_PER_ACCOUNT, "forgot", "account", email_key)])
        except TooManyTries:   # said to nobody: it would only annoy the owner of the mailbox
            to_tell = None
        async with self.db.transaction() as tx:
            self.offer_link(tx, to_tell.id if to_tell else None, invitation=False)
            tx.audit("password.reset_requested", caller, entity=entity(account))
            return tx.answer(Done())

    async def reset_link(self, caller: Caller, reset_id: UUID) -> ResetLink:
        reset, account = await self._offered(reset_id)
        url = f"{self.issuer}/reset?token={reset_id.hex}.{self._proof(reset_id)}"
        return ResetLink(account.email, account.name, url, reset.invitation)

    async def reset_password(self, caller: Caller, body: NewPassword) -> Done:
        await self.throttle.take([self.from_here("reset")])
        reset, account = await self._offered(self._reset_of(body.token))
        await self.check_password(body.password, email=account.email, names=[account.name])
        hashed = await self.passwords.hashed(body.password)
        return await self.db.retry(self._reset, reset, account.id, hashed)

    async def _reset(self, reset: ResetRow, account_id: UUID, hashed: str) -> Done:
        now = self.clock.now()
        async with self.db.transaction() as tx:
            account = await tx.one(tables.LOCKED, key=account_id)
            if account is None or account.state is not State.ACTIVE \
                    or not await tx.run(tables.USE_RESET, key=reset.id, now=now):
                raise LinkExpired
            await tx.run(tables.SET_PASSWORD, key=account.id, hashed=hashed)
            await tx.run(tables.VOID_RESETS, account_id=account.id, now=now)
            await self.end_all_sessions(tx, account.id)
            await self.throttle.forgive(tx, [self.tries_at(account.email_key)[0], *self.codes_at(account.email_key)], [])
            self._tell_of_change(tx, themselves(account), account, "password.reset")
            return tx.answer(Done())

    async def change_password(self, caller: Caller, body: ChangePassword) -> Done:
        caller.must_reach(account_id=caller.account_id)
        async with self.db.reading() as reading:
            account = await tables.ACCOUNTS.get(reading, caller.account_id)
        if account is None:
            raise NotFound
        await self.check_password(body.new_password, email=account.email, names=[account.name], field="new_password")
        stored = account.password_hash
        if not await self.proved(account.email_key, stored, body.current_password, known=self.tries_of(caller)) or stored is None:
            async with self.db.transaction() as tx:
                tx.audit("password.change_refused", caller, outcome="refused", entity=entity(account))
            raise _old_one_differs()
        hashed = await self.passwords.hashed(body.new_password, known=True)
        return await self.db.retry(self._change, caller, account.id, stored, hashed)

    async def _change(self, caller: Caller, account_id: UUID, stored: str, hashed: str) -> Done:
        async with self.db.transaction() as tx:
            account = await tx.one(tables.LOCKED, key=account_id)
            if account is None or not await tx.run(tables.REPLACE_PASSWORD, key=account_id, seen=stored, hashed=hashed):
                raise _old_one_differs()   # it was changed while we were looking
            for session_id in await tx.all(tables.OTHERS, account_id=account.id, keep=caller.session_id or UUID(int=0)):
                await self.end_session_in(tx, session_id)
            await tx.run(tables.VOID_RESETS, account_id=account.id, now=self.clock.now())
            await self.forgiven(tx, account.email_key, known=self.tries_of(caller))
            self._tell_of_change(tx, caller, account, "password.changed")
            return tx.answer(Done())

    @staticmethod
    def _tell_of_change(tx: Transaction, who: Caller, account: AccountRow, action: str) -> None:
        tx.emit(PasswordChanged(aggregate=new_id(), version=1, account_id=account.id))
        tx.audit(action, who, entity=entity(account))

    # --- links -----------------------------------------------------------------------------------------------------

    def _proof(self, reset_id: UUID) -> str:
        """The half of the link that only we can make; it is stored nowhere and never travels on the bus."""
        return base64url(self.derived("password-reset", reset_id.bytes))

    def _reset_of(self, token: str) -> UUID:
        made, _, proof = token.partition(".")
        try:
            reset_id = UUID(hex=made)
        except ValueError:
            raise LinkExpired from None
        if not hmac.compare_digest(self._proof(reset_id).encode(), proof.encode()):
            raise LinkExpired
        return reset_id

    async def _offered(self, reset_id: UUID) -> tuple[ResetRow, AccountRow]:
        """A link that may still be used, and whose it is."""
        async with self.db.reading() as reading:
            reset = await tables.RESETS.get(reading, reset_id)
            account = await tables.ACCOUNTS.get(reading, reset.account_id) if reset and reset.account_id else None
        if reset is None or reset.used_at is not None or reset.expires_at <= self.clock.now() \
                or account is None or account.state is not State.ACTIVE:
            raise LinkExpired
        return reset, account


def _old_one_differs() -> WrongCredentials:
    return WrongCredentials("That is not your current password, so nothing was changed.",
                            errors=[FieldError("current_password", "Type the password that you sign in with now.")])

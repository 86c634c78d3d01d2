"""The second factor: set up, given up, and reset for those who have lost it."""
from __future__ import annotations

import os
from uuid import UUID

import pyotp

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    CodeGiven,
    DisableTotp,
    FactorSet,
    NoFactor,
    NothingToConfirm,
    RecoveryCodes,
    SecondFactor,
    TotpEnrolment,
    WrongCode,
    WrongCredentials,
)
from infirmary.contexts.identity.events import FactorChange
from infirmary.contexts.identity.tables import AccountRow, RecoveryRow, TotpRow
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.errors import FieldError

from .base import entity
from .sessions import Sessions, locked


class Factors(Sessions):
    async def second_factor(self, caller: Caller) -> SecondFactor:
        caller.must_reach(account_id=caller.account_id)
        return await self._second_factor(caller.account_id)

    async def second_factor_of(self, caller: Caller, account_id: UUID) -> SecondFactor:
        return await self._second_factor(account_id)

    async def _second_factor(self, account_id: UUID | None) -> SecondFactor:
        account = await self.account_there(account_id)
        async with self.db.reading() as reading:
            factor = await tables.TOTPS.get(reading, account.id)
            left = await reading.one(tables.RECOVERY_LEFT, key=account.id) or 0
            passkeys = await reading.one(tables.passkeys.HOW_MANY, account_id=account.id) or 0
            codes_by = (await self.wanted(reading, account.id)).channels
        return SecondFactor(totp_since=factor.confirmed_at if factor else None, recovery_codes_left=left,
                            passkeys=passkeys, codes_by=codes_by)

    async def enroll_totp(self, caller: Caller) -> TotpEnrolment:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._enroll, caller, pyotp.random_base32())

    async def _enroll(self, caller: Caller, secret: str) -> TotpEnrolment:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            factor = await tables.TOTPS.get(tx, account.id)
            if factor and factor.confirmed_at:
                raise FactorSet
            await tx.run(tables.DROP_TOTP, key=account.id)
            tables.TOTPS.add(tx, TotpRow(account.id, self.sealed(account.id, secret), None, 0))
            issuer = self.kit.settings.hospital.name.replace(":", " ")
            uri = pyotp.TOTP(secret).provisioning_uri(name=account.email, issuer_name=issuer)
            return tx.answer(TotpEnrolment(secret, uri), secret=True)

    async def confirm_totp(self, caller: Caller, body: CodeGiven) -> RecoveryCodes:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._confirm, caller, body.code, _ten_codes())

    async def _confirm(self, caller: Caller, code: str, codes: list[str]) -> RecoveryCodes:
        now = self.clock.now()
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            factor = await tables.TOTPS.get(tx, account.id)
            if factor is None or factor.confirmed_at:
                raise NothingToConfirm
            step = domain.matching_step(self.opened(factor), domain.as_typed(code), now=now)
            if step is None:
                raise WrongCode(errors=[FieldError("code", "Type the six digits that the app shows now.")])
            if not await tx.run(tables.CONFIRM_TOTP, key=account.id, seen=factor.sealed, now=now, step=step):
                raise NothingToConfirm
            await self._replace_codes(tx, account, codes)
            self.tell_of_factor(tx, caller, account, FactorChange.TOTP_ADDED)
            return tx.answer(RecoveryCodes(codes), secret=True)

    async def renew_recovery_codes(self, caller: Caller) -> RecoveryCodes:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._renew_codes, caller, _ten_codes())

    async def _renew_codes(self, caller: Caller, codes: list[str]) -> RecoveryCodes:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            factor = await tables.TOTPS.get(tx, account.id)
            if factor is None or not factor.confirmed_at:
                raise NoFactor
            await self._replace_codes(tx, account, codes)
            self.tell_of_factor(tx, caller, account, FactorChange.RECOVERY_CODES_RENEWED)
            return tx.answer(RecoveryCodes(codes), secret=True)

    async def _replace_codes(self, tx: Transaction, account: AccountRow, codes: list[str]) -> None:
        await tx.run(tables.DROP_RECOVERY_CODES, key=account.id)
        tables.RECOVERY_CODES.add(tx, *(RecoveryRow(account.id, self.code_hash(account.id, code), None) for code in codes))

    async def disable_totp(self, caller: Caller, body: DisableTotp) -> Done:
        """One refusal for a wrong password and a wrong code: who holds the phone alone learns nothing of the password."""
        caller.must_reach(account_id=caller.account_id)
        account = await self.account_there(caller.account_id)
        async with self.db.reading() as reading:
            factor = await tables.TOTPS.get(reading, account.id)
        if factor is None or not factor.confirmed_at:
            raise NoFactor
        await self.throttle.take(self.codes_at(account.email_key))
        stored = account.password_hash
        right = await self.proved(account.email_key, stored, body.password, known=self.tries_of(caller))
        if not right or not await self.db.retry(self._disable, caller, account, body.code):
            async with self.db.transaction() as tx:
                tx.audit("factor.change_refused", caller, outcome="refused", entity=entity(account))
            raise WrongCredentials("The password or the code does not match, so nothing was changed.",
                                   errors=[FieldError("password", "Type the password that you sign in with now."),
                                           FieldError("code", "Type a code that was not used before.")])
        return Done()

    async def _disable(self, caller: Caller, known: AccountRow, code: str) -> bool:
        async with self.db.transaction() as tx:
            account = await locked(tx, known.id)
            factor = await tables.TOTPS.get(tx, account.id)
            if factor is None or not factor.confirmed_at:
                raise NoFactor   # gone while we were looking
            if account.password_hash != known.password_hash or not await self.code_used(tx, factor, account, code):
                return False
            await self._drop(tx, account)
            await self.forgiven(tx, account.email_key, known=self.tries_of(caller))
            self.tell_of_factor(tx, caller, account, FactorChange.TOTP_REMOVED)
            tx.answer(Done())
            return True

    async def reset_second_factor(self, caller: Caller, account_id: UUID) -> Done:
        return await self.db.retry(self._reset_factor, caller, account_id)

    async def _reset_factor(self, caller: Caller, account_id: UUID) -> Done:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, account_id)
            dropped = [await self._drop(tx, account), await tx.run(tables.passkeys.DROP_ALL, account_id=account.id),
                       await tx.run(tables.contact_points.DROP_ALL, key=account.id)]
            if not any(dropped):
                raise NoFactor
            await self.throttle.forgive(tx, self.codes_at(account.email_key), [])
            self.tell_of_factor(tx, caller, account, FactorChange.RESET)
            return tx.answer(Done())

    @staticmethod
    async def _drop(tx: Transaction, account: AccountRow) -> bool:
        await tx.run(tables.DROP_RECOVERY_CODES, key=account.id)
        return await tx.run(tables.DROP_TOTP, key=account.id) == 1


def _ten_codes() -> list[str]:
    return [domain.recovery_code(os.urandom(8)) for _ in range(domain.RECOVERY_CODES)]

"""Codes by e-mail, for patients who have no password at hand.

A code is made of the id of its request by a secret of this installation: it is stored nowhere, and on the bus, in logs and
in the delivery log there is the id alone. Who has a role besides the patient's is sent none: a mailbox is too little for them.
"""
from __future__ import annotations

import hmac
from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import AskForCode, CodeAsked, CodeRefused, GiveCode, SentCode, Tokens
from infirmary.contexts.identity.domain import State
from infirmary.contexts.identity.events import SignInCodeAsked
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables import sent_codes as kept
from infirmary.contexts.identity.tables.sent_codes import SENT_CODES, SentCodeRow
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import PATIENT

from .base import entity
from .signing_in import Proof, SigningIn


class SentCodes(SigningIn):
    async def request_code(self, caller: Caller, body: AskForCode) -> CodeAsked:
        """The same answer and the same work, whether or not there is such an account."""
        await self.throttle.take([self.from_here("code asked")])
        email_key = domain.email_key(body.email)
        async with self.db.reading() as reading:
            account = await reading.one(tables.BY_EMAIL, email_key=email_key)
            roles = await self.roles(reading, account.id if account else UUID(int=0))
        theirs = account and account.state is State.ACTIVE and roles[account.id] == [PATIENT]
        to_tell = account if theirs else None
        try:
            await self.throttle.take([self.throttle.bucket(domain.MAILS_PER_ACCOUNT, "code asked", "account", email_key)])
        except TooManyTries:   # said to nobody: it would only annoy the owner of the mailbox
            to_tell = None
        row = SentCodeRow(new_id(), to_tell.id if to_tell else None, email_key, 0, self.clock.now() + domain.CODE_FOR, None)
        async with self.db.transaction() as tx:
            SENT_CODES.add(tx, row)
            if to_tell:
                tx.emit(SignInCodeAsked(aggregate=row.id, version=1, account_id=to_tell.id))
            tx.audit("session.code_asked", caller, entity=entity(account))
            return tx.answer(CodeAsked(row.id, int(domain.CODE_FOR.total_seconds())))

    async def sent_code(self, caller: Caller, code_id: UUID) -> SentCode:
        async with self.db.reading() as reading:
            row = await SENT_CODES.get(reading, code_id)
            account = await tables.ACCOUNTS.get(reading, row.account_id) if row and row.account_id else None
        if row is None or row.used_at is not None or row.expires_at <= self.clock.now() or account is None:
            raise NotFound
        return SentCode(account.id, account.email, account.name, self._code_of(row.id))

    async def verify_code(self, caller: Caller, body: GiveCode) -> Tokens:
        await self.throttle.take([here := self.from_here("code given")])
        account = await self._whose(body)
        if account is None:
            async with self.db.transaction() as tx:
                tx.audit("session.code_refused", caller, outcome="refused", entity="account/unknown")
            raise CodeRefused
        async with self.db.transaction() as tx:
            await self.throttle.forgive(tx, [], [here])
        return await self.admitted(caller, account, "", Proof(fresh=False))

    async def _whose(self, body: GiveCode) -> AccountRow | None:
        """Whom this code signs in, which from now on it does no more. A try is counted before it is looked at, and where
        nothing was sent, too."""
        async with self.db.reading() as reading:
            row = await SENT_CODES.get(reading, body.code_id)
        if row is None or not await self.db.retry(self._tried, row):
            return None
        await self.throttle.take(self.codes_at(row.email_key, "sent code"))
        right = hmac.compare_digest(self._code_of(row.id).encode(), domain.as_typed(body.code).encode())
        if not right or row.account_id is None or not await self.db.retry(self._used_code, row):
            return None
        async with self.db.reading() as reading:
            return await tables.ACCOUNTS.get(reading, row.account_id)

    async def _tried(self, row: SentCodeRow) -> bool:
        async with self.db.transaction() as tx:
            return await tx.run(kept.TRY, key=row.id, now=self.clock.now(), most=domain.TRIES_PER_CODE) == 1

    async def _used_code(self, row: SentCodeRow) -> bool:
        async with self.db.transaction() as tx:
            return await tx.run(kept.USE, key=row.id, now=self.clock.now()) == 1

    def _code_of(self, code_id: UUID) -> str:
        return domain.six_digits(self.derived("sign-in-code", code_id.bytes))

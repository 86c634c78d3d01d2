"""Codes to sign in with, for patients who have no password at hand. Who has a role besides the patient's is sent none: a
mailbox or a phone number is too little for them."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    AskForCode,
    CodeAsked,
    CodeRefused,
    GiveCode,
    NoTextMessages,
    SentCode,
    Tokens,
)
from infirmary.contexts.identity.domain import Purpose, State
from infirmary.contexts.identity.tables import AccountRow, contact_points
from infirmary.contexts.identity.tables.sent_codes import SENT_CODES, SentCodeRow
from infirmary.kernel.access import Caller
from infirmary.kernel.database.db import Reading
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import PATIENT, Channel

from .base import entity
from .posting import asked
from .signing_in import Proof, SigningIn

NOBODY = UUID(int=0)


class SentCodes(SigningIn):
    async def request_code(self, caller: Caller, body: AskForCode) -> CodeAsked:
        """The same answer and the same work, whether or not there is such an account."""
        if body.channel is Channel.SMS and not self.kit.settings.texts:
            raise NoTextMessages
        await self.throttle.take([self.from_here("code asked")])
        email_key = domain.email_key(body.email)
        async with self.db.reading() as reading:
            account = await reading.one(tables.BY_EMAIL, email_key=email_key)
            address = await self._place(reading, account, body.channel)
        to_tell = account if address is not None else None
        try:
            await self.throttle.take(self.messages_to(email_key, body.channel, address or ""))
        except TooManyTries:   # said to nobody: it would only annoy the owner of the mailbox
            to_tell = None
        row = self.new_code(to_tell, body.channel, (to_tell and address) or "", Purpose.SIGN_IN, email_key=email_key)
        async with self.db.transaction() as tx:
            self.post(tx, row)
            tx.audit("session.code_asked", caller, entity=entity(account))
            return tx.answer(asked(row))

    async def _place(self, reading: Reading, account: AccountRow | None, channel: Channel) -> str | None:
        """Where a code for this account may go; empty: to its e-mail address. Not where its only second factor goes: one
        message would be both."""
        whose = account.id if account else NOBODY
        roles, wanted = (await self.roles(reading, whose))[whose], await self.wanted(reading, whose)
        points = {one.channel: one.address for one in await reading.all(contact_points.OF_ACCOUNTS, accounts=[whose])}
        if account is None or account.state is not State.ACTIVE or roles != [PATIENT] \
                or (wanted.offered() and not wanted.offered(without=channel)):
            return None
        return "" if channel is Channel.EMAIL else points.get(channel)

    async def sent_code(self, caller: Caller, code_id: UUID) -> SentCode:
        async with self.db.reading() as reading:
            row = await SENT_CODES.get(reading, code_id)
            account = await tables.ACCOUNTS.get(reading, row.account_id) if row and row.account_id else None
        if row is None or row.used_at is not None or row.expires_at <= self.clock.now() or account is None:
            raise NotFound
        by_text, code = row.channel is Channel.SMS, self.code_of(row.id)
        return SentCode(account.id, "" if by_text else row.address or account.email, account.name, code,
                        (row.address or "") if by_text else "")

    async def verify_code(self, caller: Caller, body: GiveCode) -> Tokens:
        await self.throttle.take([here := self.from_here("code given")])
        row = await self.tried(body.code_id, Purpose.SIGN_IN)
        account = await self._whose(row, body.code) if row else None
        if row is None or account is None:
            async with self.db.transaction() as tx:
                tx.audit("session.code_refused", caller, outcome="refused", entity="account/unknown")
            raise CodeRefused
        async with self.db.transaction() as tx:
            await self.throttle.forgive(tx, [], [here])
        return await self.admitted(caller, account, "", Proof(fresh=False, channel=row.channel))

    async def _whose(self, row: SentCodeRow, code: str) -> AccountRow | None:
        """Whom this code signs in, which from now on it does no more."""
        await self.throttle.take(self.codes_at(row.email_key, "sent code"))
        if not await self.db.retry(self._used_code, row, code):
            return None
        async with self.db.reading() as reading:
            return await tables.ACCOUNTS.get(reading, row.account_id)

    async def _used_code(self, row: SentCodeRow, code: str) -> bool:
        async with self.db.transaction() as tx:
            return await self.used(tx, row, code)

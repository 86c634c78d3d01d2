"""Codes by e-mail and text message: how they are made, posted, tried and used.

A code is made of the id of its request by a secret of this installation: it is stored nowhere, and on the bus, in logs and
in the delivery log there is the id alone.
"""
from __future__ import annotations

import hmac
from uuid import UUID

from infirmary.contexts.identity import domain
from infirmary.contexts.identity.contract import CodeAsked
from infirmary.contexts.identity.domain import Purpose
from infirmary.contexts.identity.events import SignInCodeAsked
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables import sent_codes as kept
from infirmary.contexts.identity.tables.sent_codes import SENT_CODES, SentCodeRow
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.language import Channel

from .base import Base
from .throttle import Bucket


class Posting(Base):
    def messages_to(self, email_key: str, channel: Channel, address: str) -> list[Bucket]:
        """What counts a message with a code. Text messages are counted by day, too, for their account and their number:
        somebody earns by every one that is sent abroad. Where there is no number, as much is counted."""
        buckets = [self.throttle.bucket(domain.MAILS_PER_ACCOUNT, "code asked", "account", email_key)]
        if channel is Channel.SMS:
            buckets += [self.throttle.bucket(domain.TEXTS_A_DAY, "text", "account", email_key),
                        self.throttle.bucket(domain.TEXTS_A_DAY, "text", "number", address or email_key)]
        return buckets

    def new_code(self, account: AccountRow | None, channel: Channel, address: str, purpose: Purpose, *,
                 email_key: str = "") -> SentCodeRow:
        """Without an account, of whoever asked with this `email_key`: nothing is sent."""
        return SentCodeRow(new_id(), account.id if account else None, account.email_key if account else email_key, 0,
                           self.clock.now() + domain.CODE_FOR, None, channel, address or None, purpose)

    @staticmethod
    def post(tx: Transaction, row: SentCodeRow) -> None:
        SENT_CODES.add(tx, row)
        if row.account_id:
            tx.emit(SignInCodeAsked(aggregate=row.id, version=1, account_id=row.account_id))

    async def tried(self, code_id: UUID, purpose: Purpose, account_id: UUID | None = None) -> SentCodeRow | None:
        """What this code would be good for, where it may be tried once more: that is counted before it is looked at, and
        where nothing was sent, too."""
        async with self.db.reading() as reading:
            row = await SENT_CODES.get(reading, code_id)
        if row is None or row.purpose is not purpose or account_id not in (None, row.account_id) \
                or not await self.db.retry(self._try, row):
            return None
        return row

    async def _try(self, row: SentCodeRow) -> bool:
        async with self.db.transaction() as tx:
            return await tx.run(kept.TRY, key=row.id, now=self.clock.now(), most=domain.TRIES_PER_CODE) == 1

    async def used(self, tx: Transaction, row: SentCodeRow, typed: str) -> bool:
        """Whether this is the code, and of all who bring it the first."""
        right = hmac.compare_digest(self.code_of(row.id).encode(), domain.as_typed(typed).encode())
        return right and row.account_id is not None and await tx.run(kept.USE, key=row.id, now=self.clock.now()) == 1

    def code_of(self, code_id: UUID) -> str:
        return domain.six_digits(self.derived("sign-in-code", code_id.bytes))


def asked(row: SentCodeRow) -> CodeAsked:
    return CodeAsked(row.id, int(domain.CODE_FOR.total_seconds()))

"""The use cases of identity, by what people come for."""
from __future__ import annotations

from datetime import datetime, timedelta

from infirmary.contexts.identity import tables

from .accounts import AccountCare
from .factors import Factors
from .federation import Federation
from .keys import Keys
from .merging import RecordsMadeOne
from .passkeys import Passkeys
from .password_care import PasswordCare
from .reaching import ReachingPeople
from .registration import Registration
from .sent_codes import SentCodes
from .signing_in import REVOCATIONS_KEPT

__all__ = ["IdentityService"]

KEPT = timedelta(days=1)   # what came to nothing, in case somebody asks


class IdentityService(Registration, Federation, SentCodes, ReachingPeople, PasswordCare, Factors, Passkeys, AccountCare, Keys,
                      RecordsMadeOne):
    async def forget(self) -> None:
        """Sessions and tries that are over, links and registrations nobody used."""
        await self.db.retry(self._forget, self.clock.now())

    async def _forget(self, now: datetime) -> None:
        async with self.db.transaction() as tx:
            for statement in (*tables.FORGET, *tables.federation.FORGET):
                await tx.run(statement, now=now)
            await tx.run(tables.FORGET_REVOCATIONS, before=now - REVOCATIONS_KEPT)
            await tx.run(tables.FORGET_RESETS, before=now - KEPT)
            await tx.run(tables.FORGET_PENDING, before=now - KEPT)
            await tx.run(tables.passkeys.FORGET_SPENT, before=now - KEPT)
            await tx.run(tables.sent_codes.FORGET, before=now - KEPT)

"""Codes of the second factor: kept so that a copy of the database signs nobody in, and each good once."""
from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from msgspec import Struct

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.events import FactorChange, FactorChanged
from infirmary.contexts.identity.tables import AccountRow, TotpRow, contact_points
from infirmary.kernel import sealing
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.language import Channel

from .base import base64url, entity, themselves
from .posting import Posting


class Wanted(Struct, frozen=True):
    """Which codes an account asks for besides the password, any one of them."""

    totp: TotpRow | None
    channels: list[Channel]

    def offered(self, *, without: Channel | None = None) -> list[str]:
        """The app first, as nobody but its owner can read it. What came by a channel is not proved by it again."""
        return [*(["totp"] if self.totp else []), *(one.value for one in self.channels if one is not without)]


class Codes(Posting):
    async def code_used(self, tx: Transaction, factor: TotpRow, account: AccountRow, typed: str) -> bool:
        """Whether this code is right and was not used before; from now on it is."""
        code = domain.as_typed(typed)
        if not domain.is_totp(code):
            used = await tx.run(tables.USE_RECOVERY_CODE, key=account.id, now=self.clock.now(),
                                code_hash=self.code_hash(account.id, code)) == 1
            if used:
                self.tell_of_factor(tx, themselves(account), account, FactorChange.RECOVERY_CODE_USED)
            return used
        step = domain.matching_step(self.opened(factor), code, now=self.clock.now())
        return step is not None and await tx.run(tables.USE_STEP, key=account.id, step=step) == 1

    @staticmethod
    def tell_of_factor(tx: Transaction, who: Caller, account: AccountRow, change: FactorChange, of: str = "") -> None:
        """`of`: which one, by a name that the hospital gave it."""
        tx.emit(FactorChanged(aggregate=new_id(), version=1, account_id=account.id, change=change, of=of))
        tx.audit(f"factor.{change}", who, entity=entity(account), subject_id=account.patient_id, **({"of": of} if of else {}))

    def code_hash(self, account_id: UUID, code: str) -> str:
        return self.derived("recovery-code", account_id.bytes + domain.recovery_key(domain.as_typed(code)).encode()).hex()

    def sealed(self, account_id: UUID, secret: str) -> str:
        return sealing.sealed(self.kit.secret("totp"), secret.encode(), of=account_id.bytes)

    def opened(self, factor: TotpRow) -> str:
        return sealing.opened(self.kit.secret("totp"), factor.sealed, of=factor.account_id.bytes).decode()

    async def wanted(self, reading: Reading, account_id: UUID) -> Wanted:
        totp = await tables.TOTPS.get(reading, account_id)
        return Wanted(totp if totp and totp.confirmed_at else None, [
            one.channel for one in await reading.all(contact_points.OF_ACCOUNTS, accounts=[account_id]) if one.second_factor])

    # --- what stands for the right password for a few minutes ------------------------------------------------------

    def mfa_token(self, account: AccountRow, by: str) -> str:
        """`by`: what it was that was right."""
        until = int((self.clock.now() + domain.MFA_TOKEN_FOR).timestamp())
        return f"{account.id.hex}.{until}.{by}.{self._mfa_proof(account, f'{until}.{by}')}"

    async def account_of_mfa_token(self, token: str) -> tuple[AccountRow, str] | None:
        """Whose it is, while it is good, and what was right: another password ends it, and so does time."""
        made, until, by, proof = (*token.split("."), "", "", "")[:4]
        try:
            account_id, ends = UUID(hex=made), int(until)
        except ValueError:
            return None
        async with self.db.reading() as reading:
            account = await tables.ACCOUNTS.get(reading, account_id)
        if account is None or ends <= self.clock.now().timestamp() \
                or not hmac.compare_digest(self._mfa_proof(account, f"{until}.{by}").encode(), proof.encode()):
            return None
        return account, by

    def _mfa_proof(self, account: AccountRow, said: str) -> str:
        stored = hashlib.sha256((account.password_hash or "").encode()).digest()
        return base64url(self.derived("mfa-token", account.id.bytes + stored + said.encode()))

"""Codes of the second factor: kept so that a copy of the database signs nobody in, and each good once."""
from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.events import FactorChange, FactorChanged
from infirmary.contexts.identity.tables import AccountRow, TotpRow
from infirmary.kernel import sealing
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction

from .base import Base, base64url, entity, themselves


class Codes(Base):
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

    # --- what stands for the right password for a few minutes ------------------------------------------------------

    def mfa_token(self, account: AccountRow) -> str:
        until = int((self.clock.now() + domain.MFA_TOKEN_FOR).timestamp())
        return f"{account.id.hex}.{until}.{self._mfa_proof(account, str(until))}"

    async def account_of_mfa_token(self, token: str) -> AccountRow | None:
        """Whose it is, while it is good: another password ends it, and so does time."""
        made, until, proof = (*token.split("."), "", "")[:3]
        try:
            account_id, ends = UUID(hex=made), int(until)
        except ValueError:
            return None
        async with self.db.reading() as reading:
            account = await tables.ACCOUNTS.get(reading, account_id)
        if account is None or ends <= self.clock.now().timestamp() \
                or not hmac.compare_digest(self._mfa_proof(account, until).encode(), proof.encode()):
            return None
        return account

    def _mfa_proof(self, account: AccountRow, until: str) -> str:
        stored = hashlib.sha256((account.password_hash or "").encode()).digest()
        return base64url(self.derived("mfa-token", account.id.bytes + stored + until.encode()))

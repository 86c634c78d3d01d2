"""Letting somebody in who has proved who they are, whatever the proof was."""
from __future__ import annotations

import secrets
from collections.abc import Iterable
from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import Tokens
from infirmary.contexts.identity.tables import AccountRow, RefreshRow, SessionRow
from infirmary.kernel.capability import digest
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.request import current
from infirmary.kernel.tokens import LIFETIME
from infirmary.language import Role

from .base import base64url, themselves
from .sessions import Sessions

TOKEN_BYTES = 32


class LettingIn(Sessions):
    async def let_in(self, tx: Transaction, account: AccountRow, *, fresh: bool = True) -> Tokens:
        """A new session. The account is locked, and has been found to be active. `fresh`: the proof was given just now,
        and counts for what is sensitive."""
        roles = (await self.roles(tx, account.id))[account.id]
        now, token = self.clock.now(), base64url(secrets.token_bytes(TOKEN_BYTES))
        session = SessionRow(new_id(), account.id, now, now, domain.session_ends(roles, started_at=now, now=now),
                             current.get().address, proved_at=now if fresh else None)
        tables.SESSIONS.add(tx, session)
        tables.REFRESHES.add(tx, RefreshRow(digest(token), session.id, None))
        await tx.run(tables.SIGNED_IN, key=account.id, now=now)
        tx.audit("session.started", themselves(account, roles), entity=f"session/{session.id}")
        return self.tokens(account, roles, session.id, token)

    def tokens(self, account: AccountRow, roles: Iterable[Role], session_id: UUID, refresh: str) -> Tokens:
        """Signed while the account is locked: nobody has just taken a role away."""
        subjects = {"patient_id": account.patient_id, "doctor_id": account.doctor_id}
        access = self.signer.sign(account_id=account.id, session_id=session_id, name=account.name,
                                  roles=[role.value for role in roles],
                                  subjects={field: value for field, value in subjects.items() if value is not None})
        return Tokens(access, "Bearer", int(LIFETIME.total_seconds()), refresh)

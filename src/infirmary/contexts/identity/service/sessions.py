"""Where an account is signed in, ending that, and giving the password again for what is sensitive."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import Account, Session, StepUp, StepUpRequired, WrongCredentials
from infirmary.contexts.identity.domain import State
from infirmary.contexts.identity.tables import AccountRow
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.errors import FieldError, NotFound

from .base import entity, seen, themselves
from .codes import Codes


class Sessions(Codes):
    async def me(self, caller: Caller) -> Account:
        caller.must_reach(account_id=caller.account_id)
        async with self.db.reading() as reading:
            account = await tables.ACCOUNTS.get(reading, caller.account_id)
            if account is None:
                raise NotFound
            return seen(account, (await self.roles(reading, account.id))[account.id])

    async def sessions(self, caller: Caller) -> list[Session]:
        caller.must_reach(account_id=caller.account_id)
        return await self._living(caller, caller.account_id)

    async def sessions_of(self, caller: Caller, account_id: UUID) -> list[Session]:
        await self.account_there(account_id)
        return await self._living(caller, account_id)

    async def _living(self, caller: Caller, account_id: UUID | None) -> list[Session]:
        async with self.db.reading() as reading:
            living = await reading.all(tables.LIVING, account_id=account_id, now=self.clock.now())
        return [Session(id=one.id, account_id=one.account_id, started_at=one.started_at, last_used_at=one.last_used_at,
                        address=one.address, current=one.id == caller.session_id) for one in living]

    async def end_session(self, caller: Caller, session_id: UUID) -> Done:
        async with self.db.reading() as reading:
            session = await tables.SESSIONS.get(reading, session_id)
        caller.must_reach(session)
        return await self.db.retry(self.ended, caller, session_id)

    async def end_other_sessions(self, caller: Caller) -> Done:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._end_others, caller)

    async def _end_others(self, caller: Caller) -> Done:
        async with self.db.transaction() as tx:
            account = await locked(tx, caller.account_id)
            for session_id in await tx.all(tables.OTHERS, account_id=account.id, keep=caller.session_id or UUID(int=0)):
                if await self.end_session_in(tx, session_id):
                    tx.audit("session.ended", caller, entity=f"session/{session_id}")
            return tx.answer(Done())

    async def end_session_of(self, caller: Caller, account_id: UUID, session_id: UUID) -> Done:
        async with self.db.reading() as reading:
            session = await tables.SESSIONS.get(reading, session_id)
        if session is None or session.account_id != account_id:
            raise NotFound
        return await self.db.retry(self.ended, caller, session_id)

    async def end_sessions_of(self, caller: Caller, account_id: UUID) -> Done:
        return await self.db.retry(self._end_all_of, caller, account_id)

    async def _end_all_of(self, caller: Caller, account_id: UUID) -> Done:
        async with self.db.transaction() as tx:
            account = await locked(tx, account_id)
            await self.end_all_sessions(tx, account.id)
            tx.audit("account.signed_out", caller, subject_id=account.patient_id, entity=entity(account))
            return tx.answer(Done())

    async def ended(self, caller: Caller, session_id: UUID) -> Done:
        async with self.db.transaction() as tx:
            session = await tables.SESSIONS.get(tx, session_id)
            if session is not None and await self.end_session_in(tx, session.id):
                account = await tables.ACCOUNTS.get(tx, session.account_id)
                who = themselves(account) if account and caller.account_id is None else caller
                tx.audit("session.ended", who, entity=f"session/{session.id}")
            return tx.answer(Done())

    async def account_there(self, account_id: UUID | None) -> AccountRow:
        async with self.db.reading() as reading:
            return _there(await tables.ACCOUNTS.get(reading, account_id))

    # --- the password, given again ---------------------------------------------------------------------------------

    async def step_up(self, caller: Caller, body: StepUp) -> Done:
        caller.must_reach(account_id=caller.account_id)
        account = await self.account_there(caller.account_id)
        stored = account.password_hash
        if not await self.proved(account.email_key, stored, body.password, known=self.tries_of(caller)) or stored is None:
            async with self.db.transaction() as tx:
                tx.audit("session.step_up_refused", caller, outcome="refused", entity=entity(account))
            raise WrongCredentials("That is not your password.",
                                   errors=[FieldError("password", "Type the password that you sign in with.")])
        return await self.db.retry(self._stepped_up, caller, account)

    async def _stepped_up(self, caller: Caller, known: AccountRow) -> Done:
        async with self.db.transaction() as tx:
            account = await tx.one(tables.LOCKED, key=known.id)
            if account is None or account.password_hash != known.password_hash \
                    or not await tx.run(tables.PROVE, key=caller.session_id, now=self.clock.now()):
                raise WrongCredentials("This sign-in has ended, or the password has changed. Sign in again.")
            await self.forgiven(tx, account.email_key, known=self.tries_of(caller))
            tx.audit("session.stepped_up", caller, entity=f"session/{caller.session_id}")
            return tx.answer(Done())

    async def stepped_up(self, caller: Caller) -> Done:
        caller.must_reach(account_id=caller.account_id)
        async with self.db.reading() as reading:
            await self.must_be_fresh(reading, caller)
        return Done()

    async def to_change(self, tx: Transaction, caller: Caller, account_id: UUID | None) -> AccountRow:
        """How somebody signs in: the account is theirs alone who asks until the commit, and their password is fresh."""
        account = await locked(tx, account_id)
        await self.must_be_fresh(tx, caller)
        return account

    async def must_be_fresh(self, reading: Reading, caller: Caller) -> None:
        """Refuses unless the password was given in this session within the last minutes."""
        session = await tables.SESSIONS.get(reading, caller.session_id) if caller.session_id else None
        if session is None or session.account_id != caller.account_id or session.proved_at is None \
                or self.clock.now() - session.proved_at > domain.FRESH_FOR:
            raise StepUpRequired


async def locked(tx: Transaction, account_id: UUID | None) -> AccountRow:
    account = await tx.one(tables.LOCKED, key=account_id)
    return _there(account)


def _there(account: AccountRow | None) -> AccountRow:
    if account is None or account.state is State.PENDING:
        raise NotFound
    return account

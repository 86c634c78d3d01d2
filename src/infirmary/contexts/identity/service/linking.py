"""Logins elsewhere that open an account here: made, listed and taken off."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.identity.contract import Login, Provider, TripOver
from infirmary.contexts.identity.domain import federation
from infirmary.contexts.identity.events import FactorChange
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables import federation as tables
from infirmary.contexts.identity.tables.federation import ArrivalRow, LoginRow
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest
from infirmary.kernel.contract import Done
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.errors import NotFound

from .letting_in import LettingIn


class Linking(LettingIn):
    async def providers(self, caller: Caller) -> list[Provider]:
        return [Provider(name, one.name) for name, one in self.kit.settings.oidc.items()]

    async def logins(self, caller: Caller) -> list[Login]:
        caller.must_reach(account_id=caller.account_id)
        return await self._logins_of(caller.account_id)

    async def logins_of(self, caller: Caller, account_id: UUID) -> list[Login]:
        await self.account_there(account_id)
        return await self._logins_of(account_id)

    async def _logins_of(self, account_id: UUID | None) -> list[Login]:
        async with self.db.reading() as reading:
            found = await reading.all(tables.LOGINS_OF, account_id=account_id)
        return [Login(id=one.id, account_id=one.account_id, provider=one.provider, provider_name=self._named(one.provider),
                      email=one.email, linked_at=one.linked_at, last_used_at=one.last_used_at) for one in found]

    async def unlink(self, caller: Caller, login_id: UUID) -> Done:
        async with self.db.reading() as reading:
            login = await tables.LOGINS.get(reading, login_id)
        caller.must_reach(login)
        return await self.db.retry(self._unlink, caller, caller.account_id, login_id)

    async def unlink_of(self, caller: Caller, account_id: UUID, login_id: UUID) -> Done:
        return await self.db.retry(self._unlink, caller, account_id, login_id)

    async def _unlink(self, caller: Caller, account_id: UUID | None, login_id: UUID) -> Done:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, account_id)
            login = await tables.LOGINS.get(tx, login_id)
            if login is None or login.account_id != account.id or not await tx.run(tables.UNLINK, key=login_id):
                raise NotFound   # gone while we were looking
            self.tell_of_factor(tx, caller, account, FactorChange.LOGIN_REMOVED, self._named(login.provider))
            return tx.answer(Done())

    async def arrival_linked(self, tx: Transaction, who: Caller, account: AccountRow, link_token: str) -> None:
        """Whoever came with this token from a provider has now shown which account is theirs. Ends in a UniqueViolation
        when the login is another account's."""
        key = digest(link_token)
        arrival = await tables.ARRIVALS.get(tx, key)
        if arrival is None or not await tx.run(tables.END_ARRIVAL, key=key, now=self.clock.now()):
            raise TripOver
        self.link(tx, who, account, arrival)

    def link(self, tx: Transaction, who: Caller, account: AccountRow, arrival: ArrivalRow) -> None:
        tables.LOGINS.add(tx, LoginRow(
            new_id(), account.id, arrival.provider, arrival.issuer, arrival.subject,
            federation.pair_key(arrival.issuer, arrival.subject), arrival.email, self.clock.now(), None))
        self.tell_of_factor(tx, who, account, FactorChange.LOGIN_ADDED, self._named(arrival.provider))

    def _named(self, provider: str) -> str:
        """As it is called now; one that the settings name no more keeps its id."""
        known = self.kit.settings.oidc.get(provider)
        return known.name if known else provider

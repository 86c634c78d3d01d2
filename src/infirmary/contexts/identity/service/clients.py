"""Programs that sign in by themselves (RFC 6749, 4.4): made, changed and revoked by the administration."""
from __future__ import annotations

import hmac
from uuid import UUID

from msgspec import UNSET, structs

from infirmary.contexts.identity.contract import (
    AmendClient,
    Client,
    ClientForm,
    ClientRevoked,
    ClientSecret,
    TokenRequest,
    Tokens,
    WrongClient,
)
from infirmary.contexts.identity.domain import clients as domain
from infirmary.contexts.identity.tables import clients as tables
from infirmary.contexts.identity.tables.clients import CLIENTS, ClientRow
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest, new_secret
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.errors import NotFound, StaleVersion
from infirmary.kernel.tokens import LIFETIME
from infirmary.language import Role

from .sessions import Sessions


class Clients(Sessions):
    async def clients(self, caller: Caller, limit: int = 25, cursor: str | None = None) -> Page[Client]:
        async with self.db.reading() as reading:
            rows, next_cursor = await tables.NEWEST.page(reading, after=cursor, limit=limit)
        return Page([_seen(row) for row in rows], next_cursor)

    async def client(self, caller: Caller, client_id: UUID) -> Client:
        async with self.db.reading() as reading:
            return _seen(_there(await CLIENTS.get(reading, client_id)))

    async def make_client(self, caller: Caller, body: ClientForm) -> ClientSecret:
        domain.check_roles(body.roles)
        return await self.db.retry(self._make, caller, body, new_secret())

    async def _make(self, caller: Caller, body: ClientForm, secret: str) -> ClientSecret:
        now = self.clock.now()
        row = ClientRow(new_id(), body.name.strip(), sorted(set(body.roles)), digest(secret), now, now, None, None, 1)
        async with self.db.transaction() as tx:
            await self.must_be_fresh(tx, caller)
            CLIENTS.add(tx, row)
            tx.audit("client.made", caller, entity=_entity(row), roles=", ".join(row.roles))
            return tx.answer(_shown(row, secret), secret=True)

    async def amend_client(self, caller: Caller, client_id: UUID, body: AmendClient, if_match: int) -> Client:
        if body.roles is not UNSET:
            domain.check_roles(body.roles)
        return await self.db.retry(self._amend_client, caller, client_id, body, if_match)

    async def _amend_client(self, caller: Caller, client_id: UUID, body: AmendClient, if_match: int) -> Client:
        async with self.db.transaction() as tx:
            await self.must_be_fresh(tx, caller)
            before = await self._standing(tx, client_id, if_match)
            row = await CLIENTS.save(tx, structs.replace(
                before, name=before.name if body.name is UNSET else body.name.strip(),
                roles=before.roles if body.roles is UNSET else sorted(set(body.roles))))
            if row.roles != before.roles:
                await self.void_tokens(tx, row.id)
            tx.audit("client.amended", caller, entity=_entity(row), roles=", ".join(row.roles))
            return tx.answer(_seen(row))

    async def rotate_client(self, caller: Caller, client_id: UUID, if_match: int) -> ClientSecret:
        return await self.db.retry(self._rotate, caller, client_id, if_match, new_secret())

    async def _rotate(self, caller: Caller, client_id: UUID, if_match: int, secret: str) -> ClientSecret:
        async with self.db.transaction() as tx:
            await self.must_be_fresh(tx, caller)
            before = await self._standing(tx, client_id, if_match)
            row = await CLIENTS.save(tx, structs.replace(before, secret_hash=digest(secret), secret_since=self.clock.now()))
            await self.void_tokens(tx, row.id)
            tx.audit("client.rotated", caller, entity=_entity(row))
            return tx.answer(_shown(row, secret), secret=True)

    async def revoke_client(self, caller: Caller, client_id: UUID, if_match: int) -> Client:
        return await self.db.retry(self._revoke, caller, client_id, if_match)

    async def _revoke(self, caller: Caller, client_id: UUID, if_match: int) -> Client:
        """At once, without a fresh password: it only takes something away."""
        async with self.db.transaction() as tx:
            before = await self._standing(tx, client_id, if_match)
            row = await CLIENTS.save(tx, structs.replace(before, revoked_at=self.clock.now()))
            await self.void_tokens(tx, row.id)
            tx.audit("client.revoked", caller, entity=_entity(row))
            return tx.answer(_seen(row))

    async def _standing(self, tx: Transaction, client_id: UUID, if_match: int) -> ClientRow:
        """Locked, so that no token is signed with what is being taken away."""
        found = await tx.one(tables.LOCKED, key=client_id)
        row = _there(found)
        if row.version != if_match:
            raise StaleVersion
        if row.revoked_at is not None:
            raise ClientRevoked
        return row

    # --- signing in ------------------------------------------------------------------------------------------------

    async def program_signed_in(self, caller: Caller, body: TokenRequest) -> Tokens:
        """No password is hashed: a secret of 256 bits is not to be guessed. Tries are counted by address all the same."""
        here = self.from_here("client")
        await self.throttle.take([here])
        try:
            client_id = UUID(body.client_id)
        except ValueError:
            raise WrongClient(error="invalid_client") from None
        tokens = await self.db.retry(self._sign_in, client_id, body)
        if tokens is None:
            async with self.db.transaction() as tx:
                tx.audit("client.refused", caller, outcome="refused", entity=f"client/{client_id}")
            raise WrongClient(error="invalid_client")
        return tokens

    async def _sign_in(self, client_id: UUID, body: TokenRequest) -> Tokens | None:
        async with self.db.transaction() as tx:
            row = await tx.one(tables.LOCKED, key=client_id)
            right = hmac.compare_digest(row.secret_hash if row else digest(""), digest(body.client_secret))
            if row is None or not right or row.revoked_at is not None:
                return None
            roles = domain.granted(row.roles, body.scope)
            await tx.run(tables.USED, key=row.id, now=self.clock.now())
            await self.throttle.forgive(tx, [], [self.from_here("client")])
            tx.audit("client.signed_in", Caller(account_id=row.id, name=row.name, roles=frozenset(roles)), entity=_entity(row))
            access = self.signer.sign(account_id=row.id, session_id=row.id, name=row.name, roles=roles, subjects={})
            return Tokens(access, token_type="Bearer", expires_in=int(LIFETIME.total_seconds()),   # noqa: S106
                          scope=" ".join(roles))


def _there(row: ClientRow | None) -> ClientRow:
    if row is None:
        raise NotFound
    return row


def _entity(row: ClientRow) -> str:
    return f"client/{row.id}"


def _seen(row: ClientRow) -> Client:
    return Client(id=row.id, name=row.name, roles=[Role(role) for role in row.roles], created_at=row.created_at,
                  secret_since=row.secret_since, last_used_at=row.last_used_at, revoked_at=row.revoked_at,
                  version=row.version)


def _shown(row: ClientRow, secret: str) -> ClientSecret:
    return ClientSecret(client=_seen(row), client_secret=secret, version=row.version)

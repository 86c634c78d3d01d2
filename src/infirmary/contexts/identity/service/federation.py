"""Signing in with a provider of OpenID Connect: authorization code, PKCE, state and nonce (OpenID Connect Core 1.0, 3.1;
RFC 7636). A login opens the account that it was linked to, and none is linked without that account's password."""
from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any
from uuid import UUID

import structlog

from infirmary.contexts.identity import domain
from infirmary.contexts.identity import tables as accounts
from infirmary.contexts.identity.contract import (
    Arrived,
    Away,
    BroughtBack,
    LinkRequired,
    LoginTaken,
    NotKnownHere,
    NotProven,
    RegistrationRequired,
    TripOver,
)
from infirmary.contexts.identity.domain import State, federation
from infirmary.contexts.identity.domain.federation import Person, Untrue
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables import federation as tables
from infirmary.contexts.identity.tables.federation import ArrivalRow, TripRow
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest, new_secret
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, Refusal

from .base import base64url, entity
from .provider import Provider
from .sessions import locked
from .signing_in import Proof, SigningIn

log = structlog.get_logger()


class Federation(SigningIn):
    @cached_property
    def _known(self) -> dict[str, Provider]:
        return {name: Provider(settings, self.clock) for name, settings in self.kit.settings.oidc.items()}

    def _provider(self, name: str) -> Provider:
        if name not in self._known:
            raise NotFound
        return self._known[name]

    # --- the way there ---------------------------------------------------------------------------------------------

    async def start_oidc(self, caller: Caller, provider: str) -> Away:
        return await self._away(provider, None)

    async def link_oidc(self, caller: Caller, provider: str) -> Away:
        caller.must_reach(account_id=caller.account_id)
        async with self.db.reading() as reading:
            await self.must_be_fresh(reading, caller)
        return await self._away(provider, caller.account_id)

    async def _away(self, provider: str, account_id: UUID | None) -> Away:
        known, state, browser = self._provider(provider), new_secret(), new_secret()
        await self.throttle.take([self.from_here("oidc")])   # given back to who comes back with a proof
        url = await known.authorization_url(
            redirect_uri=self._redirect_uri(provider), state=state, nonce=self._made_of(state, "nonce"),
            code_challenge=base64url(hashlib.sha256(self._made_of(state, "verifier").encode()).digest()),
            code_challenge_method="S256")
        async with self.db.transaction() as tx:
            tables.TRIPS.add(tx, TripRow(digest(state), digest(browser), provider, account_id,
                                         self.clock.now() + federation.TRIP_LASTS))
            return tx.answer(Away(url, browser), secret=True)

    def _redirect_uri(self, provider: str) -> str:
        return f"{self.issuer}/auth/oidc/{provider}/callback"

    def _made_of(self, state: str, what: str) -> str:
        """The nonce or the verifier (43 characters): kept nowhere, and made by us alone."""
        return base64url(self.derived(f"oidc-{what}", state.encode()))

    # --- and back --------------------------------------------------------------------------------------------------

    async def come_back(self, caller: Caller, provider: str, body: BroughtBack) -> Arrived:
        known = self._provider(provider)
        trip = await self.db.retry(self._trip_ended, provider, body)
        if trip.account_id is not None and trip.account_id != caller.account_id:
            raise TripOver
        try:
            token, claims = await known.proven(
                body.code, said_issuer=body.iss, verifier=self._made_of(body.state, "verifier"),
                nonce=self._made_of(body.state, "nonce"), redirect_uri=self._redirect_uri(provider))
        except Untrue as why:
            log.warning("sign_in_not_proven", provider=provider, why=str(why))
            async with self.db.transaction() as tx:
                tx.audit("session.refused", caller, outcome="refused", entity=f"provider/{provider}", why=str(why))
            raise NotProven from why
        person, link_token = federation.person(claims), new_secret()
        arrival = ArrivalRow(digest(link_token), provider, token.iss, token.sub, person.email,
                             self.clock.now() + federation.ARRIVAL_LASTS)
        if trip.account_id is not None:
            return await self._linked(caller, trip.account_id, arrival)
        return await self._let_in(caller, arrival, person, link_token)

    async def _trip_ended(self, provider: str, body: BroughtBack) -> TripRow:
        """Of several who bring the same back, one deletes the row."""
        async with self.db.transaction() as tx:
            trip = await tables.TRIPS.get(tx, digest(body.state))
            if trip is None or not await tx.run(tables.END_TRIP, key=trip.state_hash, browser=digest(body.browser),
                                                provider=provider, now=self.clock.now()):
                raise TripOver
            return trip

    async def _linked(self, caller: Caller, account_id: UUID, arrival: ArrivalRow) -> Arrived:
        try:
            return await self.db.retry(self._link_to, caller, account_id, arrival)
        except UniqueViolation:
            raise LoginTaken from None

    async def _link_to(self, caller: Caller, account_id: UUID, arrival: ArrivalRow) -> Arrived:
        async with self.db.transaction() as tx:
            account = await locked(tx, account_id)
            self.link(tx, caller, account, arrival)
            await self.throttle.forgive(tx, [], [self.from_here("oidc")])
            return tx.answer(Arrived(None))

    async def _let_in(self, caller: Caller, arrival: ArrivalRow, person: Person, link_token: str) -> Arrived:
        pair = federation.pair_key(arrival.issuer, arrival.subject)
        async with self.db.reading() as reading:
            login = await reading.one(tables.LOGIN_OF, pair=pair)
            account = await accounts.ACCOUNTS.get(reading, login.account_id) if login else None
            namesake = None
            if person.email:
                namesake = await reading.one(accounts.BY_EMAIL, email_key=domain.email_key(person.email))
        async with self.db.transaction() as tx:
            await self.throttle.forgive(tx, [], [self.from_here("oidc")])
            if login:
                await tx.run(tables.USE_LOGIN, key=login.id, now=self.clock.now())
        if account is None:
            raise await self._asked_who(arrival, person, link_token, namesake)
        if account.state is not State.ACTIVE:
            async with self.db.transaction() as tx:
                tx.audit("session.refused", caller, outcome="refused", entity=entity(account))
            raise NotKnownHere
        # The provider may have asked for nothing, because they were signed in there: it stands for no fresh password.
        return Arrived(await self.admitted(caller, account, "", Proof(fresh=False)))

    async def _asked_who(self, arrival: ArrivalRow, person: Person, link_token: str, namesake: AccountRow | None,
                         ) -> Refusal:
        """Somebody whom we do not know yet by this login, and what they can do about it."""
        theirs = namesake is not None and namesake.state is State.ACTIVE
        if not theirs and not self._provider(arrival.provider).settings.newcomers:
            return NotKnownHere()
        async with self.db.transaction() as tx:
            tables.ARRIVALS.add(tx, arrival)
        known: dict[str, Any] = {"link_token": link_token, "email": person.email}
        if theirs:
            return LinkRequired(**known)
        return RegistrationRequired(given_name=person.given_name, family_name=person.family_name, **known)

"""Signing in and out: tokens, their renewal, sessions."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    CodeAsked,
    CodeRefused,
    LoginTaken,
    MfaRequired,
    NoFactor,
    RefreshRefused,
    Revoked,
    SendSecondFactor,
    TokenRequest,
    Tokens,
    TokenToRevoke,
    UnsupportedGrant,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import Purpose, State
from infirmary.contexts.identity.events import RefreshTokenReused
from infirmary.contexts.identity.tables import AccountRow, RefreshRow, contact_points
from infirmary.contexts.identity.tables.sent_codes import SentCodeRow
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest
from infirmary.kernel.contract import Done
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed, NotSignedIn
from infirmary.kernel.tokens import LIFETIME
from infirmary.language import Channel

from .base import base64url, entity, themselves
from .clients import Clients
from .devices import Devices
from .linking import Linking
from .posting import asked
from .throttle import Bucket

FRESH = "fresh"   # in a token for the second step: the password was given just now
REVOCATIONS_KEPT = LIFETIME + timedelta(minutes=1)   # by then every token they speak of has expired


class Proof(Struct, frozen=True):
    """By what somebody is let in, besides a code. `fresh`: it was given just now, and counts for what is sensitive.
    `channel`: by which a code came that stands for the password. `renewed`: the same password, hashed as hard as we hash
    now. `link_token`: which login elsewhere becomes theirs. `known`: where the try was counted, on a device that is known."""

    password: bool = False
    fresh: bool = True
    channel: Channel | None = None
    renewed: str | None = None
    link_token: str = ""
    known: Bucket | None = None


class SigningIn(Linking, Clients, Devices):
    async def token(self, caller: Caller, body: TokenRequest) -> Tokens:
        # Never kept as an answer (`tx.answer`): tokens are stored nowhere. A repeated sign-in is another session, and a
        # repeated refresh gets the same token by itself.
        if body.code_id:
            _needed(otp=body.otp)
        match body.grant_type:
            case "password":
                _needed(username=body.username, password=body.password)
                return await self._signed_in(caller, body)
            case "mfa_otp":
                _needed(mfa_token=body.mfa_token, otp=body.otp)
                return await self._second_step(caller, body)
            case "client_credentials":
                _needed(client_id=body.client_id, client_secret=body.client_secret)
                return await self.program_signed_in(caller, body)
            case "refresh_token":
                _needed(refresh_token=body.refresh_token)
                renewed = await self.db.retry(self._renewed, body.refresh_token, body.background)
                if renewed is None:
                    raise RefreshRefused(error="invalid_grant")
                return renewed
        raise UnsupportedGrant(error="unsupported_grant_type")

    async def _signed_in(self, caller: Caller, body: TokenRequest) -> Tokens:
        if not body.device_tokens:
            self.passwords.must_have_room()
        email_key = domain.email_key(body.username)
        async with self.db.reading() as reading:
            account = await reading.one(tables.BY_EMAIL, email_key=email_key)
        known = account if account and account.state is State.ACTIVE else None
        stored = known.password_hash if known else None
        device = await self.known_device(body.device_tokens, email_key, stored)
        if not await self.proved(email_key, stored, body.password, known=device) or known is None or stored is None:
            # The same work for a name that nobody has: the time it takes must not tell.
            async with self.db.transaction() as tx:
                tx.audit("session.refused", caller, outcome="refused", entity=entity(account))
            raise WrongCredentials(error="invalid_grant")
        outdated = self.passwords.outdated(stored)
        renewed = await self.passwords.hashed(body.password, known=device is not None) if outdated else None
        return await self.admitted(caller, known, body.otp, Proof(
            password=True, renewed=renewed, link_token=body.link_token, known=device), body.code_id)

    async def _second_step(self, caller: Caller, body: TokenRequest) -> Tokens:
        found = await self.account_of_mfa_token(body.mfa_token)
        if found is None:
            raise _too_old()
        known, by = found
        channel = next((one for one in Channel if one.value == by), None)
        proof = Proof(fresh=by == FRESH, channel=channel, link_token=body.link_token)
        return await self.admitted(caller, known, body.otp, proof, body.code_id)

    async def send_second_factor(self, caller: Caller, body: SendSecondFactor) -> CodeAsked:
        found = await self.account_of_mfa_token(body.mfa_token)
        if found is None:
            raise _too_old()
        account, by = found
        async with self.db.reading() as reading:
            wanted = await self.wanted(reading, account.id)
            places = {one.channel: one.address for one in await reading.all(contact_points.OF_ACCOUNTS, accounts=[account.id])}
        if body.channel not in wanted.channels or by == body.channel or account.state is not State.ACTIVE:
            raise NoFactor
        address = places[body.channel]
        await self.throttle.take(self.messages_to(account.email_key, body.channel, address))
        row = self.new_code(account, body.channel, address, Purpose.SECOND_FACTOR)
        async with self.db.transaction() as tx:
            self.post(tx, row)
            tx.audit("session.code_asked", caller, entity=entity(account))
            return tx.answer(asked(row))

    async def admitted(self, caller: Caller, known: AccountRow, otp: str, proof: Proof, code_id: UUID | None = None) -> Tokens:
        """Who has proved to be somebody gets in, unless a code is needed too."""
        sent = None
        if otp:   # counted before it is looked at, so that a thousand at once are not more than a thousand one by one
            await self.throttle.take(self.codes_at(known.email_key))
            sent = await self.tried(code_id, Purpose.SECOND_FACTOR, known.id) if code_id else None
        try:
            tokens = await self.db.retry(self._session_begun, known, otp, proof, sent)
        except MfaRequired:
            async with self.db.transaction() as tx:
                if proof.password and not proof.known:   # it was right; the try stays counted at this account alone
                    await self.throttle.forgive(tx, [], self.tries_at(known.email_key)[1])
                if otp:
                    tx.audit("session.code_refused", caller, outcome="refused", entity=entity(known))
            raise
        except UniqueViolation:
            raise LoginTaken from None
        if tokens is None:
            raise WrongCredentials(error="invalid_grant")
        return tokens

    async def _session_begun(self, known: AccountRow, otp: str, proof: Proof, sent: SentCodeRow | None) -> Tokens | None:
        async with self.db.transaction() as tx:
            account = await tx.one(tables.LOCKED, key=known.id)
            if account is None or account.state is not State.ACTIVE or account.password_hash != known.password_hash:
                return None   # disabled, or given another password, while we were looking
            wanted, fresh = await self.wanted(tx, account.id), proof.fresh
            if wanted.offered():
                offered = wanted.offered(without=proof.channel)
                if otp and sent and sent.channel in offered and await self.used(tx, sent, otp):
                    pass   # which is no fresher than what came before it: mail and messages are read by others, too
                elif otp and wanted.totp and await self.code_used(tx, wanted.totp, account, otp):
                    fresh = True
                else:
                    raise self._code_wanted(account, otp, proof, offered)
            if proof.renewed is not None:
                await tx.run(tables.REPLACE_PASSWORD, key=account.id, seen=account.password_hash, hashed=proof.renewed)
            await self.forgiven(tx, account.email_key, with_password=proof.password, known=proof.known)
            if proof.link_token:
                await self.arrival_linked(tx, themselves(account), account, proof.link_token)
            tokens, stored = await self.let_in(tx, account, fresh=fresh), proof.renewed or account.password_hash
            if not proof.fresh or stored is None:   # another than the password was given first
                return tokens
            return structs.replace(tokens, device_token=self.device_token(account.email_key, stored))

    def _code_wanted(self, account: AccountRow, otp: str, proof: Proof, offered: list[str]) -> MfaRequired | CodeRefused:
        if not offered:   # the one factor is the channel that they came by
            return CodeRefused("Codes by this way are your second factor. Sign in with your password, or with a passkey.")
        told: dict[str, Any] = {"error": "mfa_required", "factors": offered,
                "mfa_token": self.mfa_token(account, FRESH if proof.fresh else proof.channel or "elsewhere")}
        if not otp:
            return MfaRequired(**told)
        return MfaRequired("This code does not match, or was used before. Wait for the next one, or use a recovery code.",
                           errors=[FieldError("otp", "Type a code that was not used before.")], **told)

    async def _renewed(self, token: str, background: bool) -> Tokens | None:
        """The next refresh token is made from the last one, so that whoever lost the answer can ask for it again."""
        key, child = digest(token), base64url(self.derived("refresh", token.encode()))
        async with self.db.reading() as reading:
            given = await tables.REFRESHES.get(reading, key)
            known = await tables.SESSIONS.get(reading, given.session_id) if given else None
        if known is None:
            return None
        async with self.db.transaction() as tx:
            account = await tx.one(tables.LOCKED, key=known.account_id)
            session = await tables.SESSIONS.get(tx, known.id)   # as it is now: another may have used it just before
            if account is None or account.state is not State.ACTIVE or session is None:
                return None
            roles, now = (await self.roles(tx, account.id))[account.id], self.clock.now()
            used = session.last_used_at if background else now
            until = domain.session_ends(roles, started_at=session.started_at, now=used)
            if until <= now or not await tx.run(tables.TOUCH, key=session.id, now=now, used=used, until=until):
                return None   # ended, or slept too long
            if await tx.run(tables.USE, key=key, now=now):
                tables.REFRESHES.add(tx, RefreshRow(digest(child), session.id, None))
            elif not await self._answer_was_lost(tx, key, digest(child)):
                await self.end_session_in(tx, session.id)
                tx.emit(RefreshTokenReused(aggregate=session.id, version=1, account_id=account.id))
                tx.audit("session.refresh_token_reused", themselves(account, roles), outcome="refused",
                         entity=f"session/{session.id}")
                return None
            return self.tokens(account, roles, session.id, child)

    async def _answer_was_lost(self, tx: Transaction, key: str, child: str) -> bool:
        """A used token comes back: forgiven for a moment, while nobody has used the one it was exchanged for."""
        used, next_one = await tables.REFRESHES.get(tx, key), await tables.REFRESHES.get(tx, child)
        return (used is not None and used.used_at is not None and next_one is not None and next_one.used_at is None
                and self.clock.now() - used.used_at <= domain.REUSE_GRACE)

    async def revoke(self, caller: Caller, body: TokenToRevoke) -> Done:
        session_id = await self._session_of(body.token)
        if session_id is not None:
            await self.db.retry(self.ended, caller, session_id)
        return Done()

    async def _session_of(self, token: str) -> UUID | None:
        async with self.db.reading() as reading:
            refresh = await tables.REFRESHES.get(reading, digest(token))
        if refresh is not None:
            return refresh.session_id
        try:
            return self.verifier.read(token).caller.session_id
        except NotSignedIn:
            return None

    async def revocations(self, caller: Caller) -> list[Revoked]:
        async with self.db.reading() as reading:
            revoked = await reading.all(tables.REVOKED, after=self.clock.now() - REVOCATIONS_KEPT)
        return [Revoked(one.id, one.since) for one in revoked]


def _too_old() -> WrongCredentials:
    return WrongCredentials("This took too long, or the password has changed. Sign in again.", error="invalid_grant")


def _needed(**fields: str) -> None:
    missing = [FieldError(name, "This field is needed.") for name, value in fields.items() if not value]
    if missing:
        raise Malformed(errors=missing, error="invalid_request")

"""Signing in, staying signed in, and signing out."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.identity import tables
from infirmary.contexts.identity.contract import (
    AmendAccount,
    NewPassword,
    RefreshRefused,
    TokenRequest,
    Tokens,
    TokenToRevoke,
    UnsupportedGrant,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import STAFF_STAY
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, NotSignedIn, RoleMayNot
from infirmary.kernel.request import Once, Request, current
from infirmary.kernel.tokens import LIFETIME
from infirmary.language import Role

from .builders import PASSWORD, CountingHasher, Door, admin, coming_from, gatekeeper

SECOND = timedelta(seconds=1)


# --- with a password -------------------------------------------------------------------------------------------------

async def test_signing_in_gives_a_bearer_token_that_says_who_it_is(any_door: Door) -> None:
    doctor_id = new_id()
    made = await any_door.opens("doc@example.test", Role.DOCTOR, Role.ADMIN, doctor_id=doctor_id, name="Doc Tor")
    tokens = await any_door.signs_in("DOC@example.test")
    assert (tokens.token_type, tokens.expires_in) == ("Bearer", 600)
    caller = await any_door.caller(tokens)
    assert (caller.account_id, caller.name, caller.roles) == (made.id, "Doc Tor", {"doctor", "admin"})
    assert caller.subjects == {"account_id": made.id, "doctor_id": doctor_id}


async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(door: Door) -> None:
    await door.registers()
    answers = []
    for email, password in (("ada@example.test", "not the password"), ("nobody@example.test", PASSWORD)):
        with pytest.raises(WrongCredentials) as refused:
            await door.signs_in(email, password)
        answers.append(refused.value.problem())
    assert answers[0] == answers[1]
    assert answers[0]["error"] == "invalid_grant"


@pytest.mark.parametrize("who", ["known", "nobody", "invited", "disabled", "pending"])
async def test_the_same_work_is_done_whoever_it_is(door: Door, who: str) -> None:
    await door.opens("known@example.test")
    await door.opens("invited@example.test", password=None)
    disabled = await door.opens("disabled@example.test")
    await door.ask.amend_account(admin, disabled.id, AmendAccount(disabled=True), 1)
    door.register.refusal = RuntimeError()
    with pytest.raises(RuntimeError):
        await door.registers("pending@example.test")
    written = len(await door.facts("Audited"))
    buckets = await door.count(tables.throttle)
    door.hasher.done.clear()
    with pytest.raises(WrongCredentials):
        await door.signs_in(f"{who}@example.test", "not the password")
    assert door.hasher.done == {"verify": 1}
    assert len(await door.facts("Audited")) == written + 1
    assert await door.count(tables.throttle) == buckets + 3


async def test_only_the_right_password_of_an_active_account_signs_in(door: Door) -> None:
    await door.opens("invited@example.test", password=None)
    disabled = await door.opens("disabled@example.test")
    await door.ask.amend_account(admin, disabled.id, AmendAccount(disabled=True), 1)
    for who in ("invited", "disabled"):
        with pytest.raises(WrongCredentials):
            await door.signs_in(f"{who}@example.test")
    assert len(await door.audited("session.refused")) == 2


@pytest.mark.parametrize("meanwhile", ["disabled", "another password"])
async def test_what_changes_while_the_password_is_looked_at_counts(
        any_door: Door, monkeypatch: pytest.MonkeyPatch, meanwhile: str) -> None:
    door = any_door
    made = await door.opens("nurse@example.test", Role.NURSE)
    proved = door.service.proved

    async def slowly_proved(email_key: str, stored: str | None, password: str, **more: Any) -> bool:
        right = await proved(email_key, stored, password, **more)
        if meanwhile == "disabled":
            await door.ask.amend_account(admin, made.id, AmendAccount(disabled=True), 1)
        else:
            await door.ask.reset_password(NOBODY, NewPassword(await door.gets_a_link(made.email), "a better password"))
        return right

    monkeypatch.setattr(door.service, "proved", slowly_proved)
    with pytest.raises(WrongCredentials):
        await door.signs_in(made.email)
    assert await door.count(tables.session) == 0


async def test_a_password_is_the_same_however_the_keyboard_composes_it(door: Door) -> None:
    await door.registers(password="cafe\u0301 au lait chaud")
    assert await door.signs_in(password="café au lait chaud")


async def test_a_password_is_hashed_again_when_the_cost_has_changed(door: Door) -> None:
    await door.registers()
    door.restart(CountingHasher(time_cost=2))
    await door.signs_in()
    assert door.hasher.done == {"verify": 1, "hash": 1}
    door.hasher.done.clear()
    await door.signs_in()
    assert door.hasher.done == {"verify": 1}


async def test_signing_in_is_audited_and_so_is_a_failure(door: Door) -> None:
    made = await door.registers()
    with coming_from("192.0.2.7"):
        await door.signs_in()
        with pytest.raises(WrongCredentials):
            await door.signs_in(password="not the password")
    [started] = await door.audited("session.started")
    assert (started.actor_id, started.address) == (made.account_id, "192.0.2.7")
    [refused] = await door.audited("session.refused")
    assert (refused.actor_id, refused.subject_id, refused.entity) == (None, None, f"account/{made.account_id}")


async def test_the_account_shows_when_somebody_last_signed_in_and_no_if_match_goes_stale(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    door.wait(minutes=5)
    await door.signs_in("nurse@example.test")
    now = await door.ask.account(admin, made.id)
    assert (now.last_sign_in_at, now.version) == (door.clock.now(), 1)


@pytest.mark.parametrize("grant", ["", "authorization_code", "CLIENT_CREDENTIALS", "PASSWORD"])
async def test_other_grants_are_refused_as_oauth_says(door: Door, grant: str) -> None:
    with pytest.raises(UnsupportedGrant) as refused:
        await door.ask.token(NOBODY, TokenRequest(grant_type=grant))
    assert refused.value.problem()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("asked", [TokenRequest(grant_type="password", username="a@b.test"),
                                   TokenRequest(grant_type="password", password="x"),
                                   TokenRequest(grant_type="refresh_token")])
async def test_what_is_missing_is_named(door: Door, asked: TokenRequest) -> None:
    with pytest.raises(Malformed) as refused:
        await door.ask.token(NOBODY, asked)
    assert refused.value.errors
    assert refused.value.problem()["error"] == "invalid_request"


async def test_no_token_is_kept_in_the_clear_not_even_for_a_repetition(door: Door) -> None:
    """Somebody signed in may send an Idempotency-Key along."""
    made = await door.registers()
    once = Once("identity", made.account_id, "token", "k", "f")
    mark = current.set(Request(once=once))
    tokens = await door.signs_in()
    current.reset(mark)
    kept = (door.folder / "identity.db").read_bytes() + (door.folder / "identity.db-wal").read_bytes()
    assert tokens.refresh_token.encode() not in kept
    assert tokens.access_token.encode() not in kept
    assert PASSWORD.encode() not in kept


# --- signing out -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("which", ["access", "refresh", "used refresh", "expired access"])
async def test_any_token_of_a_session_ends_it(any_door: Door, which: str) -> None:
    door = any_door
    await door.registers()
    first = await door.signs_in()
    if which == "expired access":
        door.clock.advance(LIFETIME)
    tokens = await door.refreshes(first)
    given = {"access": tokens.access_token, "refresh": tokens.refresh_token, "used refresh": first.refresh_token,
             "expired access": first.access_token}[which]
    await door.ask.revoke(NOBODY, TokenToRevoke(token=given))
    assert not await door.lets_in(tokens)
    with pytest.raises(RefreshRefused):
        await door.refreshes(tokens)
    [entry] = await door.audited("session.ended")
    assert entry.actor_id


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "é", "eyJhbGciOiJub25lIn0.e30."])
async def test_signing_out_with_an_unknown_token_is_fine_too(door: Door, token: str) -> None:
    await door.ask.revoke(NOBODY, TokenToRevoke(token=token))
    assert await door.audited("session.ended") == []


async def test_signing_out_twice_is_one_ending(any_door: Door) -> None:
    await any_door.registers()
    tokens = await any_door.signs_in()
    await asyncio.gather(*(any_door.ask.revoke(NOBODY, TokenToRevoke(token=tokens.access_token)) for _ in range(8)))
    assert len(await any_door.audited("session.ended")) == 1
    assert len(await any_door.ask.revocations(gatekeeper)) == 1


async def test_refreshing_and_signing_out_at_once_leaves_nobody_signed_in(any_door: Door) -> None:
    await any_door.registers()
    for _ in range(5):
        tokens = await any_door.signs_in()
        outcomes = await asyncio.gather(
            any_door.refreshes(tokens), any_door.ask.revoke(NOBODY, TokenToRevoke(token=tokens.refresh_token)),
            return_exceptions=True)
        left = outcomes[0] if isinstance(outcomes[0], Tokens) else tokens
        assert isinstance(outcomes[0], Tokens | RefreshRefused)
        with pytest.raises(RefreshRefused):
            await any_door.refreshes(left)
        assert not await any_door.lets_in(left)


# --- one's own sessions ----------------------------------------------------------------------------------------------

async def test_one_sees_where_one_is_signed_in_and_signs_out_there(door: Door) -> None:
    await door.registers()
    await door.registers("eve@example.test", given_name="Eve")
    with coming_from("192.0.2.7"):
        there = await door.signs_in()
    door.wait(minutes=1)
    here, eves = await door.signs_in(), await door.signs_in("eve@example.test")
    me = await door.caller(here)
    shown = await door.ask.sessions(me)
    assert [(one.current, one.address) for one in shown] == [(True, ""), (False, "192.0.2.7")]
    await door.ask.end_session(me, shown[1].id)
    assert not await door.lets_in(there)
    assert await door.lets_in(here)
    assert await door.lets_in(eves)
    assert [one.id for one in await door.ask.sessions(me)] == [me.session_id]


async def test_somebody_elses_session_is_not_there(door: Door) -> None:
    await door.registers()
    await door.registers("eve@example.test", given_name="Eve")
    hers = await door.signs_in()
    eve = await door.caller(await door.signs_in("eve@example.test"))
    for session in ((await door.caller(hers)).session_id, UUID(int=7)):
        assert session is not None
        with pytest.raises(NotFound):
            await door.ask.end_session(eve, session)
    assert await door.lets_in(hers)


async def test_me_is_the_account_that_asks(door: Door) -> None:
    made = await door.registers()
    me = await door.ask.me(await door.caller(await door.signs_in()))
    assert (me.id, me.email, me.name, me.roles, me.patient_id) == (
        made.account_id, "ada@example.test", "Ada Okafor", [Role.PATIENT], made.patient_id)


async def test_nobody_has_no_account_and_no_sessions(door: Door) -> None:
    with pytest.raises(NotSignedIn):
        await door.ask.me(NOBODY)
    with pytest.raises(NotSignedIn):
        await door.ask.sessions(NOBODY)


# --- what the others learn -------------------------------------------------------------------------------------------

async def test_a_revocation_is_told_for_as_long_as_a_token_could_claim_it(door: Door) -> None:
    await door.registers()
    tokens = await door.signs_in()
    await door.ask.revoke(NOBODY, TokenToRevoke(token=tokens.refresh_token))
    door.clock.advance(LIFETIME + timedelta(seconds=59))
    assert len(await door.ask.revocations(gatekeeper)) == 1
    door.clock.advance(SECOND)
    assert await door.ask.revocations(gatekeeper) == []
    await door.service.forget()
    assert await door.count(tables.revocation) == 0


async def test_only_services_may_ask_for_revocations(door: Door) -> None:
    with pytest.raises(RoleMayNot):
        await door.ask.revocations(admin)
    with pytest.raises(NotSignedIn):
        await door.ask.revocations(NOBODY)


async def test_the_public_keys_are_told_and_nothing_more(door: Door) -> None:
    await door.registers()
    await door.signs_in()
    [key] = (await door.ask.jwks(NOBODY)).keys
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    told = await door.ask.server_metadata(NOBODY)
    assert told.issuer == "https://hospital.test"
    assert told.jwks_uri == "https://hospital.test/.well-known/jwks.json"


async def test_after_a_rotation_the_old_tokens_hold_and_the_new_ones_too(door: Door) -> None:
    await door.registers()
    old = await door.signs_in()
    door.service.ring.rotate()
    assert await door.lets_in(old)
    assert len((await door.ask.jwks(NOBODY)).keys) == 2
    door.wait(minutes=9, seconds=59)
    late = await door.refreshes(old)
    door.wait(seconds=1)
    new = await door.refreshes(late)
    assert await door.lets_in(late)
    assert await door.lets_in(new)


async def test_sessions_that_are_over_are_forgotten_with_their_tokens(any_door: Door) -> None:
    await any_door.registers()
    await any_door.opens("nurse@example.test", Role.NURSE)
    await any_door.signs_in("nurse@example.test")
    tokens = await any_door.signs_in()
    any_door.clock.advance(STAFF_STAY.unused)
    await any_door.service.forget()
    assert await any_door.count(tables.session) == await any_door.count(tables.refresh_token) == 1
    assert await any_door.refreshes(tokens)

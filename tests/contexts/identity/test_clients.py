"""Programs that sign in by themselves: what they reach, and how that ends."""
from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from urllib.parse import quote_plus

import aiohttp
import pytest
from msgspec import UNSET, structs

from infirmary.contexts.identity.contract import (
    AmendClient,
    ClientForm,
    ClientRevoked,
    ClientSecret,
    Identity,
    RoleIsForPeople,
    ScopeTooWide,
    StepUpRequired,
    TokenRequest,
    Tokens,
    WrongClient,
)
from infirmary.contexts.identity.tables.clients import client as client_table
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.binding import Routes
from infirmary.kernel.errors import NotFound, RoleMayNot, StaleVersion, TooManyTries
from infirmary.kernel.http import build_app
from infirmary.language import ADMIN, AUDITOR, DOCTOR, NURSE, PATIENT, RECEPTION, SERVICE
from tests.serving import serving

from .builders import Door, coming_from

READER = ClientForm(name="Night export", roles=[RECEPTION, AUDITOR])


async def an_admin(door: Door) -> Caller:
    await door.opens("boss@example.test", ADMIN)
    return await door.caller(await door.signs_in("boss@example.test"))


async def signs_in(door: Door, made: ClientSecret, **fields: str) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(**{
        "grant_type": "client_credentials", "client_id": str(made.client.id), "client_secret": made.client_secret, **fields}))


async def test_a_program_signs_in_with_its_secret_and_has_its_roles_and_no_more(any_door: Door) -> None:
    made = await any_door.ask.make_client(await an_admin(any_door), READER)
    tokens = await signs_in(any_door, made)
    caller = await any_door.caller(tokens)
    assert (caller.account_id, caller.name, caller.roles) == (made.client.id, "Night export", {RECEPTION, AUDITOR})
    assert dict(caller.subjects) == {"account_id": made.client.id}
    assert (tokens.refresh_token, tokens.scope, tokens.expires_in) == ("", "auditor reception", 600)
    assert (await any_door.ask.client(await an_admin_again(any_door), made.client.id)).last_used_at == any_door.clock.now()
    with pytest.raises(RoleMayNot):
        await any_door.ask.accounts(caller)
    with pytest.raises(NotFound):
        await any_door.ask.me(caller)   # it is nobody's account


async def an_admin_again(door: Door) -> Caller:
    return await door.caller(await door.signs_in("boss@example.test"))


async def test_the_secret_is_shown_once_and_kept_as_a_digest(door: Door) -> None:
    made = await door.ask.make_client(await an_admin(door), READER)
    assert len(made.client_secret) >= 43
    kept = b"".join((door.folder / name).read_bytes() for name in ("identity.db", "identity.db-wal"))
    assert made.client_secret.encode() not in kept
    assert not hasattr(made.client, "client_secret")


@pytest.mark.parametrize(("scope", "roles"), [("auditor", {AUDITOR}), (" reception  auditor ", {RECEPTION, AUDITOR}), ("", {
    RECEPTION, AUDITOR})])
async def test_a_token_may_be_asked_for_with_fewer_roles(door: Door, scope: str, roles: set[str]) -> None:
    made = await door.ask.make_client(await an_admin(door), READER)
    assert (await door.caller(await signs_in(door, made, scope=scope))).roles == roles


@pytest.mark.parametrize("scope", ["admin", "auditor admin", "service", "AUDITOR"])
async def test_no_token_has_more_roles_than_the_program(door: Door, scope: str) -> None:
    made = await door.ask.make_client(await an_admin(door), READER)
    with pytest.raises(ScopeTooWide) as refused:
        await signs_in(door, made, scope=scope)
    assert refused.value.extra["error"] == "invalid_scope"


@pytest.mark.parametrize("role", [PATIENT, DOCTOR, SERVICE])
async def test_roles_that_say_whose_things_are_ones_own_are_for_people(door: Door, role: str) -> None:
    boss = await an_admin(door)
    with pytest.raises(RoleIsForPeople):
        await door.ask.make_client(boss, ClientForm(name="X", roles=[NURSE, role]))   # type: ignore[list-item]
    made = await door.ask.make_client(boss, READER)
    with pytest.raises(RoleIsForPeople):
        await door.ask.amend_client(boss, made.client.id, AmendClient(roles=[role]), 1)   # type: ignore[list-item]


async def test_nobody_but_who_knows_the_secret_signs_in_and_no_password_is_hashed_for_it(door: Door) -> None:
    boss = await an_admin(door)
    made, other = [await door.ask.make_client(boss, READER) for _ in range(2)]
    door.hasher.done.clear()
    for fields in ({"client_secret": "a guess"}, {"client_secret": other.client_secret}, {"client_id": str(other.client.id)},
                   {"client_id": "0" * 32}, {"client_id": "no id"}, {"client_secret": made.client_secret + " "}):
        with pytest.raises(WrongClient) as refused:
            await signs_in(door, made, **fields)
        assert refused.value.extra["error"] == "invalid_client"
    assert door.hasher.done == {}
    assert len(await door.audited("client.refused")) == 5   # what is no id at all is nobody's


async def test_one_address_guesses_only_so_often(door: Door) -> None:
    made = await door.ask.make_client(await an_admin(door), READER)
    with coming_from("192.0.2.7"):
        for n in range(50):
            with pytest.raises(WrongClient):
                await signs_in(door, made, client_secret=f"guess {n}")
            if n < 49:
                await signs_in(door, made)   # the right one is no guess
        with pytest.raises(TooManyTries):
            await signs_in(door, made)
    assert await signs_in(door, made)


async def test_a_new_secret_ends_the_old_one_and_the_tokens_it_was_traded_for(door: Door) -> None:
    boss = await an_admin(door)
    made = await door.ask.make_client(boss, READER)
    before = await signs_in(door, made)
    door.wait(seconds=1)
    again = await door.ask.rotate_client(boss, made.client.id, made.version)
    assert again.client_secret != made.client_secret
    with pytest.raises(WrongClient):
        await signs_in(door, made)
    assert not await door.lets_in(before)
    door.wait(seconds=1)
    assert await door.lets_in(await signs_in(door, again))


async def test_a_role_that_is_taken_away_is_gone_from_tokens_too(door: Door) -> None:
    boss = await an_admin(door)
    made = await door.ask.make_client(boss, READER)
    before = await signs_in(door, made)
    door.wait(seconds=1)
    await door.ask.amend_client(boss, made.client.id, AmendClient(roles=[AUDITOR]), 1)
    assert not await door.lets_in(before)
    door.wait(seconds=1)
    assert (await door.caller(await signs_in(door, made))).roles == {AUDITOR}


async def test_a_revoked_program_is_out_for_good(door: Door) -> None:
    boss = await an_admin(door)
    made = await door.ask.make_client(boss, READER)
    before = await signs_in(door, made)
    door.wait(seconds=1)
    gone = await door.ask.revoke_client(boss, made.client.id, 1)
    assert gone.revoked_at == door.clock.now()
    assert not await door.lets_in(before)
    with pytest.raises(WrongClient):
        await signs_in(door, made)
    for again in (door.ask.revoke_client(boss, made.client.id, 2), door.ask.rotate_client(boss, made.client.id, 2),
                  door.ask.amend_client(boss, made.client.id, AmendClient(name="Y"), 2)):
        with pytest.raises(ClientRevoked):
            await again
    assert [one.action for kind in ("made", "signed_in", "revoked") for one in await door.audited(f"client.{kind}")] == [
        "client.made", "client.signed_in", "client.revoked"]


async def test_while_it_is_revoked_nobody_gets_a_token_that_outlives_it(any_door: Door) -> None:
    boss = await an_admin(any_door)
    made = await any_door.ask.make_client(boss, READER)
    came = await asyncio.gather(*(signs_in(any_door, made) for _ in range(10)), any_door.ask.revoke_client(boss, made.client.id, 1),
                                *(signs_in(any_door, made) for _ in range(10)), return_exceptions=True)
    assert not [one for one in came if isinstance(one, Exception) and not isinstance(one, WrongClient)]
    assert not [one for one in came if isinstance(one, Tokens) and await any_door.lets_in(one)]


async def test_of_two_who_rotate_at_once_one_is_told_and_one_secret_is_good(any_door: Door) -> None:
    boss = await an_admin(any_door)
    made = await any_door.ask.make_client(boss, READER)
    came = await asyncio.gather(*(any_door.ask.rotate_client(boss, made.client.id, 1) for _ in range(5)), return_exceptions=True)
    [won] = [one for one in came if isinstance(one, ClientSecret)]
    assert all(isinstance(one, StaleVersion) for one in came if one is not won)
    assert await signs_in(any_door, won)


async def test_making_one_asks_for_a_fresh_password_and_ending_one_does_not(door: Door) -> None:
    boss = await an_admin(door)
    made = await door.ask.make_client(boss, READER)
    door.wait(minutes=11)
    for asked in (door.ask.make_client(boss, READER), door.ask.rotate_client(boss, made.client.id, 1),
                  door.ask.amend_client(boss, made.client.id, AmendClient(roles=[ADMIN]), 1)):
        with pytest.raises(StepUpRequired):
            await asked
    assert await door.count(client_table) == 1
    assert await door.ask.revoke_client(boss, made.client.id, 1)


async def test_they_are_listed_newest_first(door: Door) -> None:
    boss = await an_admin(door)
    for n in range(3):
        await door.ask.make_client(boss, structs.replace(READER, name=f"Program {n}"))
    page = await door.ask.clients(boss, limit=2)
    assert [one.name for one in page.items] == ["Program 2", "Program 1"]
    assert [one.name for one in (await door.ask.clients(boss, cursor=page.next_cursor)).items] == ["Program 0"]
    assert AmendClient().roles is UNSET


async def test_over_http_a_program_says_who_it_is_as_libraries_do(door: Door, tmp_path: Path) -> None:
    made = await door.ask.make_client(await an_admin(door), READER)
    routes = Routes(Identity, door.service, door.db, door.guard.caller)

    def basic(secret: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{made.client.id}:{quote_plus(secret)}".encode()).decode()}

    async with serving(build_app(routes.handlers)) as base, aiohttp.ClientSession() as http:
        async def asks(headers: dict[str, str], path: str = "/api/v1/auth/token", **fields: str) -> tuple[int, dict[str, object]]:
            async with http.post(base + path, data={"grant_type": "client_credentials", **fields}, headers=headers) as reply:
                return reply.status, await reply.json(content_type=None)

        status, told = await asks(basic(made.client_secret))
        assert (status, told.keys()) == (200, {"access_token", "token_type", "expires_in", "scope"})
        assert (await asks({}, client_id=str(made.client.id), client_secret=made.client_secret))[0] == 200
        assert (await asks(basic("a guess")))[0] == 401
        assert (await asks(basic(made.client_secret), client_secret=made.client_secret))[0] == 400
        for nonsense in ("Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff:x").decode(), "Basic Og=="):
            assert (await asks({"Authorization": nonsense}))[0] in (400, 401)
        # Nowhere else is it looked at.
        async with http.get(base + "/api/v1/clients", headers=basic(made.client_secret)) as reply:
            assert reply.status == 401

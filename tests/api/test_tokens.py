"""Forged and broken tokens over HTTP: 401, on private operations and on public ones, and nothing happens."""
from __future__ import annotations

import re

import pytest
import pytest_asyncio

from tests.architecture.world import World
from tests.kernel.test_tokens import Desk, forgeries

from .wire import exchanged, request

PRIVATE, PUBLIC = "/api/v1/auth/me", "/api/v1/departments"
_TOKEN = re.compile(r"[\x21-\x7e]+")   # what may stand in a header as it is
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(world: World) -> Desk:
    """Forges with this hospital's own keys, name and clock, so that each forgery fails for its own reason."""
    return Desk(world.house.settings.folder / "keys")


async def status(world: World, path: str, *authorization: str) -> int:
    given = tuple(("Authorization", one.encode("utf-8", "surrogateescape")) for one in authorization)
    return (await exchanged(world.base, request("GET", path, headers=given)))[0]


async def test_what_the_forger_signs_honestly_is_let_in(world: World, desk: Desk) -> None:
    good = desk.signed(desk.claims(sub=str(world.accounts["admin"].id)))
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert await status(world, PRIVATE, f"{scheme} {good}") == 200
        assert await status(world, PUBLIC, f"{scheme} {good}") == 200
    assert await status(world, PUBLIC) == 200


async def test_no_forgery_is_let_in_anywhere(world: World, desk: Desk) -> None:
    tried = 0
    for name, token in forgeries(desk):
        if "\n" in token or "\r" in token:   # it would end the header, and be another request
            continue
        a_header = _TOKEN.fullmatch(token) and len(token) < 50_000
        refused = {401} if a_header else {400, 401, 431}
        for path in (PRIVATE, PUBLIC):
            answered = await status(world, path, f"Bearer {token}")
            # A token with a space at its end is the token: HTTP strips what surrounds a value.
            assert answered in refused or token.strip() != token, f"{name} on {path}: {answered}"
            tried += 1
    assert tried >= 900


async def test_what_is_no_bearer_token_is_refused_too(world: World, desk: Desk) -> None:
    good = desk.signed(desk.claims(sub=str(world.accounts["admin"].id)))
    for given in ("", "Bearer", "Bearer ", f"Basic {good}", "Basic YWRtaW46YWRtaW4=", f"Token {good}", good,
                  f"Bearer, {good}", f"Bearer={good}", f"Bearer\t{good}"):
        for path in (PRIVATE, PUBLIC):
            assert await status(world, path, given) == 401, given


async def test_two_tokens_are_none(world: World, desk: Desk) -> None:
    """Whoever stands in between may have looked at the other one."""
    good = f"Bearer {desk.signed(desk.claims(sub=str(world.accounts['admin'].id)))}"
    for pair in ((good, "Bearer x"), ("Bearer x", good), (good, good), (good, "Basic YWRtaW46YWRtaW4=")):
        for path in (PRIVATE, PUBLIC):
            assert await status(world, path, *pair) == 401


async def test_a_token_elsewhere_counts_for_nothing(world: World, desk: Desk) -> None:
    good = desk.signed(desk.claims(sub=str(world.accounts["admin"].id)))
    for headers in ((("Cookie", f"access_token={good}; __Host-access={good}".encode()),),
                    (("X-Authorization", good.encode()),),
                    (("X-Forwarded-User", b"admin"), ("X-Roles", b"admin"))):
        assert (await exchanged(world.base, request("GET", PRIVATE, headers=headers)))[0] == 401
    assert await status(world, f"{PRIVATE}?access_token={good}") == 401

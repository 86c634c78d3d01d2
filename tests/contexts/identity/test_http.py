"""The same over HTTP: what OAuth clients, browsers and strangers see."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from litestar.types import ASGIApp

from infirmary.contexts.identity.contract import Identity
from infirmary.kernel.binding import Routes
from infirmary.kernel.http import build_app
from tests.serving import serving

from .builders import PASSWORD, Door


class Browser:
    def __init__(self, base: str, http: aiohttp.ClientSession, door: Door) -> None:
        self.base, self.http, self.door = base, http, door

    async def __call__(self, verb: str, path: str, **more: Any) -> tuple[int, Any, Any]:
        async with self.http.request(verb, self.base + path, **more) as reply:
            return reply.status, await reply.json(content_type=None), reply.headers

    async def token(self, **form: str) -> tuple[int, Any, Any]:
        return await self("POST", "/api/v1/auth/token", data=form)


def app_of(door: Door) -> ASGIApp:
    return build_app(Routes(Identity, door.service, door.db, door.guard.caller).handlers)


@pytest.fixture
async def browser(door: Door) -> AsyncIterator[Browser]:
    async with serving(app_of(door)) as base, aiohttp.ClientSession() as http:
        yield Browser(base, http, door)


async def test_registering_signing_in_refreshing_and_signing_out(browser: Browser) -> None:
    body = {"email": "ada@example.test", "password": PASSWORD, "given_name": "Ada", "family_name": "Okafor",
            "birth_date": "1991-05-04", "phone": "+353 1 555 0100"}
    status, made, _ = await browser("POST", "/api/v1/auth/register", json=body)
    assert (status, set(made)) == (201, {"account_id", "patient_id"})
    status, tokens, headers = await browser.token(grant_type="password", username="ada@example.test", password=PASSWORD)
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in", "device_token"}
    status, me, headers = await browser("GET", "/api/v1/auth/me",
                                        headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert (status, me["patient_id"], headers["ETag"]) == (200, made["patient_id"], '"2"')
    status, tokens, _ = await browser.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert status == 200
    assert (await browser("POST", "/api/v1/auth/revoke", data={"token": tokens["access_token"]}))[0] == 200
    status, refused, _ = await browser.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (status, refused["error"], refused["code"]) == (401, "invalid_grant", "refresh_refused")


async def test_refusals_carry_what_oauth_clients_look_for(browser: Browser) -> None:
    await browser.door.registers()
    status, refused, _ = await browser.token(grant_type="password", username="ada@example.test", password="wrong")
    assert (status, refused["error"]) == (401, "invalid_grant")
    status, refused, _ = await browser.token(grant_type="implicit")
    assert (status, refused["error"]) == (422, "unsupported_grant_type")
    status, refused, _ = await browser.token(grant_type="password")
    assert (status, refused["error"], [one["field"] for one in refused["errors"]]) == (
        400, "invalid_request", ["username", "password"])


async def test_too_many_tries_say_when_to_come_back(browser: Browser) -> None:
    for n in range(11):
        status, refused, headers = await browser.token(grant_type="password", username="ada@example.test", password=f"no {n}")
        assert status == (401 if n < 10 else 429)
    assert (headers["Retry-After"], refused["code"]) == ("900", "too_many_tries")


async def test_no_header_gives_a_guesser_another_address(door: Door) -> None:
    """Asked without a server: some would believe these headers by themselves."""
    transport = httpx.ASGITransport(app_of(door), client=("192.0.2.7", 4711))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="https://hospital.test") as guesser:
        for n in range(51):
            named = f"198.51.100.{n}"
            headers = {"X-Forwarded-For": named, "Forwarded": f"for={named}", "X-Real-IP": named, "Client-IP": named}
            reply = await guesser.post("/api/v1/auth/token", headers=headers, data={
                "grant_type": "password", "username": f"user-{n}@example.test", "password": "wrong"})
            assert reply.status_code == (401 if n < 50 else 429)
    assert {entry.address for entry in await door.audited("session.refused")} == {"192.0.2.7"}


async def test_a_stranger_sees_the_keys_and_where_to_sign_in_and_nothing_else(browser: Browser) -> None:
    status, keys, _ = await browser("GET", "/.well-known/jwks.json")
    assert (status, len(keys["keys"])) == (200, 1)
    status, told, _ = await browser("GET", "/.well-known/openid-configuration")
    assert (status, told["token_endpoint"]) == (200, "https://hospital.test/api/v1/auth/token")
    for path in ("/auth/me", "/auth/sessions", "/accounts", "/accounts/recipients", "/auth/revocations",
                 "/auth/password/resets/01890000-0000-7000-8000-000000000000"):
        assert (await browser("GET", f"/api/v1{path}"))[0] == 401


async def test_the_same_idempotency_key_changes_a_password_once(browser: Browser) -> None:
    await browser.door.registers()
    tokens = await browser.door.signs_in()
    headers = {"Authorization": f"Bearer {tokens.access_token}", "Idempotency-Key": "a-key"}
    body = {"current_password": PASSWORD, "new_password": "a better password"}
    for _ in range(2):
        assert (await browser("POST", "/api/v1/auth/password/change", headers=headers, json=body))[0] == 200
    assert len(await browser.door.audited("password.changed")) == 1

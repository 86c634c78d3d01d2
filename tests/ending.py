"""How long somebody still gets in after the administration has decided otherwise, asked wherever tokens are looked at."""
from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import aiohttp

from infirmary.language import ADMIN
from infirmary.settings import Settings

from .hospital import token

WITHIN = 5.0      # seconds: what is promised
QUIET = 1.5       # seconds without anybody being let in, before we believe it
PASSWORD = "three unrelated words"
DOORS = ("/auth/me", "/patients?q=zz", "/appointments?limit=1")   # contexts of their own, each in several processes


async def amending_ends_it(base: str, settings: Settings, changes: dict[str, Any], *, then: int) -> None:
    """`then`: what a renewed token is answered with."""
    boss = {"Authorization": f"Bearer {token(settings, ADMIN)}"}
    async with aiohttp.ClientSession(f"{base}/api/v1/") as http:
        email = f"{uuid4().hex}@desk.test"
        async with http.post("accounts", headers=boss, json={
                "email": email, "name": "At the desk", "roles": ["reception"], "password": PASSWORD}) as made:
            account, version = (await made.json())["id"], made.headers["ETag"]
        tokens = await _tokens(http, grant_type="password", username=email, password=PASSWORD)
        signed_in = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert await _answers(http, signed_in) == {200}
        async with http.patch(f"accounts/{account}", headers={**boss, "If-Match": version}, json=changes) as changed:
            assert changed.status == 200
        began = let_in = time.monotonic()
        while time.monotonic() < max(let_in + QUIET, began + WITHIN / 2) and let_in < began + 2 * WITHIN:
            if await _answers(http, signed_in) != {401}:
                let_in = time.monotonic()
            await asyncio.sleep(.1)
        assert let_in - began <= WITHIN
        renewed = await _tokens(http, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        headers = {"Authorization": f"Bearer {renewed.get('access_token', '')}"}
        async with http.get("patients?q=zz", headers=headers) as answer:
            assert answer.status == then


async def _answers(http: aiohttp.ClientSession, headers: dict[str, str]) -> set[int]:
    async def one(door: str) -> int:
        async with http.get(door.removeprefix("/"), headers=headers) as answer:
            return answer.status
    return set(await asyncio.gather(*(one(door) for door in DOORS for _ in range(2))))


async def _tokens(http: aiohttp.ClientSession, **form: str) -> dict[str, str]:
    async with http.post("auth/token", data=form) as answer:
        told: dict[str, str] = await answer.json()
        return told

"""Signing in with a provider of OpenID Connect that can be made to lie: there and back, and linking."""
from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from infirmary.contexts.identity.contract import (
    Arrived,
    Away,
    BroughtBack,
    LinkRequired,
    TokenRequest,
    Tokens,
)
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.errors import Refusal
from tests.provider.lying import LyingProvider, a_secret_in

from .builders import PASSWORD, Door

ADA = {"email": "ada@example.test", "email_verified": True, "given_name": "Ada", "family_name": "Okafor"}


def knows(door: Door, provider: LyingProvider, **more: Any) -> None:
    door.settings = structs.replace(door.settings, oidc={"harbour": provider.settings(a_secret_in(door.folder), **more)})
    door.restart()


async def comes_back(door: Door, brought: dict[str, str], away: Away, caller: Caller = NOBODY) -> Arrived:
    return await door.ask.come_back(caller, "harbour", BroughtBack(**brought, browser=away.browser))


async def arrives(door: Door, provider: LyingProvider, subject: str = "ada", **claims: Any) -> Arrived:
    """There and back."""
    away = await door.ask.start_oidc(NOBODY, "harbour")
    return await comes_back(door, provider.signs_in(away.authorization_url, subject, **claims), away)


async def is_refused(kind: type[Refusal], door: Door, provider: LyingProvider, **claims: Any) -> Refusal:
    with pytest.raises(kind) as refused:
        await arrives(door, provider, **claims)
    return refused.value


async def links(door: Door, link_token: str, **fields: Any) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(**{
        "grant_type": "password", "username": "ada@example.test", "password": PASSWORD, "link_token": link_token, **fields}))


async def ada_linked(door: Door, provider: LyingProvider) -> Tokens:
    await door.registers()
    return await links(door, (await is_refused(LinkRequired, door, provider, **ADA)).extra["link_token"])

"""The pages between here and a provider of OpenID Connect: nobody is led astray, and every way in stays open."""
from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from aiohttp import web

from infirmary.contexts.identity.contract import RegisterPatient
from tests.contexts.identity.builders import PASSWORD, a_registration
from tests.provider.lying import LyingProvider, a_provider, a_secret_in

from .conftest import Hospital
from .visitor import Answer, Visitor

EMAIL = "ada@example.test"


@pytest.fixture
async def provider(hospital: Hospital) -> AsyncIterator[LyingProvider]:
    async with a_provider(hospital.clock) as made:
        hospital.house.settings.oidc["harbour"] = made.settings(a_secret_in(hospital.house.settings.folder))
        yield made


def form_of(body: RegisterPatient) -> dict[str, str]:
    return {name: str(getattr(body, name)) for name in body.__struct_fields__}


async def goes_there(visitor: Visitor, **query: str) -> str:
    return (await visitor.ask("GET", "/auth/oidc/harbour/start?" + urlencode(query))).location


async def comes_back(visitor: Visitor, **query: str) -> Answer:
    return await visitor.ask("GET", "/auth/oidc/harbour/callback?" + urlencode(query))


async def registers(hospital: Hospital, provider: LyingProvider, subject: str = "ada") -> Answer:
    """A newcomer, by the form that is filled in."""
    visitor = hospital.visitor()
    brought = provider.signs_in(await goes_there(visitor), subject, email=EMAIL, email_verified=True, given_name="Ada")
    offered = await comes_back(visitor, **brought)
    form = offered.form("/sign-up")
    assert (form.values["given_name"], form.values["email"]) == ("Ada", EMAIL)
    return await visitor.submit(form, **form_of(a_registration()))


async def test_a_newcomer_registers_and_the_provider_will_do_from_then_on(hospital: Hospital, provider: LyingProvider) -> None:
    assert (await registers(hospital, provider)).location == "/home"
    visitor = hospital.visitor()
    back = await comes_back(visitor, **provider.signs_in(await goes_there(visitor, next="/record"), "ada"))
    assert (back.status, back.location) == (303, "/record")
    assert "Harbour ID In use" in (await visitor.open("/security")).words


@pytest.mark.parametrize("elsewhere", ["//evil.test", "https://evil.test/", "/\\evil.test", "/\t/evil.test", "javascript:alert(1)"])
async def test_nobody_is_led_to_another_site(hospital: Hospital, provider: LyingProvider, elsewhere: str) -> None:
    await registers(hospital, provider)
    visitor = hospital.visitor()
    back = await comes_back(visitor, **provider.signs_in(await goes_there(visitor, next=elsewhere), "ada"))
    assert (back.status, back.location) == (303, "/home")


async def test_who_has_an_account_says_so_and_keeps_the_login_through_a_wrong_password(
        hospital: Hospital, provider: LyingProvider) -> None:
    visitor = hospital.visitor()
    await visitor.send("/sign-up", form_of(a_registration()))
    visitor = hospital.visitor()
    asked = await comes_back(visitor, **provider.signs_in(await goes_there(visitor), email=EMAIL, email_verified=True))
    assert "Sign in to your account here with its password, this once" in asked.words
    wrong = await visitor.submit(asked.form("/sign-in"), password="a guess of mine")
    assert wrong.status == 401
    assert (await visitor.submit(wrong.form("/sign-in"), password=PASSWORD)).location == "/home"
    assert "Harbour ID In use" in (await visitor.open("/security")).words


async def test_what_is_brought_back_in_another_browser_or_twice_or_not_at_all_signs_nobody_in(
        hospital: Hospital, provider: LyingProvider) -> None:
    await registers(hospital, provider)
    visitor, other = hospital.visitor(), hospital.visitor()
    brought = provider.signs_in(await goes_there(visitor), "ada")
    for answer in (await comes_back(other, **brought), await comes_back(other), await comes_back(other, state="x", code="y")):
        assert answer.status == 422
        assert "Begin again" in answer.words and answer.form("/sign-in")
        assert "access" not in other.cookies
    assert (await comes_back(visitor, **brought)).status == 303
    assert (await comes_back(visitor, **brought)).status == 422


async def test_a_provider_that_is_away_leaves_every_other_way_in(hospital: Hospital, provider: LyingProvider) -> None:
    provider.answers["/.well-known/openid-configuration"] = lambda: web.Response(status=500)
    visitor = hospital.visitor()
    away = await visitor.ask("GET", "/auth/oidc/harbour/start")
    assert (away.status, away.headers["cache-control"]) == (503, "no-store")
    assert "Harbour ID does not answer just now" in away.words and away.form("/sign-in")


async def test_a_provider_that_nobody_has_chosen_is_not_there(hospital: Hospital, provider: LyingProvider) -> None:
    for path in ("/auth/oidc/elsewhere/start", "/auth/oidc/elsewhere/callback"):
        assert (await hospital.visitor().ask("GET", path)).status == 404


async def test_without_a_provider_no_page_speaks_of_one(hospital: Hospital) -> None:
    assert "or with your password" not in (await hospital.visitor().open("/sign-in")).words

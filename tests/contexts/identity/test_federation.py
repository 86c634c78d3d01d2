"""Signing in with a provider of OpenID Connect, against one that can be made to lie."""
from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from infirmary.contexts.identity.contract import (
    Arrived,
    BroughtBack,
    CodeGiven,
    LinkRequired,
    LoginTaken,
    MfaRequired,
    NotKnownHere,
    RegistrationRequired,
    StepUpRequired,
    TokenRequest,
    TripOver,
    WrongCredentials,
)
from infirmary.contexts.identity.events import FactorChange, FactorChanged
from infirmary.contexts.identity.tables import federation as tables
from infirmary.kernel import settings
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.settings import Settings
from tests.provider.lying import LyingProvider, a_provider, a_secret_in

from .builders import Door, coming_from
from .elsewhere import ADA, ada_linked, arrives, comes_back, is_refused, knows, links

# --- there -----------------------------------------------------------------------------------------------------------

async def test_the_browser_is_sent_with_state_nonce_and_a_challenge_and_nothing_of_them_is_kept_in_the_clear(
        door: Door, provider: LyingProvider) -> None:
    away = await door.ask.start_oidc(NOBODY, "harbour")
    asked = {name: one for name, [one] in parse_qs(urlsplit(away.authorization_url).query).items()}
    assert away.authorization_url.startswith(f"{provider.issuer}/authorize?")
    assert asked["redirect_uri"] == "https://hospital.test/auth/oidc/harbour/callback"
    assert asked["scope"] == "openid email profile"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"], away.browser}) == 4
    kept = (door.folder / "identity.db-wal").read_bytes() + (door.folder / "identity.db").read_bytes()
    assert not any(asked[name].encode() in kept for name in ("state", "nonce", "code_challenge"))
    assert away.browser.encode() not in kept


async def test_a_provider_that_the_settings_do_not_name_is_not_there(door: Door, provider: LyingProvider) -> None:
    assert [(one.id, one.name) for one in await door.ask.providers(NOBODY)] == [("harbour", "Harbour ID")]
    with pytest.raises(NotFound):
        await door.ask.start_oidc(NOBODY, "elsewhere")


# --- and back --------------------------------------------------------------------------------------------------------

async def test_whose_address_is_an_accounts_must_know_its_password_once_and_then_the_provider_will_do(
        door: Door, provider: LyingProvider) -> None:
    await door.registers()
    refused = await is_refused(LinkRequired, door, provider, **ADA)
    assert refused.extra["email"] == "ada@example.test"
    assert await door.count(tables.oidc_login) == 0
    with pytest.raises(WrongCredentials):
        await links(door, refused.extra["link_token"], password="a guess of mine")
    assert await door.count(tables.oidc_login) == 0
    assert await door.lets_in(await links(door, refused.extra["link_token"]))
    arrived = await arrives(door, provider, **ADA)
    assert arrived.tokens is not None
    assert (await door.caller(arrived.tokens)).name == "Ada Okafor"
    [told] = await door.events(FactorChanged)
    assert (told.change, told.of) == (FactorChange.LOGIN_ADDED, "Harbour ID")
    assert len(await door.audited("factor.login_added")) == 1


async def test_an_address_that_the_provider_has_not_verified_is_nobodys(door: Door, provider: LyingProvider) -> None:
    await door.registers()
    for unverified in (False, "true", None):
        refused = await is_refused(RegistrationRequired, door, provider, **{**ADA, "email_verified": unverified})
        assert refused.extra["email"] == ""


async def test_a_newcomer_takes_names_along_to_the_form_and_the_login_afterwards(door: Door, provider: LyingProvider) -> None:
    refused = await is_refused(RegistrationRequired, door, provider, **ADA)
    assert (refused.extra["given_name"], refused.extra["family_name"], refused.extra["email"]) == (
        "Ada", "Okafor", "ada@example.test")
    await door.registers()
    await links(door, refused.extra["link_token"])
    assert (await arrives(door, provider)).tokens   # what it says of them no longer matters


async def test_a_provider_of_staff_brings_no_newcomers(door: Door, provider: LyingProvider) -> None:
    knows(door, provider, newcomers=False)
    await is_refused(NotKnownHere, door, provider, **ADA)
    assert await door.count(tables.oidc_arrival) == 0


async def test_names_and_address_come_from_userinfo_where_the_token_has_none_and_only_of_the_same_person(
        door: Door, provider: LyingProvider) -> None:
    provider.userinfo = {"sub": "ada", **ADA}
    assert (await is_refused(RegistrationRequired, door, provider)).extra["given_name"] == "Ada"
    provider.userinfo = {"sub": "somebody else", **ADA}
    assert (await is_refused(RegistrationRequired, door, provider)).extra["given_name"] == ""


async def test_an_authenticator_app_is_asked_for_all_the_same(door: Door, provider: LyingProvider) -> None:
    caller = await door.caller(await ada_linked(door, provider))
    totp = pyotp.TOTP((await door.ask.enroll_totp(caller)).secret)
    await door.ask.confirm_totp(caller, CodeGiven(totp.at(door.clock.now())))
    refused = await is_refused(MfaRequired, door, provider)
    door.wait(seconds=30)
    assert await door.ask.token(NOBODY, TokenRequest(
        grant_type="mfa_otp", mfa_token=refused.extra["mfa_token"], otp=totp.at(door.clock.now())))


async def test_linking_asks_for_the_second_factor_too(door: Door, provider: LyingProvider) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    totp = pyotp.TOTP((await door.ask.enroll_totp(caller)).secret)
    await door.ask.confirm_totp(caller, CodeGiven(totp.at(door.clock.now())))
    door.wait(seconds=30)
    token = (await is_refused(LinkRequired, door, provider, **ADA)).extra["link_token"]
    with pytest.raises(MfaRequired) as refused:
        await links(door, token)
    assert await door.count(tables.oidc_login) == 0
    await links(door, token, grant_type="mfa_otp", mfa_token=refused.value.extra["mfa_token"], otp=totp.at(door.clock.now()))
    assert await door.count(tables.oidc_login) == 1


async def test_a_sign_in_by_a_provider_is_no_fresh_password(door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    tokens = (await arrives(door, provider)).tokens
    assert tokens
    with pytest.raises(StepUpRequired):
        await door.ask.enroll_totp(await door.caller(tokens))


async def test_a_disabled_account_stays_closed(door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    async with door.db.transaction() as tx:
        await tx._session.run("UPDATE account SET state = 'disabled'", [])
    await is_refused(NotKnownHere, door, provider)


# --- good once, in time, in the same browser -------------------------------------------------------------------------

async def test_of_many_who_bring_the_same_back_at_once_one_is_let_in(any_door: Door) -> None:
    async with a_provider(any_door.clock) as provider:
        knows(any_door, provider)
        await ada_linked(any_door, provider)
        away = await any_door.ask.start_oidc(NOBODY, "harbour")
        brought = provider.signs_in(away.authorization_url)
        came = await asyncio.gather(*(comes_back(any_door, brought, away) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(one, Arrived) for one in came) == 1
        assert sum(isinstance(one, TripOver) for one in came) == 19
        assert provider.asked["/token"] == 2   # once to link, once now


async def test_of_two_accounts_that_want_the_same_login_one_gets_it(any_door: Door) -> None:
    async with a_provider(any_door.clock) as provider:
        knows(any_door, provider)
        names = ["ada@example.test", "bo@example.test", "cy@example.test"]
        for name in names:
            await any_door.registers(name)
        tokens = [(await is_refused(RegistrationRequired, any_door, provider)).extra["link_token"] for _ in names]
        came = await asyncio.gather(*(links(any_door, token, username=name) for token, name in zip(tokens, names, strict=True)),
                                    return_exceptions=True)
        assert [type(one) for one in came].count(LoginTaken) == 2
        assert await any_door.count(tables.oidc_login) == 1


async def test_a_link_token_is_good_once(door: Door, provider: LyingProvider) -> None:
    await door.registers()
    token = (await is_refused(LinkRequired, door, provider, **ADA)).extra["link_token"]
    await links(door, token)
    with pytest.raises(TripOver):
        await links(door, token)


@pytest.mark.parametrize("change", ["late", "another browser", "another state", "another provider"])
async def test_what_is_brought_back_otherwise_than_it_was_given_is_refused(
        door: Door, provider: LyingProvider, change: str) -> None:
    await ada_linked(door, provider)
    door.settings.oidc["other"] = door.settings.oidc["harbour"]
    door.restart()
    away = await door.ask.start_oidc(NOBODY, "harbour")
    brought = provider.signs_in(away.authorization_url)
    asked = provider.asked["/token"]
    if change == "late":
        door.wait(minutes=10)
    body = BroughtBack(code=brought["code"], state="x" * 43 if change == "another state" else brought["state"],
                       browser="x" * 43 if change == "another browser" else away.browser)
    with pytest.raises(TripOver):
        await door.ask.come_back(NOBODY, "other" if change == "another provider" else "harbour", body)
    assert provider.asked["/token"] == asked   # the code was shown to nobody


async def test_what_came_to_nothing_is_forgotten(door: Door, provider: LyingProvider) -> None:
    await door.ask.start_oidc(NOBODY, "harbour")
    await is_refused(RegistrationRequired, door, provider)
    door.wait(minutes=20)
    await door.service.forget()
    assert (await door.count(tables.oidc_trip), await door.count(tables.oidc_arrival)) == (0, 0)


async def test_one_address_begins_only_so_often_and_those_who_arrive_are_not_counted(door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    with coming_from("192.0.2.7"):
        for _ in range(49):
            await door.ask.start_oidc(NOBODY, "harbour")
        assert (await arrives(door, provider)).tokens
        await door.ask.start_oidc(NOBODY, "harbour")
        with pytest.raises(TooManyTries):
            await door.ask.start_oidc(NOBODY, "harbour")
    assert (await arrives(door, provider)).tokens


# --- one's own logins ------------------------------------------------------------------------------------------------

async def test_a_login_is_added_from_inside_and_taken_off_again(door: Door, provider: LyingProvider) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    away = await door.ask.link_oidc(caller, "harbour")
    brought = provider.signs_in(away.authorization_url, email="other@elsewhere.test", email_verified=True)
    assert await comes_back(door, brought, away, caller) == Arrived(None)
    [login] = await door.ask.logins(caller)
    assert (login.provider_name, login.email, login.last_used_at) == ("Harbour ID", "other@elsewhere.test", None)
    assert (await arrives(door, provider)).tokens
    assert (await door.ask.logins(caller))[0].last_used_at == door.clock.now()
    await door.ask.unlink(caller, login.id)
    await is_refused(RegistrationRequired, door, provider)
    assert [one.change for one in await door.events(FactorChanged)] == [FactorChange.LOGIN_ADDED, FactorChange.LOGIN_REMOVED]


async def test_adding_and_taking_off_ask_for_a_fresh_password(door: Door, provider: LyingProvider) -> None:
    caller = await door.caller(await ada_linked(door, provider))
    [login] = await door.ask.logins(caller)
    door.wait(minutes=11)
    with pytest.raises(StepUpRequired):
        await door.ask.unlink(caller, login.id)
    with pytest.raises(StepUpRequired):
        await door.ask.link_oidc(caller, "harbour")


async def test_what_one_began_to_add_nobody_else_can_end(door: Door, provider: LyingProvider) -> None:
    await door.registers()
    await door.registers("bo@example.test")
    ada, bo = [await door.caller(await door.signs_in(name)) for name in ("ada@example.test", "bo@example.test")]
    away = await door.ask.link_oidc(ada, "harbour")
    for caller in (bo, NOBODY):
        with pytest.raises(TripOver):
            await comes_back(door, provider.signs_in(away.authorization_url), away, caller)
    assert await door.count(tables.oidc_login) == 0


async def test_the_login_of_another_is_not_there(door: Door, provider: LyingProvider) -> None:
    [login] = await door.ask.logins(await door.caller(await ada_linked(door, provider)))
    await door.registers("bo@example.test")
    with pytest.raises(NotFound):
        await door.ask.unlink(await door.caller(await door.signs_in("bo@example.test")), login.id)


async def test_the_administration_sees_and_takes_off_a_login(door: Door, provider: LyingProvider) -> None:
    ada = await door.caller(await ada_linked(door, provider))
    assert ada.account_id
    boss = await door.administrator()
    [login] = await door.ask.logins_of(boss, ada.account_id)
    with pytest.raises(NotFound):   # it is not of that account
        await door.ask.unlink_of(boss, boss.account_id or login.id, login.id)
    door.wait(minutes=11)
    with pytest.raises(StepUpRequired):
        await door.ask.unlink_of(boss, ada.account_id, login.id)
    boss = await door.administrator()
    await door.ask.unlink_of(boss, ada.account_id, login.id)
    await is_refused(RegistrationRequired, door, provider)
    told = (await door.events(FactorChanged))[-1]
    assert (told.change, told.account_id) == (FactorChange.LOGIN_REMOVED, ada.account_id)
    assert (await door.audited("factor.login_removed"))[-1].actor_id == boss.account_id
    with pytest.raises(NotFound):
        await door.ask.unlink_of(boss, ada.account_id, login.id)


async def test_pairs_are_told_apart_to_the_letter(door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    await is_refused(RegistrationRequired, door, provider, subject="Ada")
    await is_refused(RegistrationRequired, door, provider, subject="ada ")


# --- the operator's part ---------------------------------------------------------------------------------------------

def test_a_production_hospital_refuses_a_provider_without_https_or_without_a_secret(tmp_path: Path) -> None:
    given = {"INFIRMARY_ENVIRONMENT": "production", "INFIRMARY_PUBLIC_URL": "https://hospital.test", "INFIRMARY_MAIL__PORT": "25",
             "INFIRMARY_OIDC__HARBOUR__NAME": "Harbour ID", "INFIRMARY_OIDC__HARBOUR__ISSUER": "https://id.test",
             "INFIRMARY_OIDC__HARBOUR__CLIENT_ID": "infirmary", "INFIRMARY_OIDC__HARBOUR__SECRET_FILE": a_secret_in(tmp_path)}

    def weak(**changed: str) -> list[str]:
        environ = given | {f"INFIRMARY_OIDC__HARBOUR__{name}": value for name, value in changed.items()}
        return settings.load(Settings, prefix="INFIRMARY", environ=environ).weaknesses()

    assert weak() == []
    assert weak(ISSUER="http://id.test") == ["oidc.harbour.issuer must begin with https://"]
    assert weak(SECRET_FILE="nowhere") == ["oidc.harbour.secret_file must be a file that holds the client's secret"]

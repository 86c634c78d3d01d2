"""Passwords forgotten, chosen by a link, and changed."""
from __future__ import annotations

import asyncio

import pytest

from infirmary.contexts.identity import tables
from infirmary.contexts.identity.contract import (
    AmendAccount,
    ChangePassword,
    ForgottenPassword,
    LinkExpired,
    NewPassword,
    RefreshRefused,
    WeakPassword,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import INVITED_FOR, RESET_WITHIN
from infirmary.contexts.identity.events import PasswordChanged, PasswordResetRequested
from infirmary.kernel.access import NOBODY
from infirmary.kernel.contract import Done
from infirmary.kernel.errors import NotSignedIn, RoleMayNot
from infirmary.language import Role, service

from .builders import PASSWORD, Door, admin

NEW = "a better password"
notifications = service("notifications")


async def resets(door: Door, token: str, password: str = NEW) -> None:
    await door.ask.reset_password(NOBODY, NewPassword(token, password))


# --- forgotten -------------------------------------------------------------------------------------------------------

async def test_a_link_gives_a_new_password_and_ends_every_session(any_door: Door) -> None:
    door = any_door
    made = await door.registers()
    before = await door.signs_in()
    await resets(door, await door.gets_a_link())
    assert not await door.lets_in(before)
    with pytest.raises(RefreshRefused):
        await door.refreshes(before)
    with pytest.raises(WrongCredentials):
        await door.signs_in()
    door.wait(seconds=1)
    assert await door.lets_in(await door.signs_in(password=NEW))
    assert [event.account_id for event in await door.events(PasswordChanged)] == [made.account_id]
    [entry] = await door.audited("password.reset")
    assert entry.actor_id == made.account_id


async def test_the_link_leads_to_our_own_page_and_says_whose_it_is(door: Door) -> None:
    await door.registers()
    await door.ask.forgot_password(NOBODY, ForgottenPassword("ada@example.test"))
    [asked] = await door.events(PasswordResetRequested)
    link = await door.ask.reset_link(notifications, asked.aggregate)
    assert link.url.startswith(f"https://hospital.test/reset?token={asked.aggregate.hex}.")
    assert (link.email, link.name, link.invitation, asked.invitation) == ("ada@example.test", "Ada Okafor", False, False)


async def test_the_link_is_kept_nowhere_and_travels_on_no_bus(door: Door) -> None:
    await door.registers()
    _, _, proof = (await door.gets_a_link()).partition(".")
    kept = (door.folder / "identity.db").read_bytes() + (door.folder / "identity.db-wal").read_bytes()
    assert len(proof) == 43
    assert proof.encode() not in kept


@pytest.mark.parametrize("email", ["ada@example.test", "nobody@example.test", "disabled@example.test", "pending@example.test"])
async def test_the_answer_and_the_work_are_the_same_for_every_address(door: Door, email: str) -> None:
    await door.registers()
    disabled = await door.opens("disabled@example.test")
    await door.ask.amend_account(admin, disabled.id, AmendAccount(disabled=True), 1)
    door.register.refusal = RuntimeError()
    with pytest.raises(RuntimeError):
        await door.registers("pending@example.test")
    rows = await door.count(tables.password_reset), await door.count(tables.throttle), len(await door.facts("Audited"))
    assert await door.ask.forgot_password(NOBODY, ForgottenPassword(email)) == Done()
    assert (await door.count(tables.password_reset), await door.count(tables.throttle),
            len(await door.facts("Audited"))) == (rows[0] + 1, rows[1] + 2, rows[2] + 1)
    assert len(await door.facts("PasswordResetRequested")) == (email == "ada@example.test")


async def test_a_mailbox_gets_a_few_links_and_then_none_while_the_answer_stays_the_same(door: Door) -> None:
    await door.registers()
    for _ in range(8):
        assert await door.ask.forgot_password(NOBODY, ForgottenPassword("ADA@example.test")) == Done()
    assert len(await door.facts("PasswordResetRequested")) == 5
    door.wait(minutes=15)
    await door.ask.forgot_password(NOBODY, ForgottenPassword("ada@example.test"))
    assert len(await door.facts("PasswordResetRequested")) == 6


async def test_a_link_works_once_also_when_two_use_it_at_once(any_door: Door) -> None:
    await any_door.registers()
    link = await any_door.gets_a_link()
    outcomes = await asyncio.gather(*(resets(any_door, link, f"{NEW} {n}") for n in range(6)), return_exceptions=True)
    assert [type(one) for one in outcomes if one is not None] == [LinkExpired] * 5
    with pytest.raises(LinkExpired):
        await resets(any_door, link)
    assert len(await any_door.events(PasswordChanged)) == 1


async def test_a_link_is_good_for_an_hour(door: Door) -> None:
    await door.registers()
    first = await door.gets_a_link()
    door.clock.advance(RESET_WITHIN)
    with pytest.raises(LinkExpired):
        await resets(door, first)


async def test_when_one_link_is_used_the_others_are_void(door: Door) -> None:
    await door.registers()
    first, second = await door.gets_a_link(), await door.gets_a_link()
    await resets(door, second)
    with pytest.raises(LinkExpired):
        await resets(door, first)


@pytest.mark.parametrize("forge", [
    lambda link: link[:-1], lambda link: link + "x", lambda link: link.replace(".", ""), lambda link: link.partition(".")[0],
    lambda link: "." + link.partition(".")[2], lambda link: f"{int(link[:32], 16) + 1:032x}{link[32:]}", lambda _: "é.é",
    lambda _: "x", lambda link: link.partition(".")[0] + ".", lambda link: link.upper()])
async def test_a_forged_link_is_refused_like_an_old_one(door: Door, forge: object) -> None:
    await door.registers()
    link = await door.gets_a_link()
    with pytest.raises(LinkExpired):
        await resets(door, forge(link))  # type: ignore[operator]
    await resets(door, link)


async def test_a_weak_password_uses_no_link_up(door: Door) -> None:
    await door.registers()
    link = await door.gets_a_link()
    for weak in ("short", "Ada.Okafor1", "password1234"):
        with pytest.raises(WeakPassword):
            await resets(door, link, weak)
    await resets(door, link)


async def test_a_link_of_an_account_that_was_disabled_is_void_even_when_it_is_enabled_again(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    link = await door.gets_a_link("nurse@example.test")
    await door.ask.amend_account(admin, made.id, AmendAccount(disabled=True), 1)
    with pytest.raises(LinkExpired):
        await resets(door, link)
    await door.ask.amend_account(admin, made.id, AmendAccount(disabled=False), 2)
    with pytest.raises(LinkExpired):
        await resets(door, link)


async def test_who_has_locked_themselves_out_comes_in_with_the_new_password(door: Door) -> None:
    await door.registers()
    for _ in range(10):
        with pytest.raises(WrongCredentials):
            await door.signs_in(password="not the password")
    await resets(door, await door.gets_a_link())
    assert await door.signs_in(password=NEW)


async def test_only_services_see_links(door: Door) -> None:
    await door.registers()
    await door.ask.forgot_password(NOBODY, ForgottenPassword("ada@example.test"))
    [asked] = await door.events(PasswordResetRequested)
    with pytest.raises(RoleMayNot):
        await door.ask.reset_link(admin, asked.aggregate)
    with pytest.raises(NotSignedIn):
        await door.ask.reset_link(NOBODY, asked.aggregate)


async def test_old_links_are_forgotten(any_door: Door) -> None:
    await any_door.registers()
    await any_door.gets_a_link()
    await any_door.ask.forgot_password(NOBODY, ForgottenPassword("nobody@example.test"))
    any_door.wait(hours=2)
    await any_door.service.forget()
    assert await any_door.count(tables.password_reset) == 2
    any_door.wait(days=1)
    await any_door.service.forget()
    assert await any_door.count(tables.password_reset) == 0


# --- invited ---------------------------------------------------------------------------------------------------------

async def test_who_is_invited_chooses_a_password_within_a_week(any_door: Door) -> None:
    door = any_door
    made = await door.opens("nurse@example.test", Role.NURSE, password=None)
    [asked] = await door.events(PasswordResetRequested)
    assert (asked.account_id, asked.invitation) == (made.id, True)
    assert (await door.ask.reset_link(notifications, asked.aggregate)).invitation
    link = await door.link_of(asked.aggregate)
    door.wait(days=6, hours=23)
    await resets(door, link)
    door.wait(seconds=1)
    assert (await door.caller(await door.signs_in("nurse@example.test", NEW))).roles == {"nurse"}


async def test_an_invitation_ends_after_a_week_and_forgetting_the_password_helps(door: Door) -> None:
    await door.opens("nurse@example.test", Role.NURSE, password=None)
    [asked] = await door.events(PasswordResetRequested)
    link = await door.link_of(asked.aggregate)
    door.clock.advance(INVITED_FOR)
    with pytest.raises(LinkExpired):
        await resets(door, link)
    await resets(door, await door.gets_a_link("nurse@example.test"))
    assert await door.signs_in("nurse@example.test", NEW)


# --- changed ---------------------------------------------------------------------------------------------------------

async def test_changing_the_password_ends_every_other_session(any_door: Door) -> None:
    door = any_door
    made = await door.registers()
    there, here = await door.signs_in(), await door.signs_in()
    await door.ask.change_password(await door.caller(here), ChangePassword(PASSWORD, NEW))
    assert await door.lets_in(here)
    assert await door.refreshes(here)
    assert not await door.lets_in(there)
    with pytest.raises(RefreshRefused):
        await door.refreshes(there)
    with pytest.raises(WrongCredentials):
        await door.signs_in()
    assert await door.signs_in(password=NEW)
    [changed] = await door.events(PasswordChanged)
    assert changed.account_id == made.account_id
    assert len(await door.audited("password.changed")) == 1


async def test_the_old_password_is_needed(door: Door) -> None:
    await door.registers()
    here = await door.signs_in()
    with pytest.raises(WrongCredentials) as refused:
        await door.ask.change_password(await door.caller(here), ChangePassword("not the password", NEW))
    assert [error.field for error in refused.value.errors] == ["current_password"]
    assert len(await door.audited("password.change_refused")) == 1
    assert await door.lets_in(here)
    assert await door.signs_in()


async def test_a_weak_new_password_is_refused_at_its_own_field(door: Door) -> None:
    await door.registers()
    with pytest.raises(WeakPassword) as refused:
        await door.ask.change_password(await door.caller(await door.signs_in()), ChangePassword(PASSWORD, "ada-okafor-1"))
    assert [error.field for error in refused.value.errors] == ["new_password"]


async def test_of_two_changes_at_once_one_holds(any_door: Door) -> None:
    await any_door.registers()
    caller = await any_door.caller(await any_door.signs_in())
    outcomes = await asyncio.gather(*(any_door.ask.change_password(caller, ChangePassword(PASSWORD, f"{NEW} {n}"))
                                      for n in range(5)), return_exceptions=True)
    won = [n for n, one in enumerate(outcomes) if one == Done()]
    assert len(won) == 1
    assert all(isinstance(one, WrongCredentials) for n, one in enumerate(outcomes) if n not in won)
    assert await any_door.signs_in(password=f"{NEW} {won[0]}")


async def test_links_that_were_asked_for_before_are_void_after_a_change(door: Door) -> None:
    await door.registers()
    link = await door.gets_a_link()
    await door.ask.change_password(await door.caller(await door.signs_in()), ChangePassword(PASSWORD, NEW))
    with pytest.raises(LinkExpired):
        await resets(door, link, "a third password")

"""Where somebody is signed in: seen and ended, by themselves and by the administration; and the password, given again."""
from __future__ import annotations

import pytest

from infirmary.contexts.identity.contract import (
    CodeGiven,
    RefreshRefused,
    StepUp,
    StepUpRequired,
    TokenRequest,
    Tokens,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import FRESH_FOR, PATIENT_STAY, STAFF_STAY, Stay
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import Role

from .builders import PASSWORD, Door, admin

MINUTES_OF_A_TOKEN = 10


async def in_the_background(door: Door, tokens: Tokens) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(grant_type="refresh_token", refresh_token=tokens.refresh_token,
                                                     background=True))


# --- ending ----------------------------------------------------------------------------------------------------------

async def test_one_ends_all_sign_ins_but_this_one(any_door: Door) -> None:
    await any_door.registers()
    here, phone, library = [await any_door.signs_in() for _ in range(3)]
    caller = await any_door.caller(here)
    await any_door.ask.end_other_sessions(caller)
    assert [await any_door.lets_in(one) for one in (here, phone, library)] == [True, False, False]
    assert [one.current for one in await any_door.ask.sessions(caller)] == [True]
    assert len(await any_door.audited("session.ended")) == 2
    await any_door.ask.end_other_sessions(caller)   # there are none: nothing happens
    assert await any_door.lets_in(here)


async def test_the_administration_sees_and_ends_where_somebody_is_signed_in(any_door: Door) -> None:
    ada, bo = await any_door.registers(), await any_door.registers("bo@example.test")
    first, second, bos = [await any_door.signs_in(f"{who}@example.test") for who in ("ada", "ada", "bo")]
    caller = await any_door.caller(first)
    assert caller.session_id
    seen = await any_door.ask.sessions_of(admin, ada.account_id)
    assert (len(seen), {one.current for one in seen}) == (2, {False})
    with pytest.raises(NotFound):
        await any_door.ask.end_session_of(admin, bo.account_id, caller.session_id)   # not where Bo is signed in
    await any_door.ask.end_session_of(admin, ada.account_id, caller.session_id)
    assert [await any_door.lets_in(one) for one in (first, second, bos)] == [False, True, True]
    await any_door.ask.end_sessions_of(admin, ada.account_id)
    assert [await any_door.lets_in(one) for one in (second, bos)] == [False, True]
    assert [entry.actor_id for entry in await any_door.audited("account.signed_out")] == [admin.account_id]
    any_door.wait(seconds=1)
    assert await any_door.lets_in(await any_door.signs_in())   # she may sign in again
    for ask in (any_door.ask.sessions_of, any_door.ask.end_sessions_of):
        with pytest.raises(NotFound):
            await ask(admin, new_id())


# --- idle and absolute expiry ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("role", "stay"), [(Role.RECEPTION, STAFF_STAY), (Role.PATIENT, PATIENT_STAY)])
async def test_what_a_page_asks_by_itself_does_not_keep_a_sign_in_alive(door: Door, role: Role, stay: Stay) -> None:
    made = await door.opens("here@example.test", role, **({"patient_id": new_id()} if role is Role.PATIENT else {}))
    tokens = await door.signs_in(made.email)
    for _ in range(int(stay.unused.total_seconds() // 60) // MINUTES_OF_A_TOKEN - 1):
        door.wait(minutes=MINUTES_OF_A_TOKEN)
        tokens = await in_the_background(door, tokens)
    door.wait(minutes=MINUTES_OF_A_TOKEN)
    with pytest.raises(RefreshRefused):
        await in_the_background(door, tokens)


async def test_a_person_who_comes_back_keeps_it_alive_whatever_the_page_does_beside(any_door: Door) -> None:
    made = await any_door.opens("here@example.test")
    tokens = await any_door.signs_in(made.email)
    for _ in range(4):
        any_door.wait(minutes=25)
        tokens = await any_door.refreshes(tokens)
        any_door.wait(minutes=25)
        tokens = await in_the_background(any_door, tokens)
    assert await any_door.lets_in(tokens)


async def test_a_sign_in_that_is_always_in_use_ends_all_the_same(door: Door) -> None:
    made = await door.opens("here@example.test")
    tokens = await door.signs_in(made.email)
    for _ in range(int(STAFF_STAY.at_most.total_seconds() // 60 // 30) - 1):
        door.wait(minutes=30)
        tokens = await door.refreshes(tokens)
    door.wait(minutes=30)
    with pytest.raises(RefreshRefused):
        await door.refreshes(tokens)


# --- the password, given again ---------------------------------------------------------------------------------------

async def test_what_is_sensitive_needs_a_password_of_the_last_ten_minutes(any_door: Door) -> None:
    await any_door.registers()
    tokens = await any_door.signs_in()
    caller = await any_door.caller(tokens)
    any_door.clock.advance(FRESH_FOR)
    await any_door.ask.enroll_totp(caller)
    any_door.wait(seconds=1)
    tokens = await any_door.refreshes(tokens)   # a renewed token is no password
    caller = await any_door.caller(tokens)
    for refused in (any_door.ask.enroll_totp(caller), any_door.ask.confirm_totp(caller, CodeGiven("123456")),
                    any_door.ask.renew_recovery_codes(caller)):
        with pytest.raises(StepUpRequired) as refusal:
            await refused
        assert (refusal.value.status, refusal.value.code) == (403, "step_up_required")
    await any_door.ask.step_up(caller, StepUp(PASSWORD))
    await any_door.ask.enroll_totp(caller)
    assert len(await any_door.audited("session.stepped_up")) == 1


async def test_the_password_given_on_one_device_counts_on_that_one_alone(door: Door) -> None:
    await door.registers()
    old = await door.signs_in()
    door.wait(minutes=11)
    await door.signs_in()
    with pytest.raises(StepUpRequired):
        await door.ask.enroll_totp(await door.caller(await door.refreshes(old)))


async def test_guessing_the_password_here_is_counted_as_anywhere(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    for _ in range(10):
        with pytest.raises(WrongCredentials):
            await door.ask.step_up(caller, StepUp("not the password"))
    with pytest.raises(TooManyTries):
        await door.ask.step_up(caller, StepUp(PASSWORD))
    assert len(await door.audited("session.step_up_refused")) == 10

"""Staying signed in: refresh tokens, and what becomes of copies."""
from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from infirmary.contexts.identity import tables
from infirmary.contexts.identity.contract import AmendAccount, RefreshRefused, Tokens
from infirmary.contexts.identity.domain import PATIENT_STAY, REUSE_GRACE, STAFF_STAY, State
from infirmary.contexts.identity.events import RefreshTokenReused
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.statement import Statement
from infirmary.kernel.errors import Malformed
from infirmary.language import Role

from .builders import Door, admin

SECOND = timedelta(seconds=1)


async def test_a_refresh_token_gives_new_tokens_of_the_same_session(any_door: Door) -> None:
    await any_door.registers()
    first = await any_door.signs_in()
    any_door.wait(minutes=11)
    assert not await any_door.lets_in(first)
    second = await any_door.refreshes(first)
    assert second.refresh_token != first.refresh_token
    session = (await any_door.caller(second)).session_id
    assert [one.id for one in await any_door.ask.sessions(await any_door.caller(second))] == [session]


async def test_two_at_once_get_the_same_next_token(any_door: Door) -> None:
    await any_door.registers()
    first = await any_door.signs_in()
    many = await asyncio.gather(*(any_door.refreshes(first) for _ in range(6)))
    assert len({one.refresh_token for one in many}) == 1
    assert await any_door.refreshes(many[0])


async def test_an_answer_that_was_lost_is_given_again_for_ten_seconds(door: Door) -> None:
    await door.registers()
    first = await door.signs_in()
    second = await door.refreshes(first)
    door.clock.advance(REUSE_GRACE)
    assert (await door.refreshes(first)).refresh_token == second.refresh_token
    assert await door.refreshes(second)


async def ends_the_session(door: Door, copied: Tokens, current_ones: Tokens) -> None:
    caller = await door.caller(current_ones)
    with pytest.raises(RefreshRefused) as refused:
        await door.refreshes(copied)
    assert refused.value.problem()["error"] == "invalid_grant"
    with pytest.raises(RefreshRefused):
        await door.refreshes(current_ones)
    assert not await door.lets_in(current_ones)
    [reused] = await door.events(RefreshTokenReused)
    assert (reused.aggregate, reused.account_id) == (caller.session_id, caller.account_id)
    [entry] = await door.audited("session.refresh_token_reused")
    assert (entry.outcome, entry.entity) == ("refused", f"session/{caller.session_id}")


async def test_a_refresh_token_used_again_later_ends_the_session(any_door: Door) -> None:
    await any_door.registers()
    first = await any_door.signs_in()
    second = await any_door.refreshes(first)
    any_door.clock.advance(REUSE_GRACE + timedelta(milliseconds=1))
    await ends_the_session(any_door, first, second)


async def test_a_refresh_token_used_again_after_its_child_ends_the_session_also_within_the_grace(any_door: Door) -> None:
    await any_door.registers()
    first = await any_door.signs_in()
    third = await any_door.refreshes(await any_door.refreshes(first))
    await ends_the_session(any_door, first, third)


async def test_an_old_copy_is_recognised_for_as_long_as_the_session_lives(door: Door) -> None:
    await door.registers()
    first = latest = await door.signs_in()
    for _ in range(29):
        for _ in range(2):
            door.wait(hours=12)
            latest = await door.refreshes(latest)
        await door.service.forget()
    await ends_the_session(door, first, latest)


async def test_another_session_of_the_same_account_lives_on_when_one_is_ended_by_reuse(door: Door) -> None:
    await door.registers()
    elsewhere, first = await door.signs_in(), await door.signs_in()
    second = await door.refreshes(first)
    door.wait(seconds=11)
    await ends_the_session(door, first, second)
    assert await door.lets_in(elsewhere)
    assert await door.refreshes(elsewhere)


@pytest.mark.parametrize("token", ["", "x", "not a token", "é", "A" * 43])
async def test_a_token_that_never_was_is_refused(door: Door, token: str) -> None:
    with pytest.raises((RefreshRefused, Malformed)):
        await door.refreshes(token)


@pytest.mark.parametrize(("role", "stay"), [(Role.PATIENT, PATIENT_STAY), (Role.NURSE, STAFF_STAY)])
async def test_a_session_that_is_not_used_ends(door: Door, role: Role, stay: tuple[timedelta, timedelta]) -> None:
    await door.opens("some@example.test", role, patient_id=new_id() if role is Role.PATIENT else None)
    _, unused = stay
    tokens = await door.signs_in("some@example.test")
    for _ in range(3):
        door.clock.advance(unused - SECOND)
        tokens = await door.refreshes(tokens)
    door.clock.advance(unused)
    with pytest.raises(RefreshRefused):
        await door.refreshes(tokens)


@pytest.mark.parametrize(("role", "stay"), [(Role.PATIENT, PATIENT_STAY), (Role.NURSE, STAFF_STAY)])
async def test_a_session_that_is_always_used_ends_too(door: Door, role: Role, stay: tuple[timedelta, timedelta]) -> None:
    await door.opens("some@example.test", role, patient_id=new_id() if role is Role.PATIENT else None)
    at_most, unused = stay
    begun, tokens = door.clock.now(), await door.signs_in("some@example.test")
    while door.clock.now() + unused / 2 < begun + at_most:
        door.clock.advance(unused / 2)
        tokens = await door.refreshes(tokens)
    door.clock.advance(begun + at_most - door.clock.now() - SECOND)
    tokens = await door.refreshes(tokens)
    door.clock.advance(SECOND)
    with pytest.raises(RefreshRefused):
        await door.refreshes(tokens)


async def test_a_patient_who_becomes_staff_is_signed_in_no_longer_than_staff(door: Door) -> None:
    made = await door.opens("both@example.test", Role.PATIENT, patient_id=new_id())
    tokens = await door.signs_in("both@example.test")
    await door.ask.amend_account(admin, made.id, AmendAccount(roles=[Role.PATIENT, Role.NURSE]), 1)
    door.wait(hours=12)
    with pytest.raises(RefreshRefused):
        await door.refreshes(tokens)


async def test_an_account_that_was_disabled_behind_our_back_is_not_renewed_either(door: Door) -> None:
    await door.registers()
    tokens = await door.signs_in()
    async with door.db.transaction() as tx:
        await tx.run(Statement(update(tables.account).values(state=State.DISABLED)))
    with pytest.raises(RefreshRefused):
        await door.refreshes(tokens)

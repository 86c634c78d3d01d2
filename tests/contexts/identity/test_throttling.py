"""How often somebody may try, and that everybody else is left in peace."""
from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    ChangePassword,
    ForgottenPassword,
    LinkExpired,
    NewPassword,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import Limit
from infirmary.contexts.identity.service import passwords as module
from infirmary.contexts.identity.service.passwords import AT_ONCE, WAITING
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.statement import Query
from infirmary.kernel.errors import TooManyTries, Unavailable
from infirmary.settings import Environment

from .builders import PASSWORD, Door, a_door, coming_from

BUCKETS = Query(select(tables.throttle.c.bucket), str)
WRONG = "not the password"


async def fails(door: Door, email: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(WrongCredentials):
            await door.signs_in(email, WRONG)


async def is_refused(door: Door, email: str, password: str = PASSWORD) -> TooManyTries:
    with pytest.raises(TooManyTries) as refused:
        await door.signs_in(email, password)
    return refused.value


# --- per account -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("email", ["ada@example.test", "nobody@example.test"])
async def test_ten_failures_in_a_quarter_of_an_hour_are_enough_whoever_it_is(door: Door, email: str) -> None:
    await door.registers()
    await fails(door, email, 10)
    door.hasher.done.clear()
    door.wait(minutes=14)
    refused = await is_refused(door, email)
    assert refused.retry_after == 60
    assert door.hasher.done == {}   # nobody hashes for those who may not try


async def test_after_the_time_that_was_named_it_goes_on(any_door: Door) -> None:
    await any_door.registers()
    await fails(any_door, "ada@example.test", 10)
    any_door.wait(minutes=5)
    refused = await is_refused(any_door, "ada@example.test")
    assert refused.retry_after == 600
    any_door.wait(seconds=599)
    await is_refused(any_door, "ada@example.test")
    any_door.wait(seconds=1)
    assert await any_door.signs_in()


async def test_the_case_of_the_address_gives_no_more_tries(door: Door) -> None:
    await door.registers()
    await fails(door, "ada@example.test", 5)
    await fails(door, "ADA@example.test", 5)
    await is_refused(door, "Ada@Example.test")


async def test_a_success_begins_anew(door: Door) -> None:
    await door.registers()
    for _ in range(4):
        await fails(door, "ada@example.test", 9)
        await door.signs_in()


async def test_successes_do_not_count(door: Door) -> None:
    await door.registers()
    with coming_from("192.0.2.7"):
        for _ in range(60):
            await door.signs_in()


async def test_of_many_guesses_at_once_no_more_than_ten_are_looked_at(any_door: Door) -> None:
    await any_door.registers()
    any_door.hasher.done.clear()
    outcomes = await asyncio.gather(*(any_door.signs_in(password=f"guess number {n}") for n in range(50)), return_exceptions=True)
    assert any_door.hasher.done["verify"] <= 10
    assert sum(isinstance(one, WrongCredentials) for one in outcomes) == any_door.hasher.done["verify"]
    assert all(isinstance(one, WrongCredentials | TooManyTries) for one in outcomes)
    await is_refused(any_door, "ada@example.test")


async def test_fifty_at_once_with_the_right_password_all_come_in(any_door: Door) -> None:
    await any_door.registers()
    assert len(await asyncio.gather(*(any_door.signs_in() for _ in range(50)))) == 50


# --- per address -----------------------------------------------------------------------------------------------------

async def test_fifty_failures_from_one_address_are_enough_and_others_do_not_notice(any_door: Door) -> None:
    await any_door.registers()
    with coming_from("192.0.2.7"):
        for n in range(50):
            await fails(any_door, f"user-{n}@example.test")
        refused = await is_refused(any_door, "ada@example.test")
        assert refused.retry_after == 900
    with coming_from("192.0.2.8"):
        assert await any_door.signs_in()


async def test_a_success_gives_an_address_no_new_tries(door: Door) -> None:
    await door.registers()
    with coming_from("192.0.2.7"):
        for n in range(50):
            await fails(door, f"user-{n}@example.test")
            if n < 49:
                await door.signs_in()
        await is_refused(door, "somebody@example.test")


async def test_a_network_of_ipv6_is_one_address(door: Door) -> None:
    for n in range(50):
        with coming_from(f"2001:db8:1:2::{n:x}"):
            await fails(door, f"user-{n}@example.test")
    with coming_from("2001:db8:1:2:ffff::1"):
        await is_refused(door, "ada@example.test")
    with coming_from("2001:db8:1:3::1"):
        await fails(door, "ada@example.test")


@pytest.mark.parametrize(("environment", "refused"), [
    (Environment.DEMO, False), (Environment.DEVELOPMENT, False), (Environment.PRODUCTION, True)])
async def test_load_tests_on_this_machine_may_try_often_except_in_production(
        tmp_path: Path, environment: Environment, *, refused: bool) -> None:
    async with a_door(f"sqlite://{tmp_path}/identity.db", tmp_path, environment) as door:
        with coming_from("127.0.0.1"):
            for n in range(50):
                await fails(door, f"user-{n}@example.test")
            with pytest.raises(TooManyTries if refused else WrongCredentials):
                await door.signs_in("ada@example.test", WRONG)


# --- overall ---------------------------------------------------------------------------------------------------------

async def test_when_very_many_fail_everywhere_nobody_tries_for_a_minute(
        any_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (1000, timedelta(minutes=1)) == domain.TRIES_OVERALL
    monkeypatch.setattr(domain, "TRIES_OVERALL", Limit(20, timedelta(minutes=1)))
    await any_door.registers()
    for n in range(20):
        with coming_from(f"192.0.2.{n}"):
            await fails(any_door, f"user-{n}@example.test")
    with coming_from("198.51.100.1"):
        assert (await is_refused(any_door, "ada@example.test")).retry_after == 60
    any_door.wait(minutes=1)
    assert await any_door.signs_in()


async def test_a_refused_try_counts_nowhere(door: Door) -> None:
    """Else one who knocks all the time at a full bucket would lock out the address for everything else."""
    await door.registers()
    with coming_from("192.0.2.7"):
        await fails(door, "ada@example.test", 10)
        for _ in range(60):
            await is_refused(door, "ada@example.test")
        await fails(door, "eve@example.test")


# --- what is kept ----------------------------------------------------------------------------------------------------

async def test_a_restart_forgets_nothing(any_door: Door) -> None:
    await any_door.registers()
    with coming_from("192.0.2.7"):
        await fails(any_door, "ada@example.test", 10)
        any_door.restart()
        await is_refused(any_door, "ada@example.test")


async def test_nothing_of_whom_it_counts_can_be_read(door: Door) -> None:
    with coming_from("192.0.2.7"):
        await fails(door, "nobody@example.test")
    async with door.db.reading() as reading:
        buckets = await reading.all(BUCKETS)
    assert len(buckets) == 3
    assert all(len(one) == 64 and int(one, 16) for one in buckets)


async def test_a_bucket_is_one_row_however_often_it_is_filled_and_none_when_it_is_over(any_door: Door) -> None:
    for _ in range(3):
        await fails(any_door, "nobody@example.test", 10)
        assert await any_door.count(tables.throttle) == 3
        any_door.wait(minutes=15)
    await any_door.service.forget()
    assert await any_door.count(tables.throttle) == 0


# --- other doors -----------------------------------------------------------------------------------------------------

async def test_registering_is_counted_per_address(door: Door) -> None:
    with coming_from("192.0.2.7"):
        for n in range(50):
            await door.registers(f"user-{n}@example.test")
        with pytest.raises(TooManyTries) as refused:
            await door.registers("one-more@example.test")
        assert refused.value.retry_after == 900
        assert await door.signs_in("user-0@example.test")   # another thing altogether
    await door.registers("one-more@example.test")


async def test_asking_for_links_is_counted_per_address(door: Door) -> None:
    with coming_from("192.0.2.7"):
        for n in range(50):
            await door.ask.forgot_password(NOBODY, ForgottenPassword(f"user-{n}@example.test"))
        with pytest.raises(TooManyTries):
            await door.ask.forgot_password(NOBODY, ForgottenPassword("ada@example.test"))


async def test_trying_links_is_counted_per_address(door: Door) -> None:
    with coming_from("192.0.2.7"):
        for _ in range(50):
            with pytest.raises(LinkExpired):
                await door.ask.reset_password(NOBODY, NewPassword("x.y", PASSWORD))
        with pytest.raises(TooManyTries):
            await door.ask.reset_password(NOBODY, NewPassword("x.y", PASSWORD))


async def test_guessing_the_old_password_in_an_open_session_ends_there_and_locks_nobody_out(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    for _ in range(10):
        with pytest.raises(WrongCredentials):
            await door.ask.change_password(caller, ChangePassword(WRONG, "a better password"))
    with pytest.raises(TooManyTries):
        await door.ask.change_password(caller, ChangePassword(PASSWORD, "a better password"))
    assert await door.signs_in()


# --- the queue -------------------------------------------------------------------------------------------------------

async def test_nobody_waits_longer_for_a_hash_than_they_wait_for_an_answer(
        door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HASHING", .05)
    passwords = door.service.passwords
    async with contextlib.AsyncExitStack() as every_thread:
        for _ in range(AT_ONCE):
            await every_thread.enter_async_context(passwords.place())
        with pytest.raises(Unavailable) as refused:
            await passwords.hashed(PASSWORD)
        assert refused.value.retry_after
    assert await passwords.hashed(PASSWORD)


async def test_few_hashes_at_a_time_and_a_queue_that_ends(door: Door) -> None:
    passwords = door.service.passwords
    running = [passwords.place() for _ in range(AT_ONCE)]
    for place in running:
        await place.__aenter__()
    waiting = [asyncio.create_task(passwords.hashed(PASSWORD)) for _ in range(WAITING)]
    await asyncio.sleep(.01)
    assert not any(task.done() for task in waiting)
    with pytest.raises(Unavailable) as refused:
        await passwords.hashed(PASSWORD)
    assert refused.value.retry_after
    for place in running:
        await place.__aexit__(None, None, None)
    assert len(await asyncio.gather(*waiting)) == WAITING

"""Who signed in on this device before gets in, however many guess from elsewhere; and guesses no better than they."""
from __future__ import annotations

import asyncio
import contextlib

import pytest

from infirmary.contexts.identity import domain
from infirmary.contexts.identity.contract import (
    ChangePassword,
    NewPassword,
    StepUp,
    TokenRequest,
    Tokens,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import TRIES_PER_ACCOUNT, TRIES_PER_DEVICE, Limit
from infirmary.contexts.identity.service import passwords
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import TooManyTries, Unavailable

from .builders import PASSWORD, Door, coming_from

ADA, BEN = "ada@example.test", "ben@example.test"


async def signs_in(door: Door, devices: str = "", *, password: str = PASSWORD, email: str = ADA) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(grant_type="password", username=email, password=password,
                                                     device_tokens=devices))


async def known(door: Door, email: str = ADA) -> str:
    await door.registers(email)
    return (await signs_in(door, email=email)).device_token


async def guessed_at(door: Door, email: str = ADA) -> None:
    """As often as strangers may, and once more."""
    for _ in range(TRIES_PER_ACCOUNT.tries):
        with pytest.raises(WrongCredentials):
            await signs_in(door, password="a guess", email=email)
    with pytest.raises(TooManyTries):
        await signs_in(door, email=email)


async def test_who_is_guessed_at_gets_in_on_a_device_that_is_known_and_strangers_stay_out(any_door: Door) -> None:
    device = await known(any_door)
    await guessed_at(any_door)
    assert (await signs_in(any_door, device)).device_token not in ("", device)
    with pytest.raises(TooManyTries):   # their coming in gave nobody else more tries
        await signs_in(any_door)


async def test_a_known_device_guesses_as_often_as_a_stranger_and_then_is_one(any_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "TRIES_PER_ACCOUNT", Limit(2, TRIES_PER_ACCOUNT.window))
    device = await known(any_door)
    answers = [type(one) for one in await asyncio.gather(*(
        signs_in(any_door, device, password="a guess") for _ in range(30)), return_exceptions=True)]
    assert answers.count(WrongCredentials) == TRIES_PER_DEVICE.tries
    assert answers.count(TooManyTries) == 20
    for _ in range(2):
        with pytest.raises(WrongCredentials):
            await signs_in(any_door, device, password="a guess")
    with pytest.raises(TooManyTries):
        await signs_in(any_door, device)


@pytest.mark.parametrize("spoilt", ["", "a", "a.b.c.d", "{token}x", "x.{rest}", "{of}.1.{nonce}.{proof}", "{of}.{at}.x.{proof}"])
async def test_a_device_is_known_for_its_account_alone_and_by_what_we_made(door: Door, spoilt: str) -> None:
    of, at, nonce, proof = (token := await known(door)).split(".")
    ben = await known(door, BEN)
    await guessed_at(door)
    strange = spoilt.format(token=token, rest=token.partition(".")[2], of=of, at=at, nonce=nonce, proof=proof)
    for devices in {ben, strange} - {f"x.{at}.{nonce}.{proof}"}:   # what stands before the first dot is for browsers
        with pytest.raises(TooManyTries):
            await signs_in(door, devices)
    assert await signs_in(door, f"{ben} {strange} {token}")   # people share a desk


async def test_another_password_or_half_a_year_makes_a_device_a_stranger(door: Door) -> None:
    before = await known(door)
    await door.ask.reset_password(NOBODY, NewPassword(await door.gets_a_link(), "a better password"))
    device = (await signs_in(door, password="a better password")).device_token
    await guessed_at(door)
    with pytest.raises(TooManyTries):
        await signs_in(door, before, password="a better password")
    assert await signs_in(door, device, password="a better password")
    door.wait(days=180)
    await guessed_at(door)
    with pytest.raises(TooManyTries):
        await signs_in(door, device, password="a better password")


async def test_a_flood_of_strangers_fills_their_own_queue(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING", 3)
    device = await known(door)
    monkeypatch.setattr(domain, "TRIES_OVERALL", Limit(1, domain.TRIES_OVERALL.window))
    strangers = door.service.passwords
    async with contextlib.AsyncExitStack() as every_thread:   # is theirs
        for _ in range(passwords.AT_ONCE):
            await every_thread.enter_async_context(strangers.place())
        waiting = [asyncio.create_task(signs_in(door, email=f"nobody{n}@example.test")) for n in range(3)]
        await asyncio.sleep(.05)
        with pytest.raises(Unavailable):
            await signs_in(door, email="nobody@example.test")
        assert await signs_in(door, device)
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(TooManyTries):
        await signs_in(door, email="nobody@example.test")
    assert await signs_in(door, device)


async def test_who_is_signed_in_gives_their_password_again_whoever_guesses_at_it(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    await guessed_at(door)
    await door.ask.step_up(caller, StepUp(PASSWORD))
    await door.ask.change_password(caller, ChangePassword(PASSWORD, "a better password"))
    for _ in range(TRIES_PER_DEVICE.tries):
        with pytest.raises(WrongCredentials):
            await door.ask.step_up(caller, StepUp("a guess"))
    with pytest.raises(TooManyTries):
        await door.ask.step_up(caller, StepUp("a better password"))


async def test_a_full_address_keeps_no_known_device_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    device = await known(door)
    monkeypatch.setattr(domain, "PER_ADDRESS", Limit(1, domain.PER_ADDRESS.window))
    with coming_from("192.0.2.7"):
        with pytest.raises(WrongCredentials):
            await signs_in(door, email="nobody@example.test")
        with pytest.raises(TooManyTries):
            await signs_in(door)
        assert await signs_in(door, device)

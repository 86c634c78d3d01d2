"""Codes besides the password: set up, asked for, good once, and taken off again."""
from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    AmendAccount,
    CodeGiven,
    DisableTotp,
    FactorSet,
    MfaRequired,
    NewPassword,
    NoFactor,
    NothingToConfirm,
    TokenRequest,
    Tokens,
    WrongCode,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import CODES_IN_A_ROW, CODES_PER_ACCOUNT, Limit
from infirmary.contexts.identity.events import FactorChange, FactorChanged
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.kernel.request import changed
from infirmary.language import Role

from .builders import PASSWORD, Door, admin


class Phone:
    """An authenticator app, and the sheet with the recovery codes."""

    def __init__(self, door: Door, secret: str) -> None:
        self.door, self.totp, self.sheet = door, pyotp.TOTP(secret), list[str]()

    def code(self, *, off: int = 0) -> str:
        return self.totp.at(self.door.clock.now(), counter_offset=off)


async def sets_up(door: Door, email: str = "ada@example.test") -> tuple[Caller, Phone]:
    """Signed in, with an authenticator app that has not been asked for a code yet."""
    caller = await door.caller(await door.signs_in(email))
    phone = Phone(door, (await door.ask.enroll_totp(caller)).secret)
    phone.sheet = (await door.ask.confirm_totp(caller, CodeGiven(phone.code()))).recovery_codes
    door.wait(seconds=30)
    return caller, phone


async def signs_in(door: Door, otp: str = "", *, email: str = "ada@example.test", password: str = PASSWORD) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(grant_type="password", username=email, password=password, otp=otp))


async def first_step(door: Door) -> str:
    with pytest.raises(MfaRequired) as wanted:
        await signs_in(door)
    token: str = wanted.value.extra["mfa_token"]
    return token


async def second_step(door: Door, token: str, otp: str) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(grant_type="mfa_otp", mfa_token=token, otp=otp))


# --- setting up ------------------------------------------------------------------------------------------------------

async def test_an_app_is_set_up_with_its_secret_and_a_code(any_door: Door) -> None:
    await any_door.registers()
    caller = await any_door.caller(await any_door.signs_in())
    offered = await any_door.ask.enroll_totp(caller)
    uri = urlsplit(offered.otpauth_uri)
    assert (uri.scheme, uri.netloc, parse_qs(uri.query)["secret"]) == ("otpauth", "totp", [offered.secret])
    assert len(offered.secret) == 32
    assert await any_door.signs_in()   # nothing changes until a code has shown that the app has it
    codes = (await any_door.ask.confirm_totp(caller, CodeGiven(pyotp.TOTP(offered.secret).at(any_door.clock.now())))
             ).recovery_codes
    assert len(set(codes)) == 10
    state = await any_door.ask.second_factor(caller)
    assert (state.totp_since, state.recovery_codes_left) == (any_door.clock.now(), 10)
    assert [one.change for one in await any_door.events(FactorChanged)] == [FactorChange.TOTP_ADDED]
    assert [entry.actor_id for entry in await any_door.audited("factor.totp_added")] == [caller.account_id]


async def test_whoever_lost_the_answer_asks_again_with_the_same_key(any_door: Door) -> None:
    await any_door.registers()
    caller = await any_door.caller(await any_door.signs_in())
    with changed(key="a-key"):
        first, again = [await any_door.ask.enroll_totp(caller) for _ in range(2)]
        assert first == again
        code = CodeGiven(pyotp.TOTP(first.secret).at(any_door.clock.now()))
        codes = [await any_door.ask.confirm_totp(caller, code) for _ in range(2)]
    assert codes[0] == codes[1]
    assert len(await any_door.events(FactorChanged)) == 1


async def test_a_wrong_code_confirms_nothing(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    with pytest.raises(NothingToConfirm):
        await door.ask.confirm_totp(caller, CodeGiven("123456"))
    await door.ask.enroll_totp(caller)
    for code in ("000000", "abcdef", "١٢٣٤٥٦", "1"):
        with pytest.raises(WrongCode):
            await door.ask.confirm_totp(caller, CodeGiven(code))
    assert await door.signs_in()


async def test_asking_again_replaces_the_secret_until_it_is_confirmed(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    first, second = [pyotp.TOTP((await door.ask.enroll_totp(caller)).secret) for _ in range(2)]
    with pytest.raises(WrongCode):
        await door.ask.confirm_totp(caller, CodeGiven(first.at(door.clock.now())))
    await door.ask.confirm_totp(caller, CodeGiven(second.at(door.clock.now())))
    with pytest.raises(FactorSet):
        await door.ask.enroll_totp(caller)
    with pytest.raises(NothingToConfirm):
        await door.ask.confirm_totp(caller, CodeGiven(second.at(door.clock.now())))


async def test_a_copy_of_the_database_holds_no_secret_and_no_code(door: Door) -> None:
    await door.registers()
    with changed(key="asked-again"):   # answers are kept for those who ask again
        _, phone = await sets_up(door)
    kept = b"".join(file.read_bytes() for file in door.folder.glob("identity.db*"))
    for secret in (phone.totp.secret, *phone.sheet, *(code.replace("-", "") for code in phone.sheet)):
        assert secret.encode() not in kept


# --- signing in ------------------------------------------------------------------------------------------------------

async def test_the_right_password_asks_for_a_code_and_with_it_signs_in(any_door: Door) -> None:
    await any_door.registers()
    _, phone = await sets_up(any_door)
    with pytest.raises(MfaRequired) as wanted:
        await signs_in(any_door)
    assert (wanted.value.status, wanted.value.problem()["error"]) == (401, "mfa_required")
    assert await any_door.lets_in(await signs_in(any_door, phone.code()))


async def test_a_token_stands_for_the_password_for_five_minutes(door: Door) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    token = await first_step(door)
    door.hasher.done.clear()
    assert await door.lets_in(await second_step(door, token, phone.code()))
    assert not door.hasher.done
    token = await first_step(door)
    door.wait(minutes=5)
    with pytest.raises(WrongCredentials):
        await second_step(door, token, phone.code())


@pytest.mark.parametrize("forged", ["", "a", "a.b.c", "a.b.c.d", "{account}.9999999999.{by}.x", "{account}.{until}1.{by}.{proof}",
                                    "00000000000000000000000000000000.{until}.{by}.{proof}", "{account}.{until}.{by}.",
                                    "{account}.{until}.sms.{proof}", "{account}.{until}.{proof}"])
async def test_forged_tokens_stand_for_nothing(door: Door, forged: str) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    account, until, by, proof = (await first_step(door)).split(".")
    token = forged.format(account=account, until=until, by=by, proof=proof) or "-"
    with pytest.raises(WrongCredentials):
        await second_step(door, token, phone.code())


async def test_another_password_or_a_disabled_account_ends_the_token(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    _, phone = await sets_up(door, made.email)
    with pytest.raises(MfaRequired) as wanted:
        await signs_in(door, email=made.email)
    token = wanted.value.extra["mfa_token"]
    await door.ask.reset_password(NOBODY, NewPassword(await door.gets_a_link(made.email), "a better password"))
    with pytest.raises(WrongCredentials):
        await second_step(door, token, phone.code())
    with pytest.raises(MfaRequired) as wanted:
        await signs_in(door, email=made.email, password="a better password")
    await door.ask.amend_account(admin, made.id, AmendAccount(disabled=True), made.version)
    with pytest.raises(WrongCredentials):
        await second_step(door, wanted.value.extra["mfa_token"], phone.code())


async def test_a_wrong_password_is_answered_alike_whatever_the_code(door: Door) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    answers = []
    for email, otp in (("ada@example.test", ""), ("ada@example.test", "000000"), ("ada@example.test", phone.code()),
                       ("nobody@example.test", phone.code())):
        with pytest.raises(WrongCredentials) as refused:
            await signs_in(door, otp, email=email, password="not the password")
        answers.append(refused.value.problem())
    assert all(one == answers[0] for one in answers)
    assert await signs_in(door, phone.code())   # and the code was not used up


# --- good once -------------------------------------------------------------------------------------------------------

async def test_a_code_signs_in_once(any_door: Door) -> None:
    await any_door.registers()
    _, phone = await sets_up(any_door)
    code = phone.code()
    await signs_in(any_door, code)
    with pytest.raises(MfaRequired) as refused:
        await signs_in(any_door, code)
    assert [one.field for one in refused.value.errors] == ["otp"]
    assert len(await any_door.audited("session.code_refused")) == 1
    any_door.wait(seconds=30)
    await signs_in(any_door, phone.code())


async def test_the_code_that_confirmed_the_app_is_used_too(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    phone = Phone(door, (await door.ask.enroll_totp(caller)).secret)
    await door.ask.confirm_totp(caller, CodeGiven(phone.code()))
    with pytest.raises(MfaRequired):
        await signs_in(door, phone.code())


@pytest.mark.parametrize(("off", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_the_clock_of_a_phone_may_be_one_step_off(door: Door, off: int, *, good: bool) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    door.wait(minutes=2)
    if good:
        assert await signs_in(door, phone.code(off=off))
    else:
        with pytest.raises(MfaRequired):
            await signs_in(door, phone.code(off=off))


async def test_after_a_later_code_an_earlier_one_is_good_no_more(door: Door) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    door.wait(minutes=1)
    await signs_in(door, phone.code(off=1))
    with pytest.raises(MfaRequired):
        await signs_in(door, phone.code())


@pytest.mark.parametrize("kind", ["app", "sheet"])
async def test_of_a_hundred_with_the_same_code_one_is_let_in(
        any_door: Door, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(domain, "CODES_PER_ACCOUNT", Limit(1_000, CODES_PER_ACCOUNT.window))
    monkeypatch.setattr(domain, "CODES_IN_A_ROW", Limit(1_000, CODES_IN_A_ROW.window))
    await any_door.registers()
    _, phone = await sets_up(any_door)
    token, code = await first_step(any_door), phone.code() if kind == "app" else phone.sheet[0]
    before = await any_door.count(tables.session)
    answers = await asyncio.gather(*(second_step(any_door, token, code) for _ in range(100)), return_exceptions=True)
    assert [type(one) for one in answers if isinstance(one, Tokens)] == [Tokens]
    assert sum(isinstance(one, MfaRequired) for one in answers) == 99
    assert await any_door.count(tables.session) == before + 1


# --- recovery codes --------------------------------------------------------------------------------------------------

async def test_each_recovery_code_signs_in_once_and_its_owner_is_told(any_door: Door) -> None:
    await any_door.registers()
    caller, phone = await sets_up(any_door)
    await signs_in(any_door, f" {phone.sheet[0].upper().replace('-', ' – ')} ".replace("O", "0").replace("L", "1"))
    with pytest.raises(MfaRequired):
        await signs_in(any_door, phone.sheet[0])
    assert (await any_door.ask.second_factor(caller)).recovery_codes_left == 9
    assert (await any_door.events(FactorChanged))[-1].change == FactorChange.RECOVERY_CODE_USED


async def test_new_recovery_codes_end_the_old_ones(door: Door) -> None:
    await door.registers()
    caller, phone = await sets_up(door)
    renewed = (await door.ask.renew_recovery_codes(caller)).recovery_codes
    with pytest.raises(MfaRequired):
        await signs_in(door, phone.sheet[0])
    assert await signs_in(door, renewed[0])


# --- guessing --------------------------------------------------------------------------------------------------------

async def test_codes_are_guessed_ten_times_and_no_more(any_door: Door) -> None:
    await any_door.registers()
    _, phone = await sets_up(any_door)
    token, refused = await first_step(any_door), []
    for _ in range(14):
        try:
            await second_step(any_door, token, "000000")
        except (MfaRequired, TooManyTries) as refusal:
            refused.append(type(refusal))
    assert refused == [MfaRequired] * 10 + [TooManyTries] * 4
    with pytest.raises(TooManyTries):
        await second_step(any_door, token, phone.code())
    any_door.wait(minutes=15)
    assert await signs_in(any_door, phone.code())


async def test_a_hundred_wrong_codes_on_end_are_the_last(door: Door) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    guessed = 0
    for _ in range(12):
        token = await first_step(door)
        for _ in range(10):
            with suppress(TooManyTries):
                try:
                    await second_step(door, token, "000000")
                except MfaRequired:
                    guessed += 1
        door.wait(minutes=15)
    assert guessed == 100
    with pytest.raises(TooManyTries):
        await signs_in(door, phone.code())


async def test_being_let_in_begins_the_count_anew(door: Door) -> None:
    await door.registers()
    _, phone = await sets_up(door)
    for _ in range(3):
        token = await first_step(door)
        for _ in range(8):
            with pytest.raises(MfaRequired):
                await second_step(door, token, "000000")
        door.wait(seconds=30)
        await second_step(door, token, phone.code())


async def test_asking_for_codes_costs_the_others_at_this_address_nothing(door: Door) -> None:
    await door.registers()
    await sets_up(door)
    for _ in range(3):
        await first_step(door)
    async with door.db.reading() as reading:
        tried = [await tables.THROTTLES.get(reading, one.key) for one in door.service.tries_at(
            domain.email_key("ada@example.test"))[1]]
    assert [one.tries for one in tried if one] == [0, 0]


# --- taking it off ---------------------------------------------------------------------------------------------------

async def test_password_and_code_together_take_it_off(any_door: Door) -> None:
    await any_door.registers()
    caller, phone = await sets_up(any_door)
    answers = []
    for password, code in (("not the password", phone.code()), (PASSWORD, "000000")):
        with pytest.raises(WrongCredentials) as refused:
            await any_door.ask.disable_totp(caller, DisableTotp(password, code))
        answers.append(refused.value.problem())
    assert answers[0] == answers[1]
    await any_door.ask.disable_totp(caller, DisableTotp(PASSWORD, phone.code()))
    assert await any_door.signs_in()
    assert (await any_door.count(tables.totp), await any_door.count(tables.recovery_code)) == (0, 0)
    assert (await any_door.events(FactorChanged))[-1].change == FactorChange.TOTP_REMOVED
    with pytest.raises(NoFactor):
        await any_door.ask.disable_totp(caller, DisableTotp(PASSWORD, phone.code()))
    with pytest.raises(NoFactor):
        await any_door.ask.renew_recovery_codes(caller)


async def test_the_administration_takes_it_off_for_who_has_lost_it(door: Door) -> None:
    ada = await door.registers()
    await sets_up(door)
    assert (await door.ask.second_factor_of(admin, ada.account_id)).recovery_codes_left == 10
    boss = await door.administrator()
    await door.ask.reset_second_factor(boss, ada.account_id)
    assert await door.signs_in()
    [entry] = await door.audited("factor.reset")
    assert (entry.actor_id, entry.entity) == (boss.account_id, f"account/{ada.account_id}")
    assert (await door.events(FactorChanged))[-1].change == FactorChange.RESET
    with pytest.raises(NoFactor):
        await door.ask.reset_second_factor(boss, ada.account_id)
    with pytest.raises(NotFound):
        await door.ask.reset_second_factor(boss, ada.patient_id)

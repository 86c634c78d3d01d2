"""Codes by e-mail to sign in with: asked for by anybody, sent to patients, good once and for few tries."""
from __future__ import annotations

import asyncio

import msgspec
import pyotp
import pytest

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    AmendAccount,
    AskForCode,
    CodeAsked,
    CodeGiven,
    CodeRefused,
    GiveCode,
    MfaRequired,
    SentCode,
    StepUpRequired,
    TokenRequest,
    Tokens,
)
from infirmary.contexts.identity.domain import CODES_PER_ACCOUNT, TRIES_PER_CODE, Limit
from infirmary.contexts.identity.events import SignInCodeAsked
from infirmary.contexts.identity.tables.sent_codes import sent_code
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import Role, service

from .builders import Door, admin, coming_from

ADA = "ada@example.test"
notifications = service("notifications")


async def asks(door: Door, email: str = ADA) -> CodeAsked:
    return await door.ask.request_code(NOBODY, AskForCode(email))


async def reads(door: Door, asked: CodeAsked) -> SentCode:
    """What the e-mail says."""
    return await door.ask.sent_code(notifications, asked.code_id)


async def gives(door: Door, asked: CodeAsked, code: str) -> Tokens:
    return await door.ask.verify_code(NOBODY, GiveCode(asked.code_id, code))


async def test_a_code_from_the_mailbox_signs_a_patient_in(any_door: Door) -> None:
    ada = await any_door.registers()
    asked = await asks(any_door, " ADA@example.test")
    sent = await reads(any_door, asked)
    assert (sent.email, len(sent.code), sent.code.isdecimal(), asked.expires_in) == (ADA, 6, True, 600)
    tokens = await gives(any_door, asked, f" {sent.code[:3]} {sent.code[3:]} ")
    assert (await any_door.caller(tokens)).account_id == ada.account_id
    [fact] = await any_door.events(SignInCodeAsked)
    assert (fact.aggregate, fact.account_id) == (asked.code_id, ada.account_id)
    with pytest.raises(CodeRefused):
        await gives(any_door, asked, sent.code)
    with pytest.raises(NotFound):
        await reads(any_door, asked)


async def test_the_code_is_nowhere_but_in_the_answer_to_who_writes_the_mail(door: Door) -> None:
    await door.registers()
    asked = await asks(door)
    code = (await reads(door, asked)).code
    for fact in [*await door.facts("SignInCodeAsked"), *await door.facts("Audited")]:
        assert code not in msgspec.json.encode(fact.body).decode().replace(str(asked.code_id), "")
    async with door.db.reading() as reading:
        row = await tables.sent_codes.SENT_CODES.get(reading, asked.code_id)
    assert code not in repr(row).replace(str(asked.code_id), "")


async def test_it_is_good_for_ten_minutes(door: Door) -> None:
    await door.registers()
    asked = await asks(door)
    code = (await reads(door, asked)).code
    door.wait(minutes=10)
    with pytest.raises(CodeRefused):
        await gives(door, asked, code)
    with pytest.raises(NotFound):
        await reads(door, asked)


async def test_it_is_good_for_the_request_that_it_was_made_for(door: Door) -> None:
    await door.registers()
    first, second = await asks(door), await asks(door)
    codes = [(await reads(door, one)).code for one in (first, second)]
    assert codes[0] != codes[1]
    for asked in (second, CodeAsked(new_id(), 600)):
        with pytest.raises(CodeRefused):
            await gives(door, asked, codes[0])


async def test_of_fifty_with_the_right_code_one_is_let_in(any_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "CODES_PER_ACCOUNT", Limit(1_000, CODES_PER_ACCOUNT.window))
    monkeypatch.setattr(domain, "TRIES_PER_CODE", 100)
    await any_door.registers()
    asked = await asks(any_door)
    code = (await reads(any_door, asked)).code
    answers = await asyncio.gather(*(gives(any_door, asked, code) for _ in range(50)), return_exceptions=True)
    assert [type(one) for one in answers if isinstance(one, Tokens)] == [Tokens]
    assert sum(isinstance(one, CodeRefused) for one in answers) == 49
    assert await any_door.count(tables.session) == 1


async def test_after_five_wrong_ones_at_once_the_right_one_is_too_late(any_door: Door) -> None:
    await any_door.registers()
    asked = await asks(any_door)
    code = (await reads(any_door, asked)).code
    wrong = [f"{(int(code) + by) % 1_000_000:06}" for by in range(1, TRIES_PER_CODE + 4)]
    answers = await asyncio.gather(*(gives(any_door, asked, one) for one in wrong), return_exceptions=True)
    assert {type(one) for one in answers} == {CodeRefused}
    async with any_door.db.reading() as reading:
        row = await tables.sent_codes.SENT_CODES.get(reading, asked.code_id)
    assert row
    assert row.tries == TRIES_PER_CODE
    with pytest.raises(CodeRefused):
        await gives(any_door, asked, code)


async def test_asking_again_and_again_gives_no_more_than_ten_tries_in_a_quarter_of_an_hour(door: Door) -> None:
    await door.registers()
    refused = []
    for _ in range(4):
        asked = await asks(door)
        for _ in range(4):
            try:
                await gives(door, asked, "no code")
            except (CodeRefused, TooManyTries) as refusal:
                refused.append(type(refusal))
    assert refused == [CodeRefused] * 10 + [TooManyTries] * 6
    assert await door.signs_in()   # who knows the password is not kept out by that


async def test_whoever_asks_learns_nothing_about_who_is_known(door: Door) -> None:
    await door.registers()
    await door.opens("nurse@example.test", Role.NURSE)
    gone = await door.opens("gone@example.test", Role.NURSE)
    await door.ask.amend_account(admin, gone.id, AmendAccount(disabled=True), gone.version)
    answers = []
    for email in (ADA, "nurse@example.test", "gone@example.test", "nobody@example.test"):
        asked = await asks(door, email)
        with pytest.raises(CodeRefused) as refused:
            await gives(door, asked, "no code")
        answers.append((asked.expires_in, refused.value.problem()))
    assert all(one == answers[0] for one in answers)
    assert await door.count(sent_code) == 4
    assert len(await door.events(SignInCodeAsked)) == 1   # a mailbox is too little for who works here


async def test_a_mailbox_gets_five_and_nobody_hears_that_it_is_full(door: Door) -> None:
    await door.registers()
    for _ in range(7):
        await asks(door)
    assert len(await door.events(SignInCodeAsked)) == 5


async def test_one_address_asks_so_often_and_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "PER_ADDRESS", Limit(3, domain.PER_ADDRESS.window))
    with coming_from("192.0.2.7"):
        for number in range(3):
            await asks(door, f"nobody{number}@example.test")
        with pytest.raises(TooManyTries):
            await asks(door)
    assert await asks(door)


async def test_who_has_an_authenticator_app_is_asked_for_its_code_too(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    totp = pyotp.TOTP((await door.ask.enroll_totp(caller)).secret)
    await door.ask.confirm_totp(caller, CodeGiven(totp.at(door.clock.now())))
    door.wait(seconds=30)
    asked = await asks(door)
    with pytest.raises(MfaRequired) as wanted:
        await gives(door, asked, (await reads(door, asked)).code)
    assert await door.ask.token(NOBODY, TokenRequest(
        grant_type="mfa_otp", mfa_token=wanted.value.extra["mfa_token"], otp=totp.at(door.clock.now())))


async def test_a_mailbox_alone_changes_nothing_about_signing_in(door: Door) -> None:
    await door.registers()
    asked = await asks(door)
    caller = await door.caller(await gives(door, asked, (await reads(door, asked)).code))
    for change in (door.ask.enroll_totp(caller), door.ask.passkey_options(caller)):
        with pytest.raises(StepUpRequired):
            await change


async def test_requests_are_forgotten_after_a_day(door: Door) -> None:
    await asks(door)
    door.wait(days=1, minutes=11)
    await door.service.forget()
    assert await door.count(sent_code) == 0

"""Phones and mailboxes: confirmed by a code, written to so often and no more, and a second factor for whom that will do."""
from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pyotp
import pytest

from infirmary.contexts.identity import domain
from infirmary.contexts.identity.contract import (
    AskForCode,
    CodeAsked,
    CodeGiven,
    CodeRefused,
    ConfirmContactPoint,
    ContactPoint,
    FactorSet,
    GiveCode,
    MfaRequired,
    NewContactPoint,
    NoFactor,
    NotConfirmed,
    NoTextMessages,
    PhoneUnfit,
    SendSecondFactor,
    StepUpRequired,
    StrongerFactorNeeded,
    TokenRequest,
    Tokens,
    WrongCode,
    WrongCredentials,
)
from infirmary.contexts.identity.domain import Limit
from infirmary.contexts.identity.events import FactorChange, FactorChanged, SignInCodeAsked
from infirmary.contexts.identity.tables import contact_points as kept
from infirmary.contexts.identity.tables import sent_codes
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.errors import TooManyTries
from infirmary.language import Channel, Role, service
from infirmary.settings import Mail

from .builders import PASSWORD, Door

ADA, NUMBER = "ada@example.test", "+353850123456"
EMAIL, SMS = Channel.EMAIL, Channel.SMS


async def registered(door: Door) -> Caller:
    """A patient who has just signed in."""
    await door.registers()
    return await door.caller(await door.signs_in())


async def asks(door: Door, caller: Caller, phone: str | None = "085 012 3456") -> CodeAsked:
    return await door.ask.add_contact_point(caller, NewContactPoint(channel=SMS if phone else EMAIL, phone=phone))


async def read(door: Door, code_id: UUID) -> str:
    return (await door.ask.sent_code(service("notifications"), code_id)).code


async def confirms(door: Door, caller: Caller, phone: str | None = "085 012 3456") -> ContactPoint:
    asked = await asks(door, caller, phone)
    return await door.ask.confirm_contact_point(caller, ConfirmContactPoint(
        code_id=asked.code_id, code=await read(door, asked.code_id)))


async def with_codes(door: Door, *phones: str | None) -> Caller:
    caller = await registered(door)
    for phone in phones or ("085 012 3456",):
        await confirms(door, caller, phone)
        await door.ask.ask_for_codes(caller, SMS if phone else EMAIL)
    return caller


async def first_step(door: Door) -> MfaRequired:
    with pytest.raises(MfaRequired) as wanted:
        await door.signs_in()
    return wanted.value


async def is_sent(door: Door, wanted: MfaRequired, channel: Channel = SMS) -> tuple[UUID, str]:
    asked = await door.ask.send_second_factor(NOBODY, SendSecondFactor(mfa_token=wanted.extra["mfa_token"], channel=channel))
    return asked.code_id, await read(door, asked.code_id)


async def second_step(door: Door, wanted: MfaRequired, code_id: UUID | None, otp: str) -> Tokens:
    return await door.ask.token(NOBODY, TokenRequest(
        grant_type="mfa_otp", mfa_token=wanted.extra["mfa_token"], code_id=code_id, otp=otp))


# --- confirming ------------------------------------------------------------------------------------------------------

async def test_a_number_is_somebodys_once_a_code_came_back_from_it(any_door: Door) -> None:
    caller = await registered(any_door)
    asked = await asks(any_door, caller)
    sent = await any_door.ask.sent_code(service("notifications"), asked.code_id)
    assert (sent.email, sent.phone) == ("", NUMBER)
    people = await any_door.ask.recipients(service("notifications"), account_id=caller.account_id)
    assert [one.phone for one in people] == [""]
    point = await any_door.ask.confirm_contact_point(caller, ConfirmContactPoint(code_id=asked.code_id, code=sent.code))
    assert (point.shown, point.second_factor) == ("…456", False)
    people = await any_door.ask.recipients(service("notifications"), account_id=caller.account_id)
    assert [one.phone for one in people] == [NUMBER]
    assert [one.change for one in await any_door.events(FactorChanged)] == [FactorChange.PHONE_ADDED]


async def test_of_many_who_confirm_at_once_one_does_and_another_number_takes_its_place(any_door: Door) -> None:
    caller = await registered(any_door)
    asked = await asks(any_door, caller)
    code = await read(any_door, asked.code_id)
    answers = await asyncio.gather(*(any_door.ask.confirm_contact_point(
        caller, ConfirmContactPoint(code_id=asked.code_id, code=code)) for _ in range(5)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in answers) == ["ContactPoint"] + ["WrongCode"] * 4
    assert (await confirms(any_door, caller, "085 012 3499")).shown == "…499"
    assert [one.shown for one in await any_door.ask.contact_points(caller)] == ["…499"]


async def test_a_code_is_good_for_what_it_was_sent_for_and_for_whom(door: Door) -> None:
    caller = await registered(door)
    asked = await asks(door, caller)
    code = await read(door, asked.code_id)
    with pytest.raises(CodeRefused):   # it is no code to sign in with
        await door.ask.verify_code(NOBODY, GiveCode(asked.code_id, code))
    await door.registers("ben@example.test")
    ben = await door.caller(await door.signs_in("ben@example.test"))
    for who, typed in ((ben, code), *[(caller, f"{(int(code) + 1) % 1_000_000:06}")] * domain.TRIES_PER_CODE, (caller, code)):
        with pytest.raises(WrongCode):
            await door.ask.confirm_contact_point(who, ConfirmContactPoint(code_id=asked.code_id, code=typed))


@pytest.mark.parametrize("phone", ["12345", "+353 1 555 0100", "+353 1590 123456", "+44 7400 123456", "+1 900 555 1234"])
async def test_numbers_that_cost_or_are_abroad_are_not_written_to(door: Door, phone: str) -> None:
    caller = await registered(door)
    with pytest.raises(PhoneUnfit):
        await asks(door, caller, phone)
    assert await door.count(sent_codes.sent_code) == 0


async def test_other_countries_are_written_to_where_the_settings_name_them(door: Door) -> None:
    door.settings = msgspec.structs.replace(door.settings, sms=msgspec.structs.replace(door.settings.sms, countries="GB,FR"))
    door.restart()
    caller = await registered(door)
    assert await asks(door, caller, "+44 7400 123456")
    with pytest.raises(PhoneUnfit):
        await asks(door, caller)


async def test_what_was_proved_long_ago_changes_nothing(door: Door) -> None:
    caller = await registered(door)
    asked = await asks(door, caller)
    code = await read(door, asked.code_id)
    await confirms(door, caller, None)
    door.wait(minutes=11)
    for change in (asks(door, caller), door.ask.confirm_contact_point(caller, ConfirmContactPoint(code_id=asked.code_id, code=code)),
                   door.ask.ask_for_codes(caller, EMAIL), door.ask.stop_asking_for_codes(caller, EMAIL),
                   door.ask.remove_contact_point(caller, EMAIL)):
        with pytest.raises(StepUpRequired):
            await change


async def test_where_there_are_no_text_messages_nobody_is_asked_for_a_number(door: Door) -> None:
    door.settings = msgspec.structs.replace(door.settings, mail=Mail(port=25))
    door.restart()
    caller = await registered(door)
    for asking in (asks(door, caller), door.ask.request_code(NOBODY, AskForCode(ADA, SMS))):
        with pytest.raises(NoTextMessages):
            await asking


# --- how many --------------------------------------------------------------------------------------------------------

async def test_a_number_gets_so_many_codes_a_day_whoever_asks(any_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "TEXTS_A_DAY", Limit(4, domain.TEXTS_A_DAY.window))
    callers = []
    for email in (ADA, "ben@example.test"):
        await any_door.registers(email)
        callers.append(await any_door.caller(await any_door.signs_in(email)))
    answers = await asyncio.gather(*(asks(any_door, one) for one in callers * 4), return_exceptions=True)
    assert sum(isinstance(one, CodeAsked) for one in answers) == 4
    assert sum(isinstance(one, TooManyTries) for one in answers) == 4
    any_door.wait(days=1)
    again = await any_door.caller(await any_door.signs_in())
    assert await asks(any_door, again)


async def test_an_account_gets_so_many_a_day_whatever_the_number(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "TEXTS_A_DAY", Limit(2, domain.TEXTS_A_DAY.window))
    caller = await registered(door)
    for last in (1, 2):
        await asks(door, caller, f"085 012 345{last}")
    with pytest.raises(TooManyTries):
        await asks(door, caller, "085 012 3453")
    assert await asks(door, caller, None)   # a mail costs nothing


async def test_who_asks_for_codes_to_a_phone_that_had_its_share_hears_nothing_of_it(
        door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "TEXTS_A_DAY", Limit(2, domain.TEXTS_A_DAY.window))
    await confirms(door, await registered(door))
    before = len(await door.events(SignInCodeAsked))
    answers = [await door.ask.request_code(NOBODY, AskForCode(ADA, SMS)) for _ in range(3)]
    assert len({one.expires_in for one in answers}) == 1
    assert len(await door.events(SignInCodeAsked)) == before + 1


# --- in place of the password ----------------------------------------------------------------------------------------

async def test_a_code_on_the_phone_signs_a_patient_in(door: Door) -> None:
    caller = await registered(door)
    await confirms(door, caller)
    asked = await door.ask.request_code(NOBODY, AskForCode(ADA, SMS))
    sent = await door.ask.sent_code(service("notifications"), asked.code_id)
    assert (sent.email, sent.phone) == ("", NUMBER)
    tokens = await door.ask.verify_code(NOBODY, GiveCode(asked.code_id, sent.code))
    assert (await door.caller(tokens)).account_id == caller.account_id


async def test_whoever_asks_for_a_text_learns_nothing_about_who_has_a_phone(door: Door) -> None:
    await confirms(door, await registered(door))
    await door.registers("ben@example.test")
    await door.opens("nurse@example.test", Role.NURSE)
    before = len(await door.events(SignInCodeAsked))
    answers = []
    for email in (ADA, "ben@example.test", "nurse@example.test", "nobody@example.test"):
        asked = await door.ask.request_code(NOBODY, AskForCode(email, SMS))
        with pytest.raises(CodeRefused) as refused:
            await door.ask.verify_code(NOBODY, GiveCode(asked.code_id, "no code"))
        answers.append((asked.expires_in, refused.value.problem()))
    assert all(one == answers[0] for one in answers)
    assert len(await door.events(SignInCodeAsked)) == before + 1


# --- besides the password --------------------------------------------------------------------------------------------

async def test_signing_in_asks_for_a_code_that_is_sent_and_good_once(any_door: Door) -> None:
    caller = await with_codes(any_door)
    assert (await any_door.ask.second_factor(caller)).codes_by == [SMS]
    wanted = await first_step(any_door)
    assert wanted.extra["factors"] == ["sms"]
    code_id, code = await is_sent(any_door, wanted)
    for wrong in (f"{(int(code) + 1) % 1_000_000:06}", "-"):
        with pytest.raises(MfaRequired):
            await second_step(any_door, wanted, code_id, wrong)
    answers = await asyncio.gather(*(second_step(any_door, wanted, code_id, code) for _ in range(3)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in answers) == ["MfaRequired", "MfaRequired", "Tokens"]


async def test_the_app_stays_first_and_any_of_the_factors_will_do(door: Door) -> None:
    caller = await with_codes(door, "085 012 3456", None)
    totp = pyotp.TOTP((await door.ask.enroll_totp(caller)).secret)
    await door.ask.confirm_totp(caller, CodeGiven(totp.at(door.clock.now())))
    door.wait(seconds=30)
    wanted = await first_step(door)
    assert wanted.extra["factors"] == ["totp", "email", "sms"]
    assert await second_step(door, wanted, *await is_sent(door, wanted, EMAIL))
    code_id, _ = await is_sent(door, wanted)
    assert await second_step(door, wanted, code_id, totp.at(door.clock.now()))   # they found their phone after all


async def test_one_message_is_never_both_factors(door: Door) -> None:
    caller = await with_codes(door)
    before = len(await door.events(SignInCodeAsked))
    await door.ask.request_code(NOBODY, AskForCode(ADA, SMS))
    assert len(await door.events(SignInCodeAsked)) == before
    asked = await door.ask.request_code(NOBODY, AskForCode(ADA, EMAIL))
    with pytest.raises(MfaRequired) as wanted:
        await door.ask.verify_code(NOBODY, GiveCode(asked.code_id, await read(door, asked.code_id)))
    assert wanted.value.extra["factors"] == ["sms"]
    await confirms(door, caller, None)
    await door.ask.ask_for_codes(caller, EMAIL)
    with pytest.raises(NoFactor):   # the mailbox has spoken
        await is_sent(door, wanted.value, EMAIL)
    mine = await door.caller(await second_step(door, wanted.value, *await is_sent(door, wanted.value)))
    with pytest.raises(StepUpRequired):   # two messages are no password
        await door.ask.enroll_totp(mine)


async def test_a_code_made_the_only_factor_after_it_was_asked_for_lets_nobody_in(door: Door) -> None:
    caller = await registered(door)
    await confirms(door, caller)
    asked = await door.ask.request_code(NOBODY, AskForCode(ADA, SMS))
    await door.ask.ask_for_codes(caller, SMS)
    with pytest.raises(CodeRefused):
        await door.ask.verify_code(NOBODY, GiveCode(asked.code_id, await read(door, asked.code_id)))


async def test_codes_come_for_who_knows_the_password_alone_and_for_what_is_set_up(door: Door) -> None:
    await with_codes(door)
    wanted = await first_step(door)
    with pytest.raises(NoFactor):
        await is_sent(door, wanted, EMAIL)
    token = wanted.extra["mfa_token"]
    for forged in ("a.b.c.d", token[:-1], token.replace(".fresh.", ".sms."), token.replace(".fresh.", ".")):
        with pytest.raises(WrongCredentials):
            await door.ask.send_second_factor(NOBODY, SendSecondFactor(mfa_token=forged, channel=SMS))
    for _ in range(domain.MAILS_PER_ACCOUNT.tries - 1):   # one went to confirm the number
        await is_sent(door, wanted)
    with pytest.raises(TooManyTries):
        await is_sent(door, wanted)


async def test_who_works_here_needs_a_stronger_factor_unless_the_settings_say_otherwise(door: Door) -> None:
    nurse = await door.opens("nurse@example.test", Role.NURSE)
    caller = await door.caller(await door.signs_in(nurse.email))
    assert await confirms(door, caller)   # for messages
    with pytest.raises(StrongerFactorNeeded):
        await door.ask.ask_for_codes(caller, SMS)
    door.settings = msgspec.structs.replace(door.settings, strong_factor=(Role.ADMIN,))
    door.restart()
    assert (await door.ask.ask_for_codes(caller, SMS)).second_factor


async def test_what_is_not_there_is_neither_set_nor_taken_off_twice(door: Door) -> None:
    caller = await registered(door)
    with pytest.raises(NotConfirmed):
        await door.ask.ask_for_codes(caller, SMS)
    await confirms(door, caller)
    await door.ask.ask_for_codes(caller, SMS)
    with pytest.raises(FactorSet):
        await door.ask.ask_for_codes(caller, SMS)
    await door.ask.stop_asking_for_codes(caller, SMS)
    await door.ask.remove_contact_point(caller, SMS)
    for again in (door.ask.stop_asking_for_codes(caller, SMS), door.ask.remove_contact_point(caller, SMS)):
        with pytest.raises(NoFactor):
            await again
    assert await door.signs_in()


async def test_every_change_is_told_and_in_the_audit_trail(door: Door) -> None:
    caller = await with_codes(door)
    await door.ask.remove_contact_point(caller, SMS)
    changes = [FactorChange.PHONE_ADDED, FactorChange.CODES_ADDED, FactorChange.CODES_REMOVED, FactorChange.PHONE_REMOVED]
    told = await door.events(FactorChanged)
    assert [(one.change, one.account_id) for one in told] == [(change, caller.account_id) for change in changes]
    for change in changes:
        assert [entry.actor_id for entry in await door.audited(f"factor.{change}")] == [caller.account_id]
    for fact in [*await door.facts("FactorChanged"), *await door.facts("Audited"), *await door.facts("SignInCodeAsked")]:
        assert NUMBER[-9:] not in msgspec.json.encode(fact.body).decode()


async def test_who_lost_the_phone_has_it_taken_off_by_the_administration(door: Door) -> None:
    caller = await with_codes(door)
    assert caller.account_id
    await door.ask.reset_second_factor(await door.administrator(), caller.account_id)
    assert await door.count(kept.contact_point) == 0
    assert await door.signs_in(password=PASSWORD)

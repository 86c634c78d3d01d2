"""Passkeys: made where one is freshly signed in, used instead of password and code, each answer once."""
from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pyotp
import pytest

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import (
    AmendAccount,
    ChallengeSpent,
    CodeGiven,
    MadeCredential,
    MfaRequired,
    NewPasskey,
    NoFactor,
    Passkey,
    PasskeyKnown,
    PasskeyRefused,
    PasskeyUnfit,
    RenamePasskey,
    StepUpRequired,
    Tokens,
    TooManyPasskeys,
    UsedCredential,
    UsePasskey,
)
from infirmary.contexts.identity.domain import PER_ADDRESS_HERE, Limit
from infirmary.contexts.identity.events import FactorChange, FactorChanged
from infirmary.contexts.identity.tables.passkeys import passkey, spent_challenge
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.errors import NotFound, StaleVersion, TooManyTries
from infirmary.kernel.request import changed
from tests.authenticator import PRESENT, VERIFIED, Authenticator, text

from .builders import Door, admin
from .test_second_factor import signs_in as signs_in_with_code

ADA, BEN = "ada@example.test", "ben@example.test"


async def makes(door: Door, caller: Caller, device: Authenticator, name: str = "My phone", **lies: Any) -> Passkey:
    options = (await door.ask.passkey_options(caller)).public_key
    made = msgspec.convert(device.makes(options, **lies), MadeCredential)
    return await door.ask.add_passkey(caller, NewPasskey(name, made))


async def asked(door: Door) -> dict[str, Any]:
    return (await door.ask.passkey_challenge(NOBODY)).public_key


def answer(credential: dict[str, Any]) -> UsePasskey:
    return UsePasskey(msgspec.convert(credential, UsedCredential))


async def signs_in(door: Door, device: Authenticator, **lies: Any) -> Tokens:
    return await door.ask.passkey_token(NOBODY, answer(device.signs(await asked(door), **lies)))


async def with_passkey(door: Door, email: str = ADA) -> tuple[Caller, Authenticator]:
    await door.registers(email)
    caller, device = await door.caller(await door.signs_in(email)), Authenticator()
    await makes(door, caller, device)
    return caller, device


# --- making ----------------------------------------------------------------------------------------------------------

async def test_a_passkey_is_made_and_signs_in_without_an_e_mail_address(any_door: Door) -> None:
    caller, device = await with_passkey(any_door)
    any_door.wait(hours=1)
    tokens = await signs_in(any_door, device)
    assert (await any_door.caller(tokens)).account_id == caller.account_id
    [known] = await any_door.ask.passkeys(caller)
    assert (known.name, known.last_used_at) == ("My phone", any_door.clock.now())
    assert [one.change for one in await any_door.events(FactorChanged)] == [FactorChange.PASSKEY_ADDED]
    assert [entry.actor_id for entry in await any_door.audited("factor.passkey_added")] == [caller.account_id]
    assert (await any_door.ask.second_factor(caller)).passkeys == 1


async def test_browsers_are_asked_for_one_that_is_found_by_itself_and_asks_who_is_there(door: Door) -> None:
    caller, device = await with_passkey(door)
    make, use = (await door.ask.passkey_options(caller)).public_key, await asked(door)
    assert make["rp"]["id"] == use["rpId"] == "hospital.test"
    assert make["authenticatorSelection"]["residentKey"] == "required"
    assert make["authenticatorSelection"]["userVerification"] == use["userVerification"] == "required"
    assert [one["id"] for one in make["excludeCredentials"]] == [text(device.id)]
    assert not use.get("allowCredentials")
    assert (make["attestation"], make["timeout"], use["timeout"]) == ("none", 300_000, 300_000)


async def test_only_who_gave_the_password_just_now_makes_and_removes(door: Door) -> None:
    caller, device = await with_passkey(door)
    [known] = await door.ask.passkeys(caller)
    options = (await door.ask.passkey_options(caller)).public_key
    offered = NewPasskey("Late", msgspec.convert(Authenticator().makes(options), MadeCredential))
    door.wait(minutes=4)
    await door.ask.passkey_step_up(caller, answer(device.signs(await asked(door))))
    door.wait(minutes=11)
    for attempt in (door.ask.passkey_options(caller), door.ask.add_passkey(caller, offered),
                    door.ask.remove_passkey(caller, known.id)):
        with pytest.raises(StepUpRequired):
            await attempt
    await door.ask.passkey_step_up(caller, answer(device.signs(await asked(door))))
    await door.ask.remove_passkey(caller, known.id)
    with pytest.raises(PasskeyRefused):
        await signs_in(door, device)


@pytest.mark.parametrize("lie", [
    {"flags": PRESENT}, {"flags": VERIFIED}, {"origin": "https://hospital.test.evil.example"},
    {"origin": "http://hospital.test"}, {"crossOrigin": True}, {"type": "webauthn.get"}], ids=str)
async def test_an_answer_that_does_not_fit_makes_none(door: Door, lie: dict[str, Any]) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    with pytest.raises(PasskeyUnfit):
        await makes(door, caller, Authenticator(), **lie)
    with pytest.raises(PasskeyUnfit):
        await makes(door, caller, Authenticator(host="elsewhere.test"))
    assert await door.count(passkey) == 0


async def test_what_is_no_attestation_at_all_is_refused_the_same_way(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    options = (await door.ask.passkey_options(caller)).public_key
    for name, nonsense in (("clientDataJSON", "AAAA"), ("clientDataJSON", text(b'{"type": 1}')), ("attestationObject", "oA"),
                           ("attestationObject", text(b"\xa3cfmtdnone")), ("attestationObject", "A")):
        made = Authenticator().makes(options)
        made["response"][name] = nonsense
        with pytest.raises(PasskeyUnfit):
            await door.ask.add_passkey(caller, NewPasskey("x", msgspec.convert(made, MadeCredential)))


async def test_a_challenge_is_for_one_account_one_purpose_and_five_minutes(door: Door) -> None:
    await door.registers(ADA)
    await door.registers(BEN)
    ada, ben = [await door.caller(await door.signs_in(email)) for email in (ADA, BEN)]
    bens = (await door.ask.passkey_options(ben)).public_key
    to_sign_in = {**bens, **await asked(door)}
    own_making = {**bens, "challenge": text(bytes(24) + bytes(32))}
    late = (await door.ask.passkey_options(ada)).public_key
    for options in (bens, to_sign_in, own_making):
        with pytest.raises(ChallengeSpent):
            await door.ask.add_passkey(ada, NewPasskey("x", msgspec.convert(Authenticator().makes(options), MadeCredential)))
    door.wait(minutes=5)
    with pytest.raises(ChallengeSpent):
        await door.ask.add_passkey(ada, NewPasskey("x", msgspec.convert(Authenticator().makes(late), MadeCredential)))
    assert await door.count(passkey) == 0


async def test_one_credential_belongs_to_one_account(any_door: Door) -> None:
    _, device = await with_passkey(any_door, ADA)
    await any_door.registers(BEN)
    ben = await any_door.caller(await any_door.signs_in(BEN))
    with pytest.raises(PasskeyKnown):
        await makes(any_door, ben, device)
    assert await any_door.ask.passkeys(ben) == []


async def test_whoever_lost_the_answer_asks_again_with_the_same_key(door: Door) -> None:
    await door.registers()
    caller = await door.caller(await door.signs_in())
    options = (await door.ask.passkey_options(caller)).public_key
    body = NewPasskey("My phone", msgspec.convert(Authenticator().makes(options), MadeCredential))
    with changed(key="a-key"):
        first, again = [await door.ask.add_passkey(caller, body) for _ in range(2)]
    assert first == again
    with pytest.raises((ChallengeSpent, PasskeyKnown)):
        await door.ask.add_passkey(caller, body)
    assert len(await door.events(FactorChanged)) == 1


async def test_an_account_has_so_many_and_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_PASSKEYS", 2)
    caller, _ = await with_passkey(door)
    options = [(await door.ask.passkey_options(caller)).public_key for _ in range(3)]
    bodies = [NewPasskey("x", msgspec.convert(Authenticator().makes(one), MadeCredential)) for one in options]
    answers = await asyncio.gather(*(door.ask.add_passkey(caller, body) for body in bodies), return_exceptions=True)
    assert sorted(type(one).__name__ for one in answers) == ["Passkey", "TooManyPasskeys", "TooManyPasskeys"]
    with pytest.raises(TooManyPasskeys):
        await door.ask.passkey_options(caller)


# --- signing in ------------------------------------------------------------------------------------------------------

async def test_it_stands_for_both_factors(door: Door) -> None:
    caller, device = await with_passkey(door)
    secret = (await door.ask.enroll_totp(caller)).secret

    await door.ask.confirm_totp(caller, CodeGiven(pyotp.TOTP(secret).at(door.clock.now())))
    with pytest.raises(MfaRequired):
        await signs_in_with_code(door)
    tokens = await signs_in(door, device)
    await door.ask.renew_recovery_codes(await door.caller(tokens))   # and it is as fresh as a password


async def test_of_fifty_with_the_same_answer_one_is_let_in(any_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "PER_ADDRESS_HERE", Limit(1_000, PER_ADDRESS_HERE.window))
    _, device = await with_passkey(any_door)
    same, before = answer(device.signs(await asked(any_door))), await any_door.count(tables.session)
    answers = await asyncio.gather(*(any_door.ask.passkey_token(NOBODY, same) for _ in range(50)), return_exceptions=True)
    assert [type(one) for one in answers if isinstance(one, Tokens)] == [Tokens]
    assert sum(isinstance(one, ChallengeSpent) for one in answers) == 49
    assert await any_door.count(tables.session) == before + 1
    assert len(await any_door.events(FactorChanged)) == 1   # nobody is told of a copied passkey: it was one answer


async def test_a_device_that_counts_nothing_may_be_used_often(any_door: Door) -> None:
    await any_door.registers()
    device = Authenticator(counts=False)
    await makes(any_door, await any_door.caller(await any_door.signs_in()), device)
    for _ in range(3):
        assert await signs_in(any_door, device)


@pytest.mark.parametrize("back", [0, 1])
async def test_a_counter_that_does_not_go_on_signs_nobody_in_and_the_owner_is_told(any_door: Door, back: int) -> None:
    _, device = await with_passkey(any_door)
    await signs_in(any_door, device)
    device.uses -= 1 + back
    with pytest.raises(PasskeyRefused):
        await signs_in(any_door, device)
    assert (await any_door.events(FactorChanged))[-1].change == FactorChange.PASSKEY_COPIED
    assert await any_door.audited("factor.passkey_copied")
    [refused] = await any_door.audited("passkey.refused")
    assert refused.outcome == "refused"
    device.uses += 2
    assert await signs_in(any_door, device)


@pytest.mark.parametrize("lie", [
    {"flags": PRESENT}, {"flags": VERIFIED}, {"origin": "https://evil.example"}, {"crossOrigin": True},
    {"type": "webauthn.create"}], ids=str)
async def test_an_answer_that_does_not_fit_signs_nobody_in(door: Door, lie: dict[str, Any]) -> None:
    _, device = await with_passkey(door)
    with pytest.raises(PasskeyRefused):
        await signs_in(door, device, **lie)
    assert await signs_in(door, device)


async def test_a_challenge_of_ones_own_or_an_old_one_signs_nobody_in(door: Door) -> None:
    caller, device = await with_passkey(door)
    old, made = await asked(door), (await door.ask.passkey_options(caller)).public_key
    for options in ({"challenge": text(b"x" * 56)}, {"challenge": ""}, made):
        with pytest.raises((ChallengeSpent, PasskeyRefused)):
            await door.ask.passkey_token(NOBODY, answer(device.signs(options)))
    door.wait(minutes=5)
    with pytest.raises(ChallengeSpent):
        await door.ask.passkey_token(NOBODY, answer(device.signs(old)))


async def test_nobody_signs_in_as_another(door: Door) -> None:
    _, adas = await with_passkey(door, ADA)
    ben, bens = await with_passkey(door, BEN)
    stranger = Authenticator()
    for device, handle in ((adas, bens.handle), (stranger, adas.handle)):
        forged = device.signs(await asked(door))
        forged["response"]["userHandle"] = handle
        with pytest.raises(PasskeyRefused):
            await door.ask.passkey_token(NOBODY, answer(forged))
    swapped = bens.signs(await asked(door))
    swapped["id"] = swapped["rawId"] = text(adas.id)
    with pytest.raises(PasskeyRefused):
        await door.ask.passkey_token(NOBODY, answer(swapped))
    with pytest.raises(PasskeyRefused):
        await door.ask.passkey_step_up(ben, answer(adas.signs(await asked(door))))


async def test_a_disabled_account_is_not_let_in(door: Door) -> None:

    caller, device = await with_passkey(door)
    assert caller.account_id is not None
    account = await door.ask.account(admin, caller.account_id)
    await door.ask.amend_account(admin, account.id, AmendAccount(disabled=True), account.version)
    with pytest.raises(PasskeyRefused):
        await signs_in(door, device)


async def test_trying_is_counted_and_getting_in_is_not(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "PER_ADDRESS_HERE", Limit(3, PER_ADDRESS_HERE.window))
    _, device = await with_passkey(door)
    for _ in range(5):
        await signs_in(door, device)
    for _ in range(3):
        with pytest.raises(PasskeyRefused):
            await signs_in(door, device, flags=PRESENT)
    with pytest.raises(TooManyTries):
        await signs_in(door, device)


# --- afterwards ------------------------------------------------------------------------------------------------------

async def test_a_passkey_is_renamed_by_its_owner_as_they_saw_it(door: Door) -> None:
    ada, device = await with_passkey(door, ADA)
    ben, _ = await with_passkey(door, BEN)
    [known] = await door.ask.passkeys(ada)
    await signs_in(door, device)   # does not make what one looks at stale
    renamed = await door.ask.rename_passkey(ada, known.id, RenamePasskey(" Old phone "), known.version)
    assert (renamed.name, renamed.version) == ("Old phone", 2)
    assert (await door.ask.passkeys(ada))[0].name == "Old phone"
    with pytest.raises(StaleVersion):
        await door.ask.rename_passkey(ada, known.id, RenamePasskey("Newer"), known.version)
    for nobodys in (known.id, UUID(int=7)):
        with pytest.raises(NotFound):
            await door.ask.rename_passkey(ben, nobodys, RenamePasskey("Mine"), 2)
        with pytest.raises(NotFound):
            await door.ask.remove_passkey(ben, nobodys)


async def test_a_removed_passkey_signs_nobody_in_and_the_owner_is_told(door: Door) -> None:
    caller, device = await with_passkey(door)
    [known] = await door.ask.passkeys(caller)
    await door.ask.remove_passkey(caller, known.id)
    with pytest.raises(PasskeyRefused):
        await signs_in(door, device)
    assert (await door.events(FactorChanged))[-1].change == FactorChange.PASSKEY_REMOVED
    with pytest.raises(NotFound):
        await door.ask.remove_passkey(caller, known.id)


async def test_the_administration_takes_them_off_too_with_a_fresh_password(any_door: Door) -> None:
    caller, device = await with_passkey(any_door)
    assert caller.account_id is not None
    boss = await any_door.administrator()
    any_door.wait(minutes=11)
    with pytest.raises(StepUpRequired):
        await any_door.ask.reset_second_factor(boss, caller.account_id)
    assert await signs_in(any_door, device)
    boss = await any_door.administrator()
    await any_door.ask.reset_second_factor(boss, caller.account_id)
    with pytest.raises(PasskeyRefused):
        await signs_in(any_door, device)
    assert (await any_door.events(FactorChanged))[-1].change == FactorChange.RESET
    with pytest.raises(NoFactor):
        await any_door.ask.reset_second_factor(boss, caller.account_id)


async def test_challenges_are_forgotten_long_after_they_are_good_for_nothing(door: Door) -> None:
    _, device = await with_passkey(door)
    await signs_in(door, device)
    door.wait(hours=1)
    await door.service.forget()
    assert await door.count(spent_challenge) == 2
    door.wait(days=1)
    await door.service.forget()
    assert await door.count(spent_challenge) == 0

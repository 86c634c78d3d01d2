"""Patients who make an account for themselves."""
from __future__ import annotations

import asyncio
from datetime import date

import pytest
from sqlalchemy import select

from infirmary.contexts.identity import tables
from infirmary.contexts.identity.contract import EmailTaken, Registered, WeakPassword, WrongCredentials
from infirmary.contexts.identity.domain import CLAIMED_FOR, State
from infirmary.contexts.identity.events import AccountOpened
from infirmary.contexts.patients.contract import BirthDateImpossible
from infirmary.kernel.database.statement import Query
from infirmary.kernel.errors import NotFound, Unavailable
from infirmary.language import Role

from .builders import Door, admin

STATES = Query(select(tables.account.c.state), State)


async def states(door: Door) -> list[State]:
    async with door.db.reading() as reading:
        return await reading.all(STATES)


async def test_a_patient_registers_is_enrolled_and_signs_in(any_door: Door) -> None:
    made = await any_door.registers(given_name=" Ada ", family_name="Okafor")
    caller = await any_door.caller(await any_door.signs_in())
    assert (caller.account_id, caller.roles) == (made.account_id, {"patient"})
    assert (caller.name, caller.subjects["patient_id"]) == ("Ada Okafor", made.patient_id)
    assert any_door.register.enrolled[made.patient_id].demographics.email == "ada@example.test"


async def test_it_is_announced_and_audited_with_the_patient(door: Door) -> None:
    made = await door.registers()
    [opened] = await door.events(AccountOpened)
    assert (opened.aggregate, opened.patient_id, opened.roles) == (made.account_id, made.patient_id, ["patient"])
    [entry] = await door.audited("account.registered")
    assert (entry.actor_id, entry.subject_id, entry.entity) == (made.account_id, made.patient_id, f"account/{made.account_id}")


@pytest.mark.parametrize("again", ["ada@example.test", "Ada@Example.TEST", "ADA@EXAMPLE.TEST"])
async def test_an_e_mail_address_is_taken_once_in_whatever_case(any_door: Door, again: str) -> None:
    await any_door.registers("ada@example.test")
    with pytest.raises(EmailTaken):
        await any_door.registers(again, given_name="Eve")
    assert len(any_door.register.enrolled) == 1


async def test_of_twenty_at_once_with_one_address_one_succeeds(any_door: Door) -> None:
    outcomes = await asyncio.gather(*(any_door.registers(given_name=f"Ada {n}") for n in range(20)), return_exceptions=True)
    made = [one for one in outcomes if isinstance(one, Registered)]
    assert len(made) == 1
    assert all(isinstance(one, EmailTaken) for one in outcomes if one not in made)
    assert await states(any_door) == [State.ACTIVE]
    assert list(any_door.register.enrolled) == [made[0].patient_id]


@pytest.mark.parametrize("failure", [BirthDateImpossible(), Unavailable(), RuntimeError("a fault")])
async def test_when_the_register_fails_nothing_can_be_seen_or_signed_in_to(door: Door, failure: Exception) -> None:
    door.register.refusal = failure
    with pytest.raises(type(failure)):
        await door.registers()
    assert await states(door) == [State.PENDING]
    with pytest.raises(WrongCredentials):
        await door.signs_in()
    assert (await door.ask.accounts(admin)).items == []
    async with door.db.reading() as reading:
        pending = await reading.one(tables.ACCOUNTS.find())
    assert pending is not None
    assert pending.password_hash is None
    with pytest.raises(NotFound):
        await door.ask.account(admin, pending.id)
    assert await door.facts("AccountOpened") == []


async def test_after_a_failure_the_same_address_registers_again_at_once(any_door: Door) -> None:
    any_door.register.refusal = Unavailable()
    with pytest.raises(Unavailable):
        await any_door.registers()
    any_door.register.refusal = None
    await any_door.registers()
    assert await states(any_door) == [State.ACTIVE]
    assert await any_door.signs_in()


async def test_a_repetition_after_a_lost_answer_makes_no_second_patient(door: Door) -> None:
    door.register.answer_lost = Unavailable()
    with pytest.raises(Unavailable):
        await door.registers()
    door.register.answer_lost = None
    made = await door.registers(password="another good password")
    assert list(door.register.enrolled) == [made.patient_id]


@pytest.mark.parametrize("other", [{"given_name": "Eve"}, {"family_name": "Other"}, {"birth_date": date(1991, 5, 5)},
                                   {"phone": "+353 1 555 0199"}])
async def test_somebody_else_who_takes_over_never_gets_the_first_ones_record(door: Door, other: dict[str, object]) -> None:
    door.register.answer_lost = Unavailable()
    with pytest.raises(Unavailable):
        await door.registers()
    [first] = door.register.enrolled
    door.register.answer_lost = None
    made = await door.registers(**other)
    assert made.patient_id != first


async def test_while_one_registers_nobody_else_can_and_after_a_crash_the_address_is_soon_free(any_door: Door) -> None:
    door = any_door
    door.register.hangs = asyncio.Event()   # as if the process had gone away in the middle
    first = asyncio.create_task(door.registers())
    await door.register.was_asked.wait()
    hanging, door.register.hangs = door.register.hangs, None
    with pytest.raises(EmailTaken, match="at this moment"):
        await door.registers(given_name="Eve")
    door.wait(seconds=CLAIMED_FOR.total_seconds() - 1)
    with pytest.raises(EmailTaken):
        await door.registers(given_name="Eve")
    door.wait(seconds=1)
    made = await door.registers(given_name="Eve")
    hanging.set()
    with pytest.raises(EmailTaken):   # too late: it must not open the account that is Eve's now
        await first
    caller = await door.caller(await door.signs_in())
    assert (caller.name, caller.account_id) == ("Eve Okafor", made.account_id)
    assert await states(door) == [State.ACTIVE]


async def test_the_administration_too_may_take_over_what_came_to_nothing(any_door: Door) -> None:
    any_door.register.refusal = Unavailable()
    with pytest.raises(Unavailable):
        await any_door.registers()
    made = await any_door.opens("ada@example.test", Role.NURSE)
    assert (await any_door.caller(await any_door.signs_in())).account_id == made.id


async def test_a_weak_password_is_refused_before_anything_is_kept(door: Door) -> None:
    with pytest.raises(WeakPassword) as refused:
        await door.registers(password="password123")
    assert [error.field for error in refused.value.errors] == ["password"]
    assert await states(door) == []


async def test_nothing_readable_of_the_person_is_kept_for_recognising_them(door: Door) -> None:
    door.register.refusal = Unavailable()
    with pytest.raises(Unavailable):
        await door.registers()
    async with door.db.reading() as reading:
        pending = await reading.one(tables.ACCOUNTS.find())
    assert pending is not None
    assert pending.claim is not None
    assert len(pending.claim) == 64


async def test_what_nobody_came_back_for_is_forgotten_after_a_day(door: Door) -> None:
    door.register.refusal = Unavailable()
    with pytest.raises(Unavailable):
        await door.registers()
    await door.service.forget()
    assert await states(door) == [State.PENDING]
    door.wait(days=1)
    await door.service.forget()
    assert await states(door) == []

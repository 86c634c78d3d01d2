"""Accounts as the administration sees them."""
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.identity.contract import (
    Account,
    AlreadyLinked,
    AmendAccount,
    EmailTaken,
    LastAdmin,
    RefreshRefused,
    RoleNeedsPerson,
    WeakPassword,
    WrongCredentials,
)
from infirmary.contexts.identity.events import AccountOpened
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, NotSignedIn, RoleMayNot, StaleVersion
from infirmary.language import Role, service

from .builders import Door, admin, an_account

A, B = new_id(), new_id()


async def amends(door: Door, account: Account, version: int | None = None, **fields: Any) -> Account:
    return await door.ask.amend_account(admin, account.id, AmendAccount(**fields), version or account.version)


# --- opening ---------------------------------------------------------------------------------------------------------

async def test_an_account_is_opened_announced_and_audited(any_door: Door) -> None:
    made = await any_door.opens("doc@example.test", Role.DOCTOR, Role.ADMIN, Role.DOCTOR, doctor_id=A, staff_id=B,
                                name="  Doc Tor ")
    assert (made.name, made.roles, made.doctor_id, made.staff_id) == ("Doc Tor", [Role.ADMIN, Role.DOCTOR], A, B)
    assert (made.disabled, made.version, made.last_sign_in_at) == (False, 1, None)
    assert await any_door.ask.account(admin, made.id) == made
    [opened] = await any_door.events(AccountOpened)
    assert (opened.aggregate, opened.doctor_id, opened.roles) == (made.id, A, ["admin", "doctor"])
    [entry] = await any_door.audited("account.opened")
    assert (entry.actor_id, entry.entity, entry.detail) == (admin.account_id, f"account/{made.id}", {"roles": "admin, doctor"})


@pytest.mark.parametrize(("fields", "wrong"), [
    ({"roles": [Role.PATIENT]}, "patient_id"), ({"roles": [Role.DOCTOR]}, "doctor_id"),
    ({"roles": [Role.NURSE], "patient_id": A}, "patient_id"), ({"roles": [Role.NURSE], "doctor_id": A}, "doctor_id"),
    ({"roles": [Role.PATIENT, Role.DOCTOR], "patient_id": A}, "doctor_id"), ({"roles": [Role.SERVICE]}, "roles"),
    ({"roles": [Role.ADMIN, Role.SERVICE]}, "roles")])
async def test_role_and_person_go_together(door: Door, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(RoleNeedsPerson) as refused:
        await door.ask.open_account(admin, an_account("x@example.test", **fields))
    assert [error.field for error in refused.value.errors] == [wrong]
    assert (await door.ask.accounts(admin)).items == []


async def test_an_address_is_taken_in_whatever_case(any_door: Door) -> None:
    await any_door.opens("nurse@example.test", Role.NURSE)
    with pytest.raises(EmailTaken) as refused:
        await any_door.opens("Nurse@Example.Test", Role.NURSE)
    assert [error.field for error in refused.value.errors] == ["email"]


@pytest.mark.parametrize(("field", "role"), [("patient_id", Role.PATIENT), ("doctor_id", Role.DOCTOR), ("staff_id", Role.NURSE)])
async def test_a_person_has_one_account_also_when_two_are_opened_at_once(any_door: Door, field: str, role: Role) -> None:
    outcomes = await asyncio.gather(*(any_door.opens(f"user-{n}@example.test", role, **{field: A}) for n in range(5)),
                                    return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, AlreadyLinked)]
    assert len(refused) == 4
    assert {error.field for one in refused for error in one.errors} == {field}
    assert len((await any_door.ask.accounts(admin)).items) == 1
    assert await any_door.opens("other@example.test", role, **{field: B})


async def test_a_weak_password_is_refused(door: Door) -> None:
    with pytest.raises(WeakPassword):
        await door.opens("nurse@example.test", Role.NURSE, name="Nora Nightingale", password="Nightingale1")


# --- finding ---------------------------------------------------------------------------------------------------------

async def test_accounts_are_found_by_parts_of_name_and_address_without_accents_and_case(any_door: Door) -> None:
    await any_door.opens("zoe.m@hospital.test", Role.NURSE, name="Zoë Müller")
    await any_door.opens("amara@hospital.test", Role.DOCTOR, name="Dr Amara Okafor", doctor_id=A)
    await any_door.opens("percent@elsewhere.test", Role.NURSE, name="100% Sure_Thing!")

    async def found(q: str) -> list[str]:
        return [one.email.partition("@")[0] for one in (await any_door.ask.accounts(admin, q=q)).items]

    assert await found("") == ["percent", "amara", "zoe.m"]
    assert await found("zoe") == await found("MULLER z") == await found("ZOE.M@HOSPITAL") == ["zoe.m"]
    assert await found("hospital.test a") == ["amara", "zoe.m"]
    assert await found("amara zoe") == []
    for literal in ("%", "_", "!", "100% sure_thing!"):
        assert await found(literal) == ["percent"]
    assert await found("a b c d e f g h") == []
    assert await found("' OR 1=1 --") == []


async def test_accounts_are_filtered_by_role_and_shown_with_all_their_roles(any_door: Door) -> None:
    both = await any_door.opens("both@example.test", Role.ADMIN, Role.NURSE, name="B")
    nurse = await any_door.opens("nurse@example.test", Role.NURSE, name="A")
    assert (await any_door.ask.accounts(admin, role=Role.NURSE)).items == [nurse, both]
    assert (await any_door.ask.accounts(admin, role=Role.ADMIN, q="both")).items == [both]
    assert (await any_door.ask.accounts(admin, role=Role.CASHIER)).items == []


async def test_pages_follow_each_other_also_when_names_are_the_same(any_door: Door) -> None:
    for n in range(7):
        await any_door.opens(f"user-{n}@example.test", name="Same Name")
    seen, cursor = [], None
    while True:
        page = await any_door.ask.accounts(admin, limit=3, cursor=cursor)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len({one.id for one in seen}) == len(seen) == 7
    with pytest.raises(Malformed):
        await any_door.ask.accounts(admin, cursor="forged")


@pytest.mark.parametrize("caller", [NOBODY, *(Caller(account_id=new_id(), roles=frozenset({role}))
                                              for role in Role if role is not Role.ADMIN)],
                         ids=lambda caller: "-".join(caller.roles) or "nobody")
async def test_only_the_administration_sees_or_changes_accounts(door: Door, caller: Caller) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    for asked in (door.ask.accounts(caller), door.ask.account(caller, made.id),
                  door.ask.open_account(caller, an_account("x@example.test", Role.ADMIN)),
                  door.ask.amend_account(caller, made.id, AmendAccount(roles=[Role.ADMIN]), 1)):
        with pytest.raises((RoleMayNot, NotSignedIn)):
            await asked
    assert await door.ask.account(admin, made.id) == made


async def test_what_is_not_there_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound):
        await door.ask.account(admin, A)
    with pytest.raises(NotFound):
        await door.ask.amend_account(admin, A, AmendAccount(name="X"), 1)


# --- amending --------------------------------------------------------------------------------------------------------

async def test_a_name_is_amended_and_found_again(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE, name="Old Name")
    changed = await amends(door, made, name=" Zoë New ")
    assert (changed.name, changed.version, changed.roles) == ("Zoë New", 2, [Role.NURSE])
    assert (await door.ask.accounts(admin, q="zoe")).items == [changed]
    assert (await door.ask.accounts(admin, q="old")).items == []
    [entry] = await door.audited("account.amended")
    assert entry.entity == f"account/{made.id}"


async def test_of_many_who_amend_the_same_version_one_does(any_door: Door) -> None:
    made = await any_door.opens("nurse@example.test", Role.NURSE)
    outcomes = await asyncio.gather(*(amends(any_door, made, name=f"Name {n}") for n in range(8)), return_exceptions=True)
    assert sum(isinstance(one, Account) for one in outcomes) == 1
    assert sum(isinstance(one, StaleVersion) for one in outcomes) == 7
    assert len(await any_door.audited("account.amended")) == 1


@pytest.mark.parametrize("fields", [{"roles": [Role.PATIENT]}, {"roles": [Role.NURSE]}, {"doctor_id": None},
                                    {"roles": [Role.DOCTOR, Role.SERVICE]}])
async def test_role_and_person_go_together_afterwards_too(door: Door, fields: dict[str, Any]) -> None:
    made = await door.opens("doc@example.test", Role.DOCTOR, doctor_id=A)
    with pytest.raises(RoleNeedsPerson):
        await amends(door, made, **fields)
    assert await door.ask.account(admin, made.id) == made


async def test_a_link_moves_from_one_account_to_another(any_door: Door) -> None:
    old = await any_door.opens("old@example.test", Role.DOCTOR, doctor_id=A)
    new = await any_door.opens("new@example.test", Role.NURSE)
    with pytest.raises(AlreadyLinked) as refused:
        await amends(any_door, new, roles=[Role.DOCTOR], doctor_id=A)
    assert [error.field for error in refused.value.errors] == ["doctor_id"]
    await amends(any_door, old, roles=[Role.NURSE], doctor_id=None)
    assert (await amends(any_door, new, roles=[Role.DOCTOR], doctor_id=A)).doctor_id == A


async def test_new_roles_hold_at_once_and_the_session_goes_on_with_them(any_door: Door) -> None:
    door = any_door
    made = await door.opens("nurse@example.test", Role.NURSE)
    tokens = await door.signs_in("nurse@example.test")
    door.wait(seconds=1)
    await amends(door, made, roles=[Role.RECEPTION])
    assert not await door.lets_in(tokens)
    door.wait(seconds=1)
    again = await door.refreshes(tokens)
    assert (await door.caller(again)).roles == {"reception"}
    assert not await door.lets_in(tokens)


async def test_roles_that_are_changed_twice_void_the_tokens_in_between(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    tokens = await door.signs_in("nurse@example.test")
    changed = await amends(door, made, roles=[Role.RECEPTION])
    door.wait(seconds=1)
    between = await door.refreshes(tokens)
    assert await door.lets_in(between)
    await amends(door, changed, roles=[Role.NURSE])
    assert not await door.lets_in(between)


async def test_a_new_link_voids_tokens_and_a_new_name_does_not(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    tokens = await door.signs_in("nurse@example.test")
    changed = await amends(door, made, name="New Name")
    assert await door.lets_in(tokens)
    await amends(door, changed, staff_id=A)
    assert not await door.lets_in(tokens)


async def test_a_token_signed_while_the_roles_change_is_void_if_it_has_the_old_ones(
        any_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock on the account decides: who reads the roles signs before anybody can change them."""
    door = any_door
    made = await door.opens("nurse@example.test", Role.NURSE)
    tokens = await door.signs_in(made.email)
    read, change = door.service.roles, asyncio.Event()

    async def read_slowly(tx: Any, *accounts: UUID) -> Mapping[UUID, list[Role]]:
        found = await read(tx, *accounts)
        if not change.is_set():   # the refresh, which comes first
            change.set()
            await asyncio.wait([changing], timeout=.3)
            door.wait(seconds=1)
        return found

    async def changes() -> Account:
        await change.wait()
        return await amends(door, made, roles=[Role.CASHIER])

    monkeypatch.setattr(door.service, "roles", read_slowly)
    changing = asyncio.create_task(changes())
    renewed = await door.refreshes(tokens)
    assert (await changing).roles == [Role.CASHIER]
    assert not await door.lets_in(renewed)
    door.wait(seconds=1)
    assert (await door.caller(await door.refreshes(renewed))).roles == {"cashier"}


# --- disabling -------------------------------------------------------------------------------------------------------

async def test_a_disabled_account_is_out_everywhere(any_door: Door) -> None:
    door = any_door
    made = await door.opens("nurse@example.test", Role.NURSE)
    sessions = [await door.signs_in("nurse@example.test") for _ in range(3)]
    disabled = await amends(door, made, disabled=True)
    assert disabled.disabled
    for tokens in sessions:
        assert not await door.lets_in(tokens)
        with pytest.raises(RefreshRefused):
            await door.refreshes(tokens)
    with pytest.raises(WrongCredentials):
        await door.signs_in("nurse@example.test")
    [entry] = await door.audited("account.disabled")
    assert (entry.actor_id, entry.entity) == (admin.account_id, f"account/{made.id}")


async def test_an_account_that_is_enabled_again_signs_in_anew(door: Door) -> None:
    made = await door.opens("nurse@example.test", Role.NURSE)
    before = await door.signs_in("nurse@example.test")
    disabled = await amends(door, made, disabled=True)
    await amends(door, disabled, disabled=False)
    door.wait(seconds=1)
    assert not await door.lets_in(before)
    assert await door.lets_in(await door.signs_in("nurse@example.test"))
    assert len(await door.audited("account.enabled")) == 1


async def test_signing_in_while_being_disabled_leaves_nobody_in(any_door: Door) -> None:
    for n in range(4):
        made = await any_door.opens(f"nurse-{n}@example.test", Role.NURSE)
        outcome, _ = await asyncio.gather(any_door.signs_in(made.email), amends(any_door, made, disabled=True),
                                          return_exceptions=True)
        if isinstance(outcome, WrongCredentials):
            continue
        assert not isinstance(outcome, BaseException)
        assert not await any_door.lets_in(outcome)
        with pytest.raises(RefreshRefused):
            await any_door.refreshes(outcome)


# --- the last administrator ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fields", [{"disabled": True}, {"roles": [Role.NURSE]}])
async def test_the_last_administrator_who_can_sign_in_stays(door: Door, fields: dict[str, Any]) -> None:
    made = await door.opens("admin@example.test", Role.ADMIN)
    await door.opens("invited@example.test", Role.ADMIN, password=None)
    gone = await door.opens("gone@example.test", Role.ADMIN)
    await amends(door, gone, disabled=True)
    with pytest.raises(LastAdmin):
        await amends(door, made, **fields)
    await door.opens("second@example.test", Role.ADMIN)
    await amends(door, made, **fields)


async def test_the_last_administrator_may_still_be_renamed_and_given_more_roles(door: Door) -> None:
    made = await door.opens("admin@example.test", Role.ADMIN)
    changed = await amends(door, made, name="Somebody Else", roles=[Role.ADMIN, Role.AUDITOR], disabled=False)
    assert changed.roles == [Role.ADMIN, Role.AUDITOR]


async def test_administrators_who_demote_each_other_at_once_leave_one(any_door: Door) -> None:
    made = [await any_door.opens(f"admin-{n}@example.test", Role.ADMIN) for n in range(5)]
    changes: list[dict[str, Any]] = [{"disabled": True}, {"roles": [Role.NURSE]}]
    outcomes = await asyncio.gather(*(amends(any_door, one, **changes[n % 2]) for n, one in enumerate(made)),
                                    return_exceptions=True)
    assert sum(isinstance(one, LastAdmin) for one in outcomes) == 1
    assert sum(isinstance(one, Account) for one in outcomes) == 4


# --- whom to tell ----------------------------------------------------------------------------------------------------

async def test_recipients_are_the_active_accounts_concerned(any_door: Door) -> None:
    ada = await any_door.opens("ada@example.test", Role.PATIENT, patient_id=A, name="Ada")
    doc = await any_door.opens("doc@example.test", Role.DOCTOR, doctor_id=B, name="Doc")
    asks = service("notifications")

    async def told(**whom: Any) -> list[str]:
        return [one.email for one in await any_door.ask.recipients(asks, **whom)]

    assert await told(patient_id=A) == ["ada@example.test"]
    assert await told(doctor_id=B) == ["doc@example.test"]
    assert await told(account_id=ada.id) == ["ada@example.test"]
    assert await told(patient_id=A, account_id=ada.id, doctor_id=B) == ["ada@example.test", "doc@example.test"]
    assert await told(patient_id=B) == await told() == []
    await amends(any_door, doc, disabled=True)
    assert await told(doctor_id=B) == []
    any_door.register.refusal = RuntimeError()
    with pytest.raises(RuntimeError):
        await any_door.registers("pending@example.test")
    assert any_door.register.last is not None
    assert await told(patient_id=any_door.register.last.patient_id) == []
    with pytest.raises(RoleMayNot):
        await any_door.ask.recipients(admin, patient_id=A)

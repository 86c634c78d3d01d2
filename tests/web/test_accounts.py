"""Accounts: who may sign in, as what, and whether still."""
from __future__ import annotations

from infirmary.contexts.identity.contract import Account, AmendAccount, Identity, OpenAccount
from infirmary.language import DOCTOR, NURSE, Role
from tests.house import admin

from .conftest import Hospital


async def a_nurse(hospital: Hospital) -> Account:
    return await hospital.ask(Identity).open_account(admin, OpenAccount(
        email="nurse@example.org", name="Thandiwe Mokoena", roles=[NURSE], password="a long password of hers"))


async def test_accounts_are_found_by_name_and_role(hospital: Hospital) -> None:
    await a_nurse(hospital)
    page = await hospital.administrator.open("/admin/accounts?role=nurse")
    assert "Thandiwe Mokoena nurse@example.org Nurse never Open" in page.words
    assert "Salo" not in page.words
    found = await hospital.administrator.open("/admin/accounts?q=salo")
    assert "Henrik Salo boss@example.org Administrator" in found.words


async def test_an_account_is_opened_with_an_invitation(hospital: Hospital) -> None:
    boss, okafor = hospital.administrator, hospital.people.okafor
    page = await boss.open(f"/admin/accounts/new?role=doctor&doctor_id={okafor.id}&name=Dr+Amara+Okafor")
    form = page.form("/admin/accounts")
    assert [form.values[name] for name in ("roles", "doctor_id", "name")] == ["doctor", str(okafor.id), "Dr Amara Okafor"]
    answer = await boss.submit(form, email="amara@example.org")
    [made] = (await hospital.ask(Identity).accounts(admin, q="amara")).items
    assert answer.location == f"/admin/accounts/{made.id}"
    assert (made.roles, made.doctor_id) == ([DOCTOR], okafor.id)
    assert "Dr Amara Okafor is invited" in (await boss.open(answer.location)).words


async def test_everything_to_mend_is_said_and_what_was_typed_stays(hospital: Hospital) -> None:
    boss = hospital.administrator
    page = await boss.open("/admin/accounts/new")
    nothing = await boss.submit(page.form("/admin/accounts"), name="Liam Byrne")
    assert nothing.status == 400
    assert "Choose at least one." in nothing.words
    wrong = await boss.submit(page.form("/admin/accounts"), name="Liam Byrne", roles="reception", email="liam@")
    assert "Write the whole address, such as name@example.org." in wrong.words
    assert wrong.form("/admin/accounts").values["name"] == "Liam Byrne"
    taken = await boss.submit(page.form("/admin/accounts"), name="Liam Byrne", roles="reception",
                              email="boss@example.org")
    assert taken.status == 409
    assert "There is an account with this address already." in taken.words
    lost = await boss.submit(page.form("/admin/accounts"), name="Liam Byrne", roles="doctor", email="liam@example.org")
    assert lost.status == 422
    assert lost.form("/admin/accounts").values["roles"] == "doctor"


async def test_roles_are_changed(hospital: Hospital) -> None:
    boss, nurse = hospital.administrator, await a_nurse(hospital)
    page = await boss.open(f"/admin/accounts/{nurse.id}")
    fields = [*page.form(f"/{nurse.id}").fields, ("roles", "reception")]
    answer = await boss.send(f"/admin/accounts/{nurse.id}", [one for one in fields if one[0] != "_csrf_token"])
    assert answer.status == 303
    assert sorted((await hospital.ask(Identity).account(admin, nurse.id)).roles) == [Role.NURSE, Role.RECEPTION]


async def test_an_account_that_somebody_changed_meanwhile_shows_both(hospital: Hospital) -> None:
    boss, nurse = hospital.administrator, await a_nurse(hospital)
    page = await boss.open(f"/admin/accounts/{nurse.id}")
    await hospital.ask(Identity).amend_account(admin, nurse.id, AmendAccount(roles=[Role.RECEPTION]), nurse.version)
    answer = await boss.submit(page.form(f"/{nurse.id}"), name="Thandiwe M.")
    assert answer.status == 412
    assert "Name Thandiwe Mokoena Thandiwe M." in answer.words
    assert "Roles Reception Nurse" in answer.words
    assert answer.form(f"/{nurse.id}").values["name"] == "Thandiwe M."


async def test_an_account_is_disabled_after_a_question_and_enabled_by_undo(hospital: Hospital) -> None:
    boss, nurse = hospital.administrator, await a_nurse(hospital)
    question = await boss.open(f"/admin/accounts/{nurse.id}?ask=disable")
    assert "Disable the account of Thandiwe Mokoena?" in question.words
    answer = await boss.submit(question.form("/disable"))
    assert (await hospital.ask(Identity).account(admin, nurse.id)).disabled
    page = await boss.open(answer.location)
    assert "can sign in no more and is signed out everywhere" in page.words
    undo = next(form for form in page.forms if form.buttons and form.buttons[0][2] == "Undo")
    assert (await boss.submit(undo)).status == 303
    assert not (await hospital.ask(Identity).account(admin, nurse.id)).disabled


async def test_the_last_administrator_stays(hospital: Hospital) -> None:
    boss, last = hospital.administrator, hospital.people.account
    question = await boss.open(f"/admin/accounts/{last.id}?ask=disable")
    answer = await boss.submit(question.form("/disable"))
    assert "This is the last administrator Nothing was changed." in answer.words
    page = await boss.open(f"/admin/accounts/{last.id}")
    fields = [(name, "nurse" if name == "roles" else value) for name, value in page.form(f"/{last.id}").fields]
    refused = await boss.send(f"/admin/accounts/{last.id}", [one for one in fields if one[0] != "_csrf_token"])
    assert "This is the last administrator" in refused.words
    assert not (await hospital.ask(Identity).account(admin, last.id)).disabled


async def test_there_is_no_third_switch(hospital: Hospital) -> None:
    boss = hospital.administrator
    await boss.open("/admin")
    assert (await boss.send(f"/admin/accounts/{hospital.people.account.id}/delete")).status == 404

"""Signing in with a code by e-mail, on pages without script."""
from __future__ import annotations

from datetime import date
from uuid import UUID

from infirmary.contexts.identity.contract import Identity, RegisterPatient
from infirmary.kernel.access import NOBODY
from infirmary.language import service

from .conftest import Hospital
from .visitor import Answer, Visitor

EMAIL = "newcomer@example.org"


async def asks(hospital: Hospital, email: str = EMAIL) -> tuple[Visitor, Answer]:
    visitor = hospital.visitor()
    page = await visitor.open("/sign-in?next=/visits")
    page = await visitor.open(page.links["Sign in with a code"])
    return visitor, await visitor.submit(page.form("/sign-in/mail"), email=email)


async def code_for(hospital: Hospital, page: Answer) -> str:
    code_id = UUID(page.form("/sign-in/mail/code").values["code_id"])
    return (await hospital.ask(Identity).sent_code(service("notifications"), code_id)).code


async def test_a_code_leads_where_one_wanted_to_go(hospital: Hospital) -> None:
    await hospital.ask(Identity).register(NOBODY, RegisterPatient(
        email=EMAIL, password="three unrelated words", given_name="New", family_name="Comer",
        birth_date=date(1991, 5, 4), phone="+353 1 555 0199"))
    visitor, page = await asks(hospital)
    code = await code_for(hospital, page)
    assert code not in page.text
    wrong = await visitor.submit(page.form("/sign-in/mail/code"), code="no code")
    assert (wrong.status, "This code does not match, or is good no more." in wrong.words) == (401, True)
    answer = await visitor.submit(wrong.form("/sign-in/mail/code"), code=f"{code[:3]} {code[3:]}")
    assert (answer.status, answer.location) == (303, "/visits")
    assert (await visitor.open("/visits")).status == 200
    asked = await visitor.submit((await visitor.open("/security")).form("/security/authenticator"))
    assert "Is it you?" in asked.words   # a mailbox alone changes nothing about signing in


async def test_whoever_is_not_known_sees_the_same_page(hospital: Hospital) -> None:
    visitor, page = await asks(hospital, "nobody@example.org")
    assert (page.status, "Look in your mail" in page.words) == (200, True)
    wrong = await visitor.submit(page.form("/sign-in/mail/code"), code="123456")
    assert (wrong.status, "This code does not match, or is good no more." in wrong.words) == (401, True)
    again = await visitor.submit(wrong.form("/sign-in/mail"))
    assert again.form("/sign-in/mail/code").values["code_id"] != page.form("/sign-in/mail/code").values["code_id"]
    assert again.form("/sign-in/mail/code").values["next"] == "/visits"
    for form in ({"code_id": "nonsense", "code": "1"}, {"code": ""}, {}):
        assert (await visitor.send("/sign-in/mail/code", form)).status == 401


async def test_what_is_no_address_is_said_at_its_field(hospital: Hospital) -> None:
    for email in ("", "ada", "x" * 300 + "@example.org"):
        _, page = await asks(hospital, email)
        assert (page.status, "Add what comes after the @." in page.words) == (400, True)

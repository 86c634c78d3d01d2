"""A phone of one's own, codes besides the password, and how the hospital writes: on pages without script."""
from __future__ import annotations

from datetime import date
from uuid import UUID

from infirmary.contexts.identity.contract import Identity, RegisterPatient
from infirmary.kernel.access import NOBODY
from infirmary.language import service

from .conftest import Hospital
from .visitor import Answer, Visitor

EMAIL, PASSWORD, NUMBER = "newcomer@example.org", "three unrelated words", "085 012 3456"


async def signed_in(hospital: Hospital) -> Visitor:
    await hospital.ask(Identity).register(NOBODY, RegisterPatient(
        email=EMAIL, password=PASSWORD, given_name="New", family_name="Comer", birth_date=date(1991, 5, 4),
        phone="+353 1 555 0199"))
    visitor = hospital.visitor()
    page = await visitor.open("/sign-in")
    assert (await visitor.submit(page.form("/sign-in"), email=EMAIL, password=PASSWORD)).status == 303
    return visitor


async def code_in(hospital: Hospital, page: Answer, form: str) -> str:
    code_id = UUID(page.form(form).values["code_id"])
    return (await hospital.ask(Identity).sent_code(service("notifications"), code_id)).code


async def with_phone(hospital: Hospital, visitor: Visitor) -> None:
    page = await visitor.submit((await visitor.open("/security/phone")).form("/security/phone"), phone=NUMBER)
    code = await code_in(hospital, page, "/security/code")
    wrong = await visitor.submit(page.form("/security/code"), code="no code")
    assert (wrong.status, "This code does not match" in wrong.words) == (422, True)
    assert (await visitor.submit(wrong.form("/security/code"), code=code)).location == "/security"


async def test_a_phone_is_added_and_messages_go_there_as_one_chooses(hospital: Hospital) -> None:
    visitor = await signed_in(hospital)
    profile = await visitor.open("/profile")
    assert profile.links["Add a phone for text messages"] == "/security/phone"
    await with_phone(hospital, visitor)
    assert "Ends in 456" in (await visitor.open("/security")).words
    profile = await visitor.open("/profile")
    await visitor.submit(profile.form("/profile/messages"), email="yes", sms="yes")
    stale = await visitor.submit(profile.form("/profile/messages"), email="yes")
    assert stale.location == "/profile"
    assert "changed elsewhere" in (await visitor.open("/profile")).words
    await visitor.submit((await visitor.open("/security")).form("/security/phone/remove"))
    assert "Add a phone" in (await visitor.open("/security")).links


async def test_numbers_that_are_none_are_said_at_the_field(hospital: Hospital) -> None:
    visitor = await signed_in(hospital)
    for phone in ("", "12", "+44 7400 123456", "x" * 40):
        page = await visitor.submit((await visitor.open("/security/phone")).form("/security/phone"), phone=phone)
        assert page.status in (400, 422)
        assert page.form("/security/phone").values.get("phone", "") == phone


async def test_codes_besides_the_password_are_set_up_asked_for_and_taken_off(hospital: Hospital) -> None:
    visitor = await signed_in(hospital)
    page = await visitor.send("/security/codes", {"channel": "email"})
    code = await code_in(hospital, page, "/security/code")
    await visitor.submit(page.form("/security/code"), code=code)
    await with_phone(hospital, visitor)
    assert (await visitor.send("/security/codes", {"channel": "sms"})).location == "/security"

    newcomer = hospital.visitor()
    asked = await newcomer.submit((await newcomer.open("/sign-in?next=/visits")).form("/sign-in"), email=EMAIL, password=PASSWORD)
    assert "Let us send you a code." in asked.words
    sent = await newcomer.submit(asked.form("/sign-in/code/send"), channel="sms")
    assert "six digits to your phone" in sent.words
    code = await code_in(hospital, sent, "/sign-in/code")
    assert code not in sent.text
    wrong = await newcomer.submit(sent.form("/sign-in/code"), otp="000000" if code != "000000" else "000001")
    assert (wrong.status, wrong.form("/sign-in/code").values["code_id"]) == (401, sent.form("/sign-in/code").values["code_id"])
    assert (await newcomer.submit(wrong.form("/sign-in/code"), otp=code)).location == "/visits"
    for nonsense in ({"channel": "pigeon", "token": "x"}, {"channel": "sms", "token": "x", "factors": "sms pigeon"}, {}):
        assert (await newcomer.send("/sign-in/code/send", nonsense)).status in (401, 404)

    for channel in ("sms", "email"):
        await visitor.send("/security/codes/remove", {"channel": channel})
    again = hospital.visitor()
    assert (await again.submit((await again.open("/sign-in")).form("/sign-in"), email=EMAIL, password=PASSWORD)).status == 303


async def test_where_one_way_is_left_the_code_is_on_its_way_at_once(hospital: Hospital) -> None:
    visitor = await signed_in(hospital)
    page = await visitor.send("/security/codes", {"channel": "email"})
    await visitor.submit(page.form("/security/code"), code=await code_in(hospital, page, "/security/code"))
    newcomer = hospital.visitor()
    asked = await newcomer.submit((await newcomer.open("/sign-in")).form("/sign-in"), email=EMAIL, password=PASSWORD)
    assert "six digits to your e-mail address" in asked.words
    code = await code_in(hospital, asked, "/sign-in/code")
    assert (await newcomer.submit(asked.form("/sign-in/code"), otp=code)).status == 303


async def test_who_works_here_is_offered_no_codes_besides_the_password(hospital: Hospital) -> None:
    page = await hospital.administrator.open("/security")
    assert "Codes by e-mail" not in page.words


async def test_a_patient_signs_in_with_a_code_on_the_phone(hospital: Hospital) -> None:
    await with_phone(hospital, await signed_in(hospital))
    visitor = hospital.visitor()
    page = await visitor.submit((await visitor.open("/sign-in/mail")).form("/sign-in/mail"), email=EMAIL, channel="sms")
    assert "Look at your phone" in page.words
    code = await code_in(hospital, page, "/sign-in/mail/code")
    assert (await visitor.submit(page.form("/sign-in/mail/code"), code=code)).status == 303

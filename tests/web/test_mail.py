"""Caught messages can be read, and nothing in them runs."""
from __future__ import annotations

from infirmary.kernel.database.columns import new_id
from infirmary.sandbox.mail import Mail
from tests.house import MONDAY

from .conftest import Hospital


def a_mail(**more: str) -> Mail:
    given = {"subject": "Choose a password", "html": "",
             "text": "Hello <b>you</b>,\n\nhttp://127.0.0.1:8000/reset?token=abc&x=1\n"} | more
    return Mail(id=new_id(), at=MONDAY, sender="no-reply@infirmary.localhost", to=["amara@example.org"], raw=b"",
                **given)


async def test_mails_are_listed_and_read_as_text_with_their_links(hospital: Hospital) -> None:
    mail = a_mail()
    hospital.mails.kept.append(mail)
    boss = hospital.administrator
    listed = await boss.open("/admin/mail")
    assert "Today 08:00 Choose a password amara@example.org" in listed.words
    page = await boss.open(listed.links["Choose a password"])
    assert "Hello <b>you</b>," in page.words
    assert "<b>you</b>" not in page.text
    assert page.links["http://127.0.0.1:8000/reset?token=abc&x=1"] == "http://127.0.0.1:8000/reset?token=abc&x=1"
    assert "<iframe" not in page.text


async def test_html_stands_in_a_frame_where_nothing_runs(hospital: Hospital) -> None:
    mail = a_mail(html="<p>Hello</p><script>alert(1)</script>")
    hospital.mails.kept.append(mail)
    boss = hospital.administrator
    page = await boss.open(f"/admin/mail/{mail.id}")
    assert f'<iframe class="in-letter-frame" sandbox src="/admin/mail/{mail.id}/html"' in page.text
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    frame = await boss.ask("GET", f"/admin/mail/{mail.id}/html")
    assert frame.text == "<p>Hello</p><script>alert(1)</script>"
    policy = frame.headers["content-security-policy"]
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert policy.endswith("sandbox")
    assert frame.headers["x-frame-options"] == "SAMEORIGIN"


async def test_without_mails_the_page_says_what_will_be_here(hospital: Hospital) -> None:
    assert "Nothing yet" in (await hospital.administrator.open("/admin/mail")).words
    assert (await hospital.administrator.open(f"/admin/mail/{new_id()}")).status == 404

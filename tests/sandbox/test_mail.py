"""The catcher: keeps what it is given, and fails on demand."""
from __future__ import annotations

import asyncio
import email.policy
from email.message import EmailMessage

import aiosmtplib
import pytest

from infirmary.kernel.database.columns import new_id
from infirmary.sandbox import mail as sandbox
from infirmary.sandbox.mail import Faults, MailCatcher


@pytest.fixture
async def catcher(tmp_path):
    made = MailCatcher(tmp_path / "mail")
    await made.start()
    yield made
    await made.stop()


async def send(catcher, subject="Hello", to="mary@byrne.example"):
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = "no-reply@hospital.example", to, subject
    message.set_content("Grüße in text")
    message.add_alternative("<p>Grüße in HTML</p>", subtype="html")
    await aiosmtplib.send(message, hostname="127.0.0.1", port=catcher.port, start_tls=False, timeout=1,
                          local_hostname="test")


async def test_a_mail_is_kept_with_both_its_bodies(catcher):
    await send(catcher)
    [mail] = catcher.mails()
    assert (mail.subject, mail.to, mail.sender) == ("Hello", ["mary@byrne.example"], "no-reply@hospital.example")
    assert mail.text.strip() == "Grüße in text"
    assert mail.html.strip() == "<p>Grüße in HTML</p>"
    assert b"Subject: Hello" in mail.raw
    assert catcher.mail(mail.id) == mail
    assert catcher.mail(new_id()) is None


async def test_the_latest_mail_comes_first(catcher):
    for subject in "abc":
        await send(catcher, subject)
    assert [mail.subject for mail in catcher.mails()] == ["c", "b", "a"]
    assert [mail.subject for mail in catcher.mails(limit=2)] == ["c", "b"]


async def test_mails_outlive_a_restart(catcher, tmp_path):
    await send(catcher)
    kept = catcher.mails()
    await catcher.stop()
    with (tmp_path / "mail" / "mails.jsonl").open("ab") as out:
        out.write(b'{"id": "half a li')   # a process killed while it wrote
    again = MailCatcher(tmp_path / "mail")
    await again.start()
    try:
        assert again.mails() == kept
        await send(again, "after")
        assert [mail.subject for mail in again.mails()] == ["after", "Hello"]
    finally:
        await again.stop()


async def test_the_oldest_mails_go_when_there_are_too_many(catcher, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "KEPT", 2)
    for subject in "abc":
        await send(catcher, subject)
    assert [mail.subject for mail in catcher.mails()] == ["c", "b"]
    again = MailCatcher(tmp_path / "mail")
    await again.start()
    assert [mail.subject for mail in again.mails()] == ["c", "b"]
    assert len((tmp_path / "mail" / "mails.jsonl").read_bytes().splitlines()) == 2
    await again.stop()


async def test_its_port_stands_in_a_file_while_it_runs(catcher, tmp_path):
    assert int((tmp_path / "mail" / "port").read_text()) == catcher.port
    await catcher.stop()
    assert not (tmp_path / "mail" / "port").exists()
    await catcher.stop()   # once is enough, twice does no harm


@pytest.mark.parametrize("code", [451, 550])
async def test_it_refuses_recipients_on_demand(catcher, code):
    catcher.faults = Faults(refuse=code)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(catcher)
    assert refused.value.recipients[0].code == code
    catcher.faults = Faults()
    await send(catcher)
    assert len(catcher.mails()) == 1


async def test_it_cuts_the_connection_on_demand(catcher):
    catcher.faults = Faults(drop=True)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(catcher)
    assert catcher.mails() == []


async def test_it_is_slow_on_demand_and_keeps_nothing_for_those_who_leave(catcher):
    catcher.faults = Faults(delay=30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(.2):
            await send(catcher)
    catcher.faults = Faults(delay=.05)
    await send(catcher, "patient")
    assert [mail.subject for mail in catcher.mails()] == ["patient"]


async def test_stopping_cuts_those_who_are_still_talking(catcher):
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.port, start_tls=False, timeout=5, local_hostname="test")
    await client.connect()
    await catcher.stop()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()
    client.close()

"""Text messages: to who wants them and has shown that the number is theirs, few, short, and each at least once."""
from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from infirmary.contexts.identity.contract import SentCode
from infirmary.contexts.identity.events import PasswordChanged, SignInCodeAsked
from infirmary.contexts.notifications import domain
from infirmary.contexts.notifications.contract import (
    DeliveryStatus,
    NoPhone,
    NoWayChosen,
    PreferencesForm,
)
from infirmary.contexts.notifications.domain import sms
from infirmary.contexts.notifications.service import by_sms
from infirmary.contexts.notifications.tables import DELIVERIES
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import StaleVersion
from infirmary.language import Channel
from infirmary.sandbox.mail import Faults
from infirmary.settings import Mail, Sms

from .builders import OKAFOR, a_desk, a_visit, admin, catchers_in, mary

NUMBER = "+353850123456"
SMS, EMAIL = Channel.SMS, Channel.EMAIL


@pytest.fixture
async def desk(database_url, tmp_path):
    async with a_desk(database_url, tmp_path) as desk:
        desk.identity.phones[mary.account_id] = NUMBER
        yield desk


@pytest.fixture
async def catchers(tmp_path):
    async with catchers_in(tmp_path) as catchers:
        yield catchers


async def prefers(desk, *, email=True, sms=True):
    now = await desk.ask.preferences(mary.caller)
    return await desk.ask.prefer(mary.caller, PreferencesForm(email=email, sms=sms), now.version)


async def hers(desk):
    """What was written to Mary, oldest first."""
    async with desk.db.reading() as reading:
        return [row for row in await reading.all(DELIVERIES.find(order_by=[DELIVERIES.table.c.id]))
                if row.account_id == mary.account_id]


def texts(catchers):
    return [one for one in catchers.mail.mails() if one.channel is SMS]


async def a_code_is_asked(desk):
    asked = new_id()
    desk.identity.codes[asked] = SentCode(mary.account_id, "", mary.name, "031337", NUMBER)
    await desk.hears(SignInCodeAsked(aggregate=asked, version=1, account_id=mary.account_id))


# --- choosing --------------------------------------------------------------------------------------------------------

async def test_who_chooses_nothing_is_told_by_email(desk):
    chosen = await desk.ask.preferences(mary.caller)
    assert (chosen.email, chosen.sms, chosen.phone, chosen.version) == (True, False, "…56", 0)
    await desk.hears(a_visit())
    assert [row.channel for row in await hers(desk)] == [EMAIL]


@pytest.mark.parametrize(("email", "sms", "ways"), [(True, True, {EMAIL, SMS}), (False, True, {SMS}), (True, False, {EMAIL})])
async def test_people_are_told_as_they_chose(desk, email, sms, ways):
    assert (await prefers(desk, email=email, sms=sms)).version == 1
    await desk.hears(a_visit())
    assert {row.channel for row in await hers(desk)} == ways


async def test_of_those_who_choose_at_once_one_is_the_first_and_one_the_next(desk):
    for version in (0, 1):
        answers = await asyncio.gather(*(desk.ask.prefer(mary.caller, PreferencesForm(email=True, sms=True), version)
                                         for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(one, StaleVersion) for one in answers) == 7
    assert (await desk.ask.preferences(mary.caller)).version == 2


async def test_what_cannot_be_is_not_chosen(desk):
    with pytest.raises(NoWayChosen):
        await prefers(desk, email=False, sms=False)
    desk.identity.phones.clear()
    with pytest.raises(NoPhone):
        await prefers(desk)


async def test_who_has_no_number_any_more_is_told_by_email(desk):
    await prefers(desk, email=False)
    desk.identity.phones.clear()
    await desk.hears(a_visit())
    assert [(row.channel, row.address) for row in await hers(desk)] == [(EMAIL, mary.email)]


async def test_what_concerns_the_account_comes_by_email_whatever_was_chosen(desk):
    await prefers(desk, email=False)
    await desk.hears(PasswordChanged(aggregate=new_id(), version=1, account_id=mary.account_id))
    assert [row.channel for row in await hers(desk)] == [EMAIL]


async def test_where_there_are_no_text_messages_everybody_is_told_by_email(database_url, tmp_path, desk):
    await prefers(desk, email=False)
    async with a_desk(database_url, tmp_path, fresh=False, mail=Mail(port=9), identity=desk.identity) as without:
        assert (await without.ask.preferences(mary.caller)).phone == ""
        await without.hears(a_visit())
        assert [row.channel for row in await hers(without)] == [EMAIL]


# --- how many --------------------------------------------------------------------------------------------------------

async def test_a_number_gets_so_many_a_day_and_then_emails(desk, monkeypatch):
    monkeypatch.setattr(domain, "TEXTS_A_DAY", 3)
    await prefers(desk, email=False)
    await asyncio.gather(*(desk.hears(a_visit()) for _ in range(5)))
    assert sorted(row.channel for row in await hers(desk)) == [EMAIL, EMAIL, SMS, SMS, SMS]
    desk.clock.advance(timedelta(days=1))
    await desk.service.forget()
    await desk.hears(a_visit())
    assert [row.channel for row in await hers(desk)][-1] is SMS


async def test_a_fact_that_comes_twice_is_texted_and_counted_once(desk, catchers, monkeypatch):
    monkeypatch.setattr(domain, "TEXTS_A_DAY", 2)
    await prefers(desk, email=False)
    fact = await desk.hears(a_visit())
    await desk.hears(fact.event, fact)
    await desk.hears(a_visit())
    await desk.service.sender.send_due()
    assert [one.to for one in texts(catchers)] == [[NUMBER], [NUMBER]]


# --- sending ---------------------------------------------------------------------------------------------------------

async def test_a_text_says_when_and_neither_who_nor_where_nor_why(desk, catchers):
    await prefers(desk, email=False)
    await desk.hears(event := a_visit())
    await desk.service.sender.send_due()
    [text] = texts(catchers)
    assert text.text == ("Harbour Lane Hospital: Your visit is booked: Thu 26 Nov, 09:20. "
                         "https://hospital.example/notifications")
    assert not {OKAFOR, "Cardiology", str(event.aggregate)} & set(text.raw.decode().split())
    [log] = [one for one in (await desk.ask.deliveries(admin)).items if one.channel is SMS]
    assert (log.to, log.status) == ("…56", DeliveryStatus.SENT)


async def test_a_code_is_fetched_when_the_text_is_written_and_bound_to_our_pages(desk, catchers):
    await a_code_is_asked(desk)
    [row] = await hers(desk)
    assert (row.channel, row.address, "031337" in str(row)) == (SMS, NUMBER, False)
    await desk.service.sender.send_due()
    [text] = texts(catchers)
    assert text.text.startswith("031337 is your code at Harbour Lane Hospital")
    assert text.text.endswith("\n\n@hospital.example #031337")


@pytest.mark.parametrize("faults", [Faults(refuse=500), Faults(refuse=429), Faults(refuse=401), Faults(refuse=301),
                                    Faults(drop=True), Faults(delay=5)])
async def test_a_gateway_that_fails_is_asked_again(desk, catchers, faults, monkeypatch):
    monkeypatch.setattr(by_sms, "TRY_SECONDS", .2)
    catchers.sms.faults = faults
    await a_code_is_asked(desk)
    assert await desk.service.sender.send_due() == 0
    [row] = await hers(desk)
    assert (row.status, row.attempts, NUMBER in row.error) == (DeliveryStatus.PENDING, 1, False)
    catchers.sms.faults = Faults()
    desk.clock.advance(domain.BACK_OFF)
    assert await desk.service.sender.send_due() == 1
    assert len(texts(catchers)) == 1


async def test_an_answer_that_is_lost_makes_no_second_text(desk, catchers):
    catchers.sms.faults = Faults(lost=True)
    await a_code_is_asked(desk)
    assert await desk.service.sender.send_due() == 0
    catchers.sms.faults = Faults()
    desk.clock.advance(domain.BACK_OFF)
    assert await desk.service.sender.send_due() == 1
    keys = {one.headers["Idempotency-Key"] for one in catchers.sms.asked}
    assert (len(catchers.sms.asked), len(keys), len(texts(catchers))) == (2, 1, 1)


async def test_a_number_that_the_gateway_refuses_is_given_up(desk, catchers):
    catchers.sms.faults = Faults(refuse=422)
    await a_code_is_asked(desk)
    await desk.service.sender.send_due()
    [row] = await hers(desk)
    assert (row.status, row.error) == (DeliveryStatus.FAILED, "GatewayRefused 422")


async def test_a_gateway_that_is_away_keeps_no_mail_back_and_uses_no_try_up(desk, catchers):
    await prefers(desk)
    await catchers.sms.stop()
    await desk.hears(a_visit())
    assert await desk.service.sender.send_due() == 2   # hers and the doctor's
    assert [(row.channel, row.attempts) for row in await hers(desk) if row.sent_at is None] == [(SMS, 0)]


async def test_the_gateway_of_the_settings_is_shown_the_token(database_url, tmp_path, catchers):
    (tmp_path / "token").write_text("s3cret\n")
    gateway = Sms(url=f"http://127.0.0.1:{catchers.sms.port}/", token_file=str(tmp_path / "token"))
    async with a_desk(database_url, tmp_path, mail=Mail(port=9), sms=gateway) as desk:
        await a_code_is_asked(desk)
        assert await desk.service.sender.send_due() == 1
    assert [one.headers["Authorization"] for one in catchers.sms.asked] == ["Bearer s3cret"]


# --- how long --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "parts"), [
    ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2), ("é" * 160, 1),
    ("ł" + "a" * 69, 1), ("ł" + "a" * 70, 2), ("😀" * 35, 1), ("😀" * 36, 2)])
def test_parts_are_counted_as_networks_count_them(text, parts):
    assert sms.parts(text) == parts


@pytest.mark.parametrize("hospital", ["St Mary’s – the “Great”", "Szpital Wojewódzki im. Łukasiewicza w Łodzi" * 9, "H\r\nX" * 99])
def test_nothing_makes_a_text_longer_than_two_parts(hospital):
    for text in (sms.about("Your visit is booked: Thu 26 Nov, 09:20", hospital=hospital, url="https://h.example"),
                 sms.with_code("031337", hospital=hospital, url="https://h.example")):
        assert sms.parts(text) <= 2
        assert "’" not in text
    assert "031337" in text

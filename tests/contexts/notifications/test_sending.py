"""Pending e-mails reach the mail server: all of them, none twice, whatever happens on the way."""
from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
from collections import Counter
from datetime import timedelta

import pytest

from infirmary.contexts.identity.contract import ResetLink, SentCode
from infirmary.contexts.identity.events import PasswordResetRequested, SignInCodeAsked
from infirmary.contexts.notifications import domain, tables
from infirmary.contexts.notifications.contract import DeliveryStatus, NothingToRetry
from infirmary.contexts.notifications.service import by_email, sender
from infirmary.contexts.notifications.tables import DELIVERIES, DeliveryRow
from infirmary.contexts.notifications.wiring import NOTIFICATIONS
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import ConnectionLost
from infirmary.kernel.errors import NotFound, Unavailable
from infirmary.language import Channel
from infirmary.sandbox.mail import Faults, MailCatcher
from infirmary.settings import Mail

from .builders import MARY, NOW, a_catcher, a_desk, a_visit, admin, mary, okafor

PENDING, SENT, FAILED = DeliveryStatus.PENDING, DeliveryStatus.SENT, DeliveryStatus.FAILED


@pytest.fixture
async def desk(database_url, tmp_path):
    async with a_desk(database_url, tmp_path) as desk:
        yield desk


@pytest.fixture
async def catcher(tmp_path):
    async with a_catcher(tmp_path) as catcher:
        yield catcher


def a_delivery(address="mary@byrne.example", at=NOW, **more):
    fields = {"id": new_id(), "fact_id": new_id(), "account_id": mary.account_id, "channel": Channel.EMAIL,
              "kind": "visit.booked", "about": new_id(), "address": address, "title": "T", "body": "B",
              "link": "/visits/1", "label": "L", "status": PENDING, "attempts": 0, "error": "", "created_at": at,
              "due_at": at, "sent_at": None}
    return DeliveryRow(**{**fields, **more})


async def put(desk, *rows):
    async with desk.db.transaction() as tx:
        DELIVERIES.add(tx, *rows)


async def delivery(desk, row):
    async with desk.db.reading() as reading:
        return await DELIVERIES.get(reading, row.id)


async def only(desk):
    [one] = (await desk.ask.deliveries(admin)).items
    return one


async def test_a_fact_becomes_a_mail_with_a_link_to_the_page(desk, catcher):
    event = a_visit()
    await desk.hears(event)
    assert await desk.service.sender.send_due() == 2
    hers = next(mail for mail in catcher.mails() if mail.to == [mary.email])
    assert hers.subject == "Your visit is booked: Thu 26 Nov, 09:20"
    assert f"https://hospital.example/visits/{event.aggregate}" in hers.text
    assert f'href="https://hospital.example/visits/{event.aggregate}"' in hers.html
    theirs = next(mail for mail in catcher.mails() if mail.to == [okafor.email])
    assert MARY not in theirs.raw.decode()
    assert {one.status for one in (await desk.ask.deliveries(admin)).items} == {SENT}


async def test_the_same_fact_delivered_twice_makes_one_mail_each(desk, catcher):
    fact = await desk.hears(a_visit())
    await desk.service.sender.send_due()
    await desk.hears(fact.event, fact)
    assert await desk.service.sender.send_due() == 0
    assert len(catcher.mails()) == 2


async def test_a_process_that_dies_before_sending_leaves_the_mail_to_the_next(desk, catcher, database_url, tmp_path):
    await desk.hears(a_visit())
    async with a_desk(database_url, tmp_path, fresh=False) as reborn:
        assert await reborn.service.sender.send_due() == 2
    assert len(catcher.mails()) == 2


async def test_a_process_that_dies_while_sending_leaves_the_mail_until_its_lease_is_over(desk, catcher, monkeypatch):
    await put(desk, row := a_delivery())

    async def dies(_):
        raise SystemExit

    monkeypatch.setattr(desk.service.sender, "_post", dies)
    with pytest.raises(SystemExit):
        await desk.service.sender._deliver(row)
    monkeypatch.undo()
    assert await desk.service.sender.send_due() == 0   # somebody may still be at it
    desk.clock.advance(domain.LEASE)
    assert await desk.service.sender.send_due() == 1
    assert len(catcher.mails()) == 1


async def test_three_senders_share_two_hundred_mails_and_send_none_twice(desk, catcher, database_url, tmp_path):
    rows = [a_delivery(f"someone{number}@byrne.example") for number in range(200)]
    await put(desk, *rows)
    async with contextlib.AsyncExitStack() as others:
        more = [await others.enter_async_context(a_desk(database_url, tmp_path, fresh=False)) for _ in range(2)]
        desks = [desk, *more]
        shares = await asyncio.gather(*(one.service.sender.send_due() for one in desks))
    assert sum(shares) == 200
    assert Counter(mail.to[0] for mail in catcher.mails(limit=1000)) == {row.address: 1 for row in rows}
    assert (await desk.ask.deliveries(admin, status=PENDING)).items == []


async def test_a_mail_leaves_within_a_second_of_the_fact(desk, catcher):
    jobs = {job.name: job for job in NOTIFICATIONS.jobs(desk.service)}
    assert jobs["send-mail"].every == timedelta(0)
    await jobs["send-mail"].work()   # what the start finds: nothing
    waiting = asyncio.create_task(jobs["send-mail"].work())
    await asyncio.sleep(.05)
    await desk.hears(a_visit())
    async with asyncio.timeout(1):
        await waiting
    assert len(catcher.mails()) == 2


async def test_a_sender_that_fails_does_not_run_hot(desk, monkeypatch):
    async def away(*_):
        raise ConnectionResetError

    monkeypatch.setattr(desk.service.sender, "_due", away)
    monkeypatch.setattr(sender, "LOOKS_EVERY", .05)
    monkeypatch.setattr(desk.service.sender, "_ready", lambda: [Channel.EMAIL])
    begun = asyncio.get_running_loop().time()
    for _ in range(4):   # the first finds itself woken, the others wait
        with pytest.raises(ConnectionResetError):
            await desk.service.sender.work()
    assert asyncio.get_running_loop().time() - begun > .14


async def test_while_there_is_no_mail_server_nothing_is_tried_and_no_try_is_used_up(desk, tmp_path):
    await put(desk, row := a_delivery())
    assert await desk.service.sender.send_due() == 0
    assert (await delivery(desk, row)).attempts == 0
    async with a_catcher(tmp_path) as catcher:
        assert await desk.service.sender.send_due() == 1
        assert len(catcher.mails()) == 1


@pytest.mark.parametrize("faults", [Faults(refuse=451), Faults(drop=True), Faults(delay=5)])
async def test_a_failing_server_is_tried_again_and_in_the_end_given_up_visibly(desk, catcher, faults, monkeypatch):
    monkeypatch.setattr(by_email, "TRY_SECONDS", .2)
    await put(desk, a_delivery())
    catcher.faults = faults
    for attempt in range(1, domain.TRIES + 1):
        assert await desk.service.sender.send_due() == 0
        assert (await only(desk)).attempts == attempt
        assert await desk.service.sender.send_due() == 0   # not before its time
        assert (await only(desk)).attempts == attempt
        desk.clock.advance(timedelta(days=1))
    one = await only(desk)
    assert (one.status, one.attempts, one.sent_at) == (FAILED, domain.TRIES, None)
    assert one.error
    assert "@" not in one.error
    assert catcher.mails() == []
    assert await desk.service.sender.send_due() == 0

    catcher.faults = Faults()
    retried = await desk.ask.retry(admin, one.id)
    assert (retried.status, retried.attempts) == (PENDING, 0)
    monkeypatch.undo()
    assert await desk.service.sender.send_due() == 1
    assert ((await only(desk)).status, (await only(desk)).error) == (SENT, "")
    assert len(catcher.mails()) == 1


async def test_a_server_that_recovers_gets_the_mail_once(desk, catcher):
    await put(desk, a_delivery())
    catcher.faults = Faults(refuse=451)
    await desk.service.sender.send_due()
    assert (await only(desk)).error == "SMTPRecipientRefused 451"
    catcher.faults = Faults()
    desk.clock.advance(domain.BACK_OFF)
    assert await desk.service.sender.send_due() == 1
    assert len(catcher.mails()) == 1


async def test_a_mailbox_that_does_not_exist_is_given_up_at_once(desk, catcher):
    await put(desk, a_delivery())
    catcher.faults = Faults(refuse=550)
    await desk.service.sender.send_due()
    one = await only(desk)
    assert (one.status, one.attempts, one.error) == (FAILED, 1, "SMTPRecipientRefused 550")


async def test_a_server_that_takes_the_mail_but_never_says_goodbye_gets_it_once(desk, tmp_path, monkeypatch):
    class Rude(MailCatcher):
        async def handle_QUIT(self, server, session, envelope):   # noqa: N802 – aiosmtpd's name
            await asyncio.sleep(60)

    monkeypatch.setattr(by_email, "GOODBYE_SECONDS", .1)
    rude = Rude(tmp_path / "mail")
    await rude.start()
    await put(desk, row := a_delivery())
    assert await desk.service.sender.send_due() == 1
    assert (await delivery(desk, row)).status is SENT
    await rude.stop()


async def test_a_server_that_dribbles_has_only_so_long_for_all_of_a_mail(desk, tmp_path, monkeypatch):
    """Each answer comes in time, so only the sum can be too much; the lease depends on it."""
    class Dribbling(MailCatcher):
        async def handle_MAIL(self, server, session, envelope, address, options):   # noqa: N802
            await asyncio.sleep(.2)
            envelope.mail_from = address
            return "250 OK"

    monkeypatch.setattr(by_email, "TRY_SECONDS", .3)
    dribbling = Dribbling(tmp_path / "mail")
    await dribbling.start()
    dribbling.faults = Faults(delay=.2)
    await put(desk, row := a_delivery())
    assert await desk.service.sender.send_due() == 0
    assert (await delivery(desk, row)).error == "TimeoutError"
    assert dribbling.mails() == []
    await dribbling.stop()


async def test_one_bad_address_does_not_keep_the_others_back(desk, catcher):
    bad = a_delivery(f"mary@{'a' * 70}.example")
    await put(desk, bad, a_delivery(), a_delivery())
    assert await desk.service.sender.send_due() == 2
    assert (await delivery(desk, bad)).status is FAILED


@pytest.mark.parametrize(("address", "reaches"), [
    ("a,b@byrne.example", '"a,b"@byrne.example'),            # one recipient, not two
    ("müller@byrne.example", "müller@byrne.example"),        # RFC 6531
    ("mary@bücher.example", "mary@xn--bcher-kva.example"),
])
async def test_unusual_addresses_arrive_where_they_should(desk, catcher, address, reaches):
    await put(desk, a_delivery(address))
    assert await desk.service.sender.send_due() == 1
    assert [mail.to for mail in catcher.mails()] == [[reaches]]


async def test_a_name_cannot_add_a_header(desk, catcher):
    await desk.hears(a_visit(doctor_name="Dr X\r\nBcc: all@byrne.example", patient_name="M\nTo: eve@byrne.example"))
    assert await desk.service.sender.send_due() == 2
    for mail in catcher.mails():
        read = email.message_from_bytes(mail.raw, policy=email.policy.default)
        assert read["Bcc"] is None
        assert [one.addr_spec for one in read["To"].addresses] == mail.to
        assert read["Auto-Submitted"] == "auto-generated"


async def test_a_second_attempt_carries_the_same_message_id(desk, catcher):
    await put(desk, row := a_delivery())
    await desk.service.sender._post(row)
    await desk.service.sender._post(row)
    ids = {email.message_from_bytes(mail.raw)["Message-ID"] for mail in catcher.mails()}
    assert ids == {f"<{row.id}@infirmary.localhost>"}


async def test_the_link_of_a_reset_is_asked_for_when_the_mail_is_written(desk, catcher):
    reset = new_id()
    desk.identity.links[reset] = ResetLink(mary.email, mary.name, "https://hospital.example/reset?token=1",
                                            invitation=False)
    await desk.hears(PasswordResetRequested(aggregate=reset, version=1, account_id=mary.account_id, invitation=False))
    desk.identity.failure = Unavailable()
    await desk.service.sender.send_due()
    assert ((await only(desk)).status, (await only(desk)).error) == (PENDING, "Unavailable")
    desk.identity.failure = None
    desk.clock.advance(domain.BACK_OFF)
    assert await desk.service.sender.send_due() == 1
    [mail] = catcher.mails()
    assert "https://hospital.example/reset?token=1" in mail.text


async def test_a_reset_whose_link_has_expired_is_given_up(desk, catcher):
    reset = new_id()
    desk.identity.links[reset] = ResetLink(mary.email, mary.name, "https://x", invitation=False)
    await desk.hears(PasswordResetRequested(aggregate=reset, version=1, account_id=mary.account_id, invitation=False))
    desk.identity.links.clear()
    await desk.service.sender.send_due()
    assert ((await only(desk)).status, (await only(desk)).error) == (FAILED, "LinkExpired")
    assert catcher.mails() == []


async def test_a_code_is_asked_for_when_the_mail_is_written_and_kept_nowhere(desk, catcher):
    asked = new_id()
    desk.identity.codes[asked] = SentCode(mary.account_id, mary.email, mary.name, "031 337")
    await desk.hears(SignInCodeAsked(aggregate=asked, version=1, account_id=mary.account_id))
    async with desk.db.reading() as reading:
        [row] = await reading.all(DELIVERIES.find())
    assert (row.kind, row.address, row.about) == ("sign_in.code", mary.email, asked)
    assert "031 337" not in str(row)
    assert await desk.service.sender.send_due() == 1
    [mail] = catcher.mails()
    assert "031 337" not in mail.subject
    assert "Your code:\n031 337\n" in mail.text.replace("\r", "")
    assert ">031 337</strong>" in mail.html
    assert "href" not in mail.html


async def test_a_code_that_is_too_old_is_mailed_to_nobody(desk, catcher):
    asked = new_id()
    await desk.hears(SignInCodeAsked(aggregate=asked, version=1, account_id=mary.account_id))
    assert await desk.service.sender.send_due() == 0
    desk.identity.codes[asked] = SentCode(mary.account_id, mary.email, mary.name, "031337")
    await desk.hears(SignInCodeAsked(aggregate=asked, version=1, account_id=mary.account_id))
    desk.identity.codes.clear()
    await desk.service.sender.send_due()
    assert ((await only(desk)).status, (await only(desk)).error) == (FAILED, "NotFound")
    assert catcher.mails() == []


async def test_a_process_told_to_stop_finishes_the_mail_it_is_at(desk, catcher):
    """Cut off between the server's OK and our note, it would be sent twice."""
    catcher.faults = Faults(delay=.3)
    await put(desk, *(rows := [a_delivery() for _ in range(sender.AT_ONCE + 1)]))
    sending = asyncio.create_task(desk.service.sender.send_due())
    await asyncio.sleep(.15)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(catcher.mails()) == sender.AT_ONCE   # those under way, and no more
    assert sum([(await delivery(desk, row)).status is SENT for row in rows]) == sender.AT_ONCE


async def test_a_process_told_to_stop_does_not_wait_for_ever(desk, catcher, monkeypatch):
    monkeypatch.setattr(sender, "GRACE", .1)
    catcher.faults = Faults(delay=60)
    await put(desk, row := a_delivery())
    sending = asyncio.create_task(desk.service.sender.send_due())
    await asyncio.sleep(.2)
    sending.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert (await delivery(desk, row)).status is PENDING


async def test_a_database_that_goes_away_while_sending_fails_the_round_and_not_the_mails(desk, catcher, monkeypatch):
    await put(desk, *[a_delivery() for _ in range(20)])

    async def away(*_):
        raise ConnectionLost

    monkeypatch.setattr(desk.service.sender, "_claim", away)
    with pytest.raises(ConnectionLost):
        await desk.service.sender.send_due()
    monkeypatch.undo()
    assert await desk.service.sender.send_due() == 20


async def test_somebody_slower_than_their_lease_does_not_undo_what_came_after(desk, catcher):
    await put(desk, row := a_delivery())
    slow = desk.service.sender
    assert await slow._claim(row, 1)
    desk.clock.advance(domain.LEASE)
    assert await slow.send_due() == 1
    await slow._note_failure(row, 1, TimeoutError())
    assert (await delivery(desk, row)).status is SENT


async def test_a_real_mail_server_is_taken_where_the_settings_name_one(database_url, tmp_path, catcher):
    (tmp_path / "mail" / "port").unlink()
    async with a_desk(database_url, tmp_path, mail=Mail(port=catcher.port, sender="desk@hospital.example")) as desk:
        await put(desk, a_delivery())
        assert await desk.service.sender.send_due() == 1
    assert [mail.sender for mail in catcher.mails()] == ["desk@hospital.example"]


async def test_starttls_and_password_are_insisted_on_when_set(database_url, tmp_path, catcher):
    """The catcher offers neither: better unsent than in the clear."""
    (tmp_path / "password").write_text("s3cret\n")
    for mail, why in ((Mail(port=catcher.port, starttls=True), "SMTPException"),
                      (Mail(port=catcher.port, username="u", password_file=str(tmp_path / "password")),
                       "SMTPException")):
        async with a_desk(database_url, tmp_path, mail=mail, fresh=mail.starttls) as desk:
            await put(desk, row := a_delivery())
            assert await desk.service.sender.send_due() == 0
            assert (await delivery(desk, row)).error.startswith(why)
    assert catcher.mails() == []


async def test_only_what_failed_can_be_retried(desk, catcher):
    await put(desk, pending := a_delivery(), sent := a_delivery(status=SENT), failed := a_delivery(status=FAILED))
    for row in (pending, sent):
        with pytest.raises(NothingToRetry):
            await desk.ask.retry(admin, row.id)
    with pytest.raises(NotFound):
        await desk.ask.retry(admin, new_id())
    outcomes = await asyncio.gather(*(desk.ask.retry(admin, failed.id) for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert sum(isinstance(one, NothingToRetry) for one in outcomes) == 4


async def test_the_log_is_newest_first_by_status_and_in_pages(desk):
    rows = [a_delivery(at=NOW + timedelta(seconds=second), status=SENT if second % 2 else FAILED)
            for second in range(9)]
    await put(desk, *rows)
    seen, cursor = [], None
    while True:
        page = await desk.ask.deliveries(admin, limit=2, cursor=cursor)
        seen += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert [one.id for one in seen] == [row.id for row in reversed(rows)]
    failed = (await desk.ask.deliveries(admin, status=FAILED)).items
    assert [one.id for one in failed] == [row.id for row in reversed(rows[::2])]


async def test_what_was_sent_long_ago_is_forgotten_and_what_failed_is_not(desk):
    old, young = NOW - domain.KEPT - timedelta(days=1), NOW - domain.KEPT + timedelta(days=1)
    await put(desk, gone := a_delivery(at=old, status=SENT), kept := a_delivery(at=young, status=SENT),
              failed := a_delivery(at=old, status=FAILED))
    await desk.service.forget()
    assert await delivery(desk, gone) is None
    assert await delivery(desk, kept) is not None
    assert await delivery(desk, failed) is not None


async def test_what_is_due_is_found_by_its_index(desk):
    """On SQLite, where the plan can be read as text."""
    if desk.db.driver.dialect.name == "sqlite":
        compiled, args = tables.DUE(desk.db.driver.dialect, {"now": NOW, "limit": 1, "channels": list(Channel)})
        plan = str(desk.db.driver.reader.execute("EXPLAIN QUERY PLAN " + compiled.sql, args).fetchall())
        assert "USING INDEX delivery_due" in plan
        assert "TEMP B-TREE" not in plan

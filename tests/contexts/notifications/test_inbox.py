"""Everybody's own inbox: what is in it, what was read, and nobody else's."""
from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from infirmary.contexts.notifications import domain, tables
from infirmary.contexts.notifications.tables import NOTIFICATIONS, NotificationRow
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, NotSignedIn, RoleMayNot
from infirmary.kernel.outbox import OUTBOX
from infirmary.language import service

from .builders import NOW, a_desk, admin, mary, okafor


@pytest.fixture
async def desk(database_url, tmp_path):
    async with a_desk(database_url, tmp_path) as desk:
        yield desk


def a_notification(person=mary, *, at=NOW, read_at=None, title="T"):
    return NotificationRow(new_id(), person.account_id, new_id(), title, "B", "/visits/1", at, read_at)


async def put(desk, *rows):
    async with desk.db.transaction() as tx:
        NOTIFICATIONS.add(tx, *rows)


async def all_pages(desk, **asked):
    seen, cursor = [], None
    while True:
        page = await desk.ask.notifications(mary.caller, cursor=cursor, **asked)
        seen += page.items
        if (cursor := page.next_cursor) is None:
            return seen


async def audited(desk):
    async with desk.db.reading() as reading:
        return [one.body["action"] for one in await reading.all(OUTBOX.find())]


async def test_the_newest_come_first_page_by_page(desk):
    rows = [a_notification(at=NOW + timedelta(seconds=number // 3)) for number in range(11)]   # three share a second
    await put(desk, *reversed(rows), a_notification(okafor))
    expected = sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    for limit in (1, 2, 4, 100):
        assert [one.id for one in await all_pages(desk, limit=limit)] == [row.id for row in expected]


async def test_the_unread_can_be_listed_alone(desk):
    rows = [a_notification(at=NOW + timedelta(seconds=number), read_at=NOW if number % 2 else None)
            for number in range(6)]
    await put(desk, *rows)
    assert [one.id for one in await all_pages(desk, unread=True, limit=2)] == [row.id for row in reversed(rows[::2])]
    assert (await desk.ask.unread(mary.caller)).count == 3


async def test_a_cursor_somebody_made_up_is_refused(desk):
    with pytest.raises(Malformed):
        await desk.ask.notifications(mary.caller, cursor="made-up")


async def test_reading_one_is_kept_with_the_time_and_counted(desk):
    await put(desk, row := a_notification(), a_notification())
    read = await desk.ask.read(mary.caller, row.id)
    assert read.read_at == NOW
    desk.clock.advance(timedelta(hours=1))
    assert (await desk.ask.read(mary.caller, row.id)).read_at == NOW   # the first time stays
    assert (await desk.ask.unread(mary.caller)).count == 1
    assert await audited(desk) == ["notification.read"]


async def test_reading_one_at_the_same_time_is_one_deed(desk):
    await put(desk, row := a_notification())
    await asyncio.gather(*(desk.ask.read(mary.caller, row.id) for _ in range(5)))
    assert await audited(desk) == ["notification.read"]


async def test_reading_all_touches_only_ones_own(desk):
    await put(desk, a_notification(), a_notification(), a_notification(okafor))
    await desk.ask.read_all(mary.caller)
    assert (await desk.ask.unread(mary.caller)).count == 0
    assert (await desk.ask.unread(okafor.caller)).count == 1
    await desk.ask.read_all(mary.caller)
    assert await audited(desk) == ["notification.all_read"]   # the second time there was nothing to do


async def test_somebody_elses_notification_is_not_there(desk):
    await put(desk, row := a_notification(okafor))
    for person in (mary.caller, admin):
        with pytest.raises(NotFound):
            await desk.ask.read(person, row.id)
    with pytest.raises(NotFound):
        await desk.ask.read(mary.caller, new_id())
    assert (await desk.ask.unread(okafor.caller)).count == 1
    assert (await desk.ask.notifications(mary.caller)).items == []


async def test_the_delivery_log_is_the_administrators(desk):
    for person in (mary.caller, okafor.caller, service("appointments")):
        with pytest.raises(RoleMayNot):
            await desk.ask.deliveries(person)
        with pytest.raises(RoleMayNot):
            await desk.ask.retry(person, new_id())
    with pytest.raises(NotSignedIn):
        await desk.ask.notifications(NOBODY)
    assert (await desk.ask.deliveries(admin)).items == []


async def test_a_caller_without_an_account_of_their_own_reaches_nothing(desk):
    await put(desk, a_notification())
    stray = Caller(account_id=mary.account_id, roles=mary.caller.roles)   # a token without subjects
    for asked in (desk.ask.notifications, desk.ask.unread, desk.ask.read_all, desk.ask.stream):
        with pytest.raises(NotFound):
            await asked(stray)


async def test_what_was_read_long_ago_is_forgotten_and_what_is_unread_is_not(desk):
    old = NOW - domain.KEPT - timedelta(days=1)
    await put(desk, a_notification(at=old, read_at=old, title="gone"), a_notification(at=old, title="unread"),
              a_notification(at=old, read_at=NOW, title="read lately"))
    await desk.service.forget()
    assert {one.title for one in await all_pages(desk)} == {"unread", "read lately"}


async def test_the_questions_of_every_page_are_answered_by_indexes(desk):
    """On SQLite, where the plan can be read as text."""
    if desk.db.driver.dialect.name != "sqlite":
        return
    mine = {"account_id": mary.account_id}
    for query, params, index in ((tables.UNREAD, mine, "notification_unread"),
                                 (tables.NEWEST, mine, "notification_newest"),
                                 (tables.INBOX._first, {**mine, "limit": 1}, "notification_newest"),
                                 (tables.INBOX_UNREAD._first, {**mine, "limit": 1}, "notification_unread")):
        compiled, args = query(desk.db.driver.dialect, dict(params))
        plan = str(desk.db.driver.reader.execute("EXPLAIN QUERY PLAN " + compiled.sql, args).fetchall())
        assert index in plan
        assert "TEMP B-TREE" not in plan

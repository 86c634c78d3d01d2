"""The stream: what is unread now, then what is new, as it happens, in this process and in others."""
from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import msgspec
import pytest

from infirmary.contexts.notifications.contract import Notifications
from infirmary.kernel import stream
from infirmary.kernel.binding import Routes
from infirmary.kernel.database.errors import ConnectionLost
from infirmary.kernel.http import build_app
from tests.serving import serving

from .builders import a_desk, a_visit, mary, okafor


@pytest.fixture
async def desk(database_url, tmp_path):
    async with a_desk(database_url, tmp_path) as desk:
        yield desk


@contextlib.asynccontextmanager
async def listening(desk, person=mary):
    """Gives a function that waits for the next event: (name, data), or the comment as text."""
    chunks = (await desk.ask.stream(person.caller)).chunks

    async def following():
        async with asyncio.timeout(5):
            return understood(await anext(chunks))

    try:
        yield following
    finally:
        await chunks.aclose()


def understood(chunk):
    text = chunk.decode()
    assert text.endswith("\n\n")
    if text.startswith(":"):
        return text.strip()
    name, data = text.strip().split("\n")
    return name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))


async def test_it_begins_with_what_is_unread(desk):
    async with listening(desk) as following:
        assert await following() == ("unread", {"unread": 0})
    await desk.hears(a_visit())
    async with listening(desk) as following:
        assert await following() == ("unread", {"unread": 1})


async def test_a_notification_arrives_at_once_and_only_where_it_belongs(desk, monkeypatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", 60.0)   # so that only the waking can be it
    async with listening(desk, mary) as hers, listening(desk, okafor) as theirs:
        await hers()
        await theirs()
        waiting = asyncio.create_task(hers())
        await asyncio.sleep(.05)
        await desk.hears(a_visit(by=okafor.account_id))
        async with asyncio.timeout(1):
            assert await waiting == ("notification", {"unread": 1, "title": "Your visit is booked: Thu 26 Nov, 09:20"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(.1):
                await theirs()


async def test_what_another_process_wrote_arrives_too(desk, database_url, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .05)
    async with a_desk(database_url, tmp_path, fresh=False) as other, listening(desk) as following:
        await following()
        await other.hears(a_visit())
        name, data = await following()
        assert (name, data["unread"]) == ("notification", 1)


async def test_reading_elsewhere_changes_the_count_without_news(desk):
    await desk.hears(a_visit())
    [one] = (await desk.ask.notifications(mary.caller)).items
    async with listening(desk) as following:
        assert await following() == ("unread", {"unread": 1})
        waiting = asyncio.create_task(following())
        await asyncio.sleep(.05)
        await desk.ask.read(mary.caller, one.id)
        assert await waiting == ("unread", {"unread": 0})
        waiting = asyncio.create_task(following())
        await desk.hears(a_visit())
        assert (await waiting)[0] == "notification"
        waiting = asyncio.create_task(following())
        await desk.ask.read_all(mary.caller)
        assert await waiting == ("unread", {"unread": 0})


async def test_one_read_and_one_new_between_two_looks_is_news(desk, monkeypatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .5)
    monkeypatch.setattr(desk.service.live, "wake", lambda _: None)
    await desk.hears(a_visit())
    [one] = (await desk.ask.notifications(mary.caller)).items
    async with listening(desk) as following:
        assert await following() == ("unread", {"unread": 1})
        waiting = asyncio.create_task(following())
        await desk.ask.read(mary.caller, one.id)
        await desk.hears(a_visit())
        name, data = await waiting
        assert (name, data["unread"]) == ("notification", 1)


async def test_several_at_once_are_one_event_with_the_newest(desk, monkeypatch):
    async with listening(desk) as following:
        await following()
        await desk.hears(a_visit(doctor_name="A"))
        await desk.hears(a_visit())
        name, data = await following()
        assert (name, data["unread"]) == ("notification", 2)


async def test_silence_is_filled_with_comments(desk, monkeypatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .02)
    monkeypatch.setattr(stream, "HEARTBEAT", .1)
    async with listening(desk) as following:
        await following()
        begun = asyncio.get_running_loop().time()
        assert await following() == ": still here"
        assert asyncio.get_running_loop().time() - begun >= .09
        assert await following() == ": still here"


async def test_it_ends_by_itself_and_leaves_nothing_behind(desk, monkeypatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .02)
    monkeypatch.setattr(stream, "LASTS", .1)
    chunks = [understood(chunk) async for chunk in (await desk.ask.stream(mary.caller)).chunks]
    assert chunks == [("unread", {"unread": 0})]
    assert desk.service.live._listening == {}


async def test_who_leaves_is_forgotten(desk):
    async with listening(desk) as one, listening(desk) as other:
        await one()
        await other()
        assert len(desk.service.live._listening[mary.account_id]) == 2
    assert desk.service.live._listening == {}
    await desk.hears(a_visit())   # and nobody is missed


async def test_a_database_that_is_away_ends_the_stream_quietly(desk, monkeypatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .02)
    async with listening(desk) as following:
        await following()

        async def away(_):
            raise ConnectionLost

        monkeypatch.setattr(desk.service.live, "_look", away)
        with pytest.raises(StopAsyncIteration):
            await following()


async def test_over_http_it_is_an_event_stream_that_browsers_understand(desk):
    routes = Routes(Notifications, desk.service, desk.db, lambda _: mary.caller)
    async with serving(build_app(routes.handlers)) as base, aiohttp.ClientSession() as http:
        async with http.get(f"{base}/api/v1/notifications/stream", headers={"Authorization": "Bearer x"}) as reply:
            assert reply.status == 200
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            assert reply.headers["Cache-Control"] == "no-store"
            assert understood(await reply.content.readuntil(b"\n\n")) == ("unread", {"unread": 0})
            await desk.hears(a_visit())
            async with asyncio.timeout(2):
                name, data = understood(await reply.content.readuntil(b"\n\n"))
            assert (name, data["unread"]) == ("notification", 1)
        for _ in range(100):   # the server learns that we have left
            if not desk.service.live._listening:
                break
            await asyncio.sleep(.02)
        assert desk.service.live._listening == {}

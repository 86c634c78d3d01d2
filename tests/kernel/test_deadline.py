"""Whatever a request waits for, somebody answers in time: a slow line, a silent database, a service that has lost itself."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from time import monotonic
from types import SimpleNamespace

import aiohttp
import pytest
from litestar.types import ASGIApp

from infirmary.kernel.binding import Routes
from infirmary.kernel.contract import Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.deadline import ANSWERED_WITHIN, InTime
from infirmary.kernel.errors import Unavailable
from infirmary.kernel.http import build_app
from infirmary.kernel.outbox import WAITING, kernel_tables
from infirmary.kernel.remote import DEADLINE, over_http
from tests.network import Line, port_of, through
from tests.serving import serving

from .test_binding import authenticate, keeper
from .toy import NewToy, Toy, ToyBox, Toys

SECONDS = .5   # instead of nine
AS_KEEPER = {"Authorization": "Bearer keeper"}
on_servers = pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)
on_any = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def app_of(box: Toys, db: Database, seconds: float = SECONDS) -> ASGIApp:
    return build_app(Routes(Toys, box, db, authenticate).handlers, seconds=seconds)


@on_any
async def test_what_takes_too_long_is_refused_with_a_word_when_to_come_again(db: Database) -> None:
    class Slow(ToyBox):
        async def toys(self, *_: object, **__: object) -> Page[Toy]:
            await asyncio.sleep(60)
            raise AssertionError

        async def make(self, *_: object, **__: object) -> Toy:
            await asyncio.sleep(60)
            raise AssertionError

    db.context = "toys"
    async with serving(app_of(Slow(db), db)) as base, aiohttp.ClientSession(base, headers=AS_KEEPER) as http:
        begun = monotonic()
        async with http.get("/api/v1/toys") as read:
            problem = await read.json()
        assert (read.status, read.headers["Retry-After"], problem["code"]) == (503, "1", "unavailable")
        assert problem["request_id"] == read.headers["X-Request-Id"]
        async with http.post("/api/v1/toys", json={"name": "car", "owner_id": str(new_id())}) as written:
            assert "We cannot tell whether this was done" in (await written.json())["detail"]
        assert monotonic() - begun < 4 * SECONDS


@on_any
async def test_a_body_that_comes_slowly_is_waited_for(db: Database) -> None:
    db.context = "toys"
    body = b'{"name": "car", "owner_id": "%s"}' % str(new_id()).encode()

    async def dripping() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 16):
            yield body[at:at + 16]
            await asyncio.sleep(SECONDS / 2)

    async with (serving(app_of(ToyBox(db), db)) as base, aiohttp.ClientSession(base, headers=AS_KEEPER) as http,
                http.post("/api/v1/toys", data=dripping(), headers={"Content-Type": "application/json"}) as reply):
        assert reply.status == 201


async def test_an_answer_that_has_begun_may_take_as_long_as_it_likes() -> None:
    async def app(scope: object, receive: object, send: Callable[..., object]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})   # type: ignore[misc]
        for n in range(3):
            await asyncio.sleep(SECONDS / 2)
            await send({"type": "http.response.body", "body": b"%d" % n, "more_body": n < 2})   # type: ignore[misc]

    async with serving(InTime(app, SECONDS)) as base, aiohttp.ClientSession(base) as http, http.get("/") as reply:   # type: ignore[arg-type]
        assert await reply.read() == b"012"


@contextlib.asynccontextmanager
async def on_a_line(url: str) -> AsyncIterator[SimpleNamespace]:
    """A box of toys whose database is at the other end of it."""
    async with Line.to(port_of(url)) as line:
        there = await Database.open(through(line, url), "toys", size=2)
        try:
            async with (serving(app_of(ToyBox(there), there)) as base,
                        aiohttp.ClientSession(base, headers=AS_KEEPER) as http):
                yield SimpleNamespace(line=line, http=http, db=there)
        finally:
            await there.close()


async def make(http: aiohttp.ClientSession, key: str) -> int:
    async with http.post("/api/v1/toys", json={"name": "car", "owner_id": str(new_id())},
                         headers={"Idempotency-Key": key}) as reply:
        assert reply.status != 503 or reply.headers["Retry-After"]
        return reply.status


@on_servers
async def test_a_database_that_has_gone_silent_is_a_503_in_time_and_its_connections_are_left(
        database_url: Callable[[str], str]) -> None:
    url = database_url("toys")
    db = await Database.open(url, "toys")
    await db.create(kernel_tables)
    await db.close()
    async with on_a_line(url) as place:
        assert await make(place.http, "the-first") == 201
        place.line.silent = True
        begun = monotonic()
        assert await asyncio.gather(*(make(place.http, f"silent-{n}") for n in range(6))) == [503] * 6
        assert monotonic() - begun < 3 * SECONDS
        place.line.mend()   # those that were silent stay so: only new connections are good
        assert [await make(place.http, f"after-{n}") for n in range(4)] == [201] * 4


@on_servers
async def test_on_a_bad_line_everything_is_answered_and_done_once(database_url: Callable[[str], str]) -> None:
    url = database_url("toys")
    db = await Database.open(url, "toys")
    await db.create(kernel_tables)
    async with on_a_line(url) as place:
        place.line.loss = .3
        first = await asyncio.gather(*(make(place.http, f"toy-{n}-of-many") for n in range(30)))
        assert set(first) <= {201, 503}
        place.line.mend()
        async with (serving(app_of(ToyBox(place.db), place.db, ANSWERED_WITHIN)) as base,   # it may be busy here, and is
                    aiohttp.ClientSession(base, headers=AS_KEEPER) as http):                # no fault of the line then
            assert await asyncio.gather(*(make(http, f"toy-{n}-of-many") for n in range(30))) == [201] * 30
    async with db.reading() as reading:
        assert await reading.one(WAITING) == 30
    await db.close()


@on_any
@pytest.mark.parametrize(("delay", "loss"), [(5.0, 0.0), (0.0, .3)])
async def test_another_service_on_a_slow_or_bad_line_is_answered_for_within_the_deadline(
        db: Database, delay: float, loss: float) -> None:
    db.context = "toys"
    box = ToyBox(db)
    async with (serving(app_of(box, db, 9)) as base,
                Line.to(port_of(base)) as line, aiohttp.ClientSession() as http):
        client = over_http(Toys, lambda: [through(line, base)], http)
        line.delay, line.loss = delay, loss

        async def one(n: int) -> bool:
            begun = monotonic()
            try:
                await client.make(keeper, NewToy(name=f"toy {n}", owner_id=new_id()))
            except Unavailable:
                return False
            finally:
                assert monotonic() - begun < DEADLINE + 1
            return True

        done = await asyncio.gather(*(one(n) for n in range(20)))
        assert not any(done) if delay else done.count(True) >= 10
        await asyncio.sleep(0 if delay else .5)
        made = [toy.name for toy in box.kept.values()]
        assert len(made) == len(set(made))
        assert {f"toy {n}" for n, well in enumerate(done) if well} <= set(made)

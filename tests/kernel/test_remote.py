"""Asking another process: over all its copies, within the deadline, and never twice what must not happen twice."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from infirmary.kernel import remote, request
from infirmary.kernel.access import ANY, ANYONE, NOBODY, Caller
from infirmary.kernel.binding import Routes
from infirmary.kernel.contract import Contract, Done, Download, Stream, Upload, get, post
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import NotFound, TooLarge, Unavailable
from infirmary.kernel.http import build_app
from infirmary.kernel.remote import DEADLINE, over_http
from tests.serving import serving

from .test_binding import authenticate, keeper
from .toy import NewToy, SignIn, ToyBox, Toys

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def bad(talk: Talk) -> AsyncIterator[SimpleNamespace]:
    """A server that reads each request and then does as `talk` does; `asked` counts."""
    state = SimpleNamespace(asked=0, url="")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            state.asked += 1
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()


async def cuts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up without an answer."""


async def freezes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()   # until the other side gives up


@pytest_asyncio.fixture
async def good(db: Database) -> AsyncIterator[SimpleNamespace]:
    db.context = "toys"
    box = ToyBox(db)
    async with serving(build_app(Routes(Toys, box, db, authenticate).handlers)) as base, aiohttp.ClientSession() as http:
        yield SimpleNamespace(box=box, base=base, http=http)


NOWHERE = "http://127.0.0.1:9"


async def test_a_copy_that_is_gone_costs_nobody_an_answer(good: SimpleNamespace) -> None:
    client = over_http(Toys, lambda: [NOWHERE, good.base], good.http)
    for n in range(10):
        await client.make(keeper, NewToy(name=f"toy {n}", owner_id=keeper.account_id))   # type: ignore[arg-type]
    assert len((await client.toys(keeper, limit=100)).items) == 10


@pytest.mark.parametrize("talk", [cuts, freezes])
async def test_a_copy_that_fails_costs_nobody_an_answer_and_nothing_happens_twice(good: SimpleNamespace, talk: Talk) -> None:
    async with bad(talk) as other:
        client = over_http(Toys, lambda: [other.url, good.base], good.http)
        begun = monotonic()
        for n in range(2):
            await client.make(keeper, NewToy(name=f"toy {n}", owner_id=keeper.account_id))   # type: ignore[arg-type]
        assert monotonic() - begun < 2 * DEADLINE
        assert len(good.box.kept) == 2
        assert other.asked


async def test_what_cannot_be_told_apart_is_sent_once(good: SimpleNamespace) -> None:
    async with bad(cuts) as first, bad(cuts) as second:
        client = over_http(Toys, lambda: [first.url, second.url], good.http)
        with pytest.raises(Unavailable):
            await client.sign_in(NOBODY, SignIn(name="somebody"))
        assert first.asked + second.asked == 1


async def test_who_stands_in_a_queue_of_the_service_is_waited_for(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(ToyBox):
        async def queue(self, *_: object, **__: object) -> Done:
            await asyncio.sleep(.6)
            return Done()

        async def sign_in(self, *_: object, **__: object) -> Done:
            return await self.queue()

    for name in ("DEADLINE", "PATIENCE"):
        monkeypatch.setattr(remote, name, .2)
    async with (serving(build_app(Routes(Toys, Busy(db), db, authenticate).handlers)) as base,
                aiohttp.ClientSession() as http):
        client = over_http(Toys, lambda: [base], http)
        assert await client.queue(keeper) == Done()
        with pytest.raises(Unavailable):
            await client.sign_in(NOBODY, SignIn(name="somebody"))


async def test_what_was_never_sent_may_be_sent_elsewhere(good: SimpleNamespace) -> None:
    client = over_http(Toys, lambda: [NOWHERE, good.base], good.http)
    for _ in range(6):
        assert await client.sign_in(NOBODY, SignIn(name="somebody")) == Done()


async def test_a_copy_that_keeps_failing_is_left_alone(good: SimpleNamespace) -> None:
    async with bad(cuts) as other:
        client = over_http(Toys, lambda: [other.url, good.base], good.http)
        for _ in range(40):
            await client.toys(keeper)
        assert other.asked <= 12   # five failures; the client library asks once more by itself


async def test_nobody_known_is_unavailable_at_once(good: SimpleNamespace) -> None:
    with pytest.raises(Unavailable):
        await over_http(Toys, list, good.http).toys(keeper)


class News(Contract, context="news"):
    @get("/news/{topic}", allow={ANYONE: ANY}, refuses=[NotFound], media="text/event-stream")
    async def news(self, caller: Caller, topic: str) -> Stream:
        """What happens."""


class Agency(News):
    async def news(self, caller: Caller, topic: str) -> Stream:
        if topic != "toys":
            raise NotFound

        async def told() -> AsyncIterator[bytes]:
            for n in range(3):
                yield f"data: {n}\n\n".encode()
                await asyncio.sleep(.05)

        return Stream(told())


async def test_a_stream_comes_as_it_happens_and_a_refusal_before_it(db: Database) -> None:
    async with serving(build_app(Routes(News, Agency(), db, authenticate).handlers)) as base, aiohttp.ClientSession() as http:
        client = over_http(News, lambda: [base], http)
        arrived = [(monotonic(), chunk) async for chunk in (await client.news(NOBODY, "toys")).chunks]
        assert b"".join(chunk for _, chunk in arrived) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert arrived[-1][0] - arrived[0][0] >= .08
        with pytest.raises(NotFound):
            await client.news(NOBODY, "nothing")


class Copies(Contract, context="copies"):
    @post("/copies", allow={ANYONE: ANY}, takes="text/csv", media="text/csv", refuses=[TooLarge])
    async def copy(self, caller: Caller, body: Upload, breaks_off: bool = False) -> Download:
        """The file, in capital letters."""


class Copier(Copies):
    async def copy(self, caller: Caller, body: Upload, breaks_off: bool = False) -> Download:
        taken = [chunk async for chunk in body.chunks]
        if sum(map(len, taken)) > 3_000_000:
            raise TooLarge

        async def copied() -> AsyncIterator[bytes]:
            for chunk in taken:
                yield chunk.upper()
                if breaks_off:
                    raise ConnectionError

        return Download("copy.csv", copied())


def a_file(pieces: int) -> Upload:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"a,b\n" * 5_000
    return Upload(chunks())


async def test_files_go_both_ways_in_pieces_and_half_of_one_is_no_file(db: Database) -> None:
    async with serving(build_app(Routes(Copies, Copier(), db, authenticate).handlers)) as base, aiohttp.ClientSession() as http:
        client = over_http(Copies, lambda: [base], http)
        download = await client.copy(NOBODY, a_file(100))   # twice as large as a JSON body may be
        assert download.name == "copy.csv"
        assert b"".join([chunk async for chunk in download.chunks]) == b"A,B\n" * 500_000
        with pytest.raises(TooLarge):
            await client.copy(NOBODY, a_file(200))
        broken = await client.copy(NOBODY, a_file(50), breaks_off=True)
        with pytest.raises(aiohttp.ClientError):
            _ = [chunk async for chunk in broken.chunks]
        async with http.post(base + "/api/v1/copies", data=b"a,b\n", headers={"Content-Type": "text/csv"}) as reply:
            assert (reply.status, reply.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        async with http.post(base + "/api/v1/copies", json={}) as reply:
            assert reply.status == 415


class Where(Contract, context="where"):
    @get("/where", allow={ANYONE: ANY})
    async def where(self, caller: Caller) -> str:
        """From where this was asked."""


class Doorman(Where):
    async def where(self, caller: Caller) -> str:
        return request.current.get().address


@pytest.mark.parametrize(("internal", "sent", "seen"), [
    (None, "203.0.113.7", "127.0.0.1"),
    (lambda _: True, "203.0.113.7", "203.0.113.7"),
    (lambda _: True, "198.51.100.1, 203.0.113.7", "203.0.113.7"),   # what came from outside stands before it
    (lambda _: True, "nonsense", "127.0.0.1"),
    (lambda _: True, "", "127.0.0.1")])
async def test_only_our_own_networks_say_whose_request_it_is(db: Database, internal: Any, sent: str, seen: str) -> None:
    app = build_app(Routes(Where, Doorman(), db, authenticate).handlers, internal=internal)
    async with serving(app) as base, aiohttp.ClientSession() as http:
        async with http.get(base + "/api/v1/where", headers={"X-Forwarded-For": sent} if sent else {}) as reply:
            assert await reply.json() == seen
        with request.changed(address=sent):
            assert await over_http(Where, lambda: [base], http).where(NOBODY) == seen

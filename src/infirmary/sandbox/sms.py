"""A gateway for text messages that delivers none: they are kept with the caught mails.

Its port stands in `<data>/sms/port` while it runs, which is where notifications looks when there is no `sms.url`.
"""
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import web

from infirmary.kernel.clock import Clock, SystemClock
from infirmary.kernel.database.columns import new_id
from infirmary.language import Channel

from .mail import Faults, Mail, MailCatcher, replace_file

LONGEST_TEXT = 2000   # characters
KEYS_KEPT = 1000


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As it is posted."""

    to: Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]   # E.164
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_TEXT)]


class SmsCatcher:
    """`folder` is where the port is written: `sms` in the hospital's data folder. `mails` keeps what comes."""

    def __init__(self, folder: Path, mails: MailCatcher, *, clock: Clock | None = None) -> None:
        self.faults = Faults()
        self.port = 0
        self.asked: list[web.Request] = []   # the latest, for tests to look at
        self._folder, self._mails, self._clock = folder, mails, clock or SystemClock()
        self._keys: dict[str, bytes] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """On a free port of this machine."""
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._folder / "port", str(self.port).encode())

    async def stop(self) -> None:
        """What was not acknowledged is theirs to send again."""
        if self._runner is None:
            return
        (self._folder / "port").unlink(missing_ok=True)
        await self._runner.cleanup()
        self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        self.asked = [*self.asked[-9:], request]
        raw = await request.read()
        if self.faults.drop:
            return _cut(request)
        if self.faults.delay:
            await asyncio.sleep(self.faults.delay)
        if self.faults.refuse:
            return web.Response(status=self.faults.refuse)
        try:
            text = msgspec.json.decode(raw, type=Text)
        except msgspec.DecodeError:   # a ValidationError is one, too
            return web.Response(status=422)
        self._keep(text, raw, request.headers.get("Idempotency-Key", ""))
        return _cut(request) if self.faults.lost else web.Response(status=202)

    def _keep(self, text: Text, raw: bytes, key: str) -> None:
        if key and self._keys.get(key) == raw:
            return
        self._keys[key] = raw
        if len(self._keys) > KEYS_KEPT:
            self._keys.pop(next(iter(self._keys)))
        self._mails.keep(Mail(id=new_id(), at=self._clock.now(), sender="", to=[text.to], subject="", text=text.text,
                              html="", raw=raw, channel=Channel.SMS))


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()

"""Messages as text messages, POSTed to a gateway. One that is sent again carries the same Idempotency-Key."""
from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp

from infirmary.contexts.notifications import domain
from infirmary.contexts.notifications.domain import sms
from infirmary.contexts.notifications.tables import DeliveryRow
from infirmary.kernel.context import Kit
from infirmary.settings import Settings

from .outside import port_in, secret_in

TRY_SECONDS = 30.0   # for one message; well within domain.LEASE
MAY_PASS = (401, 403, 404, 408, 409, 425, 429)   # refusals of another kind than "this message, never": the operator mends them


class GatewayRefused(Exception):
    """The gateway answered, and did not take the message."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BySms:
    def __init__(self, kit: Kit, secret: Callable[[DeliveryRow], Awaitable[str]]) -> None:
        self._settings: Settings = kit.settings
        self._secret = secret
        self._catcher = kit.data / "sms" / "port"

    def ready(self) -> bool:
        return self._url() is not None

    def _url(self) -> str | None:
        """None: there are no text messages, or the catcher is not up yet."""
        if self._settings.sms.url or not self._settings.texts:
            return self._settings.sms.url or None
        port = port_in(self._catcher)
        return f"http://127.0.0.1:{port}/" if port else None

    async def post(self, row: DeliveryRow) -> None:
        token = secret_in(self._settings.sms.token_file)
        headers = {"Idempotency-Key": str(row.id), **({"Authorization": f"Bearer {token}"} if token else {})}
        message = {"to": row.address, "text": await self._written(row)}
        # Nobody is followed elsewhere, and certificates are checked, as aiohttp does unless told otherwise.
        async with (aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TRY_SECONDS), cookie_jar=aiohttp.DummyCookieJar()) as http,
                    http.post(self._url() or "", json=message, headers=headers, allow_redirects=False) as reply):
            if not reply.ok or reply.status >= 300:
                raise GatewayRefused(reply.status)

    async def _written(self, row: DeliveryRow) -> str:
        hospital, url = self._settings.hospital.name, self._settings.public_url
        if row.kind == domain.CODE:
            return sms.with_code(await self._secret(row), hospital=hospital, url=url)
        return sms.about(row.title, hospital=hospital, url=url)

    def class_of(self, error: Exception) -> str:
        status = error.status if isinstance(error, GatewayRefused) else ""
        return f"{type(error).__name__} {status}".strip()

    def is_final(self, error: Exception) -> bool:
        """It is the message that the gateway refuses: no such number, one that wants none."""
        return isinstance(error, GatewayRefused) and 400 <= error.status < 500 and error.status not in MAY_PASS

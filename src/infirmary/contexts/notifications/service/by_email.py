"""Messages as e-mail, given to a mail server. One that is sent again carries the same Message-ID, by which many mailboxes
show it once."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from urllib.parse import urlsplit

import aiosmtplib

from infirmary.contexts.notifications import domain
from infirmary.contexts.notifications.tables import DeliveryRow
from infirmary.kernel.context import Kit
from infirmary.settings import Settings

from .outside import port_in, secret_in

TRY_SECONDS = 30.0   # for one mail; well within domain.LEASE
GOODBYE_SECONDS = 2.0


class ByEmail:
    def __init__(self, kit: Kit, secret: Callable[[DeliveryRow], Awaitable[str]]) -> None:
        self._settings: Settings = kit.settings
        self._clock, self._secret = kit.clock, secret
        self._catcher = kit.data / "mail" / "port"
        hospital, mail = self._settings.hospital, self._settings.mail
        self._head = domain.Letterhead(hospital.name, hospital.address, hospital.phone, hospital.emergency, mail.sender)

    def ready(self) -> bool:
        return self._port() is not None

    def _port(self) -> int | None:
        """None: the catcher is not up yet."""
        return self._settings.mail.port or port_in(self._catcher)

    async def post(self, row: DeliveryRow) -> None:
        mail = self._settings.mail
        server = aiosmtplib.SMTP(
            hostname=mail.host, port=self._port(), start_tls=mail.starttls, timeout=TRY_SECONDS,
            username=mail.username or None, password=secret_in(mail.password_file),
            local_hostname=urlsplit(self._settings.public_url).hostname)   # else it asks the DNS who we are
        try:
            async with asyncio.timeout(TRY_SECONDS):
                message = await self._written(row)
                await server.connect()
                await server.send_message(message)
            # Taken. A goodbye that fails must not look as if the mail had: it would be sent again.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await server.quit()
        finally:
            server.close()

    async def _written(self, row: DeliveryRow) -> EmailMessage:
        url = self._settings.public_url.rstrip("/") + row.link if row.link else await self._secret(row)
        code = url if row.kind == domain.CODE else ""
        return domain.email(
            domain.Letter(row.title, row.body, row.label, code), to=row.address, url=url, head=self._head,
            message_id=f"<{row.id}@{self._head.sender.rpartition('@')[2]}>", at=self._clock.now())

    def class_of(self, error: Exception) -> str:
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            error = error.recipients[0]
        code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else ""
        return f"{type(error).__name__} {code}".strip()

    def is_final(self, error: Exception) -> bool:
        """No such mailbox, or an address that is none."""
        match error:
            case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
                return all(one.code >= 500 for one in refused)
            case aiosmtplib.SMTPDataError(code=code):
                return code >= 500
        return isinstance(error, ValueError)

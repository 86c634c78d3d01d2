"""Takes pending e-mails to the mail server. Any number of processes may do this at once: a claim by compare-and-set
decides who sends which.

A mail leaves at least once, and twice only when a process dies between the server's "OK" and our note of it. It then
carries the same Message-ID, by which many mailboxes show it once.
"""
from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import aiosmtplib
import structlog

from infirmary.contexts.notifications import domain, tables
from infirmary.contexts.notifications.tables import DeliveryRow
from infirmary.kernel.context import Kit
from infirmary.kernel.errors import Refusal
from infirmary.settings import Settings

log = structlog.get_logger()
LOOKS_EVERY = 3.0    # seconds, when nobody wakes it: for retries, and for what other processes left
TRY_SECONDS = 30.0   # for one mail; well within domain.LEASE
GOODBYE_SECONDS = 2.0
AT_ONCE = 8
BATCH = 100
GRACE = 5.0          # seconds for mails that are under way when the process is told to stop


class Sender:
    """`secret` asks for what a message does not keep: the link of one that has none, or a code."""

    def __init__(self, kit: Kit, secret: Callable[[DeliveryRow], Awaitable[str]]) -> None:
        self._settings: Settings = kit.settings
        self._db, self._clock, self._secret = kit.db, kit.clock, secret
        self._catcher = kit.data / "mail" / "port"
        self._fresh = asyncio.Event()
        self._fresh.set()   # whatever the last process left
        hospital, mail = self._settings.hospital, self._settings.mail
        self._head = domain.Letterhead(hospital.name, hospital.address, hospital.phone, hospital.emergency, mail.sender)

    def wake(self) -> None:
        """There is something new to send."""
        self._fresh.set()

    async def work(self) -> None:
        """Wait until there may be something, then send it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_EVERY):
                await self._fresh.wait()
        self._fresh.clear()
        await self.send_due()

    async def send_due(self) -> int:
        """Try all that are due; answers how many left the house."""
        sent = 0
        while self._port() is not None and (due := await self._due()):
            sent += await self._side_by_side(deque(due))
        return sent

    async def _due(self) -> list[DeliveryRow]:
        async with self._db.reading() as reading:
            return await reading.all(tables.DUE, now=self._clock.now(), limit=BATCH)

    async def _side_by_side(self, waiting: deque[DeliveryRow]) -> int:
        async def one_after_the_other() -> int:
            sent = 0
            while waiting:
                sent += await self._deliver(waiting.popleft())
            return sent

        workers = [asyncio.create_task(one_after_the_other()) for _ in range(min(AT_ONCE, len(waiting)))]
        try:
            await asyncio.wait(workers)
        except asyncio.CancelledError:   # told to stop: a mail that is cut off now would be sent again
            waiting.clear()
            _, late = await asyncio.wait(workers, timeout=GRACE)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        return sum(await asyncio.gather(*workers))

    async def _deliver(self, row: DeliveryRow) -> bool:
        attempt = row.attempts + 1
        if not await self._db.retry(self._claim, row, attempt):
            return False
        try:
            await self._post(row)
        except Exception as error:   # noqa: BLE001 – whatever it was, the message stays and is tried again
            await self._db.retry(self._note_failure, row, attempt, error)
            return False
        await self._db.retry(self._note_sent, row)
        return True

    async def _claim(self, row: DeliveryRow, attempt: int) -> bool:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            return await tx.run(tables.CLAIM, key=row.id, seen=row.attempts, attempt=attempt, now=now,
                                until=now + domain.LEASE) == 1

    async def _note_sent(self, row: DeliveryRow) -> None:
        async with self._db.transaction() as tx:
            await tx.run(tables.SENT, key=row.id, now=self._clock.now())

    async def _note_failure(self, row: DeliveryRow, attempt: int, error: Exception) -> None:
        why = _class_of(error)
        then = None if _is_final(error) else domain.next_try(attempt, now=self._clock.now())
        async with self._db.transaction() as tx:
            if then is None:
                await tx.run(tables.FAIL, key=row.id, attempt=attempt, why=why)
            else:
                await tx.run(tables.POSTPONE, key=row.id, attempt=attempt, then=then, why=why)
        say = log.error if then is None else log.warning
        say("mail_given_up" if then is None else "mail_not_sent", delivery=str(row.id), kind=row.kind, attempt=attempt,
            error=why)

    async def _post(self, row: DeliveryRow) -> None:
        """Returns when the mail server has taken it."""
        mail = self._settings.mail
        server = aiosmtplib.SMTP(
            hostname=mail.host, port=self._port(), start_tls=mail.starttls, timeout=TRY_SECONDS,
            username=mail.username or None, password=_password(mail.password_file),
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
        code = url if row.kind == domain.SIGN_IN_CODE else ""
        return domain.email(
            domain.Letter(row.title, row.body, row.label, code), to=row.address, url=url, head=self._head,
            message_id=f"<{row.id}@{self._head.sender.rpartition('@')[2]}>", at=self._clock.now())

    def _port(self) -> int | None:
        """None: the catcher is not up yet, so nothing is tried, and no try is used up."""
        if self._settings.mail.port:
            return self._settings.mail.port
        try:
            return int(self._catcher.read_text())
        except (FileNotFoundError, ValueError):
            return None


def _password(file: str) -> str | None:
    return Path(file).read_text().strip() if file else None   # at each mail: it may be changed without a restart


def _class_of(error: Exception) -> str:
    """What went wrong, without its text: servers repeat the address in it."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else ""
    return f"{type(error).__name__} {code}".strip()[:80]


def _is_final(error: Exception) -> bool:
    """Whether it would fail again: no such mailbox, an address that is none, a link that is too old."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return all(one.code >= 500 for one in refused)
        case aiosmtplib.SMTPDataError(code=code):
            return code >= 500
        case Refusal(status=status):
            return status in (404, 410, 422)
    return isinstance(error, ValueError)

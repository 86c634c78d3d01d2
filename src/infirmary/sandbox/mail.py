"""A mail server that delivers nothing: it keeps what it is given, for people to read and for tests to count. Text messages
are kept with the mails (`sandbox.sms`).

Its port stands in `<data>/mail/port` while it runs, which is where notifications looks when `mail.port` is 0.
"""
from __future__ import annotations

import asyncio
import email
import email.policy
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import cast
from uuid import UUID

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

from infirmary.kernel.clock import Clock, SystemClock
from infirmary.kernel.database.columns import new_id
from infirmary.language import Channel

KEPT = 1000   # mails; the oldest go first
SIZE_LIMIT = 10 << 20   # bytes


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, or a text message, as it was caught; `raw` is all of it."""

    id: UUID
    at: datetime
    sender: str
    to: list[str]
    subject: str
    text: str
    html: str
    raw: bytes
    channel: Channel = Channel.EMAIL


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, from now on. `refuse`: the SMTP code that every recipient is answered with, or the HTTP status of a
    text message. `delay`: seconds before one is taken. `drop`: the connection is cut instead of taking it; `lost`: after a
    text message was taken, and before that is said."""

    refuse: int = 0
    delay: float = 0
    drop: bool = False
    lost: bool = False


class MailCatcher:
    """`folder` is where the mails and the port are kept: `mail` in the hospital's data folder."""

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self.faults = Faults()
        self.port = 0
        self._folder, self._clock = folder, clock or SystemClock()
        self._mails: OrderedDict[UUID, Mail] = OrderedDict()
        self._server: asyncio.Server | None = None
        self._sessions: set[SMTP] = set()

    async def start(self) -> None:
        """On a free port of this machine, with the mails of the last time."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)   # mails hold links that open accounts
        self._mails = _latest(_read(self._kept))
        replace_file(self._kept, b"".join(map(_line, self._mails.values())))   # what came after KEPT is forgotten here
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        replace_file(self._folder / "port", str(self.port).encode())

    async def stop(self) -> None:
        """Cuts whoever is still talking: what was not acknowledged is theirs to send again."""
        if self._server is None:
            return
        (self._folder / "port").unlink(missing_ok=True)
        self._server.close()
        for session in self._sessions:
            _cut(session)
        await self._server.wait_closed()
        await asyncio.sleep(0)   # the sessions' tasks end here, not after the loop has gone
        self._server = None

    def mails(self, limit: int = 50) -> list[Mail]:
        """The latest first."""
        newest = reversed(self._mails.values())
        return [mail for mail, _ in zip(newest, range(limit), strict=False)]

    def mail(self, mail_id: UUID) -> Mail | None:
        return self._mails.get(mail_id)

    @property
    def _kept(self) -> Path:
        return self._folder / "mails.jsonl"

    def _session(self) -> SMTP:
        self._sessions = {session for session in self._sessions if session.transport is not None}
        session = SMTP(self, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=SIZE_LIMIT,
                       loop=asyncio.get_running_loop())
        self._sessions.add(session)
        return session

    # What aiosmtpd calls; the names are its own.

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope,   # noqa: N802
                          address: str, options: list[str]) -> str:
        if self.faults.refuse:
            return f"{self.faults.refuse} Refused, because the fault switch says so"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:   # noqa: N802
        if self.faults.drop:
            _cut(server)
            await asyncio.get_running_loop().create_future()   # the lost connection cancels this
        if self.faults.delay:
            await asyncio.sleep(self.faults.delay)
        self._keep(envelope)
        return "250 OK"

    def _keep(self, envelope: Envelope) -> None:
        raw = cast("bytes", envelope.content)   # text only where aiosmtpd is asked to decode
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        self.keep(Mail(id=new_id(), at=self._clock.now(), sender=envelope.mail_from or "", to=list(envelope.rcpt_tos),
                       subject=str(parsed["subject"] or ""), text=_part(parsed, "plain"), html=_part(parsed, "html"), raw=raw))

    def keep(self, mail: Mail) -> None:
        """One more, which is the latest from now on."""
        with self._kept.open("ab") as out:
            out.write(_line(mail))
        self._mails[mail.id] = mail
        if len(self._mails) > KEPT:
            self._mails.popitem(last=False)


class CaughtMail:
    """The mails that a catcher in another process has kept, as its file says now."""

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "mails.jsonl"
        self._seen, self._mails = -1, OrderedDict[UUID, Mail]()

    def mails(self, limit: int = 50) -> list[Mail]:
        """The latest first."""
        return list(reversed(self._now().values()))[:limit]

    def mail(self, mail_id: UUID) -> Mail | None:
        return self._now().get(mail_id)

    def _now(self) -> OrderedDict[UUID, Mail]:
        size = self._kept.stat().st_size if self._kept.exists() else 0
        if size != self._seen:
            self._mails, self._seen = _latest(_read(self._kept)), size
        return self._mails


def _cut(session: SMTP) -> None:
    if session.transport is not None:
        cast("asyncio.WriteTransport", session.transport).abort()


def _part(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    return str(part.get_content()) if part is not None else ""


def _line(mail: Mail) -> bytes:
    return msgspec.json.encode(mail) + b"\n"


def _read(kept: Path) -> Iterable[Mail]:
    for line in kept.read_bytes().splitlines() if kept.exists() else ():
        try:
            yield msgspec.json.decode(line, type=Mail)
        except msgspec.DecodeError:   # the last line of a process that was killed while it wrote
            continue


def _latest(mails: Iterable[Mail]) -> OrderedDict[UUID, Mail]:
    every = list(mails)
    return OrderedDict((mail.id, mail) for mail in every[-KEPT:])


def replace_file(file: Path, content: bytes) -> None:
    """Whole or not at all: others read it at any time."""
    draft = file.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(file)

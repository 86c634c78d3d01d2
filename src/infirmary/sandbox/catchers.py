"""Everything that would leave the house, caught: e-mail and text messages."""
from __future__ import annotations

from pathlib import Path

from .mail import MailCatcher
from .sms import SmsCatcher


class Catchers:
    """`data` is the hospital's data folder."""

    def __init__(self, data: Path) -> None:
        self.mail = MailCatcher(data / "mail")
        self.sms = SmsCatcher(data / "sms", self.mail)

    async def start(self) -> None:
        await self.mail.start()
        await self.sms.start()

    async def stop(self) -> None:
        await self.sms.stop()
        await self.mail.stop()

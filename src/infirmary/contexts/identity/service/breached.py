"""Passwords that have been published, looked up in a list that the operator supplies; nothing is asked of anybody else."""
from __future__ import annotations

import asyncio
import hashlib
import mmap
import re
from pathlib import Path

from infirmary.contexts.identity.contract import WeakPassword
from infirmary.contexts.identity.domain import normal
from infirmary.kernel.errors import FieldError

_LINE = re.compile(rb"[0-9A-F]{40}(:[0-9]+)?\r?\n")
HEX = 40


class Breached:
    """A text file, one `SHA1:COUNT` a line in ascending order, as Have I Been Pwned's downloader writes it. It is mapped,
    not read: some thirty pages of it for one question, however long it is."""

    def __init__(self, file: Path | None) -> None:
        """Without a file every password is unknown. Refuses (ValueError) a file of another kind: better no start than
        one whose check finds nothing."""
        self._list: mmap.mmap | bytes = b""
        if file is not None:
            with file.open("rb") as opened:
                if not _LINE.match(opened.read(100)):
                    raise ValueError(f"{file} is no list of SHA-1 digests in capitals, one a line")
                self._list = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    async def refuse(self, password: str, field: str) -> None:
        """Refuses a password that stands in the list."""
        published = await asyncio.to_thread(self._holds, password)
        if published:
            raise WeakPassword("This password has been published in a breach somewhere, so it is tried first. "
                               "Choose another one, here and wherever else you use it.",
                               errors=[FieldError(field, "Use a password that you have used nowhere else.")])

    def _holds(self, password: str) -> bool:
        wanted = hashlib.sha1(normal(password).encode(), usedforsecurity=False).hexdigest().upper().encode()
        low, high = 0, len(self._list)   # offsets; the line that is looked for begins between them
        while low < high:
            middle = (low + high) // 2
            begins = self._list.rfind(b"\n", low, middle) + 1 or low
            digest = self._list[begins:begins + HEX]
            if digest == wanted:
                return True
            if digest < wanted:
                low = self._list.find(b"\n", begins, high) + 1 or high
            else:
                high = begins
        return False

"""The inbox as it changes, for pages that are open: server-sent events."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from uuid import UUID

import msgspec

from infirmary.contexts.notifications import tables
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.errors import DatabaseError

LOOKS_EVERY = 3.0   # seconds, for what other processes wrote
HEARTBEAT = 15.0    # seconds of silence; proxies close what says nothing
LASTS = 600.0       # seconds; then browsers come again, with a token that is still good


class Seen(msgspec.Struct, frozen=True):
    unread: int
    newest: UUID | None
    title: str


class Live:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._listening: dict[UUID, set[asyncio.Event]] = {}

    def wake(self, accounts: Iterable[UUID]) -> None:
        """These inboxes have just changed."""
        for account in accounts:
            for woken in self._listening.get(account, ()):
                woken.set()

    async def events(self, account_id: UUID) -> AsyncIterator[bytes]:
        """First `unread`; then `notification` when there is a new one, `unread` when some were read elsewhere."""
        woken = asyncio.Event()
        self._listening.setdefault(account_id, set()).add(woken)
        try:
            async for chunk in self._changes(account_id, woken):
                yield chunk
        except DatabaseError:   # it comes back, and so do browsers
            return
        finally:
            self._listening[account_id].discard(woken)
            if not self._listening[account_id]:
                del self._listening[account_id]

    async def _changes(self, account_id: UUID, woken: asyncio.Event) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        until, silent_since = now() + LASTS, now()
        seen = await self._look(account_id)
        yield _event("unread", {"unread": seen.unread})
        while now() < until:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_EVERY):
                    await woken.wait()
            woken.clear()   # before looking: what is written meanwhile is seen the next time
            before, seen = seen, await self._look(account_id)
            if seen.newest != before.newest or seen.unread > before.unread:
                yield _event("notification", {"unread": seen.unread, "title": seen.title})
            elif seen.unread != before.unread:
                yield _event("unread", {"unread": seen.unread})
            elif now() < silent_since + HEARTBEAT:
                continue
            else:
                yield b": still here\n\n"
            silent_since = now()

    async def _look(self, account_id: UUID) -> Seen:
        async with self._db.reading() as reading:
            unread = await reading.one(tables.UNREAD, account_id=account_id)
            newest = await reading.one(tables.NEWEST, account_id=account_id)
        return Seen(unread or 0, newest.id if newest else None, newest.title if newest else "")


def _event(name: str, data: dict[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"

"""The inbox as it changes, for pages that are open."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from uuid import UUID

import msgspec

from infirmary.contexts.notifications import tables
from infirmary.kernel import stream
from infirmary.kernel.database.db import Database


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
            async for chunk in stream.changes(lambda: self._look(account_id), _told, woken):
                yield chunk
        finally:
            self._listening[account_id].discard(woken)
            if not self._listening[account_id]:
                del self._listening[account_id]

    async def _look(self, account_id: UUID) -> Seen:
        async with self._db.reading() as reading:
            unread = await reading.one(tables.UNREAD, account_id=account_id)
            newest = await reading.one(tables.NEWEST, account_id=account_id)
        return Seen(unread or 0, newest.id if newest else None, newest.title if newest else "")


def _told(before: Seen | None, seen: Seen) -> bytes:
    if before is not None and (seen.newest != before.newest or seen.unread > before.unread):
        return stream.event("notification", {"unread": seen.unread, "title": seen.title})
    if before is None or seen.unread != before.unread:
        return stream.event("unread", {"unread": seen.unread})
    return b""

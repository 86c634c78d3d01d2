"""What those see who hold a link: a patient their place, a screen on the wall its numbers. Never a name."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import queue as contract
from infirmary.contexts.appointments.contract.queue import Link, NotInThisPlace, OpenDisplay, OpenedDisplay, TokenStatus
from infirmary.contexts.appointments.domain import queue
from infirmary.contexts.appointments.domain.queue import Line, Token
from infirmary.contexts.appointments.tables import queue as rows
from infirmary.contexts.appointments.tables.queue import DisplayRow
from infirmary.kernel import stream
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest, new_secret
from infirmary.kernel.contract import Done, Stream
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound

from .base import there
from .lines import Lines

NEXT = 8   # numbers to come that a screen shows


class Seen(NamedTuple):
    """Of which queue, and how often that has changed; None once the link is good no more."""

    line_id: UUID | None
    version: int


class Places(Lines):
    async def link(self, caller: Caller, token_id: UUID) -> Link:
        return await self.db.retry(self._link, caller, token_id)

    async def _link(self, caller: Caller, token_id: UUID) -> Link:
        async with self.db.transaction() as tx:
            token = there(await rows.TOKENS.get(tx, token_id))
            if not await rows.locked(tx, token.line_id) or token.open_about is None:
                raise NotInThisPlace("This number is called no more, so there is no place to look at.")
            secret = new_secret()
            kept = await rows.TOKENS.save(tx, replace(there(await rows.TOKENS.get(tx, token_id)), link=digest(secret)))
            tx.audit("queue.linked", caller, subject_id=kept.patient_id, entity=f"token/{kept.id}")
            return tx.answer(Link(secret), secret=True)

    async def my_place(self, caller: Caller, secret: str) -> contract.MyPlace:
        token, line = await self._by_link(secret)
        return queue.my_place(token, line, now=self.clock.now())

    async def my_place_stream(self, caller: Caller, secret: str) -> Stream:
        await self._by_link(secret)

        async def look() -> Seen:
            try:
                _, line = await self._by_link(secret)
            except NotFound:
                return Seen(None, 0)
            return Seen(line.id, line.version)

        return Stream(self._changes(look))

    async def _by_link(self, secret: str) -> tuple[Token, Line]:
        async with self.db.reading() as reading:
            found = await reading.one(rows.BY_LINK, link=digest(secret))
            token = there(found)
            if not queue.link_is_good(token, self.clock.now()):
                raise NotFound
            return token, there(await rows.LINES.get(reading, token.line_id))

    # --- Screens on the wall ------------------------------------------------------------------------------------------

    async def open_display(self, caller: Caller, body: OpenDisplay) -> OpenedDisplay:
        async with self.db.reading() as reading:
            doctors = await reading.all(tables.ACTIVE_IN, department_id=body.department_id)
        if not doctors:
            raise NotFound
        secret = new_secret()
        row = DisplayRow(new_id(), body.department_id, doctors[0].department_name, body.name.strip(), self.clock.now(),
                         digest(secret))
        async with self.db.transaction() as tx:
            rows.DISPLAYS.add(tx, row)
            tx.audit("queue.display_opened", caller, entity=f"display/{row.id}")
            return tx.answer(OpenedDisplay(display=_shown(row), secret=secret), secret=True)

    async def displays(self, caller: Caller) -> list[contract.Display]:
        async with self.db.reading() as reading:
            return [_shown(one) for one in await reading.all(rows.ALL_DISPLAYS)]

    async def close_display(self, caller: Caller, display_id: UUID) -> Done:
        async with self.db.transaction() as tx:
            if not await tx.run(rows.CLOSE_DISPLAY, key=display_id):
                raise NotFound
            tx.audit("queue.display_closed", caller, entity=f"display/{display_id}")
        self.wake()
        return Done()

    async def board(self, caller: Caller, secret: str) -> contract.Board:
        display, line = await self._screen(secret)
        tokens: list[Token] = []
        if line is not None:
            async with self.db.reading() as reading:
                tokens = await reading.all(rows.IN_LINE_OF, line_id=line.id)
        waiting = sorted((one for one in tokens if one.status is TokenStatus.WAITING), key=lambda one: one.order)
        called = [contract.Called(number=one.number, room=one.room, called_at=one.called_at, calls=one.calls)
                  for one in tokens if one.called_at is not None and one.status is TokenStatus.CALLED]
        return contract.Board(
            department_name=display.department_name, next=[one.number for one in waiting[:NEXT]], waiting=len(waiting),
            called=sorted(called, key=lambda one: one.called_at, reverse=True), version=line.version if line else 0)

    async def board_stream(self, caller: Caller, secret: str) -> Stream:
        await self._screen(secret)

        async def look() -> Seen:
            try:
                display, line = await self._screen(secret)
            except NotFound:
                return Seen(None, 0)
            return Seen(self.line_today(display.department_id), line.version if line else 0)

        return Stream(self._changes(look))

    async def _screen(self, secret: str) -> tuple[DisplayRow, Line | None]:
        async with self.db.reading() as reading:
            found = await reading.one(rows.DISPLAY_BY_LINK, link=digest(secret))
            display = there(found)
            return display, await rows.LINES.get(reading, self.line_today(display.department_id))

    async def _changes(self, look: Callable[[], Awaitable[Seen]]) -> AsyncIterator[bytes]:
        woken = asyncio.Event()
        self.watching.add(woken)
        try:
            async for chunk in stream.changes(look, _tell, woken):
                yield chunk
        finally:
            self.watching.discard(woken)


def _tell(before: Seen | None, seen: Seen) -> bytes:
    return b"" if seen == before else stream.event("queue", {"version": seen.version})


def _shown(row: DisplayRow) -> contract.Display:
    return contract.Display(id=row.id, department_id=row.department_id, department_name=row.department_name, name=row.name,
                            created_at=row.created_at)

"""Places in line and held times of people whose records are made one, and two again."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract.queue import Delay, TokenStatus
from infirmary.contexts.appointments.contract.waitlist import Standing
from infirmary.contexts.appointments.domain import queue, waitlist
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.queue import Token
from infirmary.contexts.appointments.domain.waitlist import Place
from infirmary.contexts.appointments.tables import merging as rows
from infirmary.contexts.appointments.tables.moved import MOVED_PLACES, MovedPlace
from infirmary.contexts.appointments.tables.queue import IN_LINE_ABOUT, TOKENS, locked
from infirmary.contexts.appointments.tables.waitlist import OPEN_PLACE, PLACES
from infirmary.kernel.database.db import Reading
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.database.statement import Query
from infirmary.kernel.errors import StaleVersion
from infirmary.language import service

from .lines import Lines
from .waitlist import give_back

ME = service("appointments")
BATCH = 200   # things looked at together
Move = Callable[[tables.Due, str], Awaitable[None]]


class Following(Lines):
    """Where a person has two places for the same, one stands for both: what is offered or called, else the earlier. The
    other waits again when the two are not of one person any more."""

    async def places_follow(self, closed: list[UUID]) -> bool:
        """Whether there may be more to do: all of a full batch has moved."""
        kinds: list[tuple[rows.Following, Move]] = [
            (rows.HOLDS, self._hold_follows), (rows.PLACES, self._place_follows), (rows.TOKENS, self._token_follows)]
        return any([await self._kind_follows(due, move, closed) for due, move in kinds])

    async def _kind_follows(self, asked: rows.Following, move: Move, closed: list[UUID]) -> bool:
        more = False
        # In this order: who stands by themself again does so before it is seen whom they stood for.
        questions: list[tuple[Query[tables.Due], dict[str, Any]]] = [
            (asked.to_give_back, {}), (asked.to_stand, {}), *([(asked.to_move, {"closed": closed})] if closed else [])]
        for query, given in questions:
            async with self.db.reading() as reading:
                due = await reading.all(query, limit=BATCH, **given)
            moved = [await self._followed(move, one) for one in due]
            more = more or (len(due) == BATCH and all(moved))
        return more

    async def _followed(self, move: Move, due: tables.Due) -> bool:
        name = (await self.patients.card(ME, due.patient_id)).name
        try:
            await self.db.retry(move, due, name)
        except (StaleVersion, UniqueViolation):   # changed just now, or in the way of something: next time
            return False
        return True

    async def _hold_follows(self, due: tables.Due, _: str) -> None:
        """A person has one hold: a second stays behind and lapses within minutes."""
        async with self.db.transaction() as tx:
            kept = await tables.holds.HOLDS.get(tx, due.id)
            if kept is None:
                return
            moved = await _moved_place(tx, kept)
            if not await rows.hand_over_hold(tx, kept, due.patient_id):
                raise StaleVersion
            await rows.note(tx, moved, due.patient_id)

    # --- The waitlist -------------------------------------------------------------------------------------------------

    async def _place_follows(self, due: tables.Due, name: str) -> None:
        try:
            await self._hand_over_place(due, name, with_offer=True)
        except UniqueViolation as no:
            if no.on != tables.taken.occupancy.name:
                raise
            await self._hand_over_place(due, name, with_offer=False)   # the person is not free then, as is known now

    async def _hand_over_place(self, due: tables.Due, name: str, *, with_offer: bool) -> None:
        async with self.db.transaction() as tx:
            before = await PLACES.get(tx, due.id)
            if before is None:
                return
            moved = await _moved_place(tx, before)
            place = waitlist.of_record(before, due.patient_id, name, now=self.clock.now())
            if place.status is Standing.MERGED and not _stood_for(place, await PLACES.get(tx, moved.for_id)):
                place, moved = waitlist.waits_again(place), replace(moved, for_id=None)
            elif place.status is Standing.OFFERED and not with_offer:
                place = waitlist.waits_again(place)
            other = await tx.one(OPEN_PLACE, patient_id=place.patient_id, open_about=place.open_about)
            if other is not None and other.id != place.id:
                if waitlist.comes_first(other) < waitlist.comes_first(place):
                    place, moved = self._gives_way(place), replace(moved, for_id=other.id)
                else:
                    await PLACES.save(tx, self._gives_way(other))
                    await give_back(tx, other)
                    await rows.note(tx, replace(await _moved_place(tx, other), for_id=place.id), other.patient_id)
            kept = await PLACES.save(tx, place)
            if place.status is not Standing.OFFERED:
                await give_back(tx, place)
            elif hold := await tx.one(tables.holds.HELD_FOR, holder_id=place.id):
                await rows.hand_over_hold(tx, hold, place.patient_id)
            await rows.note(tx, moved, place.patient_id)
            tx.audit("waitlist.handed_over", ME, subject_id=kept.patient_id, entity=f"waiting/{kept.id}", status=kept.status)
        self.freed.set()   # perhaps an offer was given back, or somebody waits again

    def _gives_way(self, place: Place) -> Place:
        return waitlist.over(place, Standing.MERGED, now=self.clock.now())

    # --- Queues -------------------------------------------------------------------------------------------------------

    async def _token_follows(self, due: tables.Due, name: str) -> None:
        async with self.db.transaction() as tx:
            found = await TOKENS.get(tx, due.id)
            line = found and await locked(tx, found.line_id)
            before = await TOKENS.get(tx, due.id)   # as it is now that nobody else changes it
            if before is None:
                return
            moved, cause = await _moved_place(tx, before), None
            token = queue.of_record(before, due.patient_id, name)
            if token.status is TokenStatus.MERGED and not _stood_for(token, await TOKENS.get(tx, moved.for_id)):
                moved = replace(moved, for_id=None)
                if line:
                    token, cause = queue.waits_again(token), Delay.REORDERED
            other = await tx.one(IN_LINE_ABOUT, line_id=token.line_id, open_about=token.open_about)
            if other is not None and other.id != token.id:
                if queue.comes_first(other) < queue.comes_first(token):
                    token, moved = self._counts_no_more(token), replace(moved, for_id=other.id)
                else:
                    await TOKENS.save(tx, self._counts_no_more(other))
                    await rows.note(tx, replace(await _moved_place(tx, other), for_id=token.id), other.patient_id)
            kept = await TOKENS.save(tx, token)
            await rows.note(tx, moved, token.patient_id)
            tx.audit("queue.handed_over", ME, subject_id=kept.patient_id, entity=f"token/{kept.id}", status=kept.status)
            if line:
                await self.tell(tx, line, cause)
        self.wake()

    def _counts_no_more(self, token: Token) -> Token:
        if token.status is TokenStatus.CALLED:   # both are: two doctors see this person just now
            raise StaleVersion
        return queue.over(token, TokenStatus.MERGED, now=self.clock.now())


async def _moved_place(reading: Reading, thing: Place | Token | Hold) -> MovedPlace:
    return await MOVED_PLACES.get(reading, thing.id) or MovedPlace(thing.id, thing.patient_id, None)


def _stood_for(mine: Place | Token, other: Place | Token | None) -> bool:
    return other is not None and other.patient_id == mine.patient_id

"""The room of a video visit: entering it, watching it, and telling the other's browser something."""
from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import Appointment, Status
from infirmary.contexts.appointments.contract.video import (
    EnteredElsewhere,
    EnterRoom,
    IceServer,
    NotLetIn,
    Room,
    RoomState,
    Side,
    Signal,
)
from infirmary.contexts.appointments.domain import video, visits
from infirmary.contexts.appointments.domain.video import KeptSignal, Presence
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables import video as rows
from infirmary.kernel import stream
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Done, Stream
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import Refusal, StaleVersion, TooManyTries

from .base import Base, record, there

LOOKS_EVERY = 1.0    # seconds, for what other processes wrote
RENEWS_EVERY = 4.0   # seconds between two times that somebody is said to be there still
LASTS = 120.0        # seconds; then browsers come again, with a token that is still good
ELSEWHERE = stream.event("elsewhere", {})


class VideoRooms(Base):
    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        named = kit.settings.video
        self._stun, self._turn = named.stun, named.turn
        self._relay_secret = Path(named.turn_secret_file).read_bytes().strip() if named.turn_secret_file else b""
        self._watching: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)

    async def room(self, caller: Caller, appointment_id: UUID) -> Room:
        caller, visit = await self.visit(caller, appointment_id)
        video.must_be_by_video(visit)
        async with self.db.reading() as reading:
            found = await reading.all(rows.THERE, key=visit.id)
        return video.room(visit, video.side_of(caller, visit), found, now=self.clock.now())

    async def enter_room(self, caller: Caller, appointment_id: UUID, body: EnterRoom) -> Room:
        while True:   # again when somebody was quicker: with the visit, or with the first row of this side
            caller, visit = await self.visit(caller, appointment_id)
            video.must_be_open(visit, self.clock.now())
            with contextlib.suppress(StaleVersion, UniqueViolation):
                entered = await self.db.retry(self._enter, caller, visit, body.client)
                self._wake(visit.id)
                return entered

    async def _enter(self, caller: Caller, visit: Visit, client: UUID) -> Room:
        side, now = video.side_of(caller, visit), self.clock.now()
        async with self.db.transaction() as tx:
            if side is Side.PATIENT and visit.status is Status.BOOKED:
                visit = visits.moved(visit, visits.CHECK_IN, now=now, zone=self.zone)
                if not await tables.change_state(tx, visit):
                    raise StaleVersion
                record(tx, caller, visit, visits.event(visits.CHECK_IN.event, visit, caller.account_id), visits.CHECK_IN.done)
            until = now + video.PRESENT_FOR
            if not await tx.run(rows.MOVE_IN, key=visit.id, whose=side, new_client_id=client, new_until=until):
                rows.PRESENCES.add(tx, Presence(visit.id, side, client, until))
            tx.audit("video.entered", caller, subject_id=visit.patient_id, entity=f"appointment/{visit.id}", side=side)
            found = await tx.all(rows.THERE, key=visit.id)
            return tx.answer(video.room(visit, side, found, now=now, ice_servers=self._ice_servers(visit)), secret=True)

    def _ice_servers(self, visit: Visit) -> list[IceServer]:
        return video.ice_servers(self._stun, self._turn, self._relay_secret, until=video.times(visit)[1],
                                 user=secrets.token_hex(8))

    async def leave_room(self, caller: Caller, appointment_id: UUID, body: EnterRoom) -> Done:
        caller, visit = await self.visit(caller, appointment_id)
        video.must_be_by_video(visit)
        side = video.side_of(caller, visit)
        async with self.db.transaction() as tx:
            if await tx.run(rows.STAY, key=visit.id, whose=side, client=body.client, new_until=self.clock.now()):
                tx.audit("video.left", caller, subject_id=visit.patient_id, entity=f"appointment/{visit.id}", side=side)
            done = tx.answer(Done())
        self._wake(visit.id)
        return done

    async def send_signal(self, caller: Caller, appointment_id: UUID, body: Signal) -> Done:
        caller, visit = await self.visit(caller, appointment_id)
        now = self.clock.now()
        video.must_be_open(visit, now)
        if video.STATES[visit.status] is not RoomState.OPEN:
            raise NotLetIn
        await self._must_be_here(visit, video.side_of(caller, visit), body.client)
        async with self.db.reading() as reading:
            if (await reading.one(rows.COUNT_SIGNALS, key=visit.id, now=now) or 0) >= video.MOST_SIGNALS:
                raise TooManyTries(retry_after=int(video.SIGNAL_KEPT.total_seconds()))
        async with self.db.transaction() as tx:
            rows.SIGNALS.add(tx, KeptSignal(visit.id, new_id(), body.to, body.client, body.data, now + video.SIGNAL_KEPT))
            done = tx.answer(Done())
        self._wake(visit.id)
        return done

    async def _must_be_here(self, visit: Visit, side: Side, client: UUID) -> None:
        async with self.db.reading() as reading:
            found = await reading.all(rows.THERE, key=visit.id)
        if not any(one.side is side and one.client_id == client for one in found):
            raise EnteredElsewhere

    async def watch_room(self, caller: Caller, appointment_id: UUID, client: UUID) -> Stream:
        asking = caller
        caller, visit = await self.visit(asking, appointment_id)
        video.must_be_open(visit, self.clock.now())
        await self._must_be_here(visit, video.side_of(caller, visit), client)
        return Stream(self._events(Watcher(self, asking, caller, visit, client)))

    def _wake(self, appointment_id: UUID) -> None:
        """Something has just changed in this room."""
        for woken in self._watching.get(appointment_id, ()):
            woken.set()

    async def _events(self, watcher: Watcher) -> AsyncIterator[bytes]:
        watching = self._watching[watcher.appointment_id]
        watching.add(watcher.woken)
        try:
            yield b"retry: 500\n\n"
            async for chunk in stream.changes(watcher.look, watcher.tell, watcher.woken, looks_every=LOOKS_EVERY,
                                              lasts=LASTS):
                yield chunk
                if chunk == ELSEWHERE:
                    return
        except Refusal:   # the visit, or the right to be here, is not theirs any more; or it cannot be asked just now
            return
        finally:
            watching.discard(watcher.woken)
            if not watching:
                self._watching.pop(watcher.appointment_id, None)

    async def tidy_video(self) -> None:
        """What nobody needs any more. Nothing hangs on when."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            await tx.run(rows.FORGET_SIGNALS, before=now)
            await tx.run(rows.FORGET_PRESENCES, before=now - video.CLOSES_AFTER)


class Seen(NamedTuple):
    """What one of the two finds; `here`: this page has not been taken over by another."""

    here: bool
    room: dict[str, object]
    signals: list[KeptSignal]


class Watcher:
    """One page in the room: looks, and by looking says that it is still there."""

    def __init__(self, service: Base, asking: Caller, caller: Caller, visit: Visit, client: UUID) -> None:
        self._db, self._clock, self._service, self._asking = service.db, service.clock, service, asking
        self.appointment_id, self._side, self._client = visit.id, video.side_of(caller, visit), client
        self.woken, self._told, self._renewed = asyncio.Event(), set[UUID](), -RENEWS_EVERY

    async def look(self) -> Seen:
        if not await self._stay():
            return Seen(here=False, room={}, signals=[])
        now = self._clock.now()
        async with self._db.reading() as reading:
            # Signals before who is there: whoever has sent one had entered, and is there when it is told.
            signals = await reading.all(rows.SIGNALS_TO, key=self.appointment_id, client=self._client, now=now)
            visit = await reading.one(tables.SHOWN, key=self.appointment_id)
            found = await reading.all(rows.THERE, key=self.appointment_id)
        return Seen(here=True, room=_told(there(visit), self._side, found, now), signals=signals)

    async def _stay(self) -> bool:
        """False when another page has taken over. NotFound when the visit is not the caller's any more: who stands for a
        patient is asked anew each time, so that a call does not outlast the right to it."""
        if (now := monotonic()) < self._renewed + RENEWS_EVERY:
            return True
        self._renewed = now
        await self._service.visit(self._asking, self.appointment_id)
        until = self._clock.now() + video.PRESENT_FOR
        async with self._db.transaction() as tx:
            return await tx.run(rows.STAY, key=self.appointment_id, whose=self._side, client=self._client,
                                new_until=until) == 1

    def tell(self, before: Seen | None, seen: Seen) -> bytes:
        if not seen.here:
            return ELSEWHERE
        said = stream.event("room", seen.room) if before is None or seen.room != before.room else b""
        for one in seen.signals:
            if one.id not in self._told:
                self._told.add(one.id)
                said += stream.event("signal", {"id": one.id, "from": one.from_id, "data": one.data})
        return said


def _told(visit: Appointment, side: Side, found: list[Presence], now: datetime) -> dict[str, object]:
    """Before the patient is let in, nobody learns where to reach the other's browser."""
    room = video.room(visit, side, found, now=now)
    peer = next((one.client_id for one in found if one.side is not side and one.until > now), None)
    return {"state": room.state, "patient_there": room.patient_there, "doctor_there": room.doctor_there,
            "peer": peer if room.state is RoomState.OPEN else None}

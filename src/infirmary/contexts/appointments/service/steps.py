"""What becomes of a visit, from accepted to over."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    Because,
    Why,
)
from infirmary.contexts.appointments.domain import visits
from infirmary.contexts.appointments.domain.visits import Move, Visit
from infirmary.kernel.access import Caller
from infirmary.kernel.errors import StaleVersion

from .base import recorded
from .lines import Lines


class Steps(Lines):
    async def accept(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.ACCEPT)

    async def decline(self, caller: Caller, appointment_id: UUID, body: Because,
                      if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.DECLINE, body.reason)

    async def cancel(self, caller: Caller, appointment_id: UUID, body: Why, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.CANCEL, body.reason)

    async def check_in(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.CHECK_IN)

    async def start(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.START)

    async def complete(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.COMPLETE)

    async def no_show(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        return await self._move(caller, appointment_id, if_match, visits.NO_SHOW)

    async def _move(self, caller: Caller, appointment_id: UUID, if_match: int | None, move: Move,
                    reason: str = "") -> Appointment:
        while True:   # again when somebody was quicker; each time round, the visit has got further
            acting, visit = await self.visit(caller, appointment_id, if_match)
            moved = visits.moved(visit, move, now=self.clock.now(), zone=self.zone, reason=reason)
            if move is visits.CHECK_IN:
                await self.open_line(moved.department_id, moved.department_name)
            try:
                answer = await self.db.retry(self._store, acting, moved, move)
            except StaleVersion:
                continue
            if visits.freed(moved):
                self.freed.set()
            self.wake()
            return answer

    async def _store(self, caller: Caller, visit: Visit, move: Move) -> Appointment:
        """The compare-and-set comes first: only who changes the visit frees its time and says so."""
        async with self.db.transaction() as tx:
            line = await self.line_of(tx, visit)
            if not await tables.change_state(tx, visit):
                raise StaleVersion
            await tables.taken.release(tx, visit, visits.freed(visit))
            await self.follow(tx, line, visit)
            return recorded(tx, caller, visit, visits.event(move.event, visit, caller.account_id), move.done)

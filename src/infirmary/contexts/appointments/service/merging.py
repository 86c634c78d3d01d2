"""What people have here whose records are made one, and two again."""
from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from infirmary.contexts.appointments import events, tables
from infirmary.contexts.appointments.contract import Appointment, Overlapping
from infirmary.contexts.appointments.domain import visits
from infirmary.contexts.appointments.tables import merging as rows
from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.kernel.access import Caller
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import StaleVersion
from infirmary.kernel.events import Fact
from infirmary.language import service

from .following import BATCH, Following

FIRST = UUID(int=0)
SHOWN = 100   # pairs of visits; there are hardly ever any


class RecordsMadeOne(Following):
    """What was learned is a row, and visits and places follow it, at once and by a job: also a visit that was being booked
    while the records were merged. The rows of `occupancy` decide here too: what would overlap stays on the record that it is on,
    which points to the other, and moves as soon as its time is free there."""

    followed = FIRST   # the last of the merged records that were looked at

    async def collisions(self, caller: Caller, patient_id: UUID, other_id: UUID) -> list[Appointment]:
        async with self.db.reading() as reading:
            return await reading.all(rows.COLLIDING, one=patient_id, other=other_id)

    async def overlapping(self, caller: Caller) -> list[Overlapping]:
        async with self.db.reading() as reading:
            pairs = await reading.all(rows.OVERLAPPING, limit=SHOWN)
            found = {one.id: one for one in await reading.all(
                tables.SHOWN_OF, ids=[each for one in pairs for each in (one.id, one.other_id)])} if pairs else {}
        return [Overlapping(visit=found[one.id], other=found[one.other_id]) for one in pairs
                if one.id in found and one.other_id in found]

    async def learn_merged(self, event: PatientsMerged, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            await tables.MERGED.keep_newest(tx, tables.MergedRecord(event.aggregate, event.survivor_id, event.version))
        while await self._follow([event.aggregate]):
            pass

    async def learn_unmerged(self, event: PatientsUnmerged, fact: Fact) -> None:
        async with self.db.transaction(once=fact.id) as tx:
            await tables.MERGED.keep_newest(tx, tables.MergedRecord(event.aggregate, None, event.version))
            await tx.run(rows.FORGET_ENDED)
        while await self._follow([]):
            pass

    async def follow_records(self) -> None:
        """What stayed behind. Each time some of the merged records, beginning again after the last: they only become
        more. Safe in several processes at once: each visit is moved by a compare-and-set."""
        async with self.db.reading() as reading:
            closed: list[UUID] = await reading.all(rows.CLOSED, after=self.followed, limit=BATCH)
        self.followed = closed[-1] if len(closed) == BATCH else FIRST
        await self._follow(closed)

    async def _follow(self, closed: list[UUID]) -> bool:
        """Whether there may be more to do: all of a full batch has moved."""
        places = await self.places_follow(closed)
        return await self._visits_follow(closed) or places

    async def _visits_follow(self, closed: list[UUID]) -> bool:
        async with self.db.reading() as reading:
            due = await reading.all(rows.TO_GIVE_BACK, limit=BATCH)
            if closed:
                due += await reading.all(rows.TO_MOVE, closed=closed, limit=BATCH)
        stayed = 0
        for one in due:
            name = (await self.patients.card(service("appointments"), one.patient_id)).name
            try:
                await self._visit_follows(one, name)
            except (UniqueViolation, StaleVersion):   # to be sorted out (see `overlapping`), or changed just now: next time
                stayed += 1
        return len(due) >= BATCH and not stayed

    async def _visit_follows(self, due: tables.Due, name: str) -> None:
        try:
            await self.db.retry(self._hand_over, due, name, with_time=True)
        except UniqueViolation:
            await self.db.retry(self._hand_over, due, name, with_time=False)

    async def _hand_over(self, due: tables.Due, name: str, *, with_time: bool) -> None:
        """A visit that is over needs its time no more, should there be another visit then."""
        async with self.db.transaction() as tx:
            before = await tables.VISITS.get(tx, due.id)
            if before is None or before.patient_id == due.patient_id:
                return
            after = replace(before, patient_id=due.patient_id, patient_name=name, changed_at=self.clock.now(),
                            version=before.version + 1)
            if not await rows.change_patient(tx, after):
                raise StaleVersion
            if with_time or before.status in visits.OPEN:
                await rows.hand_over_time(tx, before, due.patient_id)
            else:
                await rows.forget_time(tx, before)
            if not await tx.run(rows.FORGET_MOVED, key=due.id):
                tables.MOVED.add(tx, tables.MovedVisit(due.id, before.patient_id))
            tx.emit(visits.event(events.VisitHandedOver, after, None, previous_patient_id=before.patient_id))
            tx.audit("appointment.handed_over", service("appointments"), subject_id=due.patient_id,
                     entity=f"appointment/{due.id}")

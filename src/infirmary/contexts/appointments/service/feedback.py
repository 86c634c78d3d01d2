"""How patients found their visits: said once, seen in groups."""
from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from infirmary.contexts.appointments import events
from infirmary.contexts.appointments.contract.feedback import (
    AlreadyAnswered,
    Feedback,
    FeedbackSummary,
    GiveFeedback,
)
from infirmary.contexts.appointments.domain import feedback
from infirmary.contexts.appointments.domain.feedback import KeptFeedback
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.tables import feedback as rows
from infirmary.contexts.appointments.tables.feedback import FEEDBACK, Seen
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import StaleVersion
from infirmary.language import service

from .base import Base, there

ME = service("appointments")
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class TooFewError(Exception):
    """Somebody else has just let most of them be seen: the rest wait for more."""


class Feedbacks(Base):
    async def give_feedback(self, caller: Caller, appointment_id: UUID, body: GiveFeedback) -> Feedback:
        caller, visit = await self.visit(caller, appointment_id)
        kept = feedback.given(visit, body, self.clock.now())
        try:
            async with self.db.transaction() as tx:
                FEEDBACK.add(tx, kept)
                return self._said(tx, caller, visit, kept, "given")
        except UniqueViolation as no:
            raise AlreadyAnswered from no

    async def change_feedback(self, caller: Caller, appointment_id: UUID, body: GiveFeedback, if_match: int) -> Feedback:
        caller, visit = await self.visit(caller, appointment_id)
        async with self.db.transaction() as tx:
            kept = there(await FEEDBACK.get(tx, appointment_id))
            changed = feedback.changed(kept, body, self.clock.now())
            if if_match != kept.version:
                raise StaleVersion
            return self._said(tx, caller, visit, await FEEDBACK.save(tx, changed), "changed")

    @staticmethod
    def _said(tx: Transaction, caller: Caller, visit: Visit, kept: KeptFeedback, done: str) -> Feedback:
        tx.audit(f"feedback.{done}", caller, subject_id=visit.patient_id, entity=f"appointment/{visit.id}")
        return tx.answer(feedback.shown(kept))

    async def feedback(self, caller: Caller, appointment_id: UUID) -> Feedback:
        await self.visit(caller, appointment_id)
        async with self.db.reading() as reading:
            return feedback.shown(there(await FEEDBACK.get(reading, appointment_id)))

    async def feedback_for_doctor(self, caller: Caller, doctor_id: UUID, from_: datetime | None = None,
                                  to: datetime | None = None) -> FeedbackSummary:
        caller.must_reach(doctor_id=doctor_id)
        async with self.db.reading() as reading:
            return await self._summary(reading, rows.BY_DOCTOR, doctor_id, from_, to)

    async def feedback_for_department(self, caller: Caller, department_id: UUID, from_: datetime | None = None,
                                      to: datetime | None = None) -> FeedbackSummary:
        async with self.db.reading() as reading:
            return await self._summary(reading, rows.BY_DEPARTMENT, department_id, from_, to)

    async def _summary(self, reading: Reading, seen: Seen, whose: UUID, from_: datetime | None,
                       to: datetime | None) -> FeedbackSummary:
        within = {"whose": whose, "since": from_ or FIRST, "until": to or self.clock.now()}
        counts = {one.rating: one.count for one in await reading.all(seen.counts, **within)}
        return feedback.summary(counts, await reading.all(seen.comments, **within),
                                await reading.one(seen.waiting, whose=whose) or 0)

    async def release_feedback(self) -> None:
        """What has come together since the last time. Safe in several processes at once."""
        settled = self.clock.now() - feedback.EDITABLE_FOR
        async with self.db.reading() as reading:
            doctors = await reading.all(rows.BY_DOCTOR.due, settled=settled)
            departments = await reading.all(rows.BY_DEPARTMENT.due, settled=settled)
        for seen, whose in [*((rows.BY_DOCTOR, one) for one in doctors),
                            *((rows.BY_DEPARTMENT, one) for one in departments)]:
            try:
                await self.db.retry(self._release, seen, whose, settled)
            except TooFewError:
                continue

    async def _release(self, seen: Seen, whose: UUID, settled: datetime) -> None:
        """How many rows it was decides, not how many there were before: a group that is too small is not let go."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            count = await tx.run(seen.release, whose=whose, settled=settled, now=now)
            if count < feedback.TOGETHER:
                raise TooFewError
            tx.audit("feedback.shown", ME, entity=f"{'doctor' if seen is rows.BY_DOCTOR else 'department'}/{whose}",
                     count=str(count))
            if seen is rows.BY_DEPARTMENT:
                counts = {one.rating: one.count for one in await tx.all(seen.counts, whose=whose, since=now, until=now)}
                tx.emit(events.FeedbackGathered(
                    aggregate=new_id(), version=1, department_id=whose,
                    department_name=await tx.one(rows.NAME_OF, whose=whose, now=now) or "",
                    distribution=[counts.get(rating, 0) for rating in feedback.RATINGS]))

"""What may be asked about how patients found their visits.

Nobody but the patient ever sees an answer with a name on it, or alone. Doctors and departments see answers in groups of
five and more, once none of them can be changed any more, and without the day: who is treated again by the same people must
be able to be frank. Because only whole groups ever come to be seen, nothing is learned from comparing what is shown today
with what was shown yesterday, or one period with another.
"""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Instant, get, post, put
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, OWN, PATIENT, TREATING

from .visits import NotInThisState


class GiveFeedback(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From 1 (bad) to 5 (very good), and what the patient wants to say."""

    rating: Annotated[int, Meta(ge=1, le=5)]
    comment: Annotated[str, Meta(max_length=1000)] = ""


class Feedback(Struct, frozen=True):
    """What one patient answered; it can be changed until `editable_until`."""

    appointment_id: UUID
    rating: int
    comment: str
    given_at: Instant
    editable_until: Instant
    version: int


class Remark(Struct, frozen=True):
    rating: int
    comment: str


class FeedbackSummary(Struct, frozen=True, kw_only=True):
    """`distribution`: how many gave 1, 2, 3, 4 and 5; `mean` is None where there are none. `comments`, of the latest groups
    first, at most a hundred. `waiting`: answers that are not shown yet, because there are too few or they may still change.
    """

    count: int
    mean: float | None
    distribution: list[int]
    comments: list[Remark]
    waiting: int


class AlreadyAnswered(Conflict):
    """You have told us about this visit. Your answer can be changed for a day."""


class NotToBeChanged(Refusal):
    """The day in which this answer could be changed is over."""


OWN_VISIT = {PATIENT: OWN}


class FeedbackContract(Contract):
    @post("/appointments/{appointment_id}/feedback", status=201, allow=OWN_VISIT,
          refuses=[NotFound, NotInThisState, AlreadyAnswered])
    async def give_feedback(self, caller: Caller, appointment_id: UUID, body: GiveFeedback) -> Feedback:
        """Say how a completed visit was, once."""

    @get("/appointments/{appointment_id}/feedback", allow=OWN_VISIT, refuses=[NotFound])
    async def feedback(self, caller: Caller, appointment_id: UUID) -> Feedback:
        """What the patient answered."""

    @put("/appointments/{appointment_id}/feedback", allow=OWN_VISIT, refuses=[NotFound, NotToBeChanged])
    async def change_feedback(self, caller: Caller, appointment_id: UUID, body: GiveFeedback, if_match: int) -> Feedback:
        """Say it otherwise, within a day."""

    @get("/doctors/{doctor_id}/feedback", allow={DOCTOR: TREATING}, refuses=[NotFound])
    async def feedback_for_doctor(self, caller: Caller, doctor_id: UUID, from_: Instant | None = None,
                                  to: Instant | None = None) -> FeedbackSummary:
        """What patients said of one's own visits, by when it came to be shown; groups of five and more, without names."""

    @get("/departments/{department_id}/feedback", allow={ADMIN: ANY})
    async def feedback_for_department(self, caller: Caller, department_id: UUID, from_: Instant | None = None,
                                      to: Instant | None = None) -> FeedbackSummary:
        """What patients said of the visits to a department, in groups of its own; never by doctor."""

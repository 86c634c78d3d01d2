"""How patients found a visit: who may answer, until when, and how many answers make a group that may be seen."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import NotInThisState, Status
from infirmary.contexts.appointments.contract.feedback import (
    Feedback,
    FeedbackSummary,
    GiveFeedback,
    NotToBeChanged,
    Remark,
)

from .visits import Visit

EDITABLE_FOR = timedelta(days=1)
TOGETHER = 5      # answers that are shown for the first time together, so that none can be told from the others
SHOWN = 100       # comments
RATINGS = range(1, 6)


class KeptFeedback(Struct, frozen=True):
    """`to_doctor_at` and `to_department_at`: since when it may be seen there, with the others of its group."""

    appointment_id: UUID
    doctor_id: UUID
    department_id: UUID
    department_name: str
    rating: int
    comment: str
    given_at: datetime
    to_doctor_at: datetime | None
    to_department_at: datetime | None
    version: int


def given(visit: Visit, body: GiveFeedback, now: datetime) -> KeptFeedback:
    if visit.status is not Status.COMPLETED:
        raise NotInThisState("This visit is not completed, so that there is nothing to say about it yet.",
                             visit_status=visit.status.value)
    return KeptFeedback(visit.id, visit.doctor_id, visit.department_id, visit.department_name, body.rating,
                        body.comment.strip(), now, None, None, 1)


def changed(kept: KeptFeedback, body: GiveFeedback, now: datetime) -> KeptFeedback:
    if now >= kept.given_at + EDITABLE_FOR:
        raise NotToBeChanged
    return replace(kept, rating=body.rating, comment=body.comment.strip())


def shown(kept: KeptFeedback) -> Feedback:
    return Feedback(kept.appointment_id, kept.rating, kept.comment, kept.given_at, kept.given_at + EDITABLE_FOR,
                    kept.version)


def summary(counts: Mapping[int, int], comments: Sequence[Remark], waiting: int) -> FeedbackSummary:
    count = sum(counts.values())
    mean = sum(rating * n for rating, n in counts.items()) / count if count else None
    return FeedbackSummary(count=count, mean=mean, distribution=[counts.get(rating, 0) for rating in RATINGS],
                           comments=list(comments), waiting=waiting)

"""Where it is kept what patients said of their visits, and since when others may see it."""
from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, Index, Integer, String, Table, Text, bindparam, func, select, update

from infirmary.contexts.appointments.contract.feedback import Remark
from infirmary.contexts.appointments.domain.feedback import SHOWN, TOGETHER, KeptFeedback
from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

feedback = Table(
    "feedback", metadata,
    Column("appointment_id", Id, primary_key=True),
    Column("doctor_id", Id, nullable=False),
    Column("department_id", Id, nullable=False),
    Column("department_name", String(100), nullable=False),
    Column("rating", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("given_at", UtcDateTime, nullable=False),
    Column("to_doctor_at", UtcDateTime),
    Column("to_department_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index("feedback_of_doctor", "doctor_id", "to_doctor_at"),
    Index("feedback_of_department", "department_id", "to_department_at"))

FEEDBACK = Rows(feedback, KeptFeedback, key="appointment_id")


class Count(Struct, frozen=True):
    rating: int
    count: int


class Seen(NamedTuple):
    """What is asked for those who see answers: of a doctor, or of a department."""

    due: Query[UUID]        # with enough answers that nobody has seen
    release: Statement      # those answers, together; a new version, so that none is changed at the same time
    counts: Query[Count]
    comments: Query[Remark]
    waiting: Query[int]


def _seen(whose: Column[UUID], at: Column[object]) -> Seen:
    unseen = (at.is_(None), feedback.c.given_at <= bindparam("settled", type_=UtcDateTime))
    of = whose == bindparam("whose")
    within = (of, at >= bindparam("since", type_=UtcDateTime), at <= bindparam("until", type_=UtcDateTime))
    return Seen(
        due=Query(select(whose).where(*unseen).group_by(whose).having(func.count() >= TOGETHER), UUID),
        release=Statement(update(feedback).where(of, *unseen).values(
            {at.name: bindparam("now", type_=UtcDateTime), "version": feedback.c.version + 1})),
        counts=Query(select(feedback.c.rating, func.count().label("count")).where(*within)
                     .group_by(feedback.c.rating), Count),
        # Within a group in no order that says who came first.
        comments=Query(select(feedback.c.rating, feedback.c.comment).where(*within, feedback.c.comment != "").order_by(
            at.desc(), feedback.c.rating, feedback.c.comment).limit(SHOWN), Remark),
        waiting=Query(select(func.count()).select_from(feedback).where(of, at.is_(None)), int))


BY_DOCTOR = _seen(feedback.c.doctor_id, feedback.c.to_doctor_at)
BY_DEPARTMENT = _seen(feedback.c.department_id, feedback.c.to_department_at)
NAME_OF = Query(select(func.max(feedback.c.department_name)).where(
    feedback.c.department_id == bindparam("whose"), feedback.c.to_department_at == bindparam("now", type_=UtcDateTime)), str)

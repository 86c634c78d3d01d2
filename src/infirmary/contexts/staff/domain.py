"""The rules of the house: how a week is laid out, how long leave lasts, and what is announced of a doctor."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from infirmary.kernel.errors import FieldError
from infirmary.language import folded

from .contract import (
    AmendDoctor,
    Department,
    Doctor,
    DoctorForm,
    Hours,
    Leave,
    LeaveBackwards,
    LeaveForm,
    LeaveOverlaps,
    Opening,
    OpeningsOverlap,
)
from .events import Away, ScheduleChanged

F = TypeVar("F", bound=Struct)

LONGEST_LEAVE = timedelta(days=366)
AWAY_KEPT = timedelta(days=30)   # how long leave that has ended is still announced
KEY_LENGTH = 191                 # what MySQL indexes of a text in utf8mb4, whatever its row format
VISIT_MINUTES = 20               # of a doctor who has no hours yet


def key(text: str) -> str:
    """To sort by, or to be unique by."""
    return folded(text)[:KEY_LENGTH]


def tidy(form: F) -> F:
    """The form without spaces around its texts."""
    return replace(form, **{name: value.strip() for name, value in asdict(form).items() if type(value) is str})


def doctors_name(given_name: str, family_name: str) -> str:
    return f"Dr {given_name} {family_name}"


def amended(before: DoctorForm, changes: AmendDoctor) -> DoctorForm:
    return tidy(replace(before, **{name: value for name, value in asdict(changes).items() if value is not UNSET}))


def week(weekly: Sequence[Opening]) -> list[Opening]:
    """The stretches in the order of the week. Refuses, naming the field, where two overlap or one ends too early."""
    errors = []
    ordered = sorted(enumerate(weekly), key=lambda one: (one[1].weekday, one[1].starts, one[1].ends))
    for at, (asked, opening) in enumerate(ordered):
        before = ordered[at - 1][1] if at else None
        if opening.ends <= opening.starts:
            errors.append(FieldError(f"weekly[{asked}].ends",
                                     f"Choose a time after {opening.starts}, 24:00 at the latest."))
        elif before and before.weekday == opening.weekday and opening.starts < before.ends:
            errors.append(FieldError(f"weekly[{asked}].starts",
                                     f"Begin at {before.ends} or later: until then the doctor works already."))
    if errors:
        raise OpeningsOverlap(errors=errors)
    return [tidy(opening) for _, opening in ordered]


def span(form: LeaveForm) -> tuple[datetime, datetime]:
    """From and until of the leave, in UTC."""
    starts_at, ends_at = form.starts_at.astimezone(UTC), form.ends_at.astimezone(UTC)
    if ends_at <= starts_at:
        raise LeaveBackwards(errors=[FieldError("ends_at", "Choose a time after the beginning.")])
    if ends_at - starts_at > LONGEST_LEAVE:
        raise LeaveBackwards(errors=[FieldError("ends_at", "Choose a time within a year of the beginning.")])
    return starts_at, ends_at


def must_be_free(taken: Sequence[Leave]) -> None:
    """Refuse leave where there is some already, and say from when until when."""
    if taken:
        raise LeaveOverlaps("There is leave in this time already. Choose another time, or take that leave back first.",
                            conflicts=[Away(one.starts_at, one.ends_at) for one in taken])


def schedule(doctor: Doctor, department: Department, hours: Hours, leave: Sequence[Leave], *,
             facts: int) -> ScheduleChanged:
    """All that is needed to offer this doctor's slots. Why somebody is away is nobody's business."""
    return ScheduleChanged(
        aggregate=doctor.id, version=facts, doctor_name=doctor.name, specialty=doctor.specialty, room=doctor.room,
        department_id=department.id, department_name=department.name, accepts_first=department.accepts_first,
        visit_minutes=hours.visit_minutes, buffer_minutes=hours.buffer_minutes, weekly=hours.weekly,
        video=hours.video, most_per_day=hours.most_per_day, overbook=hours.overbook,
        away=[Away(one.starts_at, one.ends_at) for one in leave], active=doctor.retired_at is None)

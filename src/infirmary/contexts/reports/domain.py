"""How figures are reckoned. Days are the hospital's own: a visit belongs to the day that its wall clock shows."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from statistics import median
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Status
from infirmary.contexts.appointments.events import PatientCheckedIn, VisitChanged, VisitStarted

from .contract import Period

STOOD = (Status.BOOKED, Status.CHECKED_IN, Status.IN_PROGRESS, Status.COMPLETED, Status.NO_SHOW)
SEEN = (Status.IN_PROGRESS, Status.COMPLETED)
DAYS = {Period.WEEK: 14, Period.MONTH: 30, Period.QUARTER: 91}
WEEKS_OF_USUAL = 8
SHARE_DAYS = 30
ANSWERS_COUNT = timedelta(days=91)   # for so long what patients said of a department is part of its figures
MONTHS = 6


class Visit(Struct, frozen=True):
    """What the figures need to know of a visit, as its last fact says. `month` is the day's, as 2027-03."""

    visit_id: UUID
    day: date
    month: str
    department_id: UUID
    department_name: str
    doctor_id: UUID
    status: Status
    starts_at: datetime
    checked_in_at: datetime | None
    started_at: datetime | None
    version: int


def visit_after(before: Visit | None, event: VisitChanged, *, happened_at: datetime, zone: tzinfo) -> Visit:
    """The visit as this fact leaves it. The instants of arriving and starting are those of the facts that say so."""
    day = event.starts_at.astimezone(zone).date()
    after = Visit(visit_id=event.aggregate, day=day, month=month_of(day), department_id=event.department_id,
                  department_name=event.department_name, doctor_id=event.doctor_id, status=event.status,
                  starts_at=event.starts_at, checked_in_at=before.checked_in_at if before else None,
                  started_at=before.started_at if before else None, version=event.version)
    match event:
        case PatientCheckedIn():
            return replace(after, checked_in_at=happened_at)
        case VisitStarted():
            return replace(after, started_at=happened_at)
    if event.status in (Status.REQUESTED, Status.BOOKED):   # moved to another time: nobody is here any more
        return replace(after, checked_in_at=None, started_at=None)
    return after


def month_of(day: date) -> str:
    return day.isoformat()[:7]


def days_until(today: date, count: int) -> list[date]:
    """So many days, oldest first, the last of them today."""
    return [today - timedelta(days=back) for back in reversed(range(count))]


def same_weekdays_before(today: date) -> list[date]:
    """The days that make up what is usual."""
    return [today - timedelta(weeks=back) for back in range(1, WEEKS_OF_USUAL + 1)]


def lately(today: date) -> tuple[date, date]:
    """The first of the last thirty days, today included, and the first of the thirty before them."""
    first = today - timedelta(days=SHARE_DAYS - 1)
    return first, first - timedelta(days=SHARE_DAYS)


def months_until(today: date) -> list[str]:
    """The last six months, oldest first, this one included."""
    counted = today.year * 12 + today.month - 1
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(counted - MONTHS + 1, counted + 1)]


def ratio(part: int, whole: int) -> float:
    """Of nothing, nothing."""
    return part / whole if whole else 0.0


def median_wait(waits: Sequence[tuple[datetime, datetime]]) -> int | None:
    """In whole minutes, half a minute up."""
    if not waits:
        return None
    seconds: float = median((started_at - checked_in_at).total_seconds() for checked_in_at, started_at in waits)
    return int(max(seconds, 0.0) / 60 + .5)

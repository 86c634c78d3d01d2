"""What may be asked about the hospital's figures."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, get
from infirmary.language import ADMIN


class Period(StrEnum):
    """How far back the charts go: two weeks, thirty days, or thirteen weeks."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


class Day(Struct, frozen=True, kw_only=True):
    """Visits that were to take place on this day: `booked` all that stood, of which `completed` and `no_show`.

    Requests that nobody has answered, and visits declined or cancelled, do not stand.
    """

    day: date
    booked: int
    completed: int
    no_show: int
    cancelled: int


class DepartmentFigures(Struct, frozen=True, kw_only=True):
    """`per_day` runs with the dashboard's `days`; `today` is how many visits stand today.

    `usual` is the mean of the same weekday in the eight weeks before, days without visits left out. `waiting` have
    checked in today and not started; `requested` wait for an answer, for today or later. `no_show_share` is of the
    last 30 days: who did not come, of those who came or should have. `rating`: the mean of what patients gave their
    visits, 1 to 5, of so many `answers` that came together in the last 91 days.
    """

    department_id: UUID
    name: str
    per_day: list[int]
    today: int
    usual: float
    waiting: int
    requested: int
    no_show_share: float
    rating: float | None = None
    answers: int = 0


class HospitalFigures(Struct, frozen=True, kw_only=True):
    """Shares are between 0 and 1; `no_shows_by_month` covers the last six months, oldest first, up to today.

    `seen_today` have started or are completed. `median_wait_minutes` is from check-in to start, today; None while
    nobody has been seen. `no_show_share_before` is of the 30 days before the last 30.
    """

    today: date
    days: list[Day]
    departments: list[DepartmentFigures]
    visits_today: int
    seen_today: int
    usual_today: float
    waiting_now: int
    requested_now: int
    median_wait_minutes: int | None
    no_show_share_30_days: float
    no_show_share_before: float
    no_shows_by_month: list[MonthFigures]
    new_patients_30_days: int


class MonthFigures(Struct, frozen=True, kw_only=True):
    month: str
    booked: int
    no_show: int


class Reports(Contract, context="reports"):
    @get("/dashboards/hospital", allow={ADMIN: ANY})
    async def hospital(self, caller: Caller, period: Period = Period.WEEK) -> HospitalFigures:
        """The figures of the hospital dashboard."""

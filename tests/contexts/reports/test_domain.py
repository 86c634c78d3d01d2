"""How figures are reckoned, without a database."""
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from infirmary.contexts.appointments import events as visits
from infirmary.contexts.appointments.contract import Status
from infirmary.contexts.reports import domain
from infirmary.kernel.database.columns import new_id

from .builders import DUBLIN, MONDAY, a_visit_event


@given(st.dates(date(1971, 1, 1), date(2200, 12, 31)))
def test_the_last_six_months_end_with_this_one_and_leave_none_out(today: date) -> None:
    months = domain.months_until(today)
    assert months[-1] == domain.month_of(today)
    day, expected = today, [domain.month_of(today)]
    while len(expected) < 6:
        day = day.replace(day=1) - timedelta(days=1)
        expected.insert(0, domain.month_of(day))
    assert months == expected


@given(st.dates(date(1971, 1, 1), date(2200, 12, 31)))
def test_what_is_usual_is_told_by_eight_such_weekdays_before_today(today: date) -> None:
    days = domain.same_weekdays_before(today)
    assert {day.isoweekday() for day in days} == {today.isoweekday()}
    assert (len(set(days)), max(days), min(days)) == (8, today - timedelta(7), today - timedelta(56))


def test_thirty_days_and_the_thirty_before_them_touch_and_do_not_overlap() -> None:
    assert domain.lately(date(2027, 3, 31)) == (date(2027, 3, 2), date(2027, 1, 31))


def test_the_median_wait_is_in_whole_minutes() -> None:
    def waits(*seconds: int) -> int | None:
        return domain.median_wait([(MONDAY, MONDAY + timedelta(seconds=one)) for one in seconds])
    assert waits() is None
    assert waits(0) == 0
    assert waits(60, 6000, 600) == 10
    assert waits(600, 1140) == 15    # 14.5 min
    assert waits(60, 149) == 2       # 104.5 s
    assert waits(-60) == 0           # a clock was set back: nobody waits less than nothing


def test_a_wait_over_a_change_of_clocks_is_as_long_as_it_was() -> None:
    arrived = datetime(2027, 10, 31, 0, 50, tzinfo=UTC).astimezone(DUBLIN)
    seen = datetime(2027, 10, 31, 1, 10, tzinfo=UTC).astimezone(DUBLIN)
    assert arrived.hour == seen.hour == 1
    assert domain.median_wait([(arrived.astimezone(UTC), seen.astimezone(UTC))]) == 20


def test_a_visit_belongs_to_the_day_on_the_hospitals_wall() -> None:
    late = datetime(2027, 7, 1, 23, 30, tzinfo=UTC)   # half past midnight in Dublin's summer
    event = a_visit_event(new_id(), 1, Status.BOOKED, late)
    assert isinstance(event, visits.VisitChanged)
    visit = domain.visit_after(None, event, happened_at=MONDAY, zone=DUBLIN)
    assert (visit.day, visit.month) == (date(2027, 7, 2), "2027-07")

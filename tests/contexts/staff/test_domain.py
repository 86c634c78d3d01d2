"""The rules of the house, without a house."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infirmary.contexts.staff import domain
from infirmary.contexts.staff.contract import (
    AmendDoctor,
    Department,
    Doctor,
    Hours,
    Leave,
    LeaveBackwards,
    LeaveForm,
    Opening,
    OpeningsOverlap,
)
from infirmary.kernel.database.columns import new_id

from .builders import MONDAY, a_doctor_form, an_opening, some_leave


def minutes(wall: str) -> int:
    return int(wall[:2]) * 60 + int(wall[3:])


times = st.integers(0, 288).map(lambda at: f"{at // 12:02}:{at % 12 * 5:02}")
openings = st.lists(st.builds(an_opening, st.integers(1, 2), times, times), max_size=6)


@given(openings)
def test_a_week_is_accepted_when_no_minute_is_worked_twice_and_no_stretch_is_empty(weekly: list[Opening]) -> None:
    worked = [(one.weekday, at) for one in weekly for at in range(minutes(one.starts), minutes(one.ends))]
    sound = len(worked) == len(set(worked)) and all(minutes(one.starts) < minutes(one.ends) for one in weekly)
    try:
        assert domain.week(weekly) == sorted(weekly, key=lambda one: (one.weekday, minutes(one.starts)))
        assert sound
    except OpeningsOverlap:
        assert not sound


def test_a_day_may_end_at_midnight_and_the_next_begin_there() -> None:
    weekly = [an_opening(2, "00:00", "06:00"), an_opening(1, "22:00", "24:00"), an_opening(1, "20:00", "22:00")]
    assert domain.week(weekly) == [weekly[2], weekly[1], weekly[0]]


def test_a_refused_week_names_the_stretch_as_it_was_sent() -> None:
    with pytest.raises(OpeningsOverlap) as refused:
        domain.week([an_opening(1, "11:00", "12:00"), an_opening(4, "09:00", "09:00"), an_opening(1, "09:00", "11:30")])
    assert [one.field for one in refused.value.errors] == ["weekly[0].starts", "weekly[1].ends"]


def test_leave_ends_after_it_begins() -> None:
    with pytest.raises(LeaveBackwards):
        domain.span(some_leave(days=0))
    with pytest.raises(LeaveBackwards):
        domain.span(some_leave(days=-1))


def test_leave_lasts_at_most_a_year() -> None:
    domain.span(some_leave(days=366))
    with pytest.raises(LeaveBackwards):
        domain.span(some_leave(days=366.001))


def test_leave_is_measured_in_real_time_across_a_change_of_clocks() -> None:
    dublin = ZoneInfo("Europe/Dublin")
    autumn = datetime(2027, 10, 31, 1, 30, tzinfo=dublin)   # 1:30 comes twice
    assert domain.span(LeaveForm(starts_at=autumn, ends_at=autumn.replace(fold=1))) == (
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC), datetime(2027, 10, 31, 1, 30, tzinfo=UTC))


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert domain.folded(domain.folded(text)) == domain.folded(text)


@given(st.text(st.characters(categories=["Lu", "Ll"], max_codepoint=0x2AF)))
def test_case_does_not_matter_to_a_search(text: str) -> None:
    assert domain.folded(text.upper()) == domain.folded(text.lower())


def test_accents_and_doubled_spaces_do_not_matter_to_a_search() -> None:
    assert domain.folded("  Ångström   ŻÓŁW\tStraße ") == "angstrom zolw strasse"
    assert domain.folded("Işıl Sørensen of İstanbul") == "isil sorensen of istanbul"


def test_a_key_fits_its_index_however_long_the_name_spells_out() -> None:
    assert len(domain.key("\ufdfa" * 100)) == domain.KEY_LENGTH


def test_names_lose_the_spaces_around_them_and_keep_those_within() -> None:
    form = domain.tidy(a_doctor_form(given_name="  Mary  Ann ", room=" "))
    assert (form.given_name, form.room) == ("Mary  Ann", "")


def test_an_amendment_changes_what_it_names() -> None:
    before = a_doctor_form()
    assert domain.amended(before, AmendDoctor()) == before
    after = domain.amended(before, AmendDoctor(family_name=" Adeyemi ", room=""))
    assert (after.given_name, after.family_name, after.room) == (before.given_name, "Adeyemi", "")


def test_a_schedule_says_when_somebody_is_away_and_never_why() -> None:
    place = Department(id=new_id(), name="Eyes", location="", icon="eye", accepts_first=True, retired_at=None,
                       version=3)
    doctor = Doctor(id=new_id(), name="Dr A B", given_name="A", family_name="B", specialty="Eyes", room="1",
                    department_id=place.id, department_name="Eyes", retired_at=None, version=2)
    away = Leave(id=new_id(), doctor_id=doctor.id, starts_at=MONDAY, ends_at=MONDAY + timedelta(1), reason="surgery")
    hours = Hours(doctor_id=doctor.id, visit_minutes=15, buffer_minutes=5, weekly=[an_opening(1, "09:00", "10:00")],
                  version=9)
    announced = domain.schedule(doctor, place, hours, [away], facts=7)
    assert (announced.aggregate, announced.version, announced.active) == (doctor.id, 7, True)
    assert (announced.doctor_name, announced.department_name, announced.accepts_first) == ("Dr A B", "Eyes", True)
    assert (announced.visit_minutes, announced.buffer_minutes, announced.weekly) == (15, 5, hours.weekly)
    assert [(one.starts_at, one.ends_at) for one in announced.away] == [(away.starts_at, away.ends_at)]
    assert "surgery" not in str(announced)

"""Dates and times as people type them."""
from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infirmary.web.i18n import language
from infirmary.web.typed import a_day, an_id, monday, plain, typed_clock, typed_date

TODAY, ENGLISH = date(2027, 3, 1), language("en")


@pytest.mark.parametrize("text", ["7.5.91", "7/5/91", "07-05-1991", "7 5 1991", "070591", "07051991", "1991-05-07",
                                  "7 May 1991", "7. may 91", "May 7, 1991", "1991 May 7", "  7.5.1991 ", "٧.٥.١٩٩١"])
def test_a_birth_date_is_read_however_it_is_written(text: str) -> None:
    assert typed_date(text, ENGLISH, TODAY, past=True) == date(1991, 5, 7)


@pytest.mark.parametrize("text", ["", "hello", "31.2.91", "7.13.91", "91", "7.5.", "7 May", "1.2.3.4", "99999999999.1.1",
                                  "0", "7051991", "9" * 5000])
def test_what_is_no_birth_date_is_none(text: str) -> None:
    assert typed_date(text, ENGLISH, TODAY, past=True) is None


def test_two_digits_of_a_year_never_mean_a_birth_to_come() -> None:
    assert typed_date("1.1.27", ENGLISH, TODAY, past=True) == date(2027, 1, 1)
    assert typed_date("1.1.28", ENGLISH, TODAY, past=True) == date(1928, 1, 1)
    assert typed_date("1.1.28", ENGLISH, TODAY) == date(2028, 1, 1)


def test_a_day_to_come_may_leave_the_year_out() -> None:
    assert typed_date("7.5.", ENGLISH, TODAY) == date(2027, 5, 7)
    assert typed_date("7 May", ENGLISH, TODAY) == date(2027, 5, 7)


def test_months_are_known_in_the_language_of_the_page_too() -> None:
    assert typed_date("7. Mai 1991", language("de"), TODAY, past=True) == date(1991, 5, 7)
    assert typed_date("7 may 1991", language("de"), TODAY, past=True) == date(1991, 5, 7)


@given(st.dates(min_value=date(1900, 1, 1), max_value=TODAY))
def test_what_the_page_writes_it_also_reads(born: date) -> None:
    for written in (ENGLISH.full_day(born), born.isoformat(), f"{born.day}.{born.month}.{born.year}", f"{born:%d%m%Y}"):
        assert typed_date(written, ENGLISH, TODAY, past=True) == born


@given(st.text(max_size=60))
def test_nothing_that_is_typed_breaks_it(text: str) -> None:
    found = typed_date(text, ENGLISH, TODAY, past=True)
    assert found is None or isinstance(found, date)
    clock = typed_clock(text)
    assert clock is None or len(clock) == 5


@pytest.mark.parametrize(("text", "read"), [
    ("8", "08:00"), ("8:30", "08:30"), ("8.30", "08:30"), ("830", "08:30"), ("0830", "08:30"), ("8h30", "08:30"),
    ("8 h", "08:00"), (" 17:05 ", "17:05"), ("24:00", "24:00"), ("24:01", None), ("25", None), ("8:60", None), ("", None),
    ("noon", None)])
def test_a_time_is_read_however_it_is_written(text: str, read: str | None) -> None:
    assert typed_clock(text) == read


def test_accents_and_case_do_not_matter() -> None:
    assert plain("Nguyễn Ødegård STRASSE Łukasz") == "nguyen odegard strasse lukasz"


def test_a_week_begins_on_monday() -> None:
    assert {monday(TODAY + timedelta(days=n)) for n in range(7)} == {TODAY}


def test_addresses_hold_days_and_ids_or_nothing() -> None:
    assert a_day("2027-03-01") == TODAY
    assert [a_day(text) for text in ("", "2027-02-30", "9999-12-31", "0001-01-01", "x")] == [None] * 5
    assert [an_id(text) for text in ("", "x", "1")] == [None] * 3

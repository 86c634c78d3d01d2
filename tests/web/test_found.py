"""What was searched for is marked in what was found."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from infirmary.web.found import fragments, marked, marked_digits, number


def test_beginnings_of_words_are_marked_whatever_their_accents() -> None:
    assert marked("Delgado Vega, Rosa", fragments("del VEG")) == "<mark>Del</mark>gado <mark>Veg</mark>a, Rosa"
    assert marked("Nguyễn Thị Lan", fragments("nguyen")) == "<mark>Nguyễn</mark> Thị Lan"
    assert marked("Vandelay del Río", fragments("del")) == "Vandelay <mark>del</mark> Río"


def test_the_inside_of_a_word_is_marked_only_when_nothing_begins_like_that() -> None:
    assert marked("Vandelay", fragments("del")) == "Van<mark>del</mark>ay"


def test_digits_are_marked_across_spaces() -> None:
    assert marked_digits("0600 555 114", fragments("0600555")) == "<mark>0600 555</mark> 114"
    assert marked_digits("14 Mar 1968", fragments("68")) == "14 Mar 19<mark>68</mark>"
    assert marked_digits("14 Mar 1968", fragments("8")) == "14 Mar 1968"


def test_marks_that_overlap_become_one_stretch() -> None:
    assert marked("Marie", fragments("mar mari")) == "<mark>Mar</mark><mark>i</mark>e"


@given(st.text(max_size=30), st.text(max_size=20))
def test_nothing_is_lost_and_nothing_runs(text: str, q: str) -> None:
    for made in (marked(text, fragments(q)), marked_digits(text, fragments(q))):
        assert made.replace("<mark>", "").replace("</mark>", "") == escape(text)


def test_a_number_is_read_aloud_in_threes() -> None:
    assert number(104882) == "104\u00a0882"

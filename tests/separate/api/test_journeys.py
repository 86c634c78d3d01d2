"""The journeys, asked at the gateway."""
from __future__ import annotations

import pytest

from tests.journeys.test_booking import (
    test_a_cancelled_visit_frees_its_time_for_somebody_else,
    test_a_declined_request_frees_its_time_and_says_why,
    test_a_visit_from_sign_up_to_completion,
    test_leave_takes_its_slots_away_and_gives_them_back,
    test_reception_registers_finds_books_and_the_same_form_twice_is_one_visit,
    test_what_belongs_to_somebody_else_is_not_there,
)

pytestmark = pytest.mark.xdist_group("services")

__all__ = ["test_a_cancelled_visit_frees_its_time_for_somebody_else",
           "test_a_declined_request_frees_its_time_and_says_why", "test_a_visit_from_sign_up_to_completion",
           "test_leave_takes_its_slots_away_and_gives_them_back",
           "test_reception_registers_finds_books_and_the_same_form_twice_is_one_visit",
           "test_what_belongs_to_somebody_else_is_not_there"]

"""The main paths, by real people's browsers, through the gateway."""
from __future__ import annotations

from tests.browser.test_journey import (
    test_a_visit_is_asked_for_accepted_moved_and_cancelled,
    test_a_whole_booking_by_keyboard,
    test_booking_works_without_script,
    test_somebody_else_was_quicker_and_the_page_offers_other_times,
    test_the_bell_rings_while_the_page_is_open,
)

__all__ = ["test_a_visit_is_asked_for_accepted_moved_and_cancelled", "test_a_whole_booking_by_keyboard",
           "test_booking_works_without_script", "test_somebody_else_was_quicker_and_the_page_offers_other_times",
           "test_the_bell_rings_while_the_page_is_open"]

"""What a house is to others."""
from __future__ import annotations

from granian.http import HTTP1Settings

from infirmary.run.house import SILENT_FOR


def test_of_a_silent_connection_whoever_asks_lets_go_first() -> None:
    """A server that hung up just then would leave a request without an answer, and most must not be sent again."""
    assert HTTP1Settings().header_read_timeout / 1000 > 2 * SILENT_FOR   # which is how long Granian waits for the next request

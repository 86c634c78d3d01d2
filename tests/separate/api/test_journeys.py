"""The journeys, asked at the gateway."""
from __future__ import annotations

from tests.journeys.test_booking import *  # noqa: F403
from tests.journeys.test_records import *  # noqa: F403
from tests.journeys.test_scheduling import *  # noqa: F403


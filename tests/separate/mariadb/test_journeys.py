"""The journeys, asked at the gateway of a hospital on MariaDB."""
from __future__ import annotations

from tests.separate.api.test_journeys import *  # noqa: F403


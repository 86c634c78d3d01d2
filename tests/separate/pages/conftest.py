"""A browser before a demo hospital of separate processes, two of each. No asynchronous test may live here: Playwright
leaves a loop running until its last fixture has ended."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import CHROMIUM, MORNING, chromium, visit
from tests.hospital import zone_at
from tests.services import missing, services

__all__ = ["visit"]


@pytest.fixture(scope="package")
def base() -> Iterator[str]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    if reason := missing():
        pytest.skip(reason)
    with services(replicas=2, demo=True, environment={"INFIRMARY_HOSPITAL__ZONE": zone_at(MORNING)}) as place:
        yield place.base


@pytest.fixture(scope="package")
def browser(base: str) -> Iterator[Browser]:
    with chromium() as opened:
        yield opened

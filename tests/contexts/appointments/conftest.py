from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from .builders import Clinic, a_clinic


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    """On SQLite, for what does not depend on the engine."""
    async with a_clinic(f"sqlite://{tmp_path}/appointments.db") as opened:
        yield opened


@pytest.fixture
async def every_clinic(database_url: Callable[[str], str]) -> AsyncIterator[Clinic]:
    """On each engine in turn, for what the database decides."""
    async with a_clinic(database_url("appointments")) as opened:
        yield opened

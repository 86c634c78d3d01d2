"""A door on SQLite for every test, and one on each engine where the database decides."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from .builders import Door, a_door


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with a_door(f"sqlite://{tmp_path}/identity.db", tmp_path) as door:
        yield door


@pytest.fixture
async def any_door(database_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Door]:
    async with a_door(database_url("identity"), tmp_path) as door:
        yield door

"""A door on SQLite for every test, and one on each engine where the database decides."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.provider.lying import LyingProvider, a_provider

from .builders import Door, a_door
from .elsewhere import knows


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with a_door(f"sqlite://{tmp_path}/identity.db", tmp_path) as door:
        yield door


@pytest.fixture
async def any_door(database_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Door]:
    async with a_door(database_url("identity"), tmp_path) as door:
        yield door


@pytest.fixture
async def provider(door: Door) -> AsyncIterator[LyingProvider]:
    async with a_provider(door.clock) as made:
        knows(door, made)
        yield made

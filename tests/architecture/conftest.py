"""The hospital that the tests of a file share: it takes seconds to settle."""
from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .world import World, a_world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hospital")) as settled:
        yield settled

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from infirmary.contexts.staff.contract import Staff
from infirmary.contexts.staff.wiring import STAFF
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Database
from infirmary.settings import Settings

from .builders import MONDAY, World


def _asks_nobody(_: type[Any]) -> Any:
    raise AssertionError("staff asks no other context")


@pytest.fixture
async def world(database_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[World]:
    clock = HeldClock(MONDAY)
    db = await Database.open(database_url("staff"), "staff", clock=clock, size=16)
    await db.create(STAFF.metadata)
    service = STAFF.service(Kit(settings=Settings(), clock=clock, db=db, ask=_asks_nobody, data=tmp_path, master=b"m"))
    yield World(in_process(Staff, lambda: (service, db)), db, clock)
    await db.close()

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from infirmary.contexts.audit.contract import Audit
from infirmary.contexts.audit.wiring import AUDIT
from infirmary.kernel.bus import Consumer
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.migrate import upgrade
from infirmary.settings import Settings

from .builders import MONDAY, Trail


def _asks_nobody(_: type[Any]) -> Any:
    raise AssertionError("audit asks no other context")


@pytest.fixture
async def trail(database_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Trail]:
    """On the tables that the migrations make: their triggers are part of what the trail promises."""
    clock = HeldClock(MONDAY)
    await upgrade(database_url("audit"), AUDIT.migrations)
    db = await Database.open(database_url("audit"), "audit", clock=clock, size=16)
    service = AUDIT.service(Kit(settings=Settings(), clock=clock, db=db, ask=_asks_nobody, data=tmp_path, master=b"m"))
    yield Trail(in_process(Audit, lambda: (service, db)), db, clock, Consumer(db, AUDIT.reactions(service)))
    await db.close()

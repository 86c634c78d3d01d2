from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from infirmary.contexts.reports.contract import Reports
from infirmary.contexts.reports.wiring import REPORTS
from infirmary.kernel.bus import Consumer
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Statement
from infirmary.settings import Settings

from .builders import MONDAY, World

EMPTY = [Statement(delete(table)) for table in REPORTS.metadata.sorted_tables]


def _asks_nobody(_: type[Any]) -> Any:
    raise AssertionError("reports asks no other context")


@pytest.fixture
async def world(database_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[World]:
    clock = HeldClock(MONDAY)
    db = await Database.open(database_url("reports"), "reports", clock=clock)
    await db.create(REPORTS.metadata)
    service = REPORTS.service(
        Kit(settings=Settings(), clock=clock, db=db, ask=_asks_nobody, data=tmp_path, master=b"m"))

    async def empty() -> None:
        async with db.transaction() as tx:
            for statement in EMPTY:
                await tx.run(statement)

    yield World(in_process(Reports, lambda: (service, db)), Consumer(db, REPORTS.reactions(service)), db, clock, empty)
    await db.close()

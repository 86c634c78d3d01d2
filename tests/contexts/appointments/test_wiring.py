from __future__ import annotations

from collections.abc import Callable

from infirmary.contexts.appointments.wiring import APPOINTMENTS
from infirmary.kernel.database import migrate


async def test_the_migrations_make_the_tables_that_are_declared(database_url: Callable[[str], str]):
    assert await migrate.check(database_url("appointments"), APPOINTMENTS.metadata, APPOINTMENTS.migrations) == []

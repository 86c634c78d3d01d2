"""Books without end and prints each id once it is acknowledged; a test kills it."""
from __future__ import annotations

import asyncio
import sys

from infirmary.kernel.database.db import Database
from tests.kernel.model import VISITS, a_visit, metadata


async def main() -> None:
    db = await Database.open(f"sqlite://{sys.argv[1]}", "kernel")
    await db.create(metadata)

    async def book() -> None:
        while True:
            visit = a_visit()
            async with db.transaction() as tx:
                VISITS.add(tx, visit)
            print(visit.id.hex, flush=True)

    await asyncio.gather(*(book() for _ in range(16)))


asyncio.run(main())

"""What it costs, and what it brings, to run the hospital as separate services: against one process on the same database."""
from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select

from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.kernel.outbox import inbox, outbox
from tests import load
from tests.hospital import running
from tests.services import Services, missing, services

from . import world

COUNT = 1500          # bookings for one figure
STEADY = 40           # bookings a second while latencies are measured,
STEADY_FOR = 10       # and for how many seconds
Rate = Callable[..., float]


class At(Struct, frozen=True):
    id: UUID
    at: datetime


ANNOUNCED = Query(select(outbox.c.id, outbox.c.happened_at.label("at")).where(
    outbox.c.kind == "appointments.AppointmentBooked"), At)
HANDLED = Query(select(inbox.c.fact_id.label("id"), inbox.c.handled_at.label("at")), At)


def measure(add: Callable[..., None], book_requests: Callable[..., list[load.Sent]], timed_rate: Rate, rate: Rate) -> None:
    if reason := missing():
        print(f"  separate services: not measured. {reason}")
        return
    reads = {}
    with services(replicas=1) as place:
        where = asyncio.run(world.peopled(place.settings))
        everything = iter(book_requests(where, 20_000, random.Random(7)))

        def some(count: int) -> list[load.Sent]:
            return list(itertools.islice(everything, count))

        direct = next(one.url for one in place.entries if one.name == "appointments-1")
        one = free_times(where)
        for base in (place.base, direct):
            timed_rate(base, some(300), expect=201)   # warm
        gateway = statistics.median(timed_rate(place.base, some(COUNT), expect=201) for _ in range(3))
        straight = statistics.median(timed_rate(direct, some(COUNT), expect=201) for _ in range(3))
        add("gateway_price", gateway, "per s", straight, gateway / straight)
        p50, p99 = latency(place, some)
        add("event_latency_ms", p50, "ms p50", None, None)
        add("event_latency_ms", p99, "ms p99", None, None)
        reads[1] = rate(place.base, [one], expect=200)
        with running(place.settings, workers=1) as together:   # beside them, on the same databases
            timed_rate(together.base, some(300), expect=201)
            single = statistics.median(timed_rate(together.base, some(COUNT), expect=201) for _ in range(3))
        add("services_price", gateway, "per s", single, gateway / single)
    with services(replicas=2) as place:
        where = asyncio.run(world.peopled(place.settings))
        book = book_requests(where, 400, random.Random(8))
        timed_rate(place.base, book[:300], expect=201)
        reads[2] = rate(place.base, [free_times(where)], expect=200)
    add("replicas_2", reads[2], "per s", reads[1], reads[2] / reads[1])


def free_times(where: world.World) -> load.Sent:
    """Reading one doctor's free times of a day: work for the service, little for anybody else."""
    day = world.FIRST_DAY.isoformat().replace("+00:00", "Z")
    until = world.FIRST_DAY.replace(hour=23).isoformat().replace("+00:00", "Z")
    return load.request("GET", f"/api/v1/slots?doctor_id={where.doctors[0].id}&from={day}&to={until}", token=where.desk)


def latency(place: Services, some: Callable[[int], list[load.Sent]]) -> tuple[float, float]:
    """From a booking's commit to its effect in reports, in milliseconds, under a steady load: (p50, p99)."""
    async def drive() -> None:
        tasks = []
        for _ in range(STEADY * STEADY_FOR):
            tasks.append(asyncio.create_task(load.drive(place.base, some(1), connections=1)))
            await asyncio.sleep(1 / STEADY)
        await asyncio.gather(*tasks)
        await asyncio.sleep(3)

    async def seen() -> list[float]:
        known = await _all(place, "appointments", ANNOUNCED)
        handled = await _all(place, "reports", HANDLED)
        return [(handled[fact] - at).total_seconds() * 1000 for fact, at in known.items() if fact in handled]

    before = len(asyncio.run(seen()))
    asyncio.run(drive())
    took = asyncio.run(seen())[before:]
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


async def _all(place: Services, context: str, query: Query[At]) -> dict[UUID, datetime]:
    db = await Database.open(place.url(context), context, size=1)
    try:
        async with db.reading() as reading:
            return {one.id: one.at for one in sorted(await reading.all(query), key=lambda one: one.id)}
    finally:
        await db.close()

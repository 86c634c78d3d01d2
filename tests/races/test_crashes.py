"""kill -9 at random moments of a booking load: nothing acknowledged is lost, and every effect happens once.

`make races` kills fifty times; `make test` fewer.
"""
from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from infirmary.contexts.appointments import tables as appointments
from infirmary.contexts.audit import tables as audit
from infirmary.contexts.reports import tables as reports
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.kernel.outbox import WAITING
from infirmary.language import RECEPTION
from infirmary.settings import Settings
from tests import load
from tests.hospital import Running, Seeded, seed, token

from .test_double_booking import booked_once, everything

KILLS = int(os.environ.get("KILLS", "15"))
CONTEXTS = ("appointments", "identity", "notifications", "patients", "reports", "staff", "audit")


def wishes(settings: Settings, there: Seeded, chance: random.Random) -> list[load.Sent]:
    """A thousand bookings, each with its own key, so that each may be sent again."""
    desk, sends = token(settings, RECEPTION), []
    for _ in range(1000):
        key = str(uuid4())
        body = {"patient_id": str(chance.choice(there.patients).id), "doctor_id": str(chance.choice(there.doctors).id),
                "starts_at": (there.first_day + timedelta(minutes=20 * chance.randrange(72 * 28))).isoformat()}
        sends.append(load.request("POST", "/api/v1/appointments", token=desk, body=body, tag=key,
                                  headers={"Idempotency-Key": key}))
    return sends


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
async def test_kill_after_kill_loses_nothing_and_doubles_nothing(settings: Settings, workers: int, engine: str) -> None:
    there = await seed(settings, doctors=8, patients=60)
    chance = random.Random(4)
    hospital = Running(settings, workers)
    acknowledged: dict[str, str] = {}   # key -> visit
    unknown: list[load.Sent] = []
    starts: list[float] = []
    for _ in range(KILLS if engine == "sqlite" else KILLS // 5):
        begun = time.monotonic()
        hospital.start()
        starts.append(time.monotonic() - begun)
        sends = unknown[:200] + wishes(settings, there, chance)
        by_key = {sent.tag: sent for sent in sends}
        killer = asyncio.get_running_loop().call_later(chance.uniform(.05, .6), hospital.kill)
        outcome = await load.drive(hospital.base, sends, connections=12, until=time.monotonic() + .6)
        killer.cancel()
        hospital.kill()
        for answer in outcome.answers:
            assert answer.status in (201, 409, 422, 503), answer
            if answer.status == 201:
                visit = json.loads(answer.body)["id"]
                assert acknowledged.setdefault(answer.tag, visit) == visit   # the same key, the same visit
        unknown = [by_key[tag] for tag in dict.fromkeys(outcome.lost) if tag not in acknowledged]
    assert len(acknowledged) > 10 * len(starts)

    hospital.start()   # whatever was under way is finished by the hospital itself
    try:
        await until_delivered(settings)
    finally:
        hospital.stop()
    visits, grains = await everything(settings)
    booked_once(visits, grains)
    kept = {visit.id for visit in visits}
    assert {UUID(visit) for visit in acknowledged.values()} <= kept
    assert len(set(acknowledged.values())) == len(acknowledged)
    await effects_happened_once(settings, kept)


async def until_delivered(settings: Settings) -> None:
    async with asyncio.timeout(120):
        for context in CONTEXTS:
            db = await Database.open(settings.database_url(context), context)
            async with db.reading() as reading:
                while await reading.one(WAITING):
                    await asyncio.sleep(.1)
            await db.close()


async def effects_happened_once(settings: Settings, visits: set[UUID]) -> None:
    """Each visit: one row in the reports, one entry on the trail, one step."""
    async def values(context: str, query: Query[object]) -> list[object]:
        db = await Database.open(settings.database_url(context), context)
        try:
            async with db.reading() as reading:
                return await reading.all(query)
        finally:
            await db.close()

    assert Counter(await values("reports", Query(select(reports.visit.c.visit_id), UUID))) == Counter(visits)
    booked = Query(select(audit.audit_event.c.entity).where(audit.audit_event.c.action == "appointment.booked"), str)
    assert Counter(await values("audit", booked)) == Counter(f"appointment/{one}" for one in visits)
    steps = Query(select(func.count()).select_from(appointments.step), int)
    assert await values("appointments", steps) == [len(visits)]

"""kill -9 at random moments of a load that books, holds and calls who waits: nothing acknowledged is lost, and every
effect happens once.

`make races` kills fifty times; `make test` fewer.
"""
from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import Status
from infirmary.contexts.audit import tables as audit
from infirmary.contexts.reports import tables as reports
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.kernel.outbox import WAITING
from infirmary.language import RECEPTION
from infirmary.settings import Settings
from tests import load
from tests.hospital import Running, Seeded, seed, token

from .test_double_booking import booked_once, everything, kept

KILLS = int(os.environ.get("KILLS", "8"))
T = TypeVar("T")
CONTEXTS = ("appointments", "identity", "notifications", "patients", "reports", "staff", "audit")


@dataclass
class Heard:
    """What was acknowledged, by the key it was asked for under: one key, one thing, however often it was sent."""

    visits: dict[str, list[str]] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    calls: dict[str, tuple[str, str]] = field(default_factory=dict)   # the number called, and the visit that began

    def take(self, tag: tuple[str, str], answer: dict[str, Any]) -> None:
        what, key = tag
        match what:
            case "book":
                self._same(self.visits, key, [answer["id"]])
            case "series":
                self._same(self.visits, key, [one["id"] for one in answer["visits"]])
            case "hold":
                self._same(self.holds, key, answer["hold_id"])
            case "number":
                self._same(self.numbers, key, answer["id"])
            case "call":
                self._same(self.calls, key, (answer["id"], answer["appointment_id"]))

    def _same(self, kept: dict[str, T], key: str, made: T) -> None:
        assert kept.setdefault(key, made) == made

    def knows(self, key: str) -> bool:
        return any(key in kept for kept in (self.visits, self.holds, self.numbers, self.calls))


def wishes(settings: Settings, there: Seeded, chance: random.Random, heard: Heard) -> list[load.Sent]:
    """A thousand things to do, each under its own key, so that each may be sent again."""
    desk = token(settings, RECEPTION)

    def some(people: list[Any]) -> str:
        return str(chance.choice(people).id)

    def wish(what: str) -> tuple[str, dict[str, Any]]:
        if what == "number":
            return "/queue/tokens", {"patient_id": some(there.patients), "department_id": str(there.doctors[0].department_id)}
        if what == "call":
            return "/queue/next", {"doctor_id": some(there.doctors)}
        if what == "complete":
            return f"/appointments/{chance.choice([*heard.calls.values()])[1]}/complete", {}
        body = {"patient_id": some(there.patients), "doctor_id": some(there.doctors),
                "starts_at": (there.first_day + timedelta(minutes=20 * chance.randrange(72 * 28))).isoformat()}
        if what == "series":
            return "/series", {**body, "recurrence": {"frequency": "daily", "count": 3}}
        return ("/slots/hold" if what == "hold" else "/appointments"), body

    sends = []
    for what in chance.choices(["book", "series", "hold", "number", "call", "complete"], [70, 8, 10, 5, 5, 2], k=1000):
        if what != "complete" or heard.calls:
            key, (path, body) = str(uuid4()), wish(what)
            sends.append(load.request("POST", f"/api/v1{path}", token=desk, body=body, tag=(what, key),
                                      headers={"Idempotency-Key": key}))
    return sends


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
async def test_kill_after_kill_loses_nothing_and_doubles_nothing(settings: Settings, workers: int, engine: str) -> None:
    there = await seed(settings, doctors=8, patients=60)
    chance = random.Random(4)
    hospital = Running(settings, workers)
    heard = Heard()
    unknown: list[load.Sent] = []
    rounds = KILLS if engine == "sqlite" else KILLS // 4
    for _ in range(rounds):
        hospital.start()
        sends = unknown[:200] + wishes(settings, there, chance, heard)
        by_tag = {sent.tag: sent for sent in sends}
        outcome = await killed_amid(hospital, sends, answers=chance.randrange(20, 400))
        for answer in outcome.answers:
            assert answer.status in (200, 201, 409, 422, 503), answer
            if answer.status in (200, 201):
                heard.take(answer.tag, json.loads(answer.body))
        unknown = [by_tag[tag] for tag in dict.fromkeys(outcome.lost) if not heard.knows(tag[1])]
    assert len(heard.visits) > 10 * rounds
    assert heard.holds
    assert heard.numbers
    assert heard.calls

    hospital.start()   # whatever was under way is finished by the hospital itself
    try:
        await until_delivered(settings)
    finally:
        hospital.stop()
    visits, grains = await everything(settings)
    holds = {hold.id for hold in await kept(settings, "appointments", tables.holds.HOLDS.find())}
    over = {visit.id for visit in visits if visit.status is Status.COMPLETED}   # what was of their time stays theirs
    booked_once(visits, [grain for grain in grains if grain.appointment_id not in holds | over])
    assert Counter(grain.appointment_id for grain in grains if grain.appointment_id in holds) == dict.fromkeys(holds, 2 * 4)
    everything_acknowledged_is_there(heard, {str(visit.id) for visit in visits})
    numbers = await kept(settings, "appointments", tables.queue.TOKENS.find())
    called_once(heard, numbers, {visit.id for visit in visits if visit.status in (Status.IN_PROGRESS, Status.COMPLETED)})
    await effects_happened_once(settings, {visit.id for visit in visits})


async def killed_amid(hospital: Running, sends: list[load.Sent], *, answers: int) -> load.Outcome:
    """What was heard until the kill, which comes when there were so many answers: however fast this machine is."""
    outcome = load.Outcome()
    driving = asyncio.create_task(load.drive(hospital.base, sends, connections=12, outcome=outcome))
    async with asyncio.timeout(60):
        while len(outcome.answers) < answers:
            await asyncio.sleep(.001)
    hospital.kill()
    await asyncio.sleep(.05)   # until all connections know
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)
    return outcome


def everything_acknowledged_is_there(heard: Heard, visits: set[str]) -> None:
    acknowledged = [one for made in heard.visits.values() for one in made]
    assert set(acknowledged) <= visits
    assert len(set(acknowledged)) == len(acknowledged)


def called_once(heard: Heard, numbers: list[Any], seen: set[UUID]) -> None:
    """Whom somebody was told to call was called, to the visit that was named; each visit began by one call."""
    assert set(heard.numbers.values()) <= {str(one.id) for one in numbers}
    assert sorted(one.number for one in numbers) == list(range(1, len(numbers) + 1))
    calls = {str(one.id): str(one.appointment_id) for one in numbers if one.appointment_id}
    assert set(heard.calls.values()) <= set(calls.items())
    assert sorted(calls.values()) == sorted(map(str, seen))


async def until_delivered(settings: Settings) -> None:
    async with asyncio.timeout(120):
        for context in CONTEXTS:
            db = await Database.open(settings.database_url(context), context)
            async with db.reading() as reading:
                while await reading.one(WAITING):
                    await asyncio.sleep(.1)
            await db.close()


async def effects_happened_once(settings: Settings, visits: set[UUID]) -> None:
    """These visits and no other, and of each: one row in the reports, one entry on the trail that it was made, a step for
    each version."""
    there = await kept(settings, "appointments", tables.VISITS.find())
    assert {visit.id for visit in there} == visits
    assert Counter(await kept(settings, "reports", Query(select(reports.visit.c.visit_id), UUID))) == Counter(visits)
    made = Query(select(audit.audit_event.c.entity).where(
        audit.audit_event.c.action.in_(["appointment.booked", "appointment.started"])), str)
    assert Counter(await kept(settings, "audit", made)) == Counter(f"appointment/{one}" for one in visits)
    steps = await kept(settings, "appointments", tables.STEPS.find())
    assert sorted((one.appointment_id, one.version) for one in steps) == sorted(
        (visit.id, version) for visit in there for version in range(1, visit.version + 1))

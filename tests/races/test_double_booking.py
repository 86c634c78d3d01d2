"""No double booking: thousands of attempts at once, over HTTP, from four client processes.

`make races` makes ten thousand attempts in each; `make test` fewer.
"""
from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import Status
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.statement import Query
from infirmary.language import PATIENT, RECEPTION
from infirmary.settings import Settings
from tests import load
from tests.hospital import Seeded, running, seed, token

ATTEMPTS = int(os.environ.get("ATTEMPTS", "600"))
T = TypeVar("T")
BOOKED, MOVES = (400, 12) if ATTEMPTS > 1_000 else (200, 4)   # visits, and how often each is to be moved
SLOTS, PROCESSES, CONNECTIONS = 100, 4, 16
LIVE = {Status.REQUESTED, Status.BOOKED, Status.CHECKED_IN, Status.IN_PROGRESS}


def booking(access: str, body: dict[str, Any], tag: Any = None) -> load.Sent:
    return load.request("POST", "/api/v1/appointments", token=access, body=body, tag=tag)


async def kept(settings: Settings, context: str, query: Query[T]) -> list[T]:
    db = await Database.open(settings.database_url(context), context)
    try:
        async with db.reading() as reading:
            return await reading.all(query)
    finally:
        await db.close()


async def everything(settings: Settings) -> tuple[list[Any], list[Any]]:
    """Every visit and every occupied grain, straight from the tables."""
    return (await kept(settings, "appointments", tables.VISITS.find()),
            await kept(settings, "appointments", tables.taken.OCCUPANCY.find()))


def of(there: Seeded, visits: list[Any], grains: list[Any]) -> tuple[list[Any], list[Any]]:
    """Those of these doctors and patients: others may have been at work in the same hospital."""
    whose = {one.id for one in (*there.doctors, *there.patients)}
    return ([visit for visit in visits if visit.doctor_id in whose or visit.patient_id in whose],
            [grain for grain in grains if grain.resource_id in whose])


def overlaps(visits: list[Any]) -> int:
    """An interval sweep that knows nothing of grains: pairs of live visits that share a doctor or a patient and time."""
    found = 0
    for key in ("doctor_id", "patient_id"):
        by_whom = defaultdict(list)
        for visit in visits:
            if visit.status in LIVE:
                by_whom[getattr(visit, key)].append((visit.starts_at, visit.ends_at))
        for times in by_whom.values():
            times.sort()
            found += sum(later[0] < earlier[1] for earlier, later in pairwise(times))
    return found


def booked_once(visits: list[Any], grains: list[Any]) -> None:
    """What must hold after any race: no overlap, and the occupied grains are those of the live visits, no more."""
    assert overlaps(visits) == 0
    expected = sum(2 * ((visit.ends_at - visit.starts_at) // timedelta(minutes=5)) for visit in visits
                   if visit.status in LIVE)
    assert len(grains) == expected


async def race_for_a_hundred_slots(base: str, settings: Settings, there: Seeded, attempts: int = ATTEMPTS) -> None:
    """Between two doctors."""
    slots = [(doctor.id, there.first_day + timedelta(minutes=20 * n)) for doctor in there.doctors for n in range(SLOTS // 2)]
    as_patient = {one.id: token(settings, PATIENT, patient_id=one.id) for one in there.patients}
    chance = random.Random(1)
    sends = []
    for n in range(attempts):
        doctor, at = slots[n % SLOTS]
        patient = chance.choice(there.patients).id
        sends.append(booking(as_patient[patient], {
            "patient_id": str(patient), "doctor_id": str(doctor), "starts_at": at.isoformat()}, tag=n % SLOTS))
    chance.shuffle(sends)
    # Each patient may have twenty visits before them, and forty patients share a hundred slots at the same times:
    # a slot whose every wish came from a busy patient may stay free, so reception asks for each slot too.
    desk = token(settings, RECEPTION)
    spare = there.patients
    sends += [booking(desk, {"patient_id": str(spare[(slot + turn * 7) % len(spare)].id), "doctor_id": str(doctor),
                             "starts_at": at.isoformat()}, tag=slot)
              for turn in range(3) for slot, (doctor, at) in enumerate(slots)]
    outcome = load.from_processes(base, sends, processes=PROCESSES, connections=CONNECTIONS)
    counts = outcome.by_status()
    assert set(counts) <= {201, 409, 422}, counts
    assert not outcome.lost
    assert counts[201] == SLOTS
    assert len({answer.tag for answer in outcome.answers if answer.status == 201}) == SLOTS
    visits, grains = of(there, *await everything(settings))
    acknowledged = {json.loads(answer.body)["id"] for answer in outcome.answers if answer.status == 201}
    assert {str(visit.id) for visit in visits} == acknowledged
    booked_once(visits, grains)


async def test_many_attempts_on_a_hundred_slots_make_a_hundred_visits(settings: Settings, workers: int) -> None:
    there = await seed(settings, doctors=2, patients=40)
    with running(settings, workers=workers) as hospital:
        await race_for_a_hundred_slots(hospital.base, settings, there)


async def test_many_attempts_of_any_length_never_overlap(settings: Settings, workers: int) -> None:
    there = await seed(settings, doctors=4, patients=12)
    chance, desk = random.Random(2), token(settings, RECEPTION)
    sends = [booking(desk, {
        "patient_id": str(chance.choice(there.patients).id), "doctor_id": str(chance.choice(there.doctors).id),
        "starts_at": (there.first_day + timedelta(minutes=5 * chance.randrange(288 * 3))).isoformat(),
        "minutes": 5 * chance.randint(1, 24)}) for _ in range(ATTEMPTS)]
    with running(settings, workers=workers) as hospital:
        outcome = load.from_processes(hospital.base, sends, processes=PROCESSES, connections=CONNECTIONS)
    assert set(outcome.by_status()) <= {201, 409, 422}
    visits, grains = await everything(settings)
    assert len(visits) == outcome.by_status()[201] > 50
    booked_once(visits, grains)


async def a_hundred_cancel_at_once(base: str, settings: Settings, there: Seeded) -> None:
    desk = token(settings, RECEPTION)
    made = await book_one(base, settings, there)
    cancels = [load.request("POST", f"/api/v1/appointments/{made}/cancel", token=desk, body={}) for _ in range(100)]
    outcome = load.from_processes(base, cancels, processes=PROCESSES, connections=25)
    assert outcome.by_status() == {200: 1, 409: 99}
    await book_one(base, settings, there)   # the time is free for one other, once
    visits, grains = of(there, *await everything(settings))
    booked_once(visits, grains)
    assert len(visits) == 2


async def test_a_hundred_cancels_at_once_release_the_time_once(settings: Settings, workers: int) -> None:
    there = await seed(settings, doctors=1, patients=2)
    with running(settings, workers=workers) as hospital:
        await a_hundred_cancel_at_once(hospital.base, settings, there)


async def book_one(base: str, settings: Settings, there: Seeded) -> str:
    sent = booking(token(settings, RECEPTION), {
        "patient_id": str(there.patients[0].id), "doctor_id": str(there.doctors[0].id),
        "starts_at": there.first_day.isoformat()})
    outcome = await load.drive(base, [sent], connections=1)
    assert outcome.by_status() == {201: 1}, outcome.answers
    made: str = json.loads(outcome.answers[0].body)["id"]
    return made


async def test_booking_moving_and_cancelling_all_at_once_stays_consistent(settings: Settings, workers: int) -> None:
    there = await seed(settings, doctors=2, patients=6)
    chance, desk = random.Random(3), token(settings, RECEPTION)

    def when() -> str:
        return (there.first_day + timedelta(minutes=5 * chance.randrange(288))).isoformat()

    with running(settings, workers=workers) as hospital:
        first = [booking(desk, {"patient_id": str(chance.choice(there.patients).id),
                                "doctor_id": str(chance.choice(there.doctors).id), "starts_at": when(),
                                "minutes": 5 * chance.randint(1, 8)}) for _ in range(BOOKED)]
        outcome = load.from_processes(hospital.base, first, processes=PROCESSES, connections=8)
        made = [json.loads(answer.body)["id"] for answer in outcome.answers if answer.status == 201]
        mixed = [load.request("POST", f"/api/v1/appointments/{one}/reschedule", token=desk, body={"starts_at": when()})
                 for one in made for _ in range(MOVES)]
        mixed += [load.request("POST", f"/api/v1/appointments/{one}/cancel", token=desk, body={}) for one in made[::3]]
        mixed += first
        chance.shuffle(mixed)
        outcome = load.from_processes(hospital.base, mixed, processes=PROCESSES, connections=CONNECTIONS)
        assert set(outcome.by_status()) <= {200, 201, 409, 422}
    booked_once(*await everything(settings))


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_the_judge_of_these_races_sees_an_overlap(settings: Settings) -> None:
    there = await seed(settings, doctors=1, patients=1)
    with running(settings) as hospital:
        await book_one(hospital.base, settings, there)
    visits, grains = await everything(settings)
    twice = [*visits, *visits]
    assert overlaps(twice) == 2   # the doctor's and the patient's
    with pytest.raises(AssertionError):
        booked_once(twice, grains)

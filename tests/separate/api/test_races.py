"""No double booking, with two processes of each service behind the gateway.

ATTEMPTS=10000 for as many as one process is asked (2,000 without).
"""
from __future__ import annotations

import os
from dataclasses import replace

from tests.hospital import Seeded
from tests.races.test_double_booking import a_hundred_cancel_at_once, race_for_a_hundred_slots
from tests.services import Services

ATTEMPTS = int(os.environ.get("ATTEMPTS", "2000"))


async def test_thousands_of_attempts_on_a_hundred_slots_make_a_hundred_visits(place: Services, seeded: Seeded) -> None:
    there = replace(seeded, doctors=seeded.doctors[:2], patients=seeded.patients[:40])
    await race_for_a_hundred_slots(place.base, place.settings, there, ATTEMPTS)


async def test_a_hundred_cancels_at_once_release_the_time_once(place: Services, seeded: Seeded) -> None:
    there = replace(seeded, doctors=seeded.doctors[2:3], patients=seeded.patients[40:42])
    await a_hundred_cancel_at_once(place.base, place.settings, there)

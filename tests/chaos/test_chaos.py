"""The short version of `make chaos`: a few faults of each kind, judged like the long one."""
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.hospital import seed
from tests.services import missing, services

from .__main__ import run


@pytest.mark.skipif(bool(missing()), reason=missing() or "")
def test_nothing_is_lost_or_doubled_while_processes_die(tmp_path: Path) -> None:
    with services(replicas=2) as place:
        seeded = asyncio.run(seed(place.settings, doctors=4, patients=40))
        assert asyncio.run(run(place, seeded, tmp_path, faults=8, frozen_for=4, outage=8, seed_of=11)) == 0

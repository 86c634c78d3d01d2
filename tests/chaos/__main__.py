"""`make chaos`: a hospital of separate services under load, while its processes are killed and frozen.

    FAULTS=200 SEED=1 FROZEN=30 OUTAGE=60 DB=postgresql REPLICAS=2 python -m tests.chaos [FOLDER]

Writes history.jsonl and final.json into the folder, and has them judged. Bounded: a fault every few seconds.
"""
from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from time import monotonic

import msgspec

from infirmary.language import RECEPTION
from tests.hospital import Seeded, seed, token
from tests.services import Services, missing, services

from . import judge
from .final import at_rest
from .history import History
from .nemesis import Nemesis
from .workload import Client, Clinic

CLIENTS = 12
RENEWED = 240.0   # seconds; a token lasts ten minutes


def tokens(place: Services) -> Callable[[], str]:
    kept = ["", 0.0]

    def current() -> str:
        if monotonic() > kept[1]:   # type: ignore[operator]
            kept[:] = [token(place.settings, RECEPTION), monotonic() + RENEWED]
        return str(kept[0])

    return current


async def run(place: Services, seeded: Seeded, folder: Path, *, faults: int, frozen_for: float, outage: float, seed_of: int,
              say: Callable[[str], None] = print) -> int:
    """Answers the judge's exit code."""
    chance, history = random.Random(seed_of), History(folder / "history.jsonl")
    clinic = Clinic([str(one.id) for one in seeded.doctors], [str(one.id) for one in seeded.patients],
                    seeded.first_day.astimezone(UTC), slots=72 * 5)
    stop, current = asyncio.Event(), tokens(place)
    clients = [asyncio.create_task(Client(n, place.base, clinic, history, current, random.Random(seed_of * 1000 + n)).run(stop))
               for n in range(CLIENTS)]
    nemesis = Nemesis(place.folder, history, chance, frozen_for=frozen_for)
    await asyncio.sleep(3)
    for n in range(faults):
        say(f"  {n + 1:>4} {await nemesis.strike()}")
        await asyncio.sleep(chance.uniform(1.5, 6))
    for name in (place.database, "kafka", "etcd") if outage else ():
        say(f"       {name} is away for {outage:.0f} s")
        await nemesis.outage(name, outage)
        await asyncio.sleep(15)
    await asyncio.sleep(10)
    stop.set()
    await asyncio.gather(*clients)
    history.close()
    shutil.copytree(place.folder / "logs", folder / "logs", dirs_exist_ok=True)
    (folder / "final.json").write_bytes(msgspec.json.encode(await at_rest(place.url)))
    return judge.main(folder)


def main() -> int:
    database, replicas = os.environ.get("DB", "postgresql"), int(os.environ.get("REPLICAS", "2"))
    if reason := missing(database):
        print(f"Not run: {reason}")
        return 2
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/chaos")
    folder.mkdir(parents=True, exist_ok=True)
    with services(replicas=replicas, database=database) as place:
        seeded = asyncio.run(seed(place.settings, doctors=4, patients=40))
        return asyncio.run(run(place, seeded, folder, faults=int(os.environ.get("FAULTS", "200")),
                               frozen_for=float(os.environ.get("FROZEN", "30")),
                               outage=float(os.environ.get("OUTAGE", "60")), seed_of=int(os.environ.get("SEED", "1"))))


if __name__ == "__main__":
    sys.exit(main())

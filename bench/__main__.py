"""Measure, print a table, and write build/bench.json.

Every figure stands beside a limit measured in the same run on the same machine: a ratio can be compared elsewhere, a
number of requests a second cannot. Sizes are bounded; the whole takes some minutes.
"""
from __future__ import annotations

import asyncio
import itertools
import json
import os
import platform
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.outbox import kernel_tables  # noqa: F401 – registers the tables before statements compile
from infirmary.language import PATIENT
from infirmary.run.house import House
from tests import load, servers
from tests.hospital import settings_for, token
from tests.house import reception

from . import recorded, services, world

SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CORES = os.cpu_count() or 1
CLIENTS = 2 * CORES * 8


def book_requests(where: world.World, count: int, chance: random.Random) -> list[load.Sent]:
    """Bookings that can all succeed: every doctor's slots from FIRST_DAY on, shuffled, a patient each."""
    desk = where.desk
    sends = []
    for n in range(count):
        doctor, slot = where.doctors[n % world.DOCTORS], n // world.DOCTORS
        patient = where.patients[(n % world.DOCTORS + slot * 7) % world.PATIENTS]
        sends.append(load.request("POST", "/api/v1/appointments", token=desk, body={
            "patient_id": str(patient.id), "doctor_id": str(doctor.id), "reason": "Check-up",
            "starts_at": (world.FIRST_DAY + timedelta(minutes=20 * slot)).isoformat()}))
    chance.shuffle(sends)
    return sends


class Figures:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, name: str, value: float, unit: str, limit: float | None, ratio: float | None) -> None:
        self.rows.append({"name": name, "value": round(value, 3), "unit": unit,
                          "limit": None if limit is None else round(limit, 3),
                          "ratio": None if ratio is None else round(ratio, 3)})
        print(f"  {name:<18} {value:>12,.1f} {unit:<10} {'' if limit is None else f'{limit:>12,.1f}'}"
              f" {'' if ratio is None else f'{ratio:>8.2f}'}", flush=True)


def rate(base: str, sends: list[load.Sent], *, expect: int, seconds: float | None = SECONDS) -> float:
    """Requests a second that were answered as expected, from one client process."""
    begun = time.perf_counter()
    outcome = load.from_processes(base, sends, processes=1, connections=CLIENTS, keep=False, seconds=seconds)
    took = time.perf_counter() - begun
    answered = sum(answer.status == expect for answer in outcome.answers)
    if answered < .98 * len(outcome.answers):
        raise SystemExit(f"the load failed: {outcome.by_status()}")
    spent = seconds or took
    return answered / spent


def timed_rate(base: str, sends: list[load.Sent], *, expect: int) -> float:
    """Each request once, over so long as it takes; counted between the first and the last answer."""
    async def drive() -> tuple[load.Outcome, float]:
        begun = time.perf_counter()
        return await load.drive(base, sends, connections=CLIENTS, keep=False), time.perf_counter() - begun

    outcome, took = asyncio.run(drive())
    answered = sum(answer.status == expect for answer in outcome.answers)
    if not sends or answered < .9 * len(sends):
        raise SystemExit(f"the load failed: {outcome.by_status()}")
    return answered / took


def pgbench(server: servers.Postgres, database: str, script: str, folder: Path) -> float:
    """Transactions a second of the same SQL, prepared, with as many clients."""
    file = folder / "book.sql"
    file.write_text("\\set fresh random(1, 1000000000000000)\n\\set grain random(10000000, 2000000000)\n"
                    "\\set doctor random(1, 100)\n\\set patient random(1, 1000)\n" + script)
    binary = max(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    done = subprocess.run(
        [str(binary), "-n", "-M", "prepared", "-f", str(file), "-c", str(CLIENTS), "-j", str(CORES), "-T",
         str(int(SECONDS)), "-h", "127.0.0.1", "-p", str(server.port), "-U", "infirmary", database],
        capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise SystemExit(f"pgbench failed:\n{done.stdout}\n{done.stderr[-2000:]}")
    return float(found[1])


async def recorded_booking(where: world.World) -> str:
    """One booking through the house, written down as a pgbench script over the appointments' own database."""
    house = House(where.settings)
    await house.open()
    try:
        ask = house.ask(Appointments)
        at = world.FIRST_DAY + timedelta(days=60)
        body = BookAppointment(patient_id=where.patients[0].id, doctor_id=where.doctors[0].id, starts_at=at)
        await ask.book(reception, body)   # statements are compiled by now
        body = BookAppointment(patient_id=where.patients[0].id, doctor_id=where.doctors[0].id,
                               starts_at=at + timedelta(hours=1))
        with recorded.Recorder() as recorder:
            await ask.book(reception, body)
    finally:
        await house.close()
    doctors = "(SELECT id FROM bench_doctor WHERE n = :doctor)"
    patients = "(SELECT id FROM bench_patient WHERE n = :patient)"
    return recorded.script(recorder.sent, grain=int(body.starts_at.timestamp()) // 300,
                           chosen={where.patients[0].id: patients, where.doctors[0].id: doctors})


async def prepare_pgbench(server: servers.Postgres, where: world.World, database: str) -> None:
    """pgbench speaks to one database: give it the patients' table beside the appointments'."""
    import asyncpg

    dump = subprocess.run(["/usr/bin/pg_dump", "-h", "127.0.0.1", "-p", str(server.port), "-U", "infirmary", "-t", "patient",
                           where.settings.database_url("patients").rpartition("/")[2]], capture_output=True, check=True)
    subprocess.run(["/usr/bin/psql", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "infirmary", database],
                   input=dump.stdout, capture_output=True, check=True)
    connection = await asyncpg.connect(server.url(database))
    for table, people in (("bench_doctor", where.doctors), ("bench_patient", where.patients)):
        await connection.execute(f"CREATE TABLE {table} (n int PRIMARY KEY, id uuid)")
        await connection.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(n, one.id) for n, one in enumerate(people, 1)])
    await connection.close()


def median_of(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    return statistics.median(measure() for _ in range(rounds))


def main() -> None:
    figures, chance = Figures(), random.Random(5)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"{platform.platform()}, {CORES} cores, Python {platform.python_version()}, commit {commit or 'unknown'}")
    print(f"  {'row':<18} {'value':>12} {'unit':<10} {'limit':>12} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as made, servers.postgres() as server:
        folder = Path(made)
        where = asyncio.run(world.peopled(world.on_postgres(server, "bench", folder / "pg")))
        asyncio.run(world.fill_clinic(where))
        asyncio.run(filled(where, 0, 10_000))
        everything = iter(book_requests(where, 60_000, chance))

        def some(count: int) -> list[load.Sent]:
            return list(itertools.islice(everything, count))

        with where.served(CORES) as hospital:
            timed_rate(hospital.base, some(1000), expect=201)   # warm
            small = {"book": median_of(lambda: timed_rate(hospital.base, some(3000), expect=201)),
                     **looked_for(where, hospital.base)}
        asyncio.run(filled(where, 10_000, 100_000))
        script = asyncio.run(recorded_booking(where))
        with where.served(CORES) as hospital:
            measure_booking(figures, server, where, hospital.base, script, some, folder)
            measure_reading(figures, where, hospital.base)
        growth(figures, where, some, small)
        sqlite_booking(figures, folder, chance)
        in_process(figures, folder)
        page(figures, folder)
    services.measure(figures.add, book_requests, timed_rate, rate)
    out = Path("build/bench.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures.rows, indent=1) + "\n")
    print(f"written to {out}")


def measure_booking(figures: Figures, server: servers.Postgres, where: world.World, base: str, script: str,
                    some: Callable[[int], list[load.Sent]], folder: Path) -> None:
    database = where.settings.database_url("appointments").rpartition("/")[2]
    asyncio.run(prepare_pgbench(server, where, database))
    timed_rate(base, some(1000), expect=201)
    ours, theirs = [], []
    for _ in range(ROUNDS):   # alternated: both see the same noise
        ours.append(timed_rate(base, some(4000), expect=201))
        theirs.append(pgbench(server, database, script, folder))
    value, limit = statistics.median(ours), statistics.median(theirs)
    figures.add("book", value, "per s", limit, value / limit)


def measure_reading(figures: Figures, where: world.World, base: str) -> None:
    desk = where.desk
    visit = asyncio.run(load.drive(base, [load.request("GET", "/api/v1/appointments?limit=1", token=desk)], connections=1))
    one = json.loads(visit.answers[0].body)["items"][0]["id"]
    empty = [load.request("GET", "/health/live")]
    reads = {"read_one": [load.request("GET", f"/api/v1/appointments/{one}", token=desk)],
             "list_25": [load.request("GET", f"/api/v1/appointments?doctor_id={where.doctors[0].id}", token=desk)],
             **looking(where)}
    limits, values = [], {name: [] for name in reads}
    for _ in range(ROUNDS):
        limits.append(rate(base, empty, expect=200))
        for name, sends in reads.items():
            values[name].append(rate(base, sends, expect=200))
    limit = statistics.median(limits)
    for name, found in values.items():
        figures.add(name, statistics.median(found), "per s", limit, statistics.median(found) / limit)


def looking(where: world.World) -> dict[str, list[load.Sent]]:
    """The free times of a department of fourteen for a month; people by the first three letters of each name."""
    begins, ends = (world.FIRST_DAY + timedelta(days=day) for day in (0, 31))
    query = f"department_id={where.clinic[0].department_id}&from={begins:%FT%TZ}&to={ends:%FT%TZ}"
    letters = sorted({name[:3].lower() for name in (*world.FAMILIES, *world.GIVEN) if len(name) >= 3})
    return {"slots": [load.request("GET", f"/api/v1/slots?{query}", token=where.desk)],
            "search": [load.request("GET", f"/api/v1/patients?q={three}", token=where.desk) for three in letters]}


def looked_for(where: world.World, base: str) -> dict[str, float]:
    return {name: median_of(lambda sends=sends: rate(base, sends, expect=200)) for name, sends in looking(where).items()}


async def filled(where: world.World, since: int, count: int) -> None:
    """So many visits, and so many patients."""
    await world.load_history(where, count, since=since)
    await world.load_register(where, count, since=since)


def growth(figures: Figures, where: world.World, some: Callable[[int], list[load.Sent]], small: dict[str, float]) -> None:
    """Time of each with a million visits and patients against that with ten thousand."""
    asyncio.run(filled(where, 100_000, 1_000_000))
    with where.served(CORES) as hospital:
        timed_rate(hospital.base, some(1000), expect=201)
        large = {"book": median_of(lambda: timed_rate(hospital.base, some(3000), expect=201)),
                 **looked_for(where, hospital.base)}
    for name, few in small.items():
        figures.add(f"{name}_growth", 1e6 / large[name], "us", 1e6 / few, few / large[name])


def sqlite_booking(figures: Figures, folder: Path, chance: random.Random) -> None:
    where = asyncio.run(world.peopled(settings_for(folder / "lite")))
    sends = book_requests(where, 8000, chance)
    with where.served(1) as hospital:
        timed_rate(hospital.base, sends[:1000], expect=201)
        value = statistics.median([timed_rate(hospital.base, sends[1000 + 2000 * n:3000 + 2000 * n], expect=201)
                                   for n in range(ROUNDS)])
    limit = next(row["value"] for row in figures.rows if row["name"] == "book")
    figures.add("book_sqlite", value, "per s", limit, value / limit)


def in_process(figures: Figures, folder: Path) -> None:
    """One question to another context in the same process, less the same question put to its service directly."""
    async def measure() -> tuple[float, float]:
        house = House(settings_for(folder / "call"))
        await house.open()

        class Answering(Staff):
            async def hours(self, caller: Any, doctor_id: Any) -> Any:
                return None

        house.rooms["staff"].service = answering = Answering()
        client, doctor = house.ask(Staff), new_id()
        permitted = reception.permitted(Staff.operations["hours"].allow)

        async def per_call(ask: Callable[..., Any], caller: Any) -> float:
            best = []
            for _ in range(7):
                begun = time.perf_counter()
                for _ in range(2000):
                    await ask(caller, doctor)
                best.append((time.perf_counter() - begun) / 2000 * 1e6)
            return statistics.median(best)

        try:
            return await per_call(client.hours, reception), await per_call(answering.hours, permitted)
        finally:
            await house.close()

    through, direct = asyncio.run(measure())
    figures.add("in_process_call", through - direct, "us", 5.0, (through - direct) / 5.0)


def page(figures: Figures, folder: Path) -> None:
    """The patient's home page as the server renders it: median and p95 of the time, and the processor time of it."""
    async def measure() -> tuple[float, float]:
        from infirmary.kernel.http import build_app
        from infirmary.run.all_in_one import site_of
        from infirmary.run.demo import make_demo
        from infirmary.settings import Environment, Settings
        from infirmary.web.app import handlers

        settings = Settings(data=str(folder / "demo"), environment=Environment.DEMO)
        await make_demo(settings, say=lambda _: None)
        house = House(settings)
        await house.open()
        app = build_app(handlers(site_of(house)))
        patients = await house.ask(Appointments).appointments(reception, day=datetime.now(UTC).date(), limit=1)
        patient = patients.items[0].patient_id
        cookie = f"access={token(settings, PATIENT, patient_id=patient)}".encode()
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
                 "path": "/home", "raw_path": b"/home", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
                 "server": ("127.0.0.1", 8000), "headers": [(b"host", b"127.0.0.1"), (b"cookie", cookie)]}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        status = 0

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        times, cpu = [], 0.0
        for n in range(220):
            if n == 20:
                cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_SELF).ru_stime
            begun = time.perf_counter()
            await app(dict(scope), receive, send)
            times.append((time.perf_counter() - begun) * 1000)
        used = resource.getrusage(resource.RUSAGE_SELF)
        assert status == 200, status
        await house.close()
        return statistics.quantiles(times[20:], n=20)[18], (used.ru_utime + used.ru_stime - cpu) / 200 * 1000

    p95, cpu = asyncio.run(measure())
    figures.add("page", p95, "ms p95", 50.0, p95 / 50.0)
    figures.add("page_cpu", cpu, "ms", None, None)


if __name__ == "__main__":
    sys.exit(main())

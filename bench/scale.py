"""What a clinic, a hospital, a chain and a country need: `python -m bench.scale` prints the tables of docs/scale.md.

Service times are those of `make bench` on the same machine (build/bench.json); how much people ask for is assumed below,
where it can be changed. How many cores a pool needs is found with Erlang's formula and then tried: requests arrive at
random, burst by burst, and queue for them. The same seed gives the same answer.
"""
from __future__ import annotations

import heapq
import json
import math
import os
import random
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BENCH = Path("build/bench.json")
SEED = 5

# Assumed: what people do.
PER_VISIT = {   # requests, from looking for a time to the end of the visit
    "book": 4.6,    # booked, checked in, begun, completed; some are moved or cancelled
    "page": 20,     # pages that patient, desk and doctor open or refresh
    "read_one": 12,
    "list_25": 12,
    "sign_in": .6,  # many stay signed in
}
HOURS = (1, 1, 1, 1, 1, 2, 6, 30, 90, 100, 95, 80, 55, 70, 85, 75, 60, 40, 28, 22, 18, 12, 6, 3)   # weight of each hour
BURST = 2.0        # the busiest minute against the mean of the busiest hour
SURGE = 10.0       # an epidemic, a campaign: the whole day's load so many times
READ_IN_DATABASE = .3   # of the time of a read or page; of a booking it is measured
SERVICES_PRICE = 3.0    # separate services against one process, until bench.json has the row

# Measured: bench/growth.py, argon2 as identity uses it, and the resident memory of running processes.
SIGN_IN = .13   # seconds of one core; two at a time in a process, beside everything else
KEPT, PASSING, PASSING_DAYS = 10_300, 16_100, 30   # bytes a visit on PostgreSQL
IN_KAFKA, KAFKA_DAYS, KAFKA_COPIES = 9_000, 15, 3  # bytes a visit: what stands in the outboxes, at most
PROCESS_MB = 125
SERVICES, CONTEXTS, POOL = 8, 7, 8   # services beside the gateway; databases; connections to each from one process

# Decided: how full, and how long a request may wait.
FULL = .6          # a pool may be used so far in its busiest minute
WAIT = .010        # seconds, p95; or as long as the work takes, where that is longer
COPIES = 2         # of everything, so that one may die
HOSPITALS_IN_A_CELL = 25
EVENTS = 150_000   # simulated arrivals at most


@dataclass(frozen=True)
class Size:
    name: str
    hospitals: int
    visits: int      # a day, each
    copies: int = COPIES


SIZES = (Size("one clinic", 1, 120, copies=1), Size("one hospital", 1, 3000), Size("a chain of 20", 20, 3000),
         Size("a country of 500", 500, 3000))


@dataclass(frozen=True)
class Cost:
    """Seconds of one core."""

    application: float
    database: float


@dataclass(frozen=True)
class Outcome:
    utilisation: float
    p50: float   # of waiting, in seconds
    p95: float
    p99: float


def costs(figures: list[dict[str, object]], cores: int) -> dict[str, Cost]:
    """Core time of each kind of request. The bench keeps all cores busy, so a rate is cores divided by a cost."""
    rows = {str(row["name"]): row for row in figures}

    def number(name: str, field: str = "value") -> float:
        if name not in rows or not isinstance(found := rows[name].get(field), int | float) or found <= 0:
            raise ValueError(f"bench.json has no {field} of {name}: run `make bench`")
        return float(found)

    whole, alone = cores / number("book"), cores / number("book", "limit")   # the limit: the same SQL, without us
    made = {"book": Cost(max(whole - alone, 0.0), alone), "page": Cost(number("page_cpu") / 1000, number("page_cpu") / 1000 * READ_IN_DATABASE)}
    for name in ("read_one", "list_25"):
        whole = cores / number(name)
        made[name] = Cost(whole * (1 - READ_IN_DATABASE), whole * READ_IN_DATABASE)
    return made


def services_price(figures: list[dict[str, object]]) -> float:
    """How many times the core time of one process separate services take for the same."""
    ratio = next((row.get("ratio") for row in figures if row["name"] == "services_price"), None)
    return max(float(ratio), 1 / float(ratio)) if isinstance(ratio, int | float) and ratio > 0 else SERVICES_PRICE


def peak(visits_a_day: float) -> float:
    """Visits a second in the busiest minute."""
    return visits_a_day * max(HOURS) / sum(HOURS) / 3600 * BURST


def offered(rate: float, cost: Mapping[str, float]) -> float:
    """Cores that are busy on the average, at so many visits a second."""
    return rate * sum(PER_VISIT[kind] * seconds for kind, seconds in cost.items())


def erlang_c(servers: int, load: float) -> float:
    """The probability that an arrival must wait (M/M/c)."""
    blocking = 1.0
    for n in range(1, servers + 1):
        blocking = load * blocking / (n + load * blocking)
    return servers * blocking / (servers - load * (1 - blocking))


def waiting(servers: int, load: float, mean: float, share: float = .95) -> float:
    """Seconds within which that share of arrivals begins to be served; endless when there are too few servers."""
    if load >= servers:
        return math.inf
    must_wait = erlang_c(servers, load)
    return math.log(must_wait / (1 - share)) * mean / (servers - load) if must_wait > 1 - share else 0.0


def cores_for(rate: float, cost: Mapping[str, float]) -> int:
    """The fewest that are neither too full nor too slow."""
    load = offered(rate, cost)
    mean = load / (rate * sum(PER_VISIT[kind] for kind in cost))
    servers = max(1, math.ceil(load / FULL))
    while waiting(servers, load, mean) > max(WAIT, mean):
        servers += 1
    return servers


def simulated(rate: float, cost: Mapping[str, float], servers: int, seed: int = SEED) -> Outcome:
    """First come, first served, by so many cores: the busiest minutes. Each second is busier or quieter than the mean, and
    requests of a kind differ as those of a bench do (a long tail: one in a hundred takes four times as long)."""
    chance = random.Random(seed)
    kinds = list(cost)
    weights = [PER_VISIT[kind] for kind in kinds]
    requests = rate * sum(weights)
    free = [0.0] * servers
    waits, busy, second = [], 0.0, 0
    last = max(30, min(3600, int(EVENTS / requests)))
    while second < last:
        now, current = float(second), requests * chance.gammavariate(10, .1)
        while (now := now + chance.expovariate(current)) < second + 1:
            took = cost[chance.choices(kinds, weights)[0]] * chance.lognormvariate(-.18, .6)
            begun = max(now, free[0])
            heapq.heapreplace(free, begun + took)
            waits.append(begun - now)
            busy += took
        second += 1
    cuts = statistics.quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
    return Outcome(busy / (servers * last), cuts[49], cuts[94], cuts[98])


def most_visits(cost: Mapping[str, float], servers: int) -> int:
    """The visits a day that so many cores carry, neither too full nor too slow in the busiest minute."""
    low, high = 0, 10_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cores_for(peak(middle), cost) <= servers else (low, middle)
    return low


@dataclass(frozen=True)
class Pool:
    """Cores that share a queue: the processes of one hospital, or the database server of a cell."""

    name: str
    visits: int   # a day
    cost: Mapping[str, float]

    def row(self) -> str:
        rate = peak(self.visits)
        return f"| {self.name} | {self._at(rate)} | {self._at(rate * SURGE)} |"

    def _at(self, rate: float) -> str:
        cores = cores_for(rate, self.cost)
        found = simulated(rate, self.cost, cores)
        return (f"{rate * sum(PER_VISIT[kind] for kind in self.cost):,.1f}/s | {cores} | {found.utilisation:.1%} | {found.p95 * 1000:.1f} ms "
                f"| {found.p99 * 1000:.1f} ms")


@dataclass(frozen=True)
class Plan:
    """What an installation per hospital takes, all hospitals of a size together."""

    size: Size
    house_cores: int      # busy processes of one hospital
    service_cores: int
    database_cores: int   # of a cell

    @property
    def houses(self) -> int:
        """Processes when each hospital is one house, copies included."""
        return self.size.hospitals * max(self.size.copies, self.house_cores)

    @property
    def services(self) -> int:
        """Processes when each hospital is separate services with a gateway."""
        return self.size.hospitals * max((SERVICES + 1) * COPIES, self.service_cores + SERVICES + 1)

    @property
    def cells(self) -> int:
        return math.ceil(self.size.hospitals / HOSPITALS_IN_A_CELL)

    @property
    def connections(self) -> int:
        """To the databases of one cell when every pool is full: each process of a house has one pool for each."""
        return math.ceil(self.houses / self.cells) * CONTEXTS * POOL

    def gigabytes(self, bytes_a_visit: float, days: float) -> float:
        return self.size.hospitals * self.size.visits * bytes_a_visit * days / 1e9


def plan(size: Size, application: Mapping[str, float], database: Mapping[str, float], price: float) -> Plan:
    rate = peak(size.visits)
    return Plan(size, cores_for(rate, application), cores_for(rate, {kind: one * price for kind, one in application.items()}),
                cores_for(rate * min(size.hospitals, HOSPITALS_IN_A_CELL), database))


def report(figures: list[dict[str, object]], cores: int) -> Iterator[str]:
    known, price = costs(figures, cores), services_price(figures)
    application = {kind: cost.application for kind, cost in known.items()}
    apart = {kind: cost.application * price for kind, cost in known.items()}
    database = {kind: cost.database for kind, cost in known.items()}
    plans = [plan(size, application, database, price) for size in SIZES]

    yield "| core time of | application | database |\n|---|---|---|"
    for kind, cost in known.items():
        yield f"| {kind} | {cost.application * 1000:.2f} ms | {cost.database * 1000:.2f} ms |"
    yield f"\nSeparate services are counted with {price:.1f} times the application's time."
    for many in (1, 2, 8):
        yield (f"{many} cores carry {most_visits(application, many):,} visits a day as one house, "
               f"{most_visits(apart, many):,} as services.")
    yield ""

    yield "| busiest minute | requests | cores | used | p95 waits | p99 | ten times as much | cores | used | p95 waits | p99 |"
    yield "|" + "---|" * 11
    for pool in (Pool("one clinic", SIZES[0].visits, application), Pool("one hospital, one house", SIZES[1].visits, application),
                 Pool("one hospital, separate services", SIZES[1].visits, apart),
                 Pool("one hospital, signing in", SIZES[1].visits, {"sign_in": SIGN_IN}),
                 Pool(f"database of a cell of {HOSPITALS_IN_A_CELL}", HOSPITALS_IN_A_CELL * SIZES[1].visits, database)):
        yield pool.row()

    yield ("\n| | houses: processes | memory | separate services: processes | memory | cells | database cores in a cell "
           "| connections in a cell |")
    yield "|" + "---|" * 8
    for one in plans:
        yield (f"| {one.size.name} | {one.houses:,} | {one.houses * PROCESS_MB / 1024:,.1f} GB | {one.services:,} "
               f"| {one.services * PROCESS_MB / 1024:,.0f} GB | {one.cells} | {COPIES} × {one.database_cores} | {one.connections:,} |")

    yield "\n| | visits a year | disk grows a year | passing | Kafka |\n|---|---|---|---|---|"
    for one in plans:
        yield (f"| {one.size.name} | {one.size.hospitals * one.size.visits * 365:,} | {one.gigabytes(KEPT, 365):,.1f} GB "
               f"| {one.gigabytes(PASSING, PASSING_DAYS):,.1f} GB | {one.gigabytes(IN_KAFKA * KAFKA_COPIES, KAFKA_DAYS):,.1f} GB |")


def main() -> int:
    if not BENCH.exists():
        print(f"{BENCH} is not there: run `make bench` on this machine first.", file=sys.stderr)
        return 1
    for line in report(json.loads(BENCH.read_text()), os.cpu_count() or 1):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rows that make a double booking impossible: who has which five minutes of whom."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from operator import itemgetter
from uuid import UUID

from msgspec import Struct
from sqlalchemy import BigInteger, Column, Integer, SmallInteger, Table, bindparam, cast, delete, func, or_, select

from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.contexts.appointments.domain.hours import grains
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.kernel.database.columns import Id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

BLOCK = 60   # grains whose bits a signed number of 64 has room for

# One row for every five minutes of a doctor, a patient, a room, a device. Whoever inserts it first has the time; nothing
# else decides. In lane 0 is what was booked as usual; the further lanes of a doctor hold what is booked over it on purpose.
occupancy = Table(
    "occupancy", metadata,
    Column("resource_id", Id, primary_key=True),
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("appointment_id", Id, nullable=False),
    sqlite_with_rowid=False)   # the key is the table: half the pages to write


class Occupied(Struct, frozen=True):
    resource_id: UUID
    grain: int
    lane: int
    appointment_id: UUID


class Busy(Struct, frozen=True):
    """Grains that one of these has taken, as the bits of a number: a month of a department is some hundred rows, and
    not some ten thousand."""

    resource_id: UUID
    block: int
    bits: int

    def grains(self) -> Iterator[int]:
        first, bits = self.block * BLOCK, self.bits
        while bits:
            low = bits & -bits
            yield first + low.bit_length() - 1
            bits ^= low


OCCUPANCY = Rows(occupancy, Occupied, key="resource_id", version=None)

between = (occupancy.c.grain >= bindparam("since"), occupancy.c.grain < bindparam("until"))
_of = occupancy.c.resource_id.in_(bindparam("resources", expanding=True))
_bit = cast(1, BigInteger).bitwise_lshift(occupancy.c.grain % BLOCK)
BUSY = Query(select(
    occupancy.c.resource_id, cast(occupancy.c.grain // BLOCK, BigInteger).label("block"),
    cast(func.sum(_bit.distinct()), BigInteger).label("bits")).where(_of, *between).group_by("resource_id", "block"), Busy)
OCCUPIED = OCCUPANCY.find(_of, *between)
_FREE = Statement(delete(occupancy).where(
    occupancy.c.resource_id == bindparam("resource"), occupancy.c.lane == bindparam("lane"), *between,
    or_(occupancy.c.grain < bindparam("keep_since"), occupancy.c.grain >= bindparam("keep_until")),
    occupancy.c.appointment_id == bindparam("appointment_id")))
TAKEN = Query(select(func.count()).select_from(occupancy).where(
    occupancy.c.resource_id == bindparam("resource"), *between), int)


def takes(visit: Visit | Hold) -> list[tuple[UUID, int, range]]:
    """Whose time, in which lane, and the grains; in the order of the key, so that two who want the same time wait for each
    other, but never in a circle. The break after it is its doctor's alone."""
    lane, others = (visit.lane, visit.participants) if isinstance(visit, Visit) else (0, ())
    its_time = grains(visit.starts_at, visit.ends_at)
    return sorted([(visit.doctor_id, lane, grains(visit.starts_at, visit.busy_until)), (visit.patient_id, 0, its_time),
                   *((one.id, 0, its_time) for one in others)], key=itemgetter(0))


def occupied(visit: Visit | Hold) -> list[Occupied]:
    return [Occupied(resource, grain, lane, visit.id) for resource, lane, time in takes(visit) for grain in time]


def all_occupied(visits: Iterable[Visit]) -> list[Occupied]:
    return sorted((row for visit in visits for row in occupied(visit)), key=lambda row: (row.resource_id, row.grain))


def occupied_anew(before: Visit, after: Visit) -> list[Occupied]:
    """What a visit takes at its new time beyond what it has."""
    own = set(occupied(before))
    return [row for row in occupied(after) if row not in own]


async def lane_over(tx: Transaction, visit: Visit) -> int:
    """The first lane in which nothing of its doctor lies over this time. Who inserts there first has it."""
    time = grains(visit.starts_at, visit.ends_at)
    taken = {row.lane for row in await tx.all(OCCUPIED, resources=[visit.doctor_id], since=time.start, until=time.stop)}
    return next(lane for lane in count(1) if lane not in taken)


async def release(tx: Transaction, visit: Visit | Hold, freed: range, keeps: Visit | None = None) -> None:
    """Give back what it takes from the first of these grains on, except what the visit still needs at its new time."""
    needed = {(resource, lane): time for resource, lane, time in takes(keeps)} if keeps else {}
    for resource, lane, time in takes(visit) if freed else ():
        kept = needed.get((resource, lane), range(0))
        await tx.run(_FREE, resource=resource, lane=lane, since=max(time.start, freed.start), until=time.stop,
                     keep_since=kept.start, keep_until=kept.stop, appointment_id=visit.id)

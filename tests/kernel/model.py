"""A small hospital for the tests of the kernel: visits, the time they occupy, and a table with a column of each type."""
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    update,
)

from infirmary.kernel.database.columns import EnumText, Id, Json, Money, UtcDateTime, money, new_id
from infirmary.kernel.database.db import Transaction, with_kernel_tables
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement
from infirmary.kernel.events import Event

metadata = MetaData()
NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)


class Status(StrEnum):
    BOOKED = "booked"
    CANCELLED = "cancelled"


class Visit(msgspec.Struct, frozen=True):
    id: UUID
    patient_id: UUID
    doctor_id: UUID
    starts_at: datetime
    minutes: int
    status: Status
    reason: str
    version: int = 1


visit = Table(
    "visit", metadata,
    Column("id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Column("doctor_id", Id, nullable=False, index=True),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("status", EnumText(Status), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("version", Integer, nullable=False))


class Occupancy(msgspec.Struct, frozen=True):
    resource_id: UUID
    grain: int
    lane: int
    visit_id: UUID


occupancy = Table(
    "occupancy", metadata,
    Column("resource_id", Id, primary_key=True),
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("visit_id", Id, nullable=False))


class Person(msgspec.Struct, frozen=True):
    id: UUID
    email: str
    hospital: str
    number: str
    badge: int | None = None


person = Table(
    "person", metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(200), nullable=False, unique=True),
    Column("hospital", String(40), nullable=False),
    Column("number", String(40), nullable=False),
    Column("badge", Integer),
    UniqueConstraint("hospital", "number"),
    Index("person_one_badge", "badge", unique=True))


class Everything(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    note: str | None
    born: date | None
    at: datetime
    later: datetime | None
    other: UUID | None
    flag: bool
    status: Status
    maybe: Status | None
    data: Any
    price: Money
    discount: Money | None
    version: int = 1


everything = Table(
    "everything", metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("note", Text),
    Column("born", Date),
    Column("at", UtcDateTime, nullable=False),
    Column("later", UtcDateTime),
    Column("other", Id),
    Column("flag", Boolean, nullable=False),
    Column("status", EnumText(Status), nullable=False),
    Column("maybe", EnumText(Status)),
    Column("data", Json),
    *money("price"),
    *money("discount", nullable=True),
    Column("version", Integer, nullable=False))


class VisitBooked(Event, frozen=True, kw_only=True):
    patient: str = ""


VISITS = Rows(visit, Visit)
OCCUPANCIES = Rows(occupancy, Occupancy, key="resource_id", version=None)
PEOPLE = Rows(person, Person, version=None)
THINGS = Rows(everything, Everything)

BY_DOCTOR = VISITS.find(visit.c.doctor_id == bindparam("doctor_id"), visit.c.status == Status.BOOKED,
                        order_by=[visit.c.starts_at])
BY_IDS = VISITS.find(visit.c.id.in_(bindparam("ids", expanding=True)))
DIARY = Pages(select(visit).where(visit.c.doctor_id == bindparam("doctor_id")), Visit, [visit.c.starts_at, visit.c.id])
CANCEL = Statement(update(visit).where(visit.c.id == bindparam("key"), visit.c.status == Status.BOOKED)
                   .values(status=Status.CANCELLED, version=visit.c.version + 1))
FREE = Statement(delete(occupancy).where(occupancy.c.visit_id == bindparam("visit_id")))
BUMP = Statement(update(visit).where(visit.c.id == bindparam("key")).values(version=visit.c.version + 1))
COUNT = Query(select(func.count()).select_from(visit), int)
TAKEN = Query(select(func.count()).select_from(occupancy), int)


def a_visit(**changes: Any) -> Visit:
    return msgspec.structs.replace(
        Visit(new_id(), new_id(), new_id(), NOON, 30, Status.BOOKED, "Überprüfung 🩺"), **changes)


def a_person(**changes: Any) -> Person:
    one = new_id()
    return msgspec.structs.replace(Person(one, f"{one}@example.org", "north", str(one)), **changes)


def a_thing(**changes: Any) -> Everything:
    return msgspec.structs.replace(
        Everything(new_id(), "Zoë Brontë-Łukasz", None, None, NOON, None, None, flag=False, status=Status.BOOKED,
                   maybe=None, data=None, price=Money(0, "EUR"), discount=None), **changes)


def grains(of: Visit) -> list[Occupancy]:
    """Five minutes each, for the doctor and for the patient: what an overlapping visit would collide with."""
    first = int(of.starts_at.timestamp()) // 300
    return [Occupancy(resource, first + at, 0, of.id)
            for resource in sorted([of.doctor_id, of.patient_id]) for at in range(of.minutes // 5)]


def book(tx: Transaction, one: Visit) -> None:
    """What a booking writes: the time it takes, the visit, the fact."""
    OCCUPANCIES.add(tx, *grains(one))
    VISITS.add(tx, one)
    tx.emit(VisitBooked(aggregate=one.id, version=one.version, patient="Zoë"))


def declared() -> MetaData:
    """As a context declares it: its own tables and the kernel's."""
    both = with_kernel_tables(MetaData())
    for table in metadata.sorted_tables:
        table.to_metadata(both)
    return both


def days(count: float) -> timedelta:
    return timedelta(days=count)

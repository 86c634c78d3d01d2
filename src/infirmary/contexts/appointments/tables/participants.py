"""Where rooms and equipment are kept, and who and what takes part in which visit."""
from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Boolean, Column, Integer, Select, String, Table, UniqueConstraint, bindparam, delete, select

from infirmary.contexts.appointments.contract.resources import ResourceKind
from infirmary.contexts.appointments.domain.participants import KeptResource
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.kernel.database.columns import EnumText, Id
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Statement

from .base import metadata

resource = Table(
    "resource", metadata,
    Column("id", Id, primary_key=True),
    Column("kind", EnumText(ResourceKind), nullable=False),
    Column("name", String(100), nullable=False),
    Column("sought", String(400), nullable=False),
    Column("department_id", Id),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("kind", "sought"))

# The visits say who takes part in them; this is how those of a doctor or a room are found.
participation = Table(
    "participation", metadata,
    Column("participant_id", Id, primary_key=True),
    Column("appointment_id", Id, primary_key=True))


class Participation(Struct, frozen=True):
    participant_id: UUID
    appointment_id: UUID


RESOURCES = Rows(resource, KeptResource)
PARTICIPATIONS = Rows(participation, Participation, key="participant_id", version=None)
ONE_NAME = "resource_kind_sought"   # the unique row that a second of this name runs into
RESOURCES_OF = RESOURCES.find(resource.c.id.in_(bindparam("ids", expanding=True)))
TO_BE_HAD = RESOURCES.find(resource.c.active, order_by=[resource.c.kind, resource.c.sought])
_LEAVES = Statement(delete(participation).where(
    participation.c.participant_id.in_(bindparam("participants", expanding=True)),
    participation.c.appointment_id == bindparam("appointment_id")))


@cache
def resources(filters: frozenset[str]) -> Pages[KeptResource]:
    return Pages(select(resource).where(*(resource.c[name] == bindparam(name) for name in sorted(filters))), KeptResource,
                 [resource.c.kind, resource.c.sought, resource.c.id])


def visits_of(parameter: str) -> Select[Any]:
    """The ids of the visits that the participant in this parameter takes part in."""
    return select(participation.c.appointment_id).where(participation.c.participant_id == bindparam(parameter))


def take_part(tx: Transaction, visit: Visit) -> None:
    """With the visit's own row."""
    PARTICIPATIONS.add(tx, *_of(visit))


async def take_part_anew(tx: Transaction, before: Visit, after: Visit) -> None:
    was, now = _of(before), _of(after)
    if gone := [one.participant_id for one in was if one not in now]:
        await tx.run(_LEAVES, participants=gone, appointment_id=before.id)
    PARTICIPATIONS.add(tx, *(one for one in now if one not in was))


def _of(visit: Visit) -> list[Participation]:
    return [Participation(one.id, visit.id) for one in visit.participants]

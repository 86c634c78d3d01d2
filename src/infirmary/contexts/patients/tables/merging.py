"""Where it is kept which records were made one."""
from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import structs
from sqlalchemy import Column, Index, Integer, String, Table, bindparam, or_, select

from infirmary.contexts.patients.contract import Merge, Patient
from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.db import Reading
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query

from .people import PATIENTS, Stored, metadata, patient

merge = Table(
    "merge_of_records", metadata,   # MERGE is a word of SQL's
    Column("id", Id, primary_key=True),
    Column("survivor_id", Id, nullable=False),
    Column("duplicate_id", Id, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by_name", String(255), nullable=False),
    Column("undone_at", UtcDateTime),
    Column("undone_by", String(255), nullable=False),
    Column("version", Integer, nullable=False),
    Index("merge_by_survivor", "survivor_id", "id"),
    Index("merge_by_duplicate", "duplicate_id", "id"))

MERGES = Rows(merge, Merge)
MERGES_OF = MERGES.find(or_(merge.c.survivor_id == bindparam("patient_id", type_=Id),
                            merge.c.duplicate_id == bindparam("patient_id", type_=Id)), order_by=[merge.c.id.desc()])
STANDING = MERGES.find(merge.c.survivor_id == bindparam("survivor_id", type_=Id),
                       merge.c.duplicate_id == bindparam("duplicate_id", type_=Id), merge.c.undone_at.is_(None))
HELD_BY = Query(select(patient.c.id).where(patient.c.merged_into == bindparam("patient_id", type_=Id)), UUID)
PARTS_OF = PATIENTS.find(patient.c.merged_into == bindparam("patient_id", type_=Id), order_by=[patient.c.number])
_HOLDING = PATIENTS.find(patient.c.id.in_(bindparam("ids", expanding=True)), patient.c.retired_at.is_(None))


async def led_on(reading: Reading, found: Sequence[Stored]) -> list[Patient]:
    """Whom these records are about: of a merged one, the record that holds. Each person once."""
    ids = [one.merged_into for one in found if one.merged_into is not None]
    holding = {one.id: one for one in await reading.all(_HOLDING, ids=ids)} if ids else {}
    people = {one.id: one.shown for one in found if one.merged_into is None}
    for one in found:
        if one.merged_into in holding:
            people.setdefault(one.merged_into, structs.replace(
                holding[one.merged_into].shown, formerly=f"{one.shown.name}, {one.number}"))
    return [people.pop(whom) for one in found if (whom := one.merged_into or one.id) in people]

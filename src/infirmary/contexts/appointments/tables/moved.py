"""Where it is noted whose a place in line or a held time was, of records made one."""
from __future__ import annotations

from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, Index, Table

from infirmary.kernel.database.columns import Id
from infirmary.kernel.database.rows import Rows

from .base import metadata

# `id` is that of the place on the waitlist, the number in a queue or the hold; `for_id` the place (or number) of the same
# person, for the same, that stands for this one meanwhile.
moved_place = Table(
    "moved_place", metadata,
    Column("id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Column("for_id", Id),
    Index("moved_place_of_patient", "patient_id", "id"))


class MovedPlace(Struct, frozen=True):
    id: UUID
    patient_id: UUID
    for_id: UUID | None


MOVED_PLACES = Rows(moved_place, MovedPlace, version=None)

"""Two records of one person made one, and two again."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, Refusal


class MergeForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`duplicate_id` is the record that will point to this one."""

    duplicate_id: UUID
    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class UnmergeForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    duplicate_id: UUID


class Merge(Struct, frozen=True):
    """One merge of two records; `undone_at` is set when they were taken apart again."""

    id: UUID
    survivor_id: UUID
    duplicate_id: UUID
    reason: str
    at: Instant
    by_name: str
    undone_at: Instant | None
    undone_by: str
    version: int


class SameRecord(Refusal):
    """A record cannot be merged with itself. Name another one."""


class HoldsOthers(Conflict):
    """Other records were merged into this one. Keep it, and merge the other record into it instead."""


class VisitsCollide(Conflict):
    """Both records have a visit at the same time. Cancel or move one of the two, then merge."""


class NotMerged(Conflict):
    """That record is not merged into this one."""

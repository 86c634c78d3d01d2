"""What the register announces. Aggregate: the patient."""
from __future__ import annotations

from uuid import UUID

from infirmary.kernel.events import Event


class PatientRegistered(Event, frozen=True, kw_only=True):
    name: str
    number: int


class PatientAmended(Event, frozen=True, kw_only=True):
    name: str
    number: int


class PatientWasRetired(Event, frozen=True, kw_only=True):
    name: str
    number: int


class PatientsMerged(Event, frozen=True, kw_only=True):
    """The aggregate is the duplicate: what is its own belongs to the survivor from now on."""

    survivor_id: UUID
    merge_id: UUID


class PatientsUnmerged(Event, frozen=True, kw_only=True):
    """What was the duplicate's own before this merge is its own again."""

    survivor_id: UUID
    merge_id: UUID

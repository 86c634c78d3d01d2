"""What the register announces. Aggregate: the patient, unless it says another."""
from __future__ import annotations

from datetime import date
from uuid import UUID

from infirmary.kernel.events import Event

from .contract import GuardianKind


class PatientRegistered(Event, frozen=True, kw_only=True):
    name: str
    number: int


class PatientAmended(Event, frozen=True, kw_only=True):
    name: str
    number: int


class PatientWasRetired(Event, frozen=True, kw_only=True):
    name: str
    number: int


class GuardianNamed(Event, frozen=True, kw_only=True):
    """Somebody stands for a patient. Aggregate: the guardianship."""

    ward_id: UUID
    ward_name: str
    guardian_id: UUID
    guardian_name: str
    right: GuardianKind
    valid_from: date
    valid_until: date | None


class GuardianshipEnded(Event, frozen=True, kw_only=True):
    """It is over: `by_itself` when its last day was, for one made for a child because they are `of_age`; or `by_ward`, who
    needs nobody's leave."""

    ward_id: UUID
    ward_name: str
    guardian_id: UUID
    guardian_name: str
    right: GuardianKind
    by_itself: bool
    of_age: bool = False
    by_ward: bool = False


class PatientsMerged(Event, frozen=True, kw_only=True):
    """The aggregate is the duplicate: what is its own belongs to the survivor from now on."""

    survivor_id: UUID
    merge_id: UUID


class PatientsUnmerged(Event, frozen=True, kw_only=True):
    """What was the duplicate's own before this merge is its own again."""

    survivor_id: UUID
    merge_id: UUID

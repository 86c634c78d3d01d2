"""What the register announces. Aggregate: the patient."""
from __future__ import annotations

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

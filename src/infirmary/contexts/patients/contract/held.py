"""All that the register holds about one person, as one document."""
from __future__ import annotations

from typing import Literal

from msgspec import Struct

from infirmary.kernel.contract import Instant

from .around import Consent, ContactPerson, Coverage
from .guardians import Guardianship
from .merging import Merge
from .people import Patient


class HeldRecord(Struct, frozen=True, kw_only=True):
    """`format` names the shape of this document; another shape has another number. `parts`: records of the same person that
    were merged into this one. Insurances that were withdrawn are here, decisions and guardians of former times, and wards of
    today: who was one is no longer this person's affair. Reasons of guardians and merges, notes of the desk, are read there
    alone."""

    format: Literal["infirmary/held-record/1"] = "infirmary/held-record/1"
    made_at: Instant
    patient: Patient
    parts: list[Patient]
    contacts: list[ContactPerson]
    coverages: list[Coverage]
    consents: list[Consent]
    guardians: list[Guardianship]
    wards: list[Guardianship]
    merges: list[Merge]

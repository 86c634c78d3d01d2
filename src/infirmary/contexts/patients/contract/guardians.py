"""Who stands for whom: parents, legal guardians and carers, and the people whose affairs they see to."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, Refusal


class GuardianKind(StrEnum):
    """By what right (HL7 v3 RoleCode: PRN, GUARD, and a caregiver whom the patient has chosen)."""

    PARENT = "parent"                 # of a child
    LEGAL_GUARDIAN = "legal_guardian"
    CARER = "carer"                   # with the patient's consent


Evidence = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class GuardianForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`guardian_id` is the guardian's own record. Both days belong to it; without the first it begins today. `document` is
    what was seen: a birth certificate, a court's order, a signed consent."""

    guardian_id: UUID
    kind: GuardianKind
    reason: Reason
    document: Evidence
    valid_from: date | None = None
    valid_until: date | None = None


class EndGuardianship(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class Guardianship(Struct, frozen=True, kw_only=True):
    """`valid_until`: the last day as it stands now; what was made for a child ends the day before they come of age.
    `ended_at` is set once it is over. Why, and what was seen, is for the desk alone: others read empty words.
    `yours_to_end`: who reads it is the patient, and a carer's access theirs to end."""

    id: UUID
    ward_id: UUID
    ward_name: str
    guardian_id: UUID
    guardian_name: str
    kind: GuardianKind
    valid_from: date
    valid_until: date | None
    reason: str
    document: str
    made_at: Instant
    made_by: str
    ended_at: Instant | None
    ended_by: str
    end_reason: str
    version: int
    yours_to_end: bool = False


class Acting(Struct, frozen=True, kw_only=True):
    """By what right the caller acts for this patient; `kind` is None for their own record."""

    patient_id: UUID
    kind: GuardianKind | None


class OwnGuardian(Refusal):
    """Nobody is their own guardian. Name the record of the person who stands for them."""


class OfAge(Refusal):
    """A parent stands for a child. For somebody of age name a legal guardian, or a carer with their consent."""


class GuardianshipBackwards(Refusal):
    """It ends on the day it begins, or later, and not before today."""


class AlreadyGuardian(Conflict):
    """In these days this person stands for the patient already. End that first, or choose other days."""


class OneGuardsTheOther(Conflict):
    """One of the two records is the other one's guardian. End that first; then merge."""


class NotForWards(Refusal):
    """Only a carer's access is the patient's own to end, once they are of age. The front desk ends any other, with papers."""

    status = 403


class NotForCarers(Refusal):
    """A carer cannot decide this for the patient. The patient can, or a parent or legal guardian."""

    status = 403

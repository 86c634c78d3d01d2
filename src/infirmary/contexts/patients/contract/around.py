"""What hangs on a patient's record: whom to call, who pays, and what was agreed to."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, Refusal
from infirmary.language import Line, Name, Note, Phone

# --- contacts --------------------------------------------------------------------------------------------------------


class ContactForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody of the patient's (FHIR Patient.contact). `relationship` in words: daughter, neighbour, carer."""

    name: Name
    relationship: Line = ""
    phone: Phone | None = None
    emergency: bool = False      # to be called in an emergency (HL7 table 0131, C)
    next_of_kin: bool = False    # (N)


class ContactPerson(Struct, frozen=True):
    id: UUID
    patient_id: UUID
    name: str
    relationship: str
    phone: str | None
    emergency: bool
    next_of_kin: bool
    version: int


class NoWayToCall(Refusal):
    """Somebody who is called in an emergency needs a phone number. Add it, or leave the emergency out."""


# --- coverages -------------------------------------------------------------------------------------------------------


class CoverageForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An insurance (FHIR Coverage). Both days belong to it; without the last one it goes on. The lowest priority is
    asked to pay first."""

    payer: Name
    plan: Line = ""
    member_number: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"\S")]
    valid_from: date
    valid_until: date | None = None
    priority: Annotated[int, Meta(ge=1, le=9)] = 1


class Coverage(Struct, frozen=True):
    """`withdrawn_at` is set when it was entered by mistake: kept, because a claim may point to it, and not listed."""

    id: UUID
    patient_id: UUID
    payer: str
    plan: str
    member_number: str
    valid_from: date
    valid_until: date | None
    priority: int
    withdrawn_at: Instant | None
    version: int


class CoverageBackwards(Refusal):
    """An insurance ends on the day it begins, or later, and begins in a year that a calendar has room for."""


class CoveragesOverlap(Conflict):
    """In these days another insurance has the same priority. End that one first, or choose another priority."""


# --- consents --------------------------------------------------------------------------------------------------------


class Purpose(StrEnum):
    """What somebody may agree to, or not."""

    MESSAGES = "messages"
    SHARING = "sharing"
    RESEARCH = "research"


class ConsentText(Struct, frozen=True, kw_only=True):
    """The wording that is agreed to; another wording is another version."""

    purpose: Purpose
    version: str
    title: str
    text: str


class Decision(StrEnum):
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class ConsentForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`text_version` is the wording that was read; to withdraw needs none."""

    purpose: Purpose
    decision: Decision
    text_version: Annotated[str, Meta(max_length=20)] = ""
    note: Note = ""


class Consent(Struct, frozen=True):
    """One entry of the history, which only grows. `number` counts the entries of this purpose; the highest holds."""

    patient_id: UUID
    purpose: Purpose
    number: int
    decision: Decision
    text_version: str
    note: str
    at: Instant
    by_account: UUID | None
    by_name: str


class TextHasChanged(Conflict):
    """This is not the wording in force. Read the one that is, and decide about that."""


class NothingToWithdraw(Conflict):
    """There is no consent to this that could be withdrawn."""


class RecordFull(Refusal):
    """This record holds as many of these as it can. Take one out that is no longer needed, or mend one that is there."""

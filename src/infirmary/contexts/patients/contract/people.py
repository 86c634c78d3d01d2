"""Who is in the register."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, Refusal
from infirmary.language import Email, Line, Name, Phone


class Gender(StrEnum):
    """FHIR AdministrativeGender."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


Language = Annotated[str, Meta(max_length=35, pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$")]   # BCP 47, or empty


class Demographics(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything about a patient that people may set."""

    given_name: Name
    family_name: Name
    birth_date: date
    gender: Gender = Gender.UNKNOWN
    phone: Phone | None = None
    email: Email | None = None
    address: Line = ""
    language: Language = ""


class AmendPatient(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    given_name: Name | UnsetType = UNSET
    family_name: Name | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    gender: Gender | UnsetType = UNSET
    phone: Phone | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    address: Line | UnsetType = UNSET
    language: Language | UnsetType = UNSET


class Enrol(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A patient who registers themselves; the id is chosen by identity, so that a repetition has one effect."""

    patient_id: UUID
    demographics: Demographics


class Patient(Struct, frozen=True, kw_only=True):
    """`number` is the hospital's own number, which people read aloud; `retired_at` is set when the record is closed, and
    `merged_into` names the record of the same person that holds from then on. `formerly`, in a search: name and number of
    the merged record that was found, and that led here."""

    id: UUID
    number: int
    given_name: str
    family_name: str
    birth_date: date
    gender: Gender
    phone: str | None
    email: str | None
    address: str
    language: str
    created_at: Instant
    retired_at: Instant | None
    version: int
    merged_into: UUID | None = None
    formerly: str = ""

    @property
    def closed(self) -> bool:
        return self.retired_at is not None or self.merged_into is not None

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


class PatientCard(Struct, frozen=True, kw_only=True):
    """The wristband: who this is, and nothing more. `retired`: closed, or merged into another record."""

    id: UUID
    number: int
    name: str
    birth_date: date
    gender: Gender
    retired: bool
    merged_into: UUID | None = None


class Match(Struct, frozen=True):
    """Somebody who may be the same person. `score` is how likely that is, from 0 to 1 (Fellegi and Sunter). The lists name
    fields: name, birth_date, phone, email, gender. `near_in`: a typing mistake, digits swapped, or a part of the name."""

    patient: Patient
    alike_in: list[str]
    score: float = 0.
    near_in: list[str] = []
    differs_in: list[str] = []


class BirthDateImpossible(Refusal):
    """A birth date lies in the past, and not more than 130 years ago."""


class VisitsStillOpen(Conflict):
    """This patient still has visits to come. Cancel them first; the record itself is never destroyed."""


class PatientRetired(Conflict):
    """This record is closed."""

"""What may be asked about patients."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Instant, Limit, Page, delete, get, patch, post, put
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import (
    ADMIN,
    CASHIER,
    DOCTOR,
    NURSE,
    OWN,
    PATIENT,
    PHARMACIST,
    RECEPTION,
    SERVICE,
    TREATING,
    Email,
    Line,
    Name,
    Phone,
    SearchText,
)


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
    """`number` is the hospital's own number, which people read aloud; `retired_at` is set when the record is closed."""

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

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


class PatientCard(Struct, frozen=True, kw_only=True):
    """The wristband: who this is, and nothing more."""

    id: UUID
    number: int
    name: str
    birth_date: date
    gender: Gender
    retired: bool


class Match(Struct, frozen=True):
    """Somebody who may be the same person; `alike_in` names the fields: name, birth_date, phone, email."""

    patient: Patient
    alike_in: list[str]


class BirthDateImpossible(Refusal):
    """A birth date lies in the past, and not more than 130 years ago."""


class VisitsStillOpen(Conflict):
    """This patient still has visits to come. Cancel them first; the record itself is never destroyed."""


class PatientRetired(Conflict):
    """This record is closed."""


DESK = {RECEPTION: ANY, ADMIN: ANY, NURSE: ANY}


class Patients(Contract, context="patients"):
    @post("/patients", status=201, allow=DESK, refuses=[BirthDateImpossible])
    async def register(self, caller: Caller, body: Demographics) -> Patient:
        """Enter somebody in the register."""

    @post("/patients/enrolments", status=201, allow={SERVICE: ANY}, refuses=[BirthDateImpossible])
    async def enrol(self, caller: Caller, body: Enrol) -> Patient:
        """Enter somebody who registers themselves; done before with the same id is done."""

    @get("/patients", allow={**DESK, CASHIER: ANY, PHARMACIST: ANY, DOCTOR: TREATING})
    async def search(self, caller: Caller, q: SearchText = "", birth_date: date | None = None,
                     phone: Annotated[str, Meta(max_length=30)] | None = None, limit: Limit = 25,
                     cursor: Cursor | None = None) -> Page[Patient]:
        """Find by fragments, in any order: name, birth year or date, phone, number. Accents and case do not matter."""

    @get("/patients/matches", allow=DESK)
    async def matches(self, caller: Caller, given_name: SearchText = "", family_name: SearchText = "",
                      birth_date: date | None = None, phone: Annotated[str, Meta(max_length=30)] | None = None,
                      email: Annotated[str, Meta(max_length=254)] | None = None) -> list[Match]:
        """Who may be the same person, the likeliest first; to be asked before registering."""

    @get("/patients/{patient_id}", refuses=[NotFound],
         allow={PATIENT: OWN, **DESK, DOCTOR: TREATING, CASHIER: ANY, PHARMACIST: ANY})
    async def patient(self, caller: Caller, patient_id: UUID) -> Patient:
        """One patient. Reading somebody else's record is audited."""

    @get("/patients/{patient_id}/card", refuses=[NotFound],
         allow={PATIENT: OWN, **DESK, DOCTOR: TREATING, CASHIER: ANY, PHARMACIST: ANY, SERVICE: ANY})
    async def card(self, caller: Caller, patient_id: UUID) -> PatientCard:
        """Who this is, for other screens and contexts."""

    @put("/patients/{patient_id}", allow={PATIENT: OWN, **DESK}, refuses=[NotFound, BirthDateImpossible, PatientRetired])
    async def replace(self, caller: Caller, patient_id: UUID, body: Demographics, if_match: int) -> Patient:
        """Replace all of the demographics."""

    @patch("/patients/{patient_id}", allow={PATIENT: OWN, **DESK},
           refuses=[NotFound, BirthDateImpossible, PatientRetired])
    async def amend(self, caller: Caller, patient_id: UUID, body: AmendPatient, if_match: int) -> Patient:
        """Change some of the demographics."""

    @delete("/patients/{patient_id}", allow={RECEPTION: ANY, ADMIN: ANY}, refuses=[NotFound, VisitsStillOpen])
    async def retire(self, caller: Caller, patient_id: UUID, if_match: int) -> Patient:
        """Close the record. Nothing is destroyed; it is left out of searches."""

"""What may be asked about patients."""
from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Cursor, Done, Limit, Page, delete, get, patch, post, put
from infirmary.kernel.errors import NotFound
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
    SearchText,
)

from .around import (
    Consent,
    ConsentForm,
    ConsentText,
    ContactForm,
    ContactPerson,
    Coverage,
    CoverageBackwards,
    CoverageForm,
    CoveragesOverlap,
    Decision,
    NothingToWithdraw,
    NoWayToCall,
    Purpose,
    RecordFull,
    TextHasChanged,
)
from .guardians import (
    Acting,
    AlreadyGuardian,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    Guardianship,
    GuardianshipBackwards,
    NotForCarers,
    NotForWards,
    OfAge,
    OneGuardsTheOther,
    OwnGuardian,
)
from .held import HeldRecord
from .imports import Imports
from .merging import HoldsOthers, Merge, MergeForm, NotMerged, SameRecord, UnmergeForm, VisitsCollide
from .people import (
    AmendPatient,
    BirthDateImpossible,
    Demographics,
    Enrol,
    Gender,
    Match,
    Patient,
    PatientCard,
    PatientRetired,
    VisitsStillOpen,
)

__all__ = [
    "Acting", "AlreadyGuardian", "AmendPatient", "BirthDateImpossible", "Consent", "ConsentForm", "ConsentText",
    "ContactForm", "ContactPerson", "Coverage", "CoverageBackwards", "CoverageForm", "CoveragesOverlap", "Decision",
    "Demographics", "EndGuardianship", "Enrol", "Gender", "GuardianForm", "GuardianKind", "Guardianship",
    "GuardianshipBackwards", "HeldRecord", "HoldsOthers", "Match", "Merge", "MergeForm", "NoWayToCall", "NotForCarers",
    "NotForWards", "NotMerged",
    "NothingToWithdraw", "OfAge", "OneGuardsTheOther", "OwnGuardian", "Patient", "PatientCard", "PatientRetired",
    "Patients", "Purpose", "RecordFull", "SameRecord", "TextHasChanged", "UnmergeForm", "VisitsCollide",
    "VisitsStillOpen",
]

DESK = {RECEPTION: ANY, ADMIN: ANY, NURSE: ANY}


class Patients(Imports, context="patients"):
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
        """Find by fragments, in any order: name, birth year or date, phone, number. Accents and case do not matter. What a
        merged record says leads to the record that holds."""

    @get("/patients/matches", allow=DESK)
    async def matches(self, caller: Caller, given_name: SearchText = "", family_name: SearchText = "",
                      birth_date: date | None = None, phone: Annotated[str, Meta(max_length=30)] | None = None,
                      email: Annotated[str, Meta(max_length=254)] | None = None) -> list[Match]:
        """Who may be the same person, the likeliest first; to be asked before registering."""

    @get("/patients/{patient_id}", refuses=[NotFound],
         allow={PATIENT: OWN, **DESK, DOCTOR: TREATING, CASHIER: ANY, PHARMACIST: ANY})
    async def patient(self, caller: Caller, patient_id: UUID) -> Patient:
        """One patient. Reading somebody else's record is audited."""

    @get("/patients/{patient_id}/export", allow={PATIENT: OWN, **DESK}, refuses=[NotFound])
    async def held_record(self, caller: Caller, patient_id: UUID) -> HeldRecord:
        """All that the register holds about one patient (GDPR, articles 15 and 20); audited, also when it is their own."""

    @get("/patients/{patient_id}/duplicates", allow=DESK, refuses=[NotFound])
    async def duplicates(self, caller: Caller, patient_id: UUID) -> list[Match]:
        """Other records that may be of the same person, the likeliest first."""

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

    @delete("/patients/{patient_id}", allow={RECEPTION: ANY, ADMIN: ANY}, refuses=[NotFound, VisitsStillOpen, PatientRetired])
    async def retire(self, caller: Caller, patient_id: UUID, if_match: int) -> Patient:
        """Close the record. Nothing is destroyed; it is left out of searches."""

    @post("/patients/{patient_id}/merge", status=201, allow={RECEPTION: ANY, ADMIN: ANY},
          refuses=[NotFound, SameRecord, HoldsOthers, VisitsCollide, CoveragesOverlap, OneGuardsTheOther, PatientRetired])
    async def merge(self, caller: Caller, patient_id: UUID, body: MergeForm) -> Merge:
        """The duplicate points to this record from now on, and its visits are this record's. Nothing is destroyed."""

    @post("/patients/{patient_id}/unmerge", allow={RECEPTION: ANY, ADMIN: ANY}, refuses=[NotFound, NotMerged])
    async def unmerge(self, caller: Caller, patient_id: UUID, body: UnmergeForm) -> Merge:
        """Take the duplicate out again: what was its own before is its own again."""

    @get("/patients/{patient_id}/merges", allow={RECEPTION: ANY, ADMIN: ANY, NURSE: ANY}, refuses=[NotFound])
    async def merges(self, caller: Caller, patient_id: UUID) -> list[Merge]:
        """The merges that this record took part in, the latest first."""

    @get("/patients/{patient_id}/contacts", allow={PATIENT: OWN, **DESK, DOCTOR: TREATING}, refuses=[NotFound])
    async def contacts(self, caller: Caller, patient_id: UUID) -> list[ContactPerson]:
        """Whom to call, the emergency first."""

    @post("/patients/{patient_id}/contacts", status=201, allow={PATIENT: OWN, **DESK},
          refuses=[NotFound, NoWayToCall, RecordFull, PatientRetired])
    async def add_contact(self, caller: Caller, patient_id: UUID, body: ContactForm) -> ContactPerson:
        """Note somebody."""

    @put("/patients/{patient_id}/contacts/{contact_id}", allow={PATIENT: OWN, **DESK},
         refuses=[NotFound, NoWayToCall, PatientRetired])
    async def replace_contact(self, caller: Caller, patient_id: UUID, contact_id: UUID, body: ContactForm,
                              if_match: int) -> ContactPerson:
        """Replace what is known of them."""

    @delete("/patients/{patient_id}/contacts/{contact_id}", allow={PATIENT: OWN, **DESK},
            refuses=[NotFound, PatientRetired])
    async def remove_contact(self, caller: Caller, patient_id: UUID, contact_id: UUID, if_match: int) -> Done:
        """Take somebody out. The audit trail keeps that they were there, and not who."""

    @get("/patients/{patient_id}/coverages", allow={PATIENT: OWN, **DESK, CASHIER: ANY}, refuses=[NotFound])
    async def coverages(self, caller: Caller, patient_id: UUID) -> list[Coverage]:
        """Insurances past, present and to come: the latest first, by priority."""

    @get("/patients/{patient_id}/coverages/{coverage_id}", allow={PATIENT: OWN, **DESK, CASHIER: ANY},
         refuses=[NotFound])
    async def coverage(self, caller: Caller, patient_id: UUID, coverage_id: UUID) -> Coverage:
        """One insurance, also one that was withdrawn."""

    @post("/patients/{patient_id}/coverages", status=201, allow={**DESK, CASHIER: ANY},
          refuses=[NotFound, CoverageBackwards, CoveragesOverlap, RecordFull, PatientRetired])
    async def add_coverage(self, caller: Caller, patient_id: UUID, body: CoverageForm) -> Coverage:
        """Note an insurance, with its card in the hand. No two of one priority on the same day."""

    @put("/patients/{patient_id}/coverages/{coverage_id}", allow={**DESK, CASHIER: ANY},
         refuses=[NotFound, CoverageBackwards, CoveragesOverlap, PatientRetired])
    async def replace_coverage(self, caller: Caller, patient_id: UUID, coverage_id: UUID, body: CoverageForm,
                               if_match: int) -> Coverage:
        """Mend it, or end it with a last day."""

    @delete("/patients/{patient_id}/coverages/{coverage_id}", allow={**DESK, CASHIER: ANY},
            refuses=[NotFound, PatientRetired])
    async def withdraw_coverage(self, caller: Caller, patient_id: UUID, coverage_id: UUID, if_match: int) -> Coverage:
        """It was entered by mistake: as if it had never held. One that has ended gets a last day instead."""

    @get("/consent-texts", allow={ANYONE: ANY})
    async def consent_texts(self, caller: Caller) -> list[ConsentText]:
        """The wordings in force."""

    @get("/patients/{patient_id}/consents", allow={PATIENT: OWN, **DESK, DOCTOR: TREATING}, refuses=[NotFound])
    async def consents(self, caller: Caller, patient_id: UUID, standing: bool = False, limit: Limit = 25,
                       cursor: Cursor | None = None) -> Page[Consent]:
        """Every decision ever made, the latest first; or (`standing`) only the one that holds of each purpose."""

    @post("/patients/{patient_id}/consents", status=201, allow={PATIENT: OWN, **DESK},
          refuses=[NotFound, TextHasChanged, NothingToWithdraw, NotForCarers, PatientRetired])
    async def decide(self, caller: Caller, patient_id: UUID, body: ConsentForm) -> Consent:
        """Give a consent or withdraw it: a new entry of the history. What is so already stays as it is."""

    @get("/patients/{patient_id}/acting", allow={PATIENT: OWN}, refuses=[NotFound])
    async def acting(self, caller: Caller, patient_id: UUID) -> Acting:
        """By what right the caller acts for this patient at this moment; 404 when they do not."""

    @get("/patients/{patient_id}/guardians", allow={PATIENT: OWN, **DESK, DOCTOR: TREATING, SERVICE: ANY},
         refuses=[NotFound])
    async def guardians(self, caller: Caller, patient_id: UUID, standing: bool = False, limit: Limit = 25,
                        cursor: Cursor | None = None) -> Page[Guardianship]:
        """Who stands for this patient, or ever did, the latest first; or (`standing`) all who do today."""

    @get("/patients/{patient_id}/wards", allow={PATIENT: OWN, **DESK}, refuses=[NotFound])
    async def wards(self, caller: Caller, patient_id: UUID) -> list[Guardianship]:
        """For whom this person stands today."""

    @post("/patients/{patient_id}/guardians", status=201, allow={RECEPTION: ANY, ADMIN: ANY},
          refuses=[NotFound, OwnGuardian, OfAge, GuardianshipBackwards, AlreadyGuardian, RecordFull, PatientRetired])
    async def name_guardian(self, caller: Caller, patient_id: UUID, body: GuardianForm) -> Guardianship:
        """Somebody stands for this patient: their account reaches the record, and books, moves and cancels visits for
        them. Both are told. What begins while the patient is a child ends by itself when they come of age."""

    @post("/patients/{patient_id}/guardians/{guardianship_id}/end", allow={PATIENT: OWN, RECEPTION: ANY, ADMIN: ANY},
          refuses=[NotFound, NotForWards])
    async def end_guardianship(self, caller: Caller, patient_id: UUID, guardianship_id: UUID, body: EndGuardianship,
                               if_match: int) -> Guardianship:
        """It is over at once, and both are told. What has ended already stays as it is. Patients of age end what a carer may
        do for them; a carer does not, for a patient."""

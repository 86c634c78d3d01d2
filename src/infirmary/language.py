"""The hospital's common language: roles, how far they reach, and the kinds of text that several contracts use."""
from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from unicodedata import combining, normalize
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import Caller, Scope
from infirmary.kernel.errors import Refusal


class Role(StrEnum):
    PATIENT = "patient"
    DOCTOR = "doctor"
    NURSE = "nurse"
    RECEPTION = "reception"
    PHARMACIST = "pharmacist"
    CASHIER = "cashier"
    ADMIN = "admin"
    AUDITOR = "auditor"
    SERVICE = "service"   # another context asking on its own account; no person ever holds it


class Channel(StrEnum):
    """How a message leaves the house."""

    EMAIL = "email"
    SMS = "sms"


PATIENT, DOCTOR, NURSE, RECEPTION = Role.PATIENT, Role.DOCTOR, Role.NURSE, Role.RECEPTION
PHARMACIST, CASHIER, ADMIN, AUDITOR, SERVICE = Role.PHARMACIST, Role.CASHIER, Role.ADMIN, Role.AUDITOR, Role.SERVICE
STAFF_ROLES = (DOCTOR, NURSE, RECEPTION, PHARMACIST, CASHIER, ADMIN, AUDITOR)

OWN = Scope("own", "patient_id")          # a patient and what is about them
TREATING = Scope("treating", "doctor_id")   # a doctor and the visits, patients and hours that are theirs
SELF = Scope("self", "account_id")        # an account and what belongs to it


class StepUpRequired(Refusal):
    """This is sensitive, and your password was given too long ago. Send it to /auth/step-up, or use a passkey with
    /auth/passkeys/step-up, then repeat."""

    status = 403


class Person(Struct, frozen=True):
    """How somebody is named on a screen."""

    id: UUID
    name: str


Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Line = Annotated[str, Meta(max_length=200)]
Note = Annotated[str, Meta(max_length=500)]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")]
Phone = Annotated[str, Meta(max_length=25, pattern=r"^\+?[0-9][0-9 ()/.\-]{3,23}$")]
SearchText = Annotated[str, Meta(max_length=100)]


# Letters that people take for accented ones, and that no normal form takes apart.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h",
                        "ŧ": "t", "ŋ": "n", "ə": "e"})


def folded(text: str) -> str:
    """As people search and compare: without accents, case, and spaces more than one."""
    if text.isascii():
        return " ".join(text.lower().split())
    bare = "".join(letter for letter in normalize("NFKD", normalize("NFKD", text).casefold()) if not combining(letter))
    return " ".join(bare.translate(_PLAIN).split())


def service(context: str) -> Caller:
    """The caller that a context is when no person stands behind the question."""
    return Caller(account_id=UUID(int=0), name=context, roles=frozenset({SERVICE}))

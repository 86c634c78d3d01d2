"""Who may be entered in the register, and how a record changes."""
from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from msgspec import UNSET, structs

from infirmary.contexts.patients.contract import (
    AmendPatient,
    BirthDateImpossible,
    Demographics,
    Patient,
    PatientRetired,
)
from infirmary.kernel.errors import FieldError

Form = TypeVar("Form", Demographics, AmendPatient)

OLDEST = 130                         # years
STAYS_TREATING = timedelta(days=365)   # how long a doctor reaches the record after the end of a visit


def check_birth_date(birth_date: date, *, today: date) -> None:
    if birth_date > today:
        raise BirthDateImpossible(errors=[FieldError("birth_date", "Enter a day that is not to come.")])
    if birth_date < years_before(today, OLDEST):
        raise BirthDateImpossible(errors=[FieldError("birth_date", f"Enter a day in the last {OLDEST} years.")])


def years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:   # 29 February
        return day.replace(year=day.year - years, day=28)


def entered(body: Demographics, *, patient_id: UUID, number: int, at: datetime) -> Patient:
    return Patient(id=patient_id, number=number, created_at=at, retired_at=None, version=1,
                   **structs.asdict(_tidy(body)))


def replaced(patient: Patient, body: Demographics, *, today: date) -> Patient:
    return _changed(patient, structs.replace(patient, **structs.asdict(_tidy(body))), today)


def amended(patient: Patient, body: AmendPatient, *, today: date) -> Patient:
    given = {name: value for name, value in structs.asdict(_tidy(body)).items() if value is not UNSET}
    return _changed(patient, structs.replace(patient, **given), today)


def _tidy(body: Form) -> Form:
    return structs.replace(body, **{name: value.strip() for name, value in structs.asdict(body).items()
                                    if type(value) is str})


def _changed(before: Patient, after: Patient, today: date) -> Patient:
    must_be_open(before)
    if after.birth_date != before.birth_date:
        check_birth_date(after.birth_date, today=today)
    return after


def must_be_open(patient: Patient) -> None:
    if patient.merged_into is not None:
        raise PatientRetired("This record is merged into another one. Change that one, or take them apart first.",
                             merged_into=str(patient.merged_into))
    if patient.retired_at is not None:
        raise PatientRetired("This record is closed. What it says stays as it is.")


def changed_fields(before: Patient, after: Patient) -> list[str]:
    return [name for name in Demographics.__struct_fields__ if getattr(before, name) != getattr(after, name)]

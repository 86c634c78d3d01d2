"""Who may stand for whom, and until when."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from msgspec import Struct

from infirmary.contexts.patients.contract import (
    AlreadyGuardian,
    GuardianForm,
    GuardianKind,
    Guardianship,
    GuardianshipBackwards,
    OfAge,
    Patient,
)
from infirmary.kernel.errors import FieldError

from .around import FIRST_DAY, LAST_DAY
from .people import must_be_open, years_before


class Relation(Struct, frozen=True):
    """As it was made; `of_child`: the patient was a child when it began."""

    id: UUID
    ward_id: UUID
    guardian_id: UUID
    kind: GuardianKind
    valid_from: date
    valid_until: date | None
    of_child: bool
    reason: str
    document: str
    made_at: datetime
    made_by: str
    ended_at: datetime | None
    ended_by: str
    end_reason: str
    version: int


class Known(Relation, frozen=True):
    """With the two people as they are in the register now: on the record that holds, should theirs be merged."""

    ward_now: UUID
    ward_given: str
    ward_family: str
    ward_born: date
    guardian_now: UUID
    guardian_given: str
    guardian_family: str

    @property
    def ward_name(self) -> str:
        return f"{self.ward_given} {self.ward_family}"

    @property
    def guardian_name(self) -> str:
        return f"{self.guardian_given} {self.guardian_family}"


def minors_birth(today: date, majority: int) -> date:
    """Who was born later than this is a child today. Who was born on 29 February comes of age on 1 March."""
    return years_before(today, majority)


def agreed(form: GuardianForm, *, relation_id: UUID, ward: Patient, guardian: Patient, between: Sequence[Known],
           majority: int, today: date, now: datetime, by: str) -> Relation:
    """The relation to keep. `between`: what is open between the two already."""
    must_be_open(ward)
    must_be_open(guardian)
    since, until = form.valid_from or today, form.valid_until
    if not FIRST_DAY <= since <= LAST_DAY:
        raise GuardianshipBackwards(errors=[FieldError("valid_from", "Enter a day from 1900 to 2199.")])
    if until is not None and not max(since, today) <= until <= LAST_DAY:
        raise GuardianshipBackwards(errors=[FieldError("valid_until", "Enter today or a later day, not before the first.")])
    of_child = ward.birth_date > minors_birth(max(since, today), majority)
    if form.kind is GuardianKind.PARENT and not of_child:
        raise OfAge(errors=[FieldError("kind", "Choose a legal guardian, or a carer with the patient's consent.")])
    if any(since <= (last_day(one, majority) or LAST_DAY) and one.valid_from <= (until or LAST_DAY) for one in between):
        raise AlreadyGuardian(guardianship_ids=[str(one.id) for one in between])
    return Relation(relation_id, ward.id, guardian.id, form.kind, since, until, of_child, form.reason.strip(),
                    form.document.strip(), now, by, None, "", "", 1)


def is_grown(one: Known, *, majority: int, today: date) -> bool:
    return one.ward_born <= minors_birth(today, majority)


def is_wards_to_end(one: Known, *, majority: int, today: date) -> bool:
    """A carer's access rests on the consent of somebody of age."""
    return one.kind is GuardianKind.CARER and is_grown(one, majority=majority, today=today)


def last_day(one: Known, majority: int) -> date | None:
    if not one.of_child:
        return one.valid_until
    grown = _day_before(one.ward_born, majority)
    return grown if one.valid_until is None else min(one.valid_until, grown)


def _day_before(born: date, years: int) -> date:
    """The last day before the birthday that makes so many years."""
    try:
        birthday = born.replace(year=born.year + years)
    except ValueError:   # 29 February
        birthday = date(born.year + years, 3, 1)
    return date.fromordinal(birthday.toordinal() - 1)


def shown(one: Known, *, majority: int, in_full: bool, yours_to_end: bool = False) -> Guardianship:
    """`in_full` for the desk: why it was made and ended, and what was seen."""
    return Guardianship(
        id=one.id, ward_id=one.ward_now, ward_name=one.ward_name, guardian_id=one.guardian_now,
        guardian_name=one.guardian_name, kind=one.kind, valid_from=one.valid_from, valid_until=last_day(one, majority),
        reason=one.reason if in_full else "", document=one.document if in_full else "", made_at=one.made_at,
        made_by=one.made_by, ended_at=one.ended_at, ended_by=one.ended_by,
        end_reason=one.end_reason if in_full else "", version=one.version, yours_to_end=yours_to_end)

"""Whom to call, who pays, and what was agreed to."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from msgspec import Struct, structs

from infirmary.contexts.patients.contract import (
    Consent,
    ConsentForm,
    ConsentText,
    ContactForm,
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
from infirmary.kernel.access import Caller
from infirmary.kernel.errors import FieldError

F = TypeVar("F", bound=Struct)

MOST = 50                                                  # contacts of one record; insurances, too
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)   # of an insurance; one without an end holds until the last

# A wording that changes gets a new version here: who agreed to the old one is asked again.
TEXTS = (
    ConsentText(purpose=Purpose.MESSAGES, version="1", title="Messages about visits",
                text="The hospital may send me confirmations, changes and reminders of my visits by e-mail and text "
                     "message. They name the time and the department, and nothing about my health."),
    ConsentText(purpose=Purpose.SHARING, version="1", title="Sharing with my family doctor",
                text="The hospital may send my family doctor what was found and done here, so that both know the same."),
    ConsentText(purpose=Purpose.RESEARCH, version="1", title="Research",
                text="The hospital may use my data for medical research, without my name, birth date and address. "
                     "My treatment does not depend on this."),
)


def tidy(form: F) -> F:
    return structs.replace(form, **{name: value.strip() for name, value in structs.asdict(form).items()
                                    if type(value) is str})


def has_room(kept: Sequence[object]) -> None:
    if len(kept) >= MOST:
        raise RecordFull(limit=MOST)


def contact(form: ContactForm) -> ContactForm:
    if form.emergency and form.phone is None:
        raise NoWayToCall(errors=[FieldError("phone", "Add a phone number.")])
    return tidy(form)


def coverage(form: CoverageForm, others: Sequence[Coverage]) -> CoverageForm:
    """The insurance as it will be kept, beside all others of this record that hold."""
    if not FIRST_DAY <= form.valid_from <= LAST_DAY:
        raise CoverageBackwards(errors=[FieldError("valid_from", "Enter a day from 1900 to 2199.")])
    if form.valid_until is not None and not form.valid_from <= form.valid_until <= LAST_DAY:
        raise CoverageBackwards(errors=[FieldError("valid_until", "Enter the day it began, or a later one.")])
    if in_the_way := [one for one in others if one.priority == form.priority and overlap(one, form)]:
        free = min({*range(1, 10)} - {one.priority for one in others if overlap(one, form)}, default=None)
        raise CoveragesOverlap(
            errors=[FieldError("priority", "Choose a priority that is free in these days."
                               if free is None else f"Priority {free} is free in these days.")],
            coverage_ids=[one.id for one in in_the_way], free_priority=free)
    return tidy(form)


def overlap(one: Coverage | CoverageForm, other: Coverage | CoverageForm) -> bool:
    """Whether there is a day that belongs to both."""
    return (one.valid_from <= (other.valid_until or LAST_DAY)) and (other.valid_from <= (one.valid_until or LAST_DAY))


def standing(entries: Sequence[Consent]) -> dict[Purpose, Consent]:
    """What holds of each purpose: the latest decision, also where records were merged."""
    return {one.purpose: one for one in sorted(entries, key=lambda one: (one.purpose, one.at, one.number))}


def decided(form: ConsentForm, standing: Consent | None, *, patient_id: UUID, number: int, at: datetime,
            caller: Caller) -> Consent | None:
    """The next entry of the history; None when it is so already."""
    given = standing is not None and standing.decision is Decision.GIVEN
    version = form.text_version
    if form.decision is Decision.GIVEN:
        in_force = next(text.version for text in TEXTS if text.purpose is form.purpose)
        if version != in_force:
            raise TextHasChanged(errors=[FieldError("text_version", "Read the wording in force.")],
                                 text_version=in_force)
        if standing is not None and given and standing.text_version == version:
            return None
    elif standing is None:
        raise NothingToWithdraw
    elif not given:
        return None
    else:
        version = standing.text_version   # what is withdrawn is what was given
    return Consent(patient_id=patient_id, purpose=form.purpose, number=number, decision=form.decision,
                   text_version=version, note=form.note.strip(), at=at, by_account=caller.account_id,
                   by_name=caller.name)

"""Who may be the same person."""
from __future__ import annotations

from collections.abc import Callable
from datetime import date

from msgspec import Struct

from infirmary.contexts.patients.contract import Match, Patient
from infirmary.language import folded

from .finding import a_date, digits, email_word, ends_phone, words

MOST_ALIKE = 5


class Asked(Struct, frozen=True, kw_only=True):
    """What is known of somebody who is about to be entered."""

    given_name: str = ""
    family_name: str = ""
    birth_date: date | None = None
    phone: str | None = None
    email: str | None = None

    @property
    def name_words(self) -> list[str]:
        return sorted({*words(self.given_name), *words(self.family_name)})

    @property
    def birth_words(self) -> list[str]:
        return [one.isoformat() for one in (self.birth_date, self.swapped) if one]

    @property
    def phone_word(self) -> str:
        """What another way of writing this phone number has in common with it; empty without one."""
        found = digits(self.phone or "")
        return ends_phone(found) if found else ""

    @property
    def email_word(self) -> str:
        return email_word((self.email or "").strip())

    @property
    def swapped(self) -> date | None:
        """Day and month the other way round, where that is another day."""
        born = self.birth_date
        return a_date(born.year, born.day, born.month) if born and born.day != born.month else None


def alike_in(asked: Asked, patient: Patient) -> list[str]:
    names, theirs = {*asked.name_words}, {*words(patient.given_name), *words(patient.family_name)}
    few, many = sorted((names, theirs), key=len)
    found = []
    if (names and names == theirs) or (len(few) > 1 and few <= many):   # in any order; a second name may be missing
        found.append("name")
    if patient.birth_date == asked.birth_date:
        found.append("birth_date")
    elif patient.birth_date == asked.swapped:
        found.append("birth_date_swapped")
    if asked.phone_word and ends_phone(digits(patient.phone or "")) == asked.phone_word:
        found.append("phone")
    if asked.email_word and folded(patient.email or "") == folded((asked.email or "").strip()):
        found.append("email")
    return found


_WEIGHT = {"name": 4, "birth_date": 4, "phone": 3, "email": 3, "birth_date_swapped": 2}


def matches(asked: Asked, candidates: list[Patient]) -> list[Match]:
    """One likeness is chance, two are worth a look."""
    found = [Match(one, alike) for one in candidates if len(alike := alike_in(asked, one)) > 1]
    likeness: Callable[[Match], tuple[int, int]] = lambda match: (   # noqa: E731 – a key with a type
        -sum(_WEIGHT[field] for field in match.alike_in), match.patient.number)
    return sorted(found, key=likeness)[:MOST_ALIKE]

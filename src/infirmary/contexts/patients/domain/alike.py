"""How likely two entries are of one person.

Fellegi and Sunter, A Theory for Record Linkage (1969): each field is worth log2(m/u) bits, m being how often it agrees so
in entries of one person, u in entries of two; a field that is missing is worth nothing. The sum, less the odds that any
two entries are of one person, makes a probability. Where fields depend on one another (a household has one telephone)
the worth is lowered by hand.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from enum import Enum
from math import log2

from msgspec import Struct
from rapidfuzz.distance import OSA

from infirmary.contexts.patients.contract import Demographics, Gender, Match, Patient
from infirmary.language import folded

from .finding import a_date, digits, email_word, ends_phone, words

MOST_ALIKE = 5
WORTH_A_LOOK = .4     # of a score
_PRIOR = -14.         # bits: one in some 16,000
_HOUSEHOLD = 3.       # bits of a telephone or an address that is shared with somebody of another name


class Level(Enum):
    """How far one field agrees. PART: some of the words of a name."""

    SAME, NEAR, PART, DIFFERENT, MISSING = "same", "near", "part", "different", "missing"


SAME, NEAR, PART, DIFFERENT, MISSING = Level
_M_AND_U = {
    "name": {SAME: (.85, .0005), NEAR: (.08, .0015), PART: (.05, .02), DIFFERENT: (.02, .978)},
    "birth_date": {SAME: (.92, .0001), NEAR: (.06, .002), DIFFERENT: (.02, .9979)},
    "phone": {SAME: (.6, .001), DIFFERENT: (.4, .999)},
    "email": {SAME: (.7, .0005), DIFFERENT: (.3, .9995)},
    "gender": {SAME: (.97, .5), DIFFERENT: (.03, .5)},
}
_BITS = {field: {level: log2(m / u) for level, (m, u) in levels.items()} | {MISSING: 0.}
         for field, levels in _M_AND_U.items()}


class Asked(Struct, frozen=True, kw_only=True):
    """What is known of somebody who is about to be entered, or of somebody who was."""

    given_name: str = ""
    family_name: str = ""
    birth_date: date | None = None
    phone: str | None = None
    email: str | None = None
    gender: Gender = Gender.UNKNOWN

    @property
    def name_words(self) -> list[str]:
        return sorted({*words(self.given_name), *words(self.family_name)})

    @property
    def birth_words(self) -> list[str]:
        return [one.isoformat() for one in (self.birth_date, self.swapped) if one]

    @property
    def near_birth_words(self) -> list[str]:
        return [] if self.birth_date is None else sorted({one.isoformat() for one in slips(self.birth_date)})

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


def known(patient: Patient | Demographics) -> Asked:
    return Asked(given_name=patient.given_name, family_name=patient.family_name, birth_date=patient.birth_date,
                 phone=patient.phone, email=patient.email, gender=patient.gender)


def slips(born: date) -> Iterator[date]:
    """Days that are written for this one by mistake: day and month swapped, two neighbouring digits swapped, or one
    digit wrong."""
    written = born.isoformat().replace("-", "")
    swaps = (written[:at] + written[at + 1] + written[at] + written[at + 2:] for at in range(len(written) - 1))
    slipped = (written[:at] + digit + written[at + 1:] for at in range(len(written)) for digit in "0123456789")
    for one in (written[:4] + written[6:] + written[4:6], *swaps, *slipped):
        made = a_date(int(one[:4]), int(one[4:6]), int(one[6:]))
        if made and made != born:
            yield made


def compared(asked: Asked, patient: Patient) -> dict[str, Level]:
    """Field by field: name, birth_date, phone, email, gender."""
    return {"name": _names({*asked.name_words}, {*words(patient.given_name), *words(patient.family_name)}),
            "birth_date": _births(asked.birth_date, patient.birth_date),
            "phone": _same(asked.phone_word, ends_phone(digits(patient.phone or "")) if patient.phone else ""),
            "email": _same(folded((asked.email or "").strip()), folded(patient.email or "")),
            "gender": _same(*("" if one is Gender.UNKNOWN else one.value for one in (asked.gender, patient.gender)))}


def _names(ours: set[str], theirs: set[str]) -> Level:
    """In any order, as given and family name are often swapped; a second name may be missing."""
    if not ours or not theirs:
        return MISSING
    few, many = sorted((ours, theirs), key=len)
    if ours == theirs or (len(few) > 1 and few <= many):
        return SAME
    if (len(few) > 1 or len(many) == 1) and _each_near(few, many):
        return NEAR
    return PART if any(len(word) > 1 for word in few & many) else DIFFERENT


def _each_near(few: Iterable[str], many: Iterable[str]) -> bool:
    """Whether each word has one of its own that is nearly the same."""
    left = [*many]
    for word in sorted(few, key=lambda word: word not in left):   # what is the same is not given to another
        found = min(left, key=lambda other: OSA.distance(word, other), default=None)
        if found is None or not _near(word, found):
            return False
        left.remove(found)
    return True


def _near(one: str, other: str) -> bool:
    """A letter wrong, missing or swapped with its neighbour; two in long words; or one begins the other (Alex)."""
    short, long = sorted((one, other), key=len)
    return (OSA.distance(one, other) <= (0 if len(long) < 4 else 1 if len(long) < 8 else 2)
            or (len(short) > 2 and long.startswith(short)))


def _births(asked: date | None, there: date) -> Level:
    if asked is None:
        return MISSING
    return SAME if asked == there else NEAR if there in {*slips(asked)} else DIFFERENT


def _same(asked: str, there: str) -> Level:
    return MISSING if not asked or not there else SAME if asked == there else DIFFERENT


def score(levels: dict[str, Level]) -> float:
    """From 0 to 1: the probability that these are one person."""
    def worth(field: str) -> float:
        bits = _BITS[field][levels[field]]
        return min(bits, _HOUSEHOLD) if field in ("phone", "email") and levels["name"] is PART else bits
    return 1 / (1 + 2 ** -(_PRIOR + sum(worth(field) for field in levels)))


def match(asked: Asked, patient: Patient) -> Match:
    levels = compared(asked, patient)
    return Match(patient, [field for field, level in levels.items() if level is SAME and field != "gender"],
                 round(score(levels), 3),
                 [field for field, level in levels.items() if level in (NEAR, PART)],
                 [field for field, level in levels.items() if level is DIFFERENT])


def matches(asked: Asked, candidates: list[Patient]) -> list[Match]:
    """The likeliest first. One likeness is chance, two are worth a look."""
    found = [one for one in (match(asked, candidate) for candidate in candidates) if one.score >= WORTH_A_LOOK]
    return sorted(found, key=lambda one: (-one.score, one.patient.number))[:MOST_ALIKE]

"""By what a patient is found: words that are kept, and how what somebody typed may be meant."""
from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from msgspec import Struct, structs

from infirmary.contexts.patients.contract import Patient
from infirmary.language import folded

from .people import OLDEST

LONGEST_WORD = 64
LONGEST_KEY = 30                     # two of them must fit into a cursor, whatever the script
TELLING = 8                          # last digits of a phone number: the same with and without a country's prefix

# Letters that no normal form takes apart.
_APOSTROPHES = str.maketrans("", "", "'’‘ʼʻ`´")
_APART = re.compile(r"[\s+\-‐-―.,;:/()\"]+")


def words(name: str) -> list[str]:
    """O’Brien is one word, Anne-Marie is two."""
    return [word[:LONGEST_WORD] for word in _APART.split(folded(name.translate(_APOSTROPHES))) if word]


def sort_key(name: str) -> str:
    return " ".join(words(name))[:LONGEST_KEY]


def digits(text: str) -> str:
    return "".join(re.findall(r"[0-9]", text))


def _begins_phone(found: str) -> str:
    return f"+{found}"


def ends_phone(found: str) -> str:
    """Backwards, so that the end of a number is the beginning of a word."""
    return f"-{found[-TELLING:][::-1]}"


def email_word(email: str) -> str:
    return folded(email)[:LONGEST_WORD]


def found_by(patient: Patient) -> list[str]:
    """Words whose beginnings find the patient. The last is the phone number backwards; what is looked for inside of
    words is looked for before it."""
    phone = digits(patient.phone or "")
    found = [*words(patient.family_name), *words(patient.given_name), str(patient.number),
             patient.birth_date.isoformat()]
    if patient.email:
        found.append(email_word(patient.email))
    return list(dict.fromkeys([*found, _begins_phone(phone), f"-{phone[::-1]}"]))


class Fragment(Struct, frozen=True):
    """One thing that was typed. It fits a patient who has a word that begins like this, in one of several senses;
    or, where no beginnings are given, words with these parts inside. What has no inside is a date."""

    begins: tuple[str, ...]
    inside: tuple[str, ...] = ()

    @property
    def one_sense(self) -> bool:
        return len(self.begins) == 1


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = ("jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
          "|nov(?:ember)?|dec(?:ember)?")
_TYPED = re.compile(rf"""
    (?<!\w) (?P<year>\d{{4}}) - (?P<month>\d{{1,2}}) - (?P<day>\d{{1,2}}) (?!\w)
  | (?<!\w) (?P<day2>\d{{1,2}}) [./-] (?P<month2>\d{{1,2}}) [./-] (?P<year2>\d{{4}}|\d{{2}}) (?!\w)
  | (?<!\w) (?P<day3>[0-3]?\d) \.?\s* (?P<month3>{_MONTH})[.,]?\s+ (?P<year3>\d{{4}}|\d{{2}}) (?!\w)
  | (?P<email>[^\s@]+@\S*)
  | (?P<digits>\+? \d [\d\s()/.,\-]* (?<=\d) (?!\w) | \+? \d (?!\w))
  | (?P<word>[^\s+\-‐-―.,;:/()"]+)
""", re.VERBOSE)


def readings(typed: str, *, today: date, birth_date: date | None = None, phone: str | None = None,
             ) -> list[tuple[Fragment, ...]]:
    """How what was typed may be meant, the likeliest first: digits with spaces between them as one number, or as
    several; and then, should nobody be found, what was typed as the inside of words."""
    joined, apart = [], []
    for match in _TYPED.finditer(folded(typed.translate(_APOSTROPHES))):
        if date_read := _as_date(match, today):
            joined.append(date_read)
            apart.append(date_read)
        elif match["digits"]:
            joined.append(_as_number(match[0], today))
            apart += [_as_number(part, today) for part in match[0].split() if digits(part)]
        elif match["email"] or match["word"]:
            word = match[0][:LONGEST_WORD]
            joined.append(Fragment((word,), (word,)))
            apart.append(joined[-1])
        else:   # it looks like a date, and is none
            joined.append(_as_number(match[0], today))
            apart.append(joined[-1])
    asked = []
    if birth_date is not None:
        asked.append(Fragment((birth_date.isoformat(),)))
    if phone is not None and digits(phone):
        asked.append(_as_phone(digits(phone)))
    begun = list(dict.fromkeys((*asked, *found) for found in (joined, apart)))
    return [*begun, *(inside for found in begun if (inside := tuple(map(_inside, found))) != found)]


def _as_date(match: re.Match[str], today: date) -> Fragment | None:
    for at in ("", "2", "3"):
        if year := match[f"year{at}"]:
            named = match[f"month{at}"]
            month = int(named) if named.isdigit() else _MONTHS.index(named[:3]) + 1
            made = [a_date(one, month, int(match[f"day{at}"])) for one in _years(year, today)]
            begins = tuple(one.isoformat() for one in made if one)
            return Fragment(begins) if begins else None
    return None


def a_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _years(written: str, today: date) -> Iterator[int]:
    """Two digits may be of several centuries, as far as somebody can have been born then."""
    if len(written) == 4:
        yield int(written)
        return
    for century in range(today.year // 100, today.year // 100 - 3, -1):
        if today.year - OLDEST <= (year := century * 100 + int(written)) <= today.year:
            yield year


def _as_number(typed: str, today: date) -> Fragment:
    """A hospital number, a phone number or a year of birth. Two digits are a year."""
    found = digits(typed)
    if "+" in typed:
        return _as_phone(found)
    if len(found) == 2:
        return Fragment(tuple(f"{year}-" for year in _years(found, today)))
    return Fragment((found[:LONGEST_WORD], *_as_phone(found).begins), (found,))


def _as_phone(found: str) -> Fragment:
    """By its beginning, or by its end as soon as that tells something."""
    ends = (ends_phone(found),) if len(found) > 3 else ()
    return Fragment((_begins_phone(found), *ends), ("+", found))


def _inside(fragment: Fragment) -> Fragment:
    return structs.replace(fragment, begins=()) if fragment.inside else fragment

"""What people type for dates and times, read the way they mean it."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, timedelta
from uuid import UUID

from .i18n import Language, language

_NUMBERS = re.compile(r"\d+")
# Letters that no normal form takes apart.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_CLOCK = re.compile(r"(\d{1,2})(?:\s*[:.h]?\s*(\d{2}))?")


def typed_date(text: str, speaks: Language, today: date, *, past: bool = False) -> date | None:
    """7.5.91, 07/05/1991, 070591, 1991-05-07 or 7 May 1991; None when it is no date.

    The day comes before the month, except where the year comes first. Two digits of a year mean the latest such year
    that is not to come (`past`), or else this century's. Without a year: this one, unless the date is long `past`.
    """
    words = plain(text[:40]).replace(",", " ")
    digits = _NUMBERS.findall(words)
    numbers = [int(one) for one in digits]
    month = _month(words, speaks)
    try:
        if month is not None:
            day, year = _day_and_year(numbers, None if past else today.year)
        elif len(numbers) == 1:
            return _run_together(digits[0], today, past=past)
        elif len(numbers) == 3 and len(digits[0]) == 4:
            year, month, day = numbers
        elif len(numbers) == 3:
            day, month, year = numbers
        elif len(numbers) == 2 and not past:
            day, month, year = *numbers, today.year
        else:
            return None
        return date(_whole(year, today, past=past), month, day)
    except (ValueError, OverflowError):
        return None


def typed_clock(text: str) -> str | None:
    """8, 8:30, 8.30, 0830 or 24:00 as `HH:MM`; None when it is no time of the clock."""
    match = _CLOCK.fullmatch(text.strip().removesuffix("h").strip())
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    return f"{hour:02}:{minute:02}" if (hour < 24 and minute < 60) or (hour, minute) == (24, 0) else None


def plain(text: str) -> str:
    """Without accents and case, for comparing."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return bare.casefold().translate(_LETTERS)


def _day_and_year(numbers: list[int], this_year: int | None) -> tuple[int, int]:
    match numbers:
        case [day] if this_year is not None:
            return day, this_year
        case [year, day] if year > 31:
            return day, year
        case [day, year]:
            return day, year
    raise ValueError


def _run_together(digits: str, today: date, *, past: bool) -> date | None:
    if len(digits) not in (6, 8):
        return None
    return date(_whole(int(digits[4:]), today, past=past), int(digits[2:4]), int(digits[:2]))


def _whole(year: int, today: date, *, past: bool) -> int:
    if year >= 100:
        return year
    year += today.year // 100 * 100
    return year - 100 if past and year > today.year else year


def _month(words: str, speaks: Language) -> int | None:
    letters = [one for one in re.split(r"[\d\s./-]+", words) if len(one) >= 3]
    for word in letters:
        for names in (_months(speaks), _months(language("en"))):
            for number, name in names.items():
                if name.startswith(word):
                    return number
    return None


def _months(speaks: Language) -> Mapping[int, str]:
    return {number: plain(name) for number, name in speaks.locale.months["format"]["wide"].items()}


def a_day(text: str) -> date | None:
    """From an address or a date field: YYYY-MM-DD."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date(1900, 1, 1) <= found <= date(2900, 1, 1) else None   # the calendar has room on both sides


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def an_id(text: str) -> UUID | None:
    """From an address or a form."""
    try:
        return UUID(text)
    except ValueError:
        return None

"""Languages: every string goes through gettext, dates and numbers through CLDR (Babel)."""
from __future__ import annotations

import gettext
from collections.abc import Sequence
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_time
from babel.lists import format_list

LOCALES = Path(__file__).parent / "locale"


class Language:
    """One language as pages use it. English is complete; others are added as `locale/<code>/LC_MESSAGES`."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.locale = Locale.parse(code if code != "en" else "en_GB", sep="_")
        found = gettext.translation("infirmary", LOCALES, [code], fallback=True)
        self.gettext, self.ngettext = found.gettext, found.ngettext
        self.direction = self.locale.text_direction

    def day(self, value: date, today: date) -> str:
        """Thu 26 Nov; with the year where it is not this one."""
        return format_date(value, "EEE d MMM" if value.year == today.year else "EEE d MMM y", self.locale)

    def full_day(self, value: date) -> str:
        """14 Mar 1968"""
        return format_date(value, "d MMM y", self.locale)

    def month_day(self, value: date) -> str:
        """14 Mar"""
        return format_date(value, "d MMM", self.locale)

    def named(self, code: str) -> str:
        """A language's name in this one."""
        return str(self.locale.languages.get(code.partition("-")[0].lower(), code))

    def long_day(self, value: date) -> str:
        return format_date(value, "EEEE d MMMM", self.locale)

    def month(self, value: date) -> str:
        """March 2027"""
        return format_date(value, "LLLL y", self.locale)

    def listed(self, names: Sequence[str]) -> str:
        """`Room 1, Room 2, and Room 3`, as the language has it."""
        return format_list(names, locale=self.locale) if names else ""

    def time(self, value: datetime | time) -> str:
        return format_time(value, "HH:mm", tzinfo=value.tzinfo, locale=self.locale)


@lru_cache
def language(code: str) -> Language:
    return Language(code)


@lru_cache
def available() -> frozenset[str]:
    return frozenset({"en", *(folder.parent.name for folder in LOCALES.glob("*/LC_MESSAGES"))})


@lru_cache(maxsize=500)
def language_of(accept: str) -> Language:
    """The first of the browser's languages that we speak."""
    for wanted in accept.split(","):
        code = wanted.partition(";")[0].strip().partition("-")[0].lower()
        if code in available():
            return language(code)
    return language("en")

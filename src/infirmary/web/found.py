"""Marks what was searched for in what was found, whatever its accents, case and spacing."""
from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

from .typed import plain

MOST_FRAGMENTS = 8


def fragments(q: str) -> list[str]:
    return [plain(word) for word in q.split()[:MOST_FRAGMENTS] if plain(word)]


def marked(text: str, wanted: list[str]) -> Markup:
    """`text` with every fragment in <mark>: where it begins a word, or else inside of one."""
    letters, places = _plain_letters(text)
    spans = []
    for one in wanted:
        inside = [match.start() for match in re.finditer(re.escape(one), letters)]
        begins = [n for n in inside if n == 0 or not letters[n - 1].isalnum()]
        spans += [(places[n], places[n + len(one) - 1] + 1) for n in begins or inside]
    return _with_marks(text, spans)


def marked_digits(text: str, wanted: list[str]) -> Markup:
    """The same for numbers as people write them: 0600 555 114 holds 0600555 and 114."""
    places = [n for n, one in enumerate(text) if one.isdecimal()]
    digits = "".join(text[n] for n in places)
    spans = [(places[match.start()], places[match.end() - 1] + 1) for one in wanted
             if len(number := re.sub(r"\D", "", one)) > 1 for match in re.finditer(number, digits)]
    return _with_marks(text, spans)


def number(patient_number: int) -> str:
    """As people read it aloud: 104 882."""
    return f"{patient_number:,}".replace(",", "\u00a0")


def _plain_letters(text: str) -> tuple[str, list[int]]:
    """The text without accents and case, and where each of its letters stands in the original."""
    letters, places = [], []
    for n, one in enumerate(text):
        for letter in plain(unicodedata.normalize("NFKD", one)):
            letters.append(letter)
            places.append(n)
    return "".join(letters), places


def _with_marks(text: str, spans: list[tuple[int, int]]) -> Markup:
    made, at = Markup(), 0
    for start, end in sorted(spans):
        if end > at:
            begins = max(start, at)
            made += escape(text[at:begins]) + Markup("<mark>") + escape(text[begins:end]) + Markup("</mark>")
            at = end
    return made + escape(text[at:])

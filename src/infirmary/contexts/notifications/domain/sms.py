"""What a text message says: whose it is, and what an e-mail says in its subject. Phones show it to whoever is near.

Lengths are those of 3GPP TS 23.038 (the alphabet) and 23.040 (messages in parts).
"""
from __future__ import annotations

from urllib.parse import urlsplit

from . import _, one_line

_BASIC = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
                   "¿abcdefghijklmnopqrstuvwxyzäöñüà")
_ESCAPED = frozenset("^{}\\[~]|€\f")   # two septets each
_TYPED = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " "})
MOST_PARTS = 2


def parts(text: str) -> int:
    """In how many parts it is sent, and paid for: 160 septets, or 153 in each of several; with a letter that the alphabet
    does not have, 70 and 67 units of UTF-16."""
    if _BASIC.union(_ESCAPED).issuperset(text):
        units, alone, each = sum(2 if one in _ESCAPED else 1 for one in text), 160, 153
    else:
        units, alone, each = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if units <= alone else -(-units // each)


def about(title: str, *, hospital: str, url: str) -> str:
    """`title` as in the subject of an e-mail: when, and never who, what or why."""
    said = plain(f"{hospital}: {title}")
    with_link = f"{said}. {url.rstrip('/')}/notifications"
    return with_link if parts(with_link) <= MOST_PARTS else shortened(said)


def with_code(code: str, *, hospital: str, url: str) -> str:
    """The last line is for browsers, which fill it in on our pages alone (WICG, Origin-bound one-time codes)."""
    said = plain(_("{code} is your code at {hospital}, good for ten minutes. We never ask you for it on the phone.").format(
        code=code, hospital=hospital))
    bound = f"\n\n@{urlsplit(url).hostname} #{code}"
    return said + bound if parts(said + bound) <= MOST_PARTS else shortened(said)


def plain(text: str) -> str:
    """On one line, with the signs that a keyboard has: one “…” alone would make a message of 71 letters cost two."""
    return one_line(text).translate(_TYPED)


def shortened(text: str) -> str:
    """As much of it as fits."""
    while parts(text) > MOST_PARTS:
        text = text[:-4].rstrip() + "..."
    return text

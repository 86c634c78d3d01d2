"""Forms as requests of a contract, with every field looked at and each thing to mend said in a sentence."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from infirmary.kernel.errors import FieldError, Malformed, StaleVersion

from .page import Page

S = TypeVar("S", bound=msgspec.Struct)
_OWN = re.compile(r"/(?![/\\])[^\\\x00-\x20]*")   # browsers drop tabs and turn backslashes: neither may be in it


def filled(page: Page, into: type[S], mend: Mapping[str, str], **more: Any) -> S:
    """The form as `into`; `more` are fields already understood. Refuses with all that is to be mended, not the first:
    `mend` says how, by field."""
    given: dict[str, Any] = {name: value.strip() for name, value in page.form.items() if value.strip()} | more
    made: dict[str, Any] = {}
    errors = []
    for field in msgspec.structs.fields(into):
        name = field.encode_name
        try:
            if name in given:
                made[name] = msgspec.convert(given[name], type=field.type, strict=False)
            elif field.required:
                raise msgspec.ValidationError
        except msgspec.ValidationError:
            errors.append(FieldError(name, mend.get(name, page.language.gettext("Look at this again."))))
    if errors:
        raise Malformed(errors=errors)
    return into(**made)


def version(page: Page) -> int:
    """The version that the form was made from."""
    text = page.form.get("version", "")
    if not text.isdecimal() or len(text) > 18:
        raise StaleVersion
    return int(text)


def own(address: str) -> str:
    """The address if it is one of ours, else nothing: nobody is led elsewhere by what came with a request."""
    return address if _OWN.fullmatch(address) else ""


def back(page: Page, otherwise: str) -> str:
    """Where to go on: what the form names, or else the usual."""
    return own(page.form.get("back") or page.query.get("back", "")) or otherwise

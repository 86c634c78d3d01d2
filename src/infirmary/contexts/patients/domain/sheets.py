"""The register as a table: reading what others have written, and writing what others can read (CSV, RFC 4180).

A cell that a spreadsheet would take for a formula is written behind an apostrophe (OWASP, CSV Injection), and one apostrophe
is taken away again where such a cell is read: what was written here is read as it was.
"""
from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from itertools import chain
from typing import IO, Any

import msgspec

from infirmary.contexts.patients.contract import BirthDateImpossible, Demographics
from infirmary.contexts.patients.contract.imports import Column, ColumnsMissing, NotATable
from infirmary.kernel.errors import FieldError
from infirmary.language import folded

from .finding import words
from .people import check_birth_date

FIELDS = tuple(Demographics.__struct_fields__)
NEEDED = tuple(one.name for one in msgspec.structs.fields(Demographics) if one.required)
HEAD = ("number", *FIELDS)   # of our own tables; an import does not read the number, which is given anew
WHAT_TO_MEND = "what_to_mend"
MOST_COLUMNS = 100
LONGEST_HEADER = 60
LONGEST_CELL = 300    # letters; no field takes as many, so that a longer one is a fault whatever it says
_DELIMITERS = ",;\t"
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")   # the wide ones too: some spreadsheets read them so
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
# How others call our fields, without spaces, accents and case.
_CALLED = {
    "given_name": ("givenname", "givennames", "firstname", "forename", "vorname", "prenom", "nombre"),
    "family_name": ("familyname", "lastname", "surname", "nachname", "nom", "nomdefamille", "apellido", "apellidos"),
    "birth_date": ("birthdate", "dateofbirth", "birthday", "dob", "born", "geburtsdatum", "datedenaissance",
                   "fechadenacimiento"),
    "gender": ("gender", "sex", "geschlecht", "sexe", "sexo"),
    "phone": ("phone", "phonenumber", "telephone", "mobile", "telefon", "telefono"),
    "email": ("email", "emailaddress", "mail", "correo"),
    "address": ("address", "adresse", "direccion"),
    "language": ("language", "sprache", "langue", "idioma"),
}
_FIELD_OF = {name: field for field, names in _CALLED.items() for name in names}
_GENDERS = {"f": "female", "m": "male", "o": "other", "u": "unknown"}
MEND = {
    "given_name": "Write the given name, in at most 100 letters.",
    "family_name": "Write the family name, in at most 100 letters.",
    "birth_date": "Write the day as 1968-03-14, or as 14.03.1968.",
    "gender": "Write female, male, other or unknown, or leave it empty.",
    "phone": "Write digits, spaces and a + in front: 4 to 24 of them. Or leave it empty.",
    "email": "Add what comes after the @, or leave it empty.",
    "address": "Make it shorter than 200 letters.",
    "language": "Write a code such as en or pt-BR, or leave it empty.",
}


class Sheet:
    """A table as it is read: its columns first, then row by row, each with the line that it begins in."""

    def __init__(self, file: Iterable[str], delimiter: str) -> None:
        self._reader = csv.reader(file, delimiter=delimiter, strict=True)
        self._ends = 0
        self.columns = understood_head(self._next() or [])

    def __iter__(self) -> Iterator[tuple[int, dict[str, str], list[FieldError]]]:
        """(line, what it says by field, faults of the row as a whole). Lines without anything in them are left out."""
        while True:
            begins = self._ends + 1
            if (cells := self._next()) is None:
                return
            if not any(cell.strip() for cell in cells):
                continue
            more = len(cells) - len(self.columns)
            faults = [FieldError("", "There are more cells than columns. Put a text with a comma in it between quotes.")] \
                if more > 0 and any(cells[-more:]) else []
            yield begins, {column.field: plain(cell[:LONGEST_CELL]) for column, cell in
                           zip(self.columns, cells, strict=False) if column.field and cell.strip()}, faults

    def _next(self) -> list[str] | None:
        try:
            with not_utf8():
                row = next(self._reader, None)
        except csv.Error as error:
            raise NotATable(f"Line {self._ends + 1} cannot be read: a quote is not closed, or something follows it. "
                            "Mend that line, and send the file again.", line=self._ends + 1) from error
        if row is not None and any("\0" in cell for cell in row):
            raise NotATable(f"Line {self._ends + 1} holds the character U+0000. Leave it out, and send the file again.",
                            line=self._ends + 1)
        self._ends = self._reader.line_num
        return row


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Sheet]:
    """A file from its beginning; it stays open, to be read once more."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        with not_utf8():
            first = text.readline()
        yield Sheet(chain([first], text), delimiter_of(first))
    finally:
        text.detach()


@contextmanager
def not_utf8() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise NotATable("This file is not in UTF-8. Save it as CSV UTF-8, and send it again.") from error


def delimiter_of(first_line: str) -> str:
    """The one by which most of our columns are found in it."""
    def known(delimiter: str) -> int:
        try:
            heads = next(csv.reader([first_line], delimiter=delimiter), [])
        except csv.Error:
            return 0
        return len({field for head in heads if (field := _field(head))})
    return max(_DELIMITERS, key=known)


def _field(head: str) -> str | None:
    return _FIELD_OF.get(re.sub(r"[^a-z]", "", folded(head)))


def understood_head(heads: Sequence[str]) -> list[Column]:
    """What each column is read as; of two for one field the first is."""
    if len(heads) > MOST_COLUMNS:
        raise NotATable(f"There are more than {MOST_COLUMNS} columns. Send those that name people.")
    columns: list[Column] = []
    for head in heads:
        field = _field(head)
        taken = field in {column.field for column in columns}
        columns.append(Column(head.strip()[:LONGEST_HEADER], None if taken else field))
    if missing := [field for field in NEEDED if field not in {column.field for column in columns}]:
        raise ColumnsMissing(errors=[FieldError(field, "No column is called so.") for field in missing])
    return columns


def understood(said: Mapping[str, str], *, today: date) -> tuple[Demographics | None, list[FieldError]]:
    """What a row says, by the rules of registering; or everything that is to be mended in it."""
    made: dict[str, Any] = {}
    errors = []
    for field in msgspec.structs.fields(Demographics):
        text = said.get(field.name, "").strip()
        try:
            if text:
                made[field.name] = msgspec.convert(_usual(field.name, text), type=field.type, strict=False)
            elif field.required:
                raise msgspec.ValidationError
        except msgspec.ValidationError:
            errors.append(FieldError(field.name, MEND[field.name]))
    if "birth_date" in made:
        try:
            check_birth_date(made["birth_date"], today=today)
        except BirthDateImpossible as no:
            errors += no.errors
    return (None, errors) if errors else (Demographics(**made), [])


def _usual(field: str, text: str) -> str:
    """As our own forms have it."""
    if field == "gender":
        return _GENDERS.get(text.lower(), text.lower())
    if field == "birth_date" and (dotted := _DOTTED.fullmatch(text)):
        return f"{dotted[3]}-{dotted[2]:0>2}-{dotted[1]:0>2}"
    return text


def person_key(one: Demographics) -> str:
    """The same for two rows of one name, in any order and spelling of accents, and one birth date."""
    named = " ".join(sorted({*words(one.given_name), *words(one.family_name)}))
    return sha256(f"{named} {one.birth_date}".encode()).hexdigest()


def to_mend(errors: Iterable[FieldError]) -> str:
    return "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in errors)


def harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """What `harmless` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def written(rows: Iterable[Iterable[object]]) -> bytes:
    """Lines of a table. The first of a file begins with the mark by which spreadsheets know UTF-8: see `BEGINS`."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows([harmless("" if cell is None else str(cell)) for cell in row] for row in rows)
    return lines.getvalue().encode()


BEGINS = b"\xef\xbb\xbf"

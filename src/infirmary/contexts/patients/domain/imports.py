"""An import of people: how it goes on, and what becomes of its rows."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.patients.contract import Match
from infirmary.contexts.patients.contract.imports import (
    Choice,
    Column,
    ImportAtWork,
    ImportIsOver,
    ImportRow,
    ImportStatus,
    Kept,
    Likeness,
    PatientImport,
    RowIsSettled,
    RowStatus,
)
from infirmary.kernel.errors import FieldError

AT_WORK = (ImportStatus.CHECKING, ImportStatus.APPLYING, ImportStatus.UNDOING)
AFTER = {ImportStatus.CHECKING: ImportStatus.CHECKED, ImportStatus.APPLYING: ImportStatus.APPLIED,
         ImportStatus.UNDOING: ImportStatus.UNDONE}
DUE = {ImportStatus.CHECKING: RowStatus.UNCHECKED, ImportStatus.APPLYING: RowStatus.READY,
       ImportStatus.UNDOING: RowStatus.REGISTERED}   # which rows are still to be seen to
OPEN = (RowStatus.ALIKE, RowStatus.READY, RowStatus.SKIPPED)   # rows that somebody may still decide about


class Import(Struct, frozen=True):
    """A PatientImport as it is kept. `by_...`: who uploaded it, applied it or undid it last. `digest` is of its content,
    for the one who uploaded it; empty once the same file may be uploaded again."""

    id: UUID
    status: ImportStatus
    columns: list[Column]
    row_count: int
    digest: str | None
    created_at: datetime
    changed_at: datetime
    by_account: UUID
    by_name: str
    by_roles: list[str]
    forgotten_at: datetime | None
    version: int


class Row(Struct, frozen=True):
    """An ImportRow as it is kept. `chosen`: somebody has decided about it, so that it is not held against the register
    once more. `person_key`: by which rows of one person are found in the file."""

    id: UUID
    import_id: UUID
    line: int
    said: dict[str, str] | None
    status: RowStatus
    chosen: bool
    errors: list[FieldError]
    alike: list[Likeness]
    person_key: str | None
    same_as_line: int | None
    patient_id: UUID | None
    kept: Kept | None
    version: int


def checked(row: Row, found: Sequence[Match], same_as_line: int | None, key: str | None) -> Row:
    """As it stands once it was held against the rules (its errors), the register and the rows before it."""
    return replace(row, alike=[Likeness(one.patient.id, one.score) for one in found], same_as_line=same_as_line,
                   person_key=key, status=RowStatus.FAULTY if row.errors else
                   RowStatus.ALIKE if found or same_as_line is not None else RowStatus.READY)


def chosen(whole: Import, row: Row, choice: Choice) -> Row:
    if whole.status in AT_WORK:
        raise ImportAtWork
    if whole.status is ImportStatus.UNDONE or whole.forgotten_at:
        raise ImportIsOver
    if row.status not in OPEN:
        raise RowIsSettled
    return replace(row, chosen=True, status=RowStatus.READY if choice is Choice.REGISTER else RowStatus.SKIPPED)


def set_to(whole: Import, work: ImportStatus) -> None:
    """Whether it may be set to this work now."""
    if whole.status in AT_WORK and not (work is ImportStatus.UNDOING and whole.status is ImportStatus.CHECKING):
        raise ImportAtWork
    if work is ImportStatus.APPLYING and (whole.status is ImportStatus.UNDONE or whole.forgotten_at):
        raise ImportIsOver


def shown(whole: Import, counts: Mapping[RowStatus, int]) -> PatientImport:
    return PatientImport(id=whole.id, status=whole.status, columns=whole.columns, rows=whole.row_count, counts=dict(counts),
                         created_at=whole.created_at, by=whole.by_name, forgotten_at=whole.forgotten_at,
                         version=whole.version)


def row_shown(row: Row) -> ImportRow:
    return ImportRow(**{name: getattr(row, name) for name in ImportRow.__struct_fields__})

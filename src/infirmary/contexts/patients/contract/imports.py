"""What may be asked about people who are entered from a table, and about the register as a table (CSV, RFC 4180)."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Download, Instant, Limit, Page, Upload, get, post, put
from infirmary.kernel.errors import Conflict, FieldError, NotFound, Refusal, TooLarge
from infirmary.language import ADMIN, RECEPTION, SearchText, StepUpRequired


class ImportStatus(StrEnum):
    """checking -> checked -> applying -> applied, or stopped on the way; then undoing -> undone. What was left may be
    applied as long as it is not undone."""

    CHECKING = "checking"
    CHECKED = "checked"
    APPLYING = "applying"
    STOPPED = "stopped"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"


class RowStatus(StrEnum):
    """unchecked -> faulty, alike or ready; ready -> registered -> taken_back, or kept when it is in use. Whoever is `alike`
    may be registered already, and is left out until somebody says so; `skipped` rows were left out by somebody."""

    UNCHECKED = "unchecked"
    FAULTY = "faulty"
    ALIKE = "alike"
    READY = "ready"
    SKIPPED = "skipped"
    REGISTERED = "registered"
    TAKEN_BACK = "taken_back"
    KEPT = "kept"


class Kept(StrEnum):
    """Why a record that an import made is not taken back."""

    CHANGED = "changed"       # amended, closed, or merged with another
    ATTACHED = "attached"     # contacts, insurances, consents or guardians hang on it
    VISITS = "visits"
    ACCOUNT = "account"


class Choice(StrEnum):
    REGISTER = "register"
    SKIP = "skip"


class Column(Struct, frozen=True):
    """A column of the file; `field` is what it is read as, or None where it is left out."""

    header: str
    field: str | None


class PatientImport(Struct, frozen=True, kw_only=True):
    """`rows` counts those with anything in them, `counts` how many of them stand where. `forgotten_at`: what the rows said
    is deleted by then; which records they became is kept."""

    id: UUID
    status: ImportStatus
    columns: list[Column]
    rows: int
    counts: dict[RowStatus, int]
    created_at: Instant
    by: str
    forgotten_at: Instant | None
    version: int


class Likeness(Struct, frozen=True):
    """Somebody in the register who may be the same person (`score` as of a Match)."""

    patient_id: UUID
    score: float


class ImportRow(Struct, frozen=True, kw_only=True):
    """`line` is where it begins in the file. `said`: what it says by field, None once that is forgotten. `same_as_line`: an
    earlier line of the file is of the same name and birth date."""

    line: int
    said: dict[str, str] | None
    status: RowStatus
    errors: list[FieldError]
    alike: list[Likeness]
    same_as_line: int | None
    patient_id: UUID | None
    kept: Kept | None
    version: int


class RowChoice(Struct, frozen=True, forbid_unknown_fields=True):
    choice: Choice


class ExportForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is wanted, asked for as in a search (nothing: everybody), and what for: the audit trail keeps the reason."""

    reason: Annotated[str, Meta(min_length=3, max_length=200, pattern=r"\S")]
    q: SearchText = ""
    birth_date: date | None = None
    phone: Annotated[str, Meta(max_length=30)] | None = None


class NotATable(Refusal):
    """This file cannot be read as a table. Save it as CSV in UTF-8, with commas or semicolons, and with the names of the
    columns in the first line."""


class ColumnsMissing(Refusal):
    """The first line must name the columns given_name, family_name and birth_date (or first name, last name, date of
    birth). Name those that are missing, and send the file again."""


class UploadedBefore(Conflict):
    """You have uploaded this very file before. Go on with that import, or undo it first."""


class ImportAtWork(Conflict):
    """The import is being worked on just now. Look again when that is done, or stop it."""


class ImportIsOver(Conflict):
    """This import is undone, or what it said is deleted by now. Upload the file again."""


class RowIsSettled(Conflict):
    """There is nothing to choose for this row: it has errors, or is in the register already."""


IMPORTERS = {RECEPTION: ANY, ADMIN: ANY}


class Imports(Contract):
    @post("/patient-imports", status=201, allow=IMPORTERS, takes="text/csv",
          refuses=[NotATable, ColumnsMissing, UploadedBefore, TooLarge])
    async def begin_import(self, caller: Caller, body: Upload) -> PatientImport:
        """Take in a table of people. Its rows are checked as at registering, and nobody is registered before `apply`."""

    @get("/patient-imports", allow=IMPORTERS)
    async def imports(self, caller: Caller, limit: Limit = 25, cursor: Cursor | None = None) -> Page[PatientImport]:
        """Imports, the newest first."""

    @get("/patient-imports/{import_id}", allow=IMPORTERS, refuses=[NotFound])
    async def patient_import(self, caller: Caller, import_id: UUID) -> PatientImport:
        """One import; while it is worked on, how far that is."""

    @get("/patient-imports/{import_id}/rows", allow=IMPORTERS, refuses=[NotFound])
    async def import_rows(self, caller: Caller, import_id: UUID, status: RowStatus | None = None, limit: Limit = 25,
                          cursor: Cursor | None = None) -> Page[ImportRow]:
        """Its rows as they stand in the file, or only those of one status."""

    @put("/patient-imports/{import_id}/rows/{line}", allow=IMPORTERS,
         refuses=[NotFound, RowIsSettled, ImportAtWork, ImportIsOver])
    async def choose_for_row(self, caller: Caller, import_id: UUID, line: int, body: RowChoice, if_match: int) -> ImportRow:
        """Register this one although somebody is alike, or leave it out."""

    @get("/patient-imports/{import_id}/faulty-rows", allow=IMPORTERS, refuses=[NotFound], media="text/csv")
    async def faulty_rows(self, caller: Caller, import_id: UUID) -> Download:
        """The rows with errors as a table of their own, with a column that says what to mend: mend it, and import it."""

    @post("/patient-imports/{import_id}/apply", allow=IMPORTERS, refuses=[NotFound, ImportAtWork, ImportIsOver])
    async def apply_import(self, caller: Caller, import_id: UUID, if_match: int | None = None) -> PatientImport:
        """Register every row that is ready, each once. The work goes on by itself, whoever stops."""

    @post("/patient-imports/{import_id}/stop", allow=IMPORTERS, refuses=[NotFound])
    async def stop_import(self, caller: Caller, import_id: UUID) -> PatientImport:
        """No further row is registered; the rest may be applied later. Where nothing is being applied, nothing changes."""

    @post("/patient-imports/{import_id}/undo", allow=IMPORTERS, refuses=[NotFound, ImportAtWork])
    async def undo_import(self, caller: Caller, import_id: UUID, if_match: int | None = None) -> PatientImport:
        """Close every record that this import made and that nobody has used since; the others stay, and their rows say
        why. The same file may be uploaded again."""

    @post("/patients/export", allow=IMPORTERS, refuses=[StepUpRequired], media="text/csv")
    async def export(self, caller: Caller, body: ExportForm) -> Download:
        """The register as a table, or those whom a search finds; closed records are left out. The password must have been
        given in the last minutes. An import of it gives the same people."""

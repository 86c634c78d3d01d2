"""People entered from a table in three steps (file, check, done); the register as a table; and all that is held of one."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response
from litestar.datastructures import UploadFile
from msgspec import Struct

from infirmary.contexts.identity.contract import Identity
from infirmary.contexts.patients.contract import PatientCard, Patients
from infirmary.contexts.patients.contract.imports import (
    Choice,
    ExportForm,
    ImportRow,
    ImportStatus,
    Kept,
    PatientImport,
    RowChoice,
    RowStatus,
    UploadedBefore,
)
from infirmary.kernel.contract import Upload
from infirmary.kernel.errors import Malformed, NotFound, Refusal
from infirmary.language import ADMIN, PATIENT, RECEPTION, StepUpRequired
from infirmary.web import forms
from infirmary.web.menu import N_
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, told

from .desk import ROLES as DESK_ROLES
from .desk import search
from .security import sensitive

pages = Pages()
IMPORTS = "/desk/imports"
EXPORT = "/desk/export"
KEEPERS = (RECEPTION, ADMIN)
PIECE = 1 << 16
AT_WORK = (ImportStatus.CHECKING, ImportStatus.APPLYING, ImportStatus.UNDOING)
SEEN_TO = {ImportStatus.CHECKING: RowStatus.UNCHECKED, ImportStatus.APPLYING: RowStatus.READY,
           ImportStatus.UNDOING: RowStatus.REGISTERED}   # which rows are still before whoever works
LEFT_TO_DECIDE = (RowStatus.ALIKE, RowStatus.READY, RowStatus.SKIPPED)
FIELDS = {"given_name": N_("Given name"), "family_name": N_("Family name"), "birth_date": N_("Born"), "gender": N_("Sex"),
          "phone": N_("Phone"), "email": N_("E-mail"), "address": N_("Address"), "language": N_("Language"),
          "": N_("The row")}
WHY_KEPT = {
    Kept.CHANGED: N_("It was changed, closed or merged since."),
    Kept.ATTACHED: N_("Contacts, insurances, consents or guardians were added since."),
    Kept.VISITS: N_("There are visits."),
    Kept.ACCOUNT: N_("The patient has an account."),
}


class Line(Struct, frozen=True):
    """A row as the table shows it: who may be the same, why it was kept, and whether there is something to choose."""

    row: ImportRow
    alike: list[PatientCard]
    kept: str
    open: bool


@pages.get("/desk/imports", roles=KEEPERS)
async def imports(page: Page) -> Response[Any]:
    return await _begin(page)


async def _begin(page: Page, refusal: Told | None = None, *, error: str = "", status: int = 200) -> Response[Any]:
    found = await page.ask(Patients).imports(page.caller, cursor=page.query.get("cursor"))
    return await page.render(
        "desk/imports.html", status=status, here=IMPORTS, search=search(page), imports=found.items, refusal=refusal, error=error,
        limits=page.settings.imports, fields=FIELDS,
        more=f"{IMPORTS}?{urlencode({'cursor': found.next_cursor})}" if found.next_cursor else "")


@pages.post("/desk/imports", roles=KEEPERS, with_file=True)
async def upload(page: Page) -> Response[Any]:
    file = page.files.get("file")
    if file is None or not file.filename:
        return await _begin(page, error=page.language.gettext("Choose a file."), status=422)
    try:
        made = await page.ask(Patients).begin_import(page.caller, Upload(_pieces(file)))
    except UploadedBefore as refusal:
        return page.redirect(f"{IMPORTS}/{UUID(str(refusal.extra['import_id']))}",
                             toast=page.language.gettext("You have uploaded this file before: here is what became of it."))
    except Refusal as refusal:
        return await _begin(page, told(refusal, icon="file-x"), status=refusal.status)
    finally:
        await file.close()
    return page.redirect(f"{IMPORTS}/{made.id}")


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE):
        yield piece


@pages.get("/desk/imports/{import_id}", roles=KEEPERS)
async def one_import(page: Page) -> Response[Any]:
    return await _show(page)


async def _show(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    ask, import_id = page.ask(Patients), page.id("import_id")
    asked = page.query.get("status", "")
    chosen = RowStatus(asked) if asked in set(RowStatus) else None
    whole = await ask.patient_import(page.caller, import_id)
    at_work = whole.status in AT_WORK
    rows = None if at_work else await ask.import_rows(page.caller, import_id, chosen, cursor=page.query.get("cursor"))
    further = urlencode({"status": asked, "cursor": rows.next_cursor}) if rows and rows.next_cursor else ""
    return await page.render(
        "desk/import.html", status=refusal.status if refusal else 200, here=IMPORTS, search=search(page), whole=whole,
        counts={one.value: whole.counts.get(one, 0) for one in RowStatus}, at_work=at_work, step=_step(whole),
        left=whole.counts.get(SEEN_TO[whole.status], 0) if at_work else 0, chosen=asked if chosen else "",
        lines=await _lines(page, whole, rows.items) if rows else [], fields=FIELDS, ask=page.query.get("ask", ""),
        more=f"{IMPORTS}/{import_id}?{further}" if further else "", refusal=told(refusal) if refusal else None)


def _step(whole: PatientImport) -> int:
    return 2 if whole.status in (ImportStatus.CHECKING, ImportStatus.CHECKED) else 3


async def _lines(page: Page, whole: PatientImport, rows: list[ImportRow]) -> list[Line]:
    ids = {one.patient_id for row in rows for one in row.alike}
    cards = dict(zip(ids, await asyncio.gather(*(page.ask(Patients).card(page.caller, one) for one in ids)), strict=True))
    decides = whole.status is not ImportStatus.UNDONE and whole.forgotten_at is None
    return [Line(row, [cards[one.patient_id] for one in row.alike],
                 page.language.gettext(WHY_KEPT[row.kept]) if row.kept else "", decides and row.status in LEFT_TO_DECIDE)
            for row in rows]


@pages.post("/desk/imports/{import_id}/{deed}", roles=KEEPERS)
async def do(page: Page) -> Response[Any]:
    ask, import_id = page.ask(Patients), page.id("import_id")
    try:
        match page.request.path_params["deed"]:
            case "apply":
                await ask.apply_import(page.caller, import_id, forms.version(page))
            case "undo":
                await ask.undo_import(page.caller, import_id, forms.version(page))
            case "stop":
                await ask.stop_import(page.caller, import_id)
            case _:
                raise NotFound
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, refusal)
    return page.redirect(f"{IMPORTS}/{import_id}")


@pages.post("/desk/imports/{import_id}/rows/{line}", roles=KEEPERS)
async def choose(page: Page) -> Response[Any]:
    line, choice = page.request.path_params["line"], page.form.get("choice", "")
    if not line.isdecimal() or len(line) > 9 or choice not in set(Choice):
        raise NotFound
    try:
        await page.ask(Patients).choose_for_row(page.caller, page.id("import_id"), int(line), RowChoice(Choice(choice)),
                                                forms.version(page))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, refusal)
    return page.redirect(f"{forms.back(page, IMPORTS + '/' + str(page.id('import_id')))}#line-{line}")


@pages.get("/desk/imports/{import_id}/to-mend.csv", roles=KEEPERS)
async def to_mend(page: Page) -> Response[Any]:
    return page.download(await page.ask(Patients).faulty_rows(page.caller, page.id("import_id")))


# --- out again -------------------------------------------------------------------------------------------------------


@pages.get("/desk/export", roles=KEEPERS)
async def export_form(page: Page) -> Response[Any]:
    """The password is asked for before, so that the page stays where it is when the file comes."""
    try:
        await page.ask(Identity).stepped_up(page.caller)
    except StepUpRequired:
        return await _export(page, open_=False)
    return await _export(page)


@sensitive("/desk/export/open", KEEPERS)
async def export_opened(page: Page) -> Response[Any]:
    await page.ask(Identity).stepped_up(page.caller)
    return page.redirect(EXPORT)


async def _export(page: Page, errors: dict[str, str] | None = None, status: int = 200, *,
                  open_: bool = True) -> Response[Any]:
    return await page.render("desk/export.html", status=status, open=open_, here=IMPORTS, search=search(page), errors=errors or {},
                             values=page.form)


@sensitive("/desk/export", KEEPERS)
async def export(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        wanted = forms.filled(page, ExportForm, {"reason": _("Write what the table is for: the audit trail keeps it.")})
    except Malformed as refusal:
        return await _export(page, page.field_errors(refusal), refusal.status)
    return page.download(await page.ask(Patients).export(page.caller, wanted))


@pages.get("/record/export", roles=[PATIENT])
async def own_record(page: Page) -> Response[Any]:
    return await _held(page, page.patient_id)


@pages.get("/desk/patients/{patient_id}/export", roles=DESK_ROLES)
async def somebodys_record(page: Page) -> Response[Any]:
    return await _held(page, page.id("patient_id"))


async def _held(page: Page, patient_id: UUID) -> Response[Any]:
    held = await page.ask(Patients).held_record(page.caller, patient_id)
    answer = page.json(held)
    answer.content = msgspec.json.format(answer.content, indent=2)   # people open it, too
    answer.headers["Content-Disposition"] = f'attachment; filename="record-{held.patient.number}.json"'
    return answer

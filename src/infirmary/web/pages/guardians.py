"""Who acts for a patient: named and ended at the desk, papers in the hand."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response

from infirmary.contexts.patients.contract import (
    AlreadyGuardian,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    Guardianship,
    GuardianshipBackwards,
    NotForWards,
    OfAge,
    OwnGuardian,
    PatientRetired,
    Patients,
    RecordFull,
)
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.language import ADMIN, PATIENT, RECEPTION
from infirmary.web import forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, told
from infirmary.web.typed import an_id, typed_date

from .desk import search

pages = Pages()
MAY = (RECEPTION, ADMIN)
NEW = "/desk/patients/{patient_id}/guardians/new"
FOUND, HISTORY = 10, 50


def _base(page: Page) -> str:
    return f"/desk/patients/{page.id('patient_id')}"


async def standing(page: Page, patient_id: UUID) -> dict[str, Any]:
    """What a record's page says of it: who acts, or once did, and for whom the patient acts. With `ask=guardian` the one
    whose end is asked about."""
    ask = page.ask(Patients)
    acting = (await ask.guardians(page.caller, patient_id, limit=HISTORY)).items
    now = {one.id for one in (await ask.guardians(page.caller, patient_id, standing=True)).items}
    asked = an_id(page.query.get("guardian", "")) if page.query.get("ask") == "guardian" else None
    at_desk = bool({*MAY} & page.caller.roles)
    return {"guardians": [(one, _stands(page, one, now)) for one in acting], "may_name": at_desk,
            "may_end": [one.id for one in acting if one.yours_to_end or (at_desk and one.ended_at is None)],
            "acts_for": await ask.wards(page.caller, patient_id) if page.whom is None or page.whom.own else [],
            "ending": next((one for one in acting if one.id == asked and one.ended_at is None), None),
            "kinds": dict(_kinds(page))}


def _stands(page: Page, one: Guardianship, now: set[UUID]) -> str:
    return "now" if one.id in now else "coming" if one.ended_at is None and one.valid_from > page.today else "past"


def _kinds(page: Page) -> list[tuple[str, str]]:
    _ = page.language.gettext
    words = {GuardianKind.PARENT: _("Parent"), GuardianKind.LEGAL_GUARDIAN: _("Legal guardian"),
             GuardianKind.CARER: _("Carer, with consent")}
    return [(kind.value, word) for kind, word in words.items()]


@pages.get(NEW, roles=MAY)
async def form(page: Page) -> Response[Any]:
    return await _show(page, an_id(page.query.get("guardian", "")), values={})


async def _show(page: Page, guardian_id: UUID | None, *, values: dict[str, str], errors: dict[str, str] | None = None,
                refusal: Told | None = None, status: int = 200) -> Response[Any]:
    ask, q = page.ask(Patients), page.query.get("q", "").strip()[:100]
    patient = await ask.patient(page.caller, page.id("patient_id"))
    guardian = await ask.patient(page.caller, guardian_id) if guardian_id else None
    found = (await ask.search(page.caller, q, limit=FOUND)).items if q and guardian is None else []
    return await page.render(
        "desk/guardian.html", status=status, here="/desk", search=search(page), patient=patient, guardian=guardian, q=q,
        base=_base(page), found=[one for one in found if one.id != patient.id], values=values, errors=errors or {},
        refusal=refusal, kinds=_kinds(page))


@pages.post(NEW, roles=MAY)
async def name(page: Page) -> Response[Any]:
    _ = page.language.gettext
    guardian_id = an_id(page.form.get("guardian_id", ""))
    if guardian_id is None:
        raise NotFound
    try:
        made = await page.ask(Patients).name_guardian(page.caller, page.id("patient_id"), _typed(page))
    except (Malformed, OfAge, GuardianshipBackwards) as refusal:
        return await _show(page, guardian_id, values=page.form, errors=page.field_errors(refusal), status=refusal.status)
    except (AlreadyGuardian, OwnGuardian, RecordFull, PatientRetired) as refusal:
        return await _show(page, guardian_id, values=page.form, refusal=told(refusal), status=refusal.status)
    return page.redirect(_base(page), toast=_("%(guardian)s acts for %(patient)s.") % {
        "guardian": made.guardian_name, "patient": made.ward_name})


def _typed(page: Page) -> GuardianForm:
    """With the days as people write them."""
    _ = page.language.gettext
    days: dict[str, Any] = {}
    wrong = []
    for field in ("valid_from", "valid_until"):
        if text := page.form.get(field, "").strip():
            days[field] = typed_date(text, page.language, page.today)
            if days[field] is None:
                wrong.append(FieldError(field, _("Write a date such as 1.1.27 or 1 January 2027.")))
    mend = {"document": _("Write what you have seen."), "reason": _("Write why."), "kind": _("Choose one.")}
    try:
        body = forms.filled(page, GuardianForm, mend, **days)
    except Malformed as refusal:
        raise Malformed(errors=[*refusal.errors, *wrong]) from None
    if wrong:
        raise Malformed(errors=wrong)
    return body


@pages.post("/desk/patients/{patient_id}/guardians/{guardianship_id}/end", roles=MAY)
async def end(page: Page) -> Response[Any]:
    _, guardianship_id = page.language.gettext, page.id("guardianship_id")
    try:
        over = await page.ask(Patients).end_guardianship(
            page.caller, page.id("patient_id"), guardianship_id,
            forms.filled(page, EndGuardianship, {"reason": _("Write why.")}), forms.version(page))
    except (Malformed, StaleVersion) as refusal:
        return await _again(page, refusal, guardianship_id)
    return page.redirect(_base(page), toast=_("%(guardian)s does not act for %(patient)s any more.") % {
        "guardian": over.guardian_name, "patient": over.ward_name})


@pages.post("/record/guardians/{guardianship_id}/end", roles=[PATIENT])
async def end_own(page: Page) -> Response[Any]:
    """A carer's access, by who gave it."""
    _ = page.language.gettext
    try:
        over = await page.ask(Patients).end_guardianship(
            page.caller, page.caller.subjects["patient_id"], page.id("guardianship_id"),
            EndGuardianship(reason=_("The patient's own wish.")), forms.version(page))
    except (NotForWards, StaleVersion) as refusal:
        return page.redirect("/record", toast=refusal.detail)
    return page.redirect("/record", toast=_("%(guardian)s does not act for you any more.") % {"guardian": over.guardian_name})


async def _again(page: Page, refusal: Refusal, guardianship_id: UUID) -> Response[Any]:
    _ = page.language.gettext
    words = _("Write why it ends.") if isinstance(refusal, Malformed) else _("Somebody changed it a moment ago. Look again.")
    return page.redirect(f"{_base(page)}?ask=guardian&guardian={guardianship_id}#ask", toast=words)

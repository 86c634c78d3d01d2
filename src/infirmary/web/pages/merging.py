"""Two records of one person at the desk: found, compared side by side, made one, and taken apart again."""
from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.patients.contract import (
    CoveragesOverlap,
    HoldsOthers,
    Match,
    Merge,
    MergeForm,
    NotMerged,
    Patient,
    PatientCard,
    PatientRetired,
    Patients,
    SameRecord,
    UnmergeForm,
    VisitsCollide,
)
from infirmary.kernel.errors import Malformed, NotFound, Refusal
from infirmary.language import ADMIN, RECEPTION
from infirmary.web import forms
from infirmary.web.found import number
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, Way, told
from infirmary.web.typed import an_id

from .desk import search

pages = Pages()
MAY = (RECEPTION, ADMIN)


async def joined(page: Page, patient: Patient) -> dict[str, Any]:
    """What a record's page says of merges: the record that this one points to, and those that point to it."""
    ask = page.ask(Patients)
    standing = [one for one in await ask.merges(page.caller, patient.id) if one.undone_at is None]
    into = await ask.card(page.caller, patient.merged_into) if patient.merged_into else None
    inside = await asyncio.gather(*(_inside(page, one) for one in standing if one.survivor_id == patient.id))
    return {"into": into, "inside": inside, "may_merge": bool({*MAY} & page.caller.roles)}


async def _inside(page: Page, one: Merge) -> tuple[Merge, PatientCard]:
    return one, await page.ask(Patients).card(page.caller, one.duplicate_id)


@pages.get("/desk/patients/{patient_id}/merge", roles=MAY)
async def candidates(page: Page) -> Response[Any]:
    """Who may be the same; with `other` (an id, or a hospital number as people type it) both side by side."""
    asked = page.query.get("other", "").strip()
    other = an_id(asked) or await _by_number(page, asked)
    if asked and other is None:
        _ = page.language.gettext
        return await _candidates(page, Told(_("No record has this number"), _("Look at it again, or choose one of those below."), [],
                                            icon="id"))
    return await _side_by_side(page, other) if other else await _candidates(page)


async def _by_number(page: Page, asked: str) -> UUID | None:
    digits = "".join(one for one in asked[:20] if one.isdecimal())
    found = (await page.ask(Patients).search(page.caller, digits, limit=5)).items if digits else []
    return next((one.id for one in found if str(one.number) == digits), None)


async def _candidates(page: Page, refusal: Told | None = None) -> Response[Any]:
    ask, patient_id = page.ask(Patients), page.id("patient_id")
    patient, alike = await asyncio.gather(ask.patient(page.caller, patient_id), ask.duplicates(page.caller, patient_id))
    return await page.render("desk/alike.html", status=422 if refusal else 200, here="/desk", search=search(page),
                             patient=patient, alike=alike, refusal=refusal, other=page.query.get("other", ""))


async def _side_by_side(page: Page, other_id: UUID, *, refusal: Told | None = None, status: int = 200,
                        errors: dict[str, str] | None = None) -> Response[Any]:
    ask, patient_id = page.ask(Patients), page.id("patient_id")
    one, other = await asyncio.gather(ask.patient(page.caller, patient_id), ask.patient(page.caller, other_id))
    visits = page.ask(Appointments).appointments
    booked = await asyncio.gather(*(visits(page.caller, patient_id=each.id, limit=100) for each in (one, other)))
    likely: Match | None = next((each for each in await ask.duplicates(page.caller, one.id)
                                 if each.patient.id == other.id), None)
    counted = [str(len(each.items)) + ("+" if each.next_cursor else "") for each in booked]
    return await page.render("desk/merge.html", status=status, here="/desk", search=search(page), one=one, other=other,
                             likely=likely, counted=counted, refusal=refusal, errors=errors or {}, values=page.form)


@pages.post("/desk/patients/{patient_id}/merge", roles=MAY)
async def merge(page: Page) -> Response[Any]:
    _ = page.language.gettext
    patient_id, other_id = page.id("patient_id"), an_id(page.form.get("other", ""))
    if other_id is None:
        raise NotFound
    keeps = patient_id if page.form.get("keep") != str(other_id) else other_id
    goes = other_id if keeps == patient_id else patient_id
    try:
        body = forms.filled(page, MergeForm, {"reason": _("Write why they are the same person.")}, duplicate_id=goes)
        await page.ask(Patients).merge(page.caller, keeps, body)
    except Malformed as refusal:
        return await _side_by_side(page, other_id, errors=page.field_errors(refusal), status=refusal.status)
    except (SameRecord, HoldsOthers, VisitsCollide, CoveragesOverlap, PatientRetired) as refusal:
        return await _side_by_side(page, other_id, refusal=_not_merged(page, refusal, keeps, goes), status=refusal.status)
    kept = await page.ask(Patients).card(page.caller, keeps)
    return page.redirect(f"/desk/patients/{keeps}", undo=f"/desk/patients/{keeps}/unmerge/{goes}", toast=_(
        "The two records are one now, number %(number)s.") % {"number": number(kept.number)})


def _not_merged(page: Page, refusal: Refusal, keeps: UUID, goes: UUID) -> Told:
    _ = page.language.gettext
    match refusal:
        case VisitsCollide():
            return Told(_("Both have a visit at the same time"), _("Nothing was merged. Cancel or move one of the two first."),
                        [Way(_("Visit of this person"), f"/desk/visits/{one}")
                         for one in refusal.extra.get("appointment_ids", [])[:5]], icon="calendar-x")
        case CoveragesOverlap():
            return Told(_("Both have an insurance for the same days"),
                        _("Nothing was merged. End one of them, or give it another priority."),
                        [Way(_("The record that stays"), f"/desk/patients/{keeps}"),
                         Way(_("The other record"), f"/desk/patients/{goes}")], icon="shield-off")
        case HoldsOthers():
            return Told(_("The other record holds a merged one already"),
                        _("Nothing was merged. Keep that record instead: choose it above."), [], icon="users")
    return told(refusal)


@pages.post("/desk/patients/{patient_id}/unmerge/{other_id}", roles=MAY)
async def unmerge(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        await page.ask(Patients).unmerge(page.caller, page.id("patient_id"), UnmergeForm(duplicate_id=page.id("other_id")))
    except NotMerged:
        return page.redirect(f"/desk/patients/{page.id('patient_id')}", toast=_("They are two records already."))
    return page.redirect(f"/desk/patients/{page.id('other_id')}", toast=_(
        "They are two records again; what was on this one is back."))

"""What hangs on a record: whom to call, who pays, what was agreed to. At the desk, and on the patient's own page."""
from __future__ import annotations

import asyncio
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.patients.contract import (
    Consent,
    ConsentForm,
    ContactForm,
    ContactPerson,
    Coverage,
    CoverageBackwards,
    CoverageForm,
    CoveragesOverlap,
    Decision,
    NotForCarers,
    NothingToWithdraw,
    NoWayToCall,
    Patients,
    Purpose,
    RecordFull,
    TextHasChanged,
)
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.language import PATIENT
from infirmary.web import forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, told
from infirmary.web.typed import typed_date

from .desk import ROLES, search
from .guardians import standing

pages = Pages()
DESK, OWN = "/desk/patients/{patient_id}", "/record"
HISTORY = 100


class Whose(Struct, frozen=True):
    """Whose record, where its page is, and what that looks like."""

    patient_id: UUID
    base: str
    here: str
    layout: str

    @property
    def at_desk(self) -> bool:
        return self.base != OWN


def _whose(page: Page) -> Whose:
    if "patient_id" in page.request.path_params:
        return at_desk(page.id("patient_id"))
    return Whose(page.patient_id, OWN, "/profile", "_read.html")


async def around(page: Page, whose: Whose) -> dict[str, Any]:
    """What the parts in _around.html show."""
    ask = page.ask(Patients)
    contacts, coverages, standing, texts = await asyncio.gather(
        ask.contacts(page.caller, whose.patient_id), ask.coverages(page.caller, whose.patient_id),
        ask.consents(page.caller, whose.patient_id, standing=True), ask.consent_texts(page.caller))
    held = {one.purpose: one for one in standing.items}
    return {"contacts": contacts, "coverages": [(one, _holds(one, page.today)) for one in coverages],
            "consents": [(text, held.get(text.purpose)) for text in texts], "base": whose.base,
            "at_desk": whose.at_desk}


def at_desk(patient_id: UUID) -> Whose:
    return Whose(patient_id, f"/desk/patients/{patient_id}", "/desk", "_work.html")


def _holds(one: Coverage, today: date) -> str:
    if one.valid_from > today:
        return "coming"
    return "past" if one.valid_until is not None and one.valid_until < today else "now"


async def _render(page: Page, whose: Whose, template: str, **context: Any) -> Response[Any]:
    more: dict[str, Any] = {"search": search(page)} if whose.at_desk else {}
    shown = {"here": whose.here, "layout": whose.layout, "base": whose.base, "at_desk": whose.at_desk, **more, **context}
    return await page.render(template, patient=await page.ask(Patients).patient(page.caller, whose.patient_id), **shown)


async def _form(page: Page, one: ContactPerson | Coverage | None = None, *, template: str, values: dict[str, str],
                **more: Any) -> Response[Any]:
    """Something new or known, as it stands or as it was typed."""
    return await _render(page, _whose(page), template, one=one, values=values, ask=page.query.get("ask", ""),
                         **{"errors": {}, "refusal": None, "changed": None, **more})


_contact, _coverage = partial(_form, template="contact.html"), partial(_form, template="desk/coverage.html")


@pages.get(OWN, roles=[PATIENT])
async def record(page: Page) -> Response[Any]:
    whose = _whose(page)
    return await _render(page, whose, "record.html", **await around(page, whose),
                         **await standing(page, whose.patient_id))


# --- whom to call ----------------------------------------------------------------------------------------------------


@pages.get(OWN + "/contacts/new", roles=[PATIENT])
@pages.get(DESK + "/contacts/new", roles=ROLES)
async def new_contact(page: Page) -> Response[Any]:
    return await _contact(page, values={})


@pages.get(OWN + "/contacts/{contact_id}", roles=[PATIENT])
@pages.get(DESK + "/contacts/{contact_id}", roles=ROLES)
async def one_contact(page: Page) -> Response[Any]:
    one = await _the_contact(page)
    return await _contact(page, one, values=_contact_as_typed(one))


def _contact_as_typed(one: ContactPerson) -> dict[str, str]:
    return {"name": one.name, "relationship": one.relationship, "phone": one.phone or "", "version": str(one.version),
            "emergency": "true" if one.emergency else "", "next_of_kin": "true" if one.next_of_kin else ""}


async def _the_contact(page: Page) -> ContactPerson:
    found = await page.ask(Patients).contacts(page.caller, _whose(page).patient_id)
    one = next((one for one in found if one.id == page.id("contact_id")), None)
    if one is None:
        raise NotFound
    return one


@pages.post(OWN + "/contacts/new", roles=[PATIENT])
@pages.post(DESK + "/contacts/new", roles=ROLES)
@pages.post(OWN + "/contacts/{contact_id}", roles=[PATIENT])
@pages.post(DESK + "/contacts/{contact_id}", roles=ROLES)
async def save_contact(page: Page) -> Response[Any]:
    _, whose, ask = page.language.gettext, _whose(page), page.ask(Patients)
    one = await _the_contact(page) if "contact_id" in page.request.path_params else None
    mend = {"name": _("Write a name."), "phone": _("Digits, spaces and a + in front are fine; 4 to 24 of them."),
            "relationship": _("Make it shorter than 200 letters.")}
    try:
        body = forms.filled(page, ContactForm, mend)
        if one is None:
            await ask.add_contact(page.caller, whose.patient_id, body)
        else:
            await ask.replace_contact(page.caller, whose.patient_id, one.id, body, forms.version(page))
    except (Malformed, NoWayToCall) as refusal:
        return await _contact(page, one, values=page.form, errors=page.field_errors(refusal), status=refusal.status)
    except RecordFull as refusal:
        return await _contact(page, one, values=page.form, refusal=told(refusal), status=refusal.status)
    except StaleVersion as refusal:
        assert one is not None
        labels = {"name": _("Name"), "relationship": _("Relationship"), "phone": _("Phone")}
        return await _contact(page, one, values={**page.form, "version": str(one.version)}, status=refusal.status,
                              changed=_differences(labels, _contact_as_typed(one), page.form))
    return page.redirect(whose.base, toast=_("%(name)s is noted.") % {"name": body.name.strip()})


def _differences(labels: dict[str, str], there: dict[str, str], yours: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(label, there[name], yours.get(name, "").strip()) for name, label in labels.items()
            if there[name] != yours.get(name, "").strip()]


@pages.post(OWN + "/contacts/{contact_id}/remove", roles=[PATIENT])
@pages.post(DESK + "/contacts/{contact_id}/remove", roles=ROLES)
async def remove_contact(page: Page) -> Response[Any]:
    whose = _whose(page)
    one = await _the_contact(page)
    try:
        await page.ask(Patients).remove_contact(page.caller, whose.patient_id, one.id, forms.version(page))
    except StaleVersion as refusal:
        return await _contact(page, one, values=_contact_as_typed(one), refusal=told(refusal), status=refusal.status)
    return page.redirect(whose.base, toast=page.language.gettext("%(name)s is taken out.") % {"name": one.name})


# --- who pays --------------------------------------------------------------------------------------------------------


@pages.get(DESK + "/coverages/new", roles=ROLES)
async def new_coverage(page: Page) -> Response[Any]:
    return await _coverage(page, values={"valid_from": page.language.full_day(page.today), "priority": "1"})


@pages.get(DESK + "/coverages/{coverage_id}", roles=ROLES)
async def one_coverage(page: Page) -> Response[Any]:
    one = await _the_coverage(page)
    return await _coverage(page, one, values=_coverage_as_typed(page, one))


async def _the_coverage(page: Page) -> Coverage:
    one = await page.ask(Patients).coverage(page.caller, page.id("patient_id"), page.id("coverage_id"))
    if one.withdrawn_at is not None:
        raise NotFound
    return one


def _coverage_as_typed(page: Page, one: Coverage) -> dict[str, str]:
    return {"payer": one.payer, "plan": one.plan, "member_number": one.member_number, "version": str(one.version),
            "valid_from": page.language.full_day(one.valid_from), "priority": str(one.priority),
            "valid_until": page.language.full_day(one.valid_until) if one.valid_until else ""}


def _typed_coverage(page: Page) -> CoverageForm:
    """With the days as people write them."""
    _ = page.language.gettext
    mend = {"payer": _("Write who pays."), "member_number": _("Write the number on the card."),
            "priority": _("Choose from 1 to 9."), "plan": _("Make it shorter than 200 letters.")}
    days: dict[str, Any] = {}
    wrong = []
    for name in ("valid_from", "valid_until"):
        if text := page.form.get(name, "").strip():
            days[name] = typed_date(text, page.language, page.today)
        if (text and days[name] is None) or (not text and name == "valid_from"):
            wrong.append(FieldError(name, _("Write a date such as 1.1.27 or 1 January 2027.")))
            days[name] = page.today
    try:
        body = forms.filled(page, CoverageForm, mend, **days)
    except Malformed as refusal:
        raise Malformed(errors=[*refusal.errors, *wrong]) from None
    if wrong:
        raise Malformed(errors=wrong)
    return body


@pages.post(DESK + "/coverages/new", roles=ROLES)
@pages.post(DESK + "/coverages/{coverage_id}", roles=ROLES)
async def save_coverage(page: Page) -> Response[Any]:
    _, whose, ask = page.language.gettext, _whose(page), page.ask(Patients)
    one = await _the_coverage(page) if "coverage_id" in page.request.path_params else None
    try:
        body = _typed_coverage(page)
        if one is None:
            await ask.add_coverage(page.caller, whose.patient_id, body)
        else:
            await ask.replace_coverage(page.caller, whose.patient_id, one.id, body, forms.version(page))
    except (Malformed, CoverageBackwards) as refusal:
        return await _coverage(page, one, values=page.form, errors=page.field_errors(refusal), status=refusal.status)
    except (CoveragesOverlap, RecordFull) as refusal:
        said = told(refusal) if isinstance(refusal, RecordFull) else Told(
            _("Nothing was noted yet"), _("In these days another insurance is asked to pay at the same place. End that one "
                                          "first, or choose another priority."), [], icon="shield-off")
        return await _coverage(page, one, values=page.form, errors=page.field_errors(refusal), refusal=said,
                               status=refusal.status)
    except StaleVersion as refusal:
        assert one is not None
        labels = {"payer": _("Insurance"), "plan": _("Plan"), "member_number": _("Member number"),
                  "valid_from": _("From"), "valid_until": _("Last day"), "priority": _("Priority")}
        return await _coverage(page, one, values={**page.form, "version": str(one.version)}, status=refusal.status,
                               changed=_differences(labels, _coverage_as_typed(page, one), page.form))
    return page.redirect(whose.base, toast=_("The insurance is noted."))


@pages.post(DESK + "/coverages/{coverage_id}/withdraw", roles=ROLES)
async def withdraw_coverage(page: Page) -> Response[Any]:
    whose, one = _whose(page), await _the_coverage(page)
    try:
        await page.ask(Patients).withdraw_coverage(page.caller, whose.patient_id, one.id, forms.version(page))
    except StaleVersion as refusal:
        return await _coverage(page, one, values=_coverage_as_typed(page, one), refusal=told(refusal),
                               status=refusal.status)
    return page.redirect(whose.base, toast=page.language.gettext("The insurance is taken out."))


# --- what was agreed to ----------------------------------------------------------------------------------------------


@pages.get(OWN + "/consents", roles=[PATIENT])
@pages.get(DESK + "/consents", roles=ROLES)
async def consents(page: Page) -> Response[Any]:
    return await _consents(page)


async def _consents(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    whose, ask = _whose(page), page.ask(Patients)
    texts = await ask.consent_texts(page.caller)
    standing = {one.purpose: one for one in (await ask.consents(page.caller, whose.patient_id, standing=True)).items}
    history = (await ask.consents(page.caller, whose.patient_id, limit=HISTORY)).items
    return await _render(
        page, whose, "consents.html", status=refusal.status if refusal else 200, refusal=refusal and told(refusal),
        consents=[(text, standing.get(text.purpose)) for text in texts],
        history=[_step(page, one, {text.purpose: text.title for text in texts}) for one in history])


def _step(page: Page, one: Consent, titles: dict[Purpose, str]) -> dict[str, Any]:
    _ = page.language.gettext
    said = _("%(what)s: agreed (text %(version)s)") if one.decision is Decision.GIVEN else _("%(what)s: withdrawn")
    return {"at": page.local(one.at), "by": one.by_name,
            "text": said % {"what": _(titles[one.purpose]), "version": one.text_version}}


@pages.post(OWN + "/consents", roles=[PATIENT])
@pages.post(DESK + "/consents", roles=ROLES)
async def decide(page: Page) -> Response[Any]:
    _, whose = page.language.gettext, _whose(page)
    try:
        done = await page.ask(Patients).decide(page.caller, whose.patient_id, page.read(ConsentForm))
    except (TextHasChanged, NothingToWithdraw, NotForCarers) as refusal:
        return await _consents(page, refusal)
    return page.redirect(f"{whose.base}/consents", toast=_("The consent is noted.") if done.decision is Decision.GIVEN
                         else _("The consent is withdrawn."))

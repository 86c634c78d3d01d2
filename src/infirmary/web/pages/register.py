"""The register at the desk: a new patient, with a warning before somebody is entered twice; a record and its changes."""
from __future__ import annotations

import asyncio
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from msgspec import structs

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.patients.contract import (
    BirthDateImpossible,
    Demographics,
    Gender,
    Match,
    Patient,
    PatientRetired,
    Patients,
    VisitsStillOpen,
)
from infirmary.kernel.errors import Malformed, Refusal, StaleVersion
from infirmary.language import ADMIN, RECEPTION
from infirmary.web import forms
from infirmary.web.found import number
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE, Told, Way, told
from infirmary.web.typed import plain, typed_date

from . import around, guardians, merging
from .desk import ROLES, search

pages = Pages()
REGISTER = "/desk/register"
LANGUAGES = ("am", "ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "ga", "he", "hi", "hr",
             "hu", "hy", "is", "it", "ja", "ka", "ko", "ku", "lt", "lv", "mk", "nb", "nl", "pa", "pl", "ps", "pt", "ro",
             "ru", "sk", "sl", "so", "sq", "sr", "sv", "sw", "ta", "th", "ti", "tr", "uk", "ur", "vi", "yo", "zh")


def _mend(page: Page) -> dict[str, str]:
    _ = page.language.gettext
    return {"given_name": _("Write the given name."), "family_name": _("Write the family name."),
            "birth_date": _("Write a date such as 7.5.91 or 7 May 1991."),
            "phone": _("Digits, spaces and a + in front are fine; 4 to 24 of them."),
            "email": _("Add what comes after the @, or leave it empty."),
            "address": _("Make it shorter than 200 letters."),
            "language": _("Choose a language.")}


def _options(page: Page) -> dict[str, Any]:
    """What the form offers to choose from."""
    _ = page.language.gettext
    genders = {Gender.UNKNOWN: _("not said"), Gender.FEMALE: _("female"), Gender.MALE: _("male"),
               Gender.OTHER: _("other")}
    named = sorted(((code, page.language.named(code)) for code in LANGUAGES), key=lambda one: plain(one[1]))
    return {"genders": [(one.value, word) for one, word in genders.items()],
            "languages": [("", _("not asked")), *named]}


def _born(page: Page) -> date | None:
    return typed_date(page.form.get("birth_date", ""), page.language, page.today, past=True)


def _typed(page: Page) -> Demographics:
    return forms.filled(page, Demographics, _mend(page), birth_date=_born(page) or "")


def _understood(page: Page) -> str:
    """How the birth date was read, and the age it makes."""
    _, born = page.language.gettext, _born(page)
    if born is None:
        return _("7.5.91, 1991-05-07 or 7 May 1991")
    if born > page.today:
        return _("%(day)s is still to come") % {"day": page.language.full_day(born)}
    years = page.today.year - born.year - ((page.today.month, page.today.day) < (born.month, born.day))
    return page.language.ngettext("%(day)s, %(n)s year", "%(day)s, %(n)s years", years) % {
        "day": page.language.full_day(born), "n": years}


# --- register --------------------------------------------------------------------------------------------------------


@pages.get("/desk/register", roles=ROLES)
async def register_form(page: Page) -> Response[Any]:
    words = [one for one in page.query.get("name", "").split() if not any(letter.isdigit() for letter in one)]
    values = {"given_name": " ".join(words[:-1]).title(), "family_name": "".join(words[-1:]).title()}
    return await _show(page, values=values)


async def _show(page: Page, *, values: dict[str, str], errors: dict[str, str] | None = None, status: int = 200,
                alike: list[Match] | None = None, refusal: Told | None = None) -> Response[Any]:
    return await page.render(
        "desk/register.html", status=status, here=REGISTER, search=search(page), values=values, errors=errors or {},
        alike=alike or [], refusal=refusal, understood=_understood(page), settled=_settled(page, alike or []),
        **_options(page))


@pages.post("/desk/register/matches", roles=ROLES)
async def matches(page: Page) -> Response[Any]:
    """Asked whenever a name, the birth date or the phone changes. POST, so that no address holds what was typed."""
    alike = await _alike(page)
    return await page.render("desk/_matches.html", alike=alike, values=page.form, understood=_understood(page),
                             settled=_settled(page, alike), partial=True)


async def _alike(page: Page) -> list[Match]:
    given, family = page.form.get("given_name", "").strip()[:100], page.form.get("family_name", "").strip()[:100]
    born, phone = _born(page), page.form.get("phone", "").strip()[:30] or None
    if not (family and (given or born)) and not phone:
        return []
    return await page.ask(Patients).matches(
        page.caller, given_name=given, family_name=family, birth_date=born, phone=phone,
        email=page.form.get("email", "").strip()[:254] or None)


def _settled(page: Page, alike: list[Match]) -> bool:
    """Somebody has looked at exactly these people and said that it is none of them."""
    looked_at = set(page.form.get("looked_at", "").split())
    return page.form.get("different") == "yes" and {str(one.patient.id) for one in alike} <= looked_at


@pages.post("/desk/register", roles=ROLES)
async def register(page: Page) -> Response[Any]:
    _ = page.language.gettext
    alike = await _alike(page)
    try:
        body = _typed(page)
        if alike and not _settled(page, alike):
            return await _show(page, status=409, values=page.form, alike=alike, refusal=Told(
                _("Nobody was registered yet"), _("Compare with the people below first: it spares two records for one "
                                                  "person."), [], icon="users"))
        made = await page.ask(Patients).register(page.caller, body)
    except (Malformed, BirthDateImpossible) as refusal:
        return await _show(page, status=refusal.status, values=page.form, errors=page.field_errors(refusal),
                           alike=alike)
    return page.redirect(f"/desk/book?patient_id={made.id}", toast=_("%(name)s is registered, number %(number)s.") % {
        "name": made.name, "number": number(made.number)})


# --- a record --------------------------------------------------------------------------------------------------------


@pages.get("/desk/patients/{patient_id}", roles=ROLES)
async def record(page: Page) -> Response[Any]:
    return await _record(page)


async def _record(page: Page, *, refusal: Refusal | None = None) -> Response[Any]:
    patient = await page.ask(Patients).patient(page.caller, page.id("patient_id"))
    ask = page.ask(Appointments).appointments
    midnight = datetime.combine(page.today, time(), page.settings.hospital.tz)
    coming, past = await asyncio.gather(
        ask(page.caller, patient_id=patient.id, from_=midnight, limit=50),
        ask(page.caller, patient_id=patient.id, to=midnight, newest_first=True, limit=25,
            cursor=page.query.get("past")))
    hung = await around.around(page, around.at_desk(patient.id))
    still_open = [one for one in coming.items if one.status in LIVE]
    return await page.render(
        "desk/patient.html", status=refusal.status if refusal else 200, here="/desk", search=search(page),
        patient=patient, coming=coming.items, past=past.items,
        more="?" + urlencode({"past": past.next_cursor}) if past.next_cursor else "",
        ask=page.query.get("ask", ""), may_retire=bool({RECEPTION, ADMIN} & page.caller.roles),
        refusal=_not_closed(page, refusal, still_open, patient) if refusal else None, **hung,
        **await merging.joined(page, patient), **await guardians.standing(page, patient.id))


def _not_closed(page: Page, refusal: Refusal, open_visits: list[Any], patient: Patient) -> Told:
    _ = page.language.gettext
    if isinstance(refusal, VisitsStillOpen):
        return Told(_("There are visits to come"),
                    _("The record stays open. Move or cancel these first, then close it."),
                    [Way(f"{page.language.day(page.local(one.starts_at).date(), page.today)}, "
                         f"{page.language.time(page.local(one.starts_at))}", f"/desk/visits/{one.id}")
                     for one in open_visits[:5]], icon="calendar-check")
    if isinstance(refusal, StaleVersion):
        return Told(_("Somebody changed this record a moment ago"), _("Nothing was closed. This is how it reads now."),
                    [Way(_("Close it all the same"), f"/desk/patients/{patient.id}?ask=close")], icon="versions")
    return told(refusal)


@pages.get("/desk/patients/{patient_id}/edit", roles=ROLES)
async def edit_form(page: Page) -> Response[Any]:
    patient = await page.ask(Patients).patient(page.caller, page.id("patient_id"))
    return await _edit(page, patient, values={**_shown(page, patient), "version": str(patient.version)})


def _shown(page: Page, patient: Patient) -> dict[str, str]:
    return {"given_name": patient.given_name, "family_name": patient.family_name,
            "birth_date": page.language.full_day(patient.birth_date), "gender": patient.gender.value,
            "phone": patient.phone or "", "email": patient.email or "", "address": patient.address,
            "language": patient.language}


async def _edit(page: Page, patient: Patient, *, values: dict[str, str], errors: dict[str, str] | None = None,
                changed: list[tuple[str, str, str]] | None = None, refusal: Told | None = None,
                status: int = 200) -> Response[Any]:
    return await page.render(
        "desk/edit.html", status=status, here="/desk", search=search(page), patient=patient, values=values,
        errors=errors or {}, changed=changed, refusal=refusal, **_options(page))


@pages.post("/desk/patients/{patient_id}/edit", roles=ROLES)
async def edit(page: Page) -> Response[Any]:
    ask, patient_id = page.ask(Patients), page.id("patient_id")
    before = await ask.patient(page.caller, patient_id)
    try:
        body = _typed(page)
        if structs.asdict(body) != {name: getattr(before, name) for name in body.__struct_fields__}:
            await ask.replace(page.caller, patient_id, body, forms.version(page))
    except (Malformed, BirthDateImpossible) as refusal:
        return await _edit(page, before, values=page.form, errors=page.field_errors(refusal), status=refusal.status)
    except StaleVersion as refusal:
        now = await ask.patient(page.caller, patient_id)
        return await _edit(page, now, values={**page.form, "version": str(now.version)}, status=refusal.status,
                           changed=_differences(page, now))
    except PatientRetired as refusal:
        return await _edit(page, before, values=page.form, refusal=told(refusal), status=refusal.status)
    return page.redirect(f"/desk/patients/{patient_id}", toast=page.language.gettext("The record is changed."))


def _differences(page: Page, now: Patient) -> list[tuple[str, str, str]]:
    """What stands there and what was typed, where they are not the same."""
    _ = page.language.gettext
    labels = {"given_name": _("Given name"), "family_name": _("Family name"), "birth_date": _("Birth date"),
              "gender": _("Sex"), "phone": _("Phone"), "email": _("E-mail"), "address": _("Address"),
              "language": _("Language")}
    there, options = _shown(page, now), _options(page)
    words = {"gender": dict(options["genders"]), "language": dict(options["languages"])}
    born = _born(page)
    yours = {**page.form, "birth_date": page.language.full_day(born) if born else page.form.get("birth_date", "")}
    return [(label, words.get(name, {}).get(there[name], there[name]),
             words.get(name, {}).get(yours.get(name, ""), yours.get(name, "")))
            for name, label in labels.items() if there[name] != yours.get(name, "").strip()]


@pages.post("/desk/patients/{patient_id}/close", roles=[RECEPTION, ADMIN])
async def close(page: Page) -> Response[Any]:
    try:
        closed = await page.ask(Patients).retire(page.caller, page.id("patient_id"), forms.version(page))
    except (VisitsStillOpen, StaleVersion) as refusal:
        return await _record(page, refusal=refusal)
    return page.redirect("/desk", toast=page.language.gettext("The record of %(name)s is closed.") % {
        "name": closed.name})

"""Visits that recur: laid out with every obstacle and booked together at the desk; seen, moved and cancelled together there
and by the patient."""
from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Appointments
from infirmary.contexts.appointments.contract.series import (
    BookSeries,
    CancelSeries,
    Elsewhen,
    Frequency,
    Missing,
    MoveSeries,
    Occurrence,
    Recurrence,
    SeriesBlocked,
)
from infirmary.contexts.patients.contract import Patients
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal
from infirmary.kernel.request import changed
from infirmary.language import PATIENT
from infirmary.web.menu import N_
from infirmary.web.obstacles import obstacle_item
from infirmary.web.page import Page, Pages
from infirmary.web.shown import MOVABLE, Item, Told, told
from infirmary.web.typed import a_day, an_id, typed_clock

from .desk import ROLES, search
from .visits import VISITS, all_doctors

pages = Pages()
NEW = "/desk/series/new"
FREQUENCIES = {Frequency.DAILY: N_("days"), Frequency.WEEKLY: N_("weeks"), Frequency.MONTHLY: N_("months")}
MISSING = {Missing.SKIP: N_("leave that month out"), Missing.LAST_DAY: N_("take its last day")}
OUT = "out"


class Row(Struct, frozen=True):
    """One visit to be: what is in its way, and the times that may stand in for it (value, when)."""

    number: int
    at: datetime
    moved_by_clocks: bool
    obstacles: list[Item]
    nearest: list[tuple[str, datetime]]


# --- Booking ---------------------------------------------------------------------------------------------------------


@pages.get(NEW, roles=ROLES)
async def lay_out(page: Page) -> Response[Any]:
    return await _new(page, page.query)


async def _new(page: Page, asked: dict[str, str], *, refusal: Refusal | None = None) -> Response[Any]:
    """The form; and, once it says enough, what would be booked."""
    patient_id = an_id(asked.get("patient_id", ""))
    if patient_id is None:
        raise NotFound
    patient = await page.ask(Patients).card(page.caller, patient_id)
    rows: list[Row] = []
    short: list[str] = []
    errors: dict[str, str] = {}
    if "time" in asked:
        try:
            wish = _wish(page, asked)
            preview = await page.ask(Appointments).preview_series(page.caller, wish)
            rows, short = [_row(page, one, patient.name) for one in preview.occurrences], preview.short_months
        except Malformed as no:
            errors = page.field_errors(no)
    doctors = [(str(one.id), one.name) for one in await all_doctors(page)]
    _ = page.language.gettext
    return await page.render(
        "desk/series_new.html", status=refusal.status if refusal else 400 if errors else 200, here="/desk",
        search=search(page), patient=patient, doctors=doctors, values=asked, errors=errors, rows=rows, short=short,
        frequencies=[(one.value, _(words)) for one, words in FREQUENCIES.items()],
        missing=[(one.value, _(words)) for one, words in MISSING.items()], refusal=_told(page, refusal))


def _wish(page: Page, asked: dict[str, str]) -> BookSeries:
    _ = page.language.gettext
    day, clock, until = a_day(asked.get("day", "")), typed_clock(asked.get("time", "")), a_day(asked.get("until", ""))
    patient_id, doctor_id = an_id(asked.get("patient_id", "")), an_id(asked.get("doctor_id", ""))
    interval, count = asked.get("interval") or "1", asked.get("count", "")
    wrong = []
    if day is None:
        wrong.append(FieldError("day", _("Choose a day.")))
    if clock in (None, "24:00"):
        wrong.append(FieldError("time", _("Write a time such as 9:20.")))
    if not (interval.isdecimal() and 1 <= int(interval[:3]) <= 52):
        wrong.append(FieldError("interval", _("Between 1 and 52.")))
    if bool(count) == bool(until) or (count and not (count.isdecimal() and 1 <= int(count[:3]) <= 60)):
        wrong.append(FieldError("count", _("Say how many visits, at most 60, or until which day.")))
    if doctor_id is None or patient_id is None:
        wrong.append(FieldError("doctor_id", _("Choose a doctor.")))
    if wrong or day is None or clock is None or doctor_id is None or patient_id is None:
        raise Malformed(errors=wrong)
    try:
        recurrence = Recurrence(
            frequency=Frequency(asked.get("frequency", "weekly")), interval=int(interval), until=until,
            count=int(count) if count else None, missing=Missing(asked.get("missing") or Missing.SKIP))
    except ValueError as error:
        raise NotFound from error
    return BookSeries(
        patient_id=patient_id, doctor_id=doctor_id, recurrence=recurrence, reason=asked.get("reason", "").strip()[:500],
        starts_at=datetime.combine(day, time.fromisoformat(clock), page.settings.hospital.tz), elsewhen=_elsewhen(asked),
        all_or_none="fits" not in asked)


def _elsewhen(asked: dict[str, str]) -> list[Elsewhen]:
    """What was chosen for single visits: another time, or none."""
    found = []
    for number in range(1, 61):
        text = asked.get(f"at-{number}", "")
        if text == OUT:
            found.append(Elsewhen(number=number))
        elif text:
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                continue
            if at.tzinfo:
                found.append(Elsewhen(number=number, starts_at=at))
    return found


def _row(page: Page, one: Occurrence, patient: str) -> Row:
    return Row(one.number, page.local(one.starts_at), one.moved_by_clocks,
               [obstacle_item(page, each, visits_at=VISITS, patient=patient) for each in one.obstacles],
               [(slot.starts_at.isoformat(), page.local(slot.starts_at)) for slot in one.nearest[:3]])


@pages.post(NEW, roles=ROLES)
async def book(page: Page) -> Response[Any]:
    try:
        wish = _wish(page, page.form)
        with changed(key=page.form.get("key", "")[:64]):   # the form sent twice is one series
            made = await page.ask(Appointments).book_series(page.caller, wish)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _new(page, page.form, refusal=refusal)
    text = page.language.ngettext("%(n)s visit is booked.", "%(n)s visits are booked.", len(made.visits))
    return page.redirect(f"/desk/series/{made.id}", toast=text % {"n": len(made.visits)})


# --- Afterwards ------------------------------------------------------------------------------------------------------


@pages.get("/desk/series/{series_id}", roles=ROLES)
@pages.get("/series/{series_id}", roles=[PATIENT])
async def series(page: Page) -> Response[Any]:
    return await _show(page)


async def _show(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    one = await page.ask(Appointments).series(page.caller, page.id("series_id"))
    desk = page.path.startswith("/desk/")
    coming = [visit for visit in one.visits if visit.status in MOVABLE and visit.starts_at > page.now]
    return await page.render(
        "desk/series.html" if desk else "series.html", status=refusal.status if refusal else 200,
        here=VISITS if desk else "/visits", search=search(page) if desk else None, series=one,
        base="/desk" if desk else "", visits=one.visits, coming=[(str(visit.id), _when(page, visit)) for visit in coming],
        first=page.local(coming[0].starts_at) if coming else None, refusal=_told(page, refusal))


def _when(page: Page, visit: Appointment | Occurrence) -> str:
    local = page.local(visit.starts_at)
    return f"{page.language.day(local.date(), page.today)}, {page.language.time(local)}"


@pages.post("/desk/series/{series_id}/{deed}", roles=ROLES)
@pages.post("/series/{series_id}/{deed}", roles=[PATIENT])
async def do(page: Page) -> Response[Any]:
    series_id, deed, _ = page.id("series_id"), page.request.path_params["deed"], page.language.gettext
    since, ask = an_id(page.form.get("from", "")), page.ask(Appointments)
    if deed not in ("cancel", "move"):
        raise NotFound
    try:
        if deed == "cancel":
            await ask.cancel_series(page.caller, series_id, CancelSeries(
                from_appointment_id=since, reason=page.form.get("reason", "").strip()[:500]))
        else:
            await ask.move_series(page.caller, series_id, _move(page, since))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, refusal)
    base = "/desk/series" if page.path.startswith("/desk/") else "/series"
    return page.redirect(f"{base}/{series_id}", toast=_("The visits are cancelled; their times are free again.")
                         if deed == "cancel" else _("The visits are moved."))


def _move(page: Page, since: UUID | None) -> MoveSeries:
    day, clock = a_day(page.form.get("day", "")), typed_clock(page.form.get("time", ""))
    if day is None or clock is None or clock == "24:00" or since is None:
        raise Malformed(page.language.gettext("Choose a visit, its new day, and a time such as 9:20."))
    return MoveSeries(appointment_id=since, all_or_none="fits" not in page.form,
                      starts_at=datetime.combine(day, time.fromisoformat(clock), page.settings.hospital.tz))


def _told(page: Page, refusal: Refusal | None) -> Told | None:
    if not isinstance(refusal, SeriesBlocked):
        return told(refusal) if refusal else None
    _ = page.language.gettext
    blocked = msgspec.convert(refusal.extra["occurrences"], list[Occurrence])
    patient = _("The patient") if page.path.startswith("/desk/") else ""
    items = [Item(f"{_when(page, one)}: {obstacle_item(page, one.obstacles[0], visits_at=VISITS, patient=patient).text}")
             for one in blocked]
    return Told(_("Not every visit can be had at its time"), _(
        "Nothing was changed. Choose other times for these, leave them out, or take those that fit."), [], icon="clock-x",
        items=items)

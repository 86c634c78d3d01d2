"""Visits that recur, before they are booked: laid out with every obstacle, then booked together, at the desk and by the
patient."""
from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from litestar import Response
from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Appointments, Mode, Opening, Status
from infirmary.contexts.appointments.contract.series import (
    BookSeries,
    Elsewhen,
    Frequency,
    Missing,
    Occurrence,
    Preview,
    Recurrence,
    Series,
)
from infirmary.contexts.patients.contract import Patients
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal
from infirmary.kernel.request import changed
from infirmary.language import PATIENT
from infirmary.web.menu import N_
from infirmary.web.obstacles import obstacle_item
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Item, slot_of
from infirmary.web.typed import a_day, an_id, typed_clock

from .appoint import asked_along, to_ask_along
from .desk import ROLES, search
from .series import VISITS_OF, blocked, patient_in_words
from .visits import all_doctors

pages = Pages()
AT_THE_DESK, OWN = "/desk/series/new", "/book/series"
FREQUENCIES = {Frequency.DAILY: N_("days"), Frequency.WEEKLY: N_("weeks"), Frequency.MONTHLY: N_("months")}
MISSING = {Missing.SKIP: N_("leave that month out"), Missing.LAST_DAY: N_("take its last day")}
OUT = "out"
MOST = 60   # visits of a series
Wishing = Callable[[Page, dict[str, str]], BookSeries]


class Row(Struct, frozen=True):
    """One visit to be: what is in its way, and the times that may stand in for it (value, when)."""

    number: int
    at: datetime
    moved_by_clocks: bool
    obstacles: list[Item]
    nearest: list[tuple[str, datetime]]


# --- At the desk -----------------------------------------------------------------------------------------------------


@pages.get(AT_THE_DESK, roles=ROLES)
async def at_the_desk(page: Page) -> Response[Any]:
    return await _at_the_desk(page, page.query)


async def _at_the_desk(page: Page, asked: dict[str, str], *, refusal: Refusal | None = None) -> Response[Any]:
    """The form; and, once it says enough, what would be booked."""
    patient_id = an_id(asked.get("patient_id", ""))
    if patient_id is None:
        raise NotFound
    patient = await page.ask(Patients).card(page.caller, patient_id)
    along, doctors = asked_along(page), await all_doctors(page)
    laid = await _laid(page, _desk_wish, asked, patient.name) if "time" in asked else {}
    return await _form(
        page, "desk/series_new.html", {**asked, "also": ",".join(map(str, along))}, laid, refusal, here="/desk",
        search=search(page), patient=patient, doctors=[(str(one.id), one.name) for one in doctors],
        needed=await to_ask_along(page, [(one.id, one.name) for one in doctors], along))


def _desk_wish(page: Page, asked: dict[str, str]) -> BookSeries:
    _ = page.language.gettext
    day, clock = a_day(asked.get("day", "")), typed_clock(asked.get("time", ""))
    doctor_id, wrong, at = an_id(asked.get("doctor_id", "")), [], None
    if day is None:
        wrong.append(FieldError("day", _("Choose a day.")))
    if clock is None or clock == "24:00":
        wrong.append(FieldError("time", _("Write a time such as 9:20.")))
    elif day is not None:
        at = datetime.combine(day, time.fromisoformat(clock), page.settings.hospital.tz)
    if doctor_id is None:
        wrong.append(FieldError("doctor_id", _("Choose a doctor.")))
    wish = _wish(page, asked, an_id(asked.get("patient_id", "")), doctor_id, at, wrong)
    return replace(wish, participants=asked_along(page) or None)


@pages.post(AT_THE_DESK, roles=ROLES)
async def book_at_the_desk(page: Page) -> Response[Any]:
    try:
        made = await _book(page, _desk_wish)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _at_the_desk(page, page.form, refusal=refusal)
    text = page.language.ngettext("%(n)s visit is booked.", "%(n)s visits are booked.", len(made.visits))
    return page.redirect(f"/desk/series/{made.id}", toast=text % {"n": len(made.visits)})


# --- By the patient --------------------------------------------------------------------------------------------------


@pages.get(OWN, roles=[PATIENT])
async def own(page: Page) -> Response[Any]:
    return await _own(page, page.query)


async def _own(page: Page, asked: dict[str, str], *, refusal: Refusal | None = None) -> Response[Any]:
    """The same, from a time that was chosen already."""
    opening, at = await _chosen(page, asked)
    patient = patient_in_words(page)
    laid = await _laid(page, _own_wish, asked, patient) if "frequency" in asked else {}
    local = page.local(at)
    return await _form(
        page, "book_series.html", asked, laid, refusal, slot=asked["slot"], opening=opening, at=local,
        back="/book/when?" + urlencode({"doctor": opening.doctor_id, "day": local.date()}))


async def _chosen(page: Page, asked: dict[str, str]) -> tuple[Opening, datetime]:
    """With whom, and when first."""
    slot = slot_of(asked.get("slot", ""))
    opening = next((one for one in await page.ask(Appointments).earliest_for(page.caller, page.patient_id)
                    if slot and one.doctor_id == slot[0]), None)
    if slot is None or opening is None:
        raise NotFound
    return opening, slot[1]


def _own_wish(page: Page, asked: dict[str, str]) -> BookSeries:
    doctor_id, at = slot_of(asked.get("slot", "")) or (None, None)
    return _wish(page, asked, page.patient_id, doctor_id, at, [])


@pages.post(OWN, roles=[PATIENT])
async def book_own(page: Page) -> Response[Any]:
    try:
        made = await _book(page, _own_wish)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _own(page, page.form, refusal=refusal)
    says = page.language.ngettext
    text = says("Asked for %(n)s visit. We tell you when the department has answered.",
                "Asked for %(n)s visits. We tell you when the department has answered.", len(made.visits)) \
        if made.visits[0].status is Status.REQUESTED else \
        says("%(n)s visit is booked.", "%(n)s visits are booked.", len(made.visits))
    return page.redirect(f"/series/{made.id}", toast=text % {"n": len(made.visits)})


# --- Both ------------------------------------------------------------------------------------------------------------


async def _form(page: Page, template: str, asked: dict[str, str], laid: dict[str, Any], refusal: Refusal | None,
                **more: Any) -> Response[Any]:
    _ = page.language.gettext
    errors = laid.get("errors", {})
    return await page.render(
        template, status=refusal.status if refusal else 400 if errors else 200, values=asked, errors=errors,
        rows=laid.get("rows", []), short=laid.get("short", []), left_out=[one.number for one in _elsewhen(asked) if one.starts_at is None], key=str(uuid4()),
        frequencies=[(one.value, _(words)) for one, words in FREQUENCIES.items()],
        missing=[(one.value, _(words)) for one, words in MISSING.items()],
        refusal=None if errors else blocked(page, refusal), **more)


async def _laid(page: Page, wish: Wishing, asked: dict[str, str], patient: str) -> dict[str, Any]:
    """What would be booked, or how to mend what was asked for."""
    try:
        preview: Preview = await page.ask(Appointments).preview_series(page.caller, wish(page, asked))
    except Malformed as no:
        return {"errors": page.field_errors(no)}
    return {"rows": [_row(page, one, patient) for one in preview.occurrences],
            "short": [page.language.month(date.fromisoformat(f"{month}-01")) for month in preview.short_months]}


def _row(page: Page, one: Occurrence, patient: str) -> Row:
    return Row(one.number, page.local(one.starts_at), one.moved_by_clocks,
               [obstacle_item(page, each, visits_at=VISITS_OF[page.path.startswith("/desk/")], patient=patient)
                for each in one.obstacles],
               [(slot.starts_at.isoformat(), page.local(slot.starts_at)) for slot in one.nearest[:3]])


async def _book(page: Page, wish: Wishing) -> Series:
    with changed(key=page.form.get("key", "")[:64]):   # the form sent twice is one series
        made: Series = await page.ask(Appointments).book_series(page.caller, wish(page, page.form))
    return made


def _wish(page: Page, asked: dict[str, str], patient_id: UUID | None, doctor_id: UUID | None, at: datetime | None,
          wrong: list[FieldError]) -> BookSeries:
    """By the rule that was asked for; refused with all there is to mend in it, beside what is `wrong` already."""
    _ = page.language.gettext
    interval, count, until = asked.get("interval") or "1", asked.get("count", ""), a_day(asked.get("until", ""))
    if not (interval.isdecimal() and 1 <= int(interval[:3]) <= 52):
        wrong.append(FieldError("interval", _("Between 1 and 52.")))
    if bool(count) == bool(until) or (count and not (count.isdecimal() and 1 <= int(count[:3]) <= MOST)):
        wrong.append(FieldError("count", _("Say how many visits, at most 60, or until which day.")))
    if wrong or patient_id is None or doctor_id is None or at is None:
        raise Malformed(errors=wrong)
    try:
        recurrence = Recurrence(
            frequency=Frequency(asked.get("frequency", "weekly")), interval=int(interval), until=until,
            count=int(count) if count else None, missing=Missing(asked.get("missing") or Missing.SKIP))
    except ValueError as error:
        raise NotFound from error
    return BookSeries(
        patient_id=patient_id, doctor_id=doctor_id, recurrence=recurrence, reason=asked.get("reason", "").strip()[:500],
        starts_at=at, elsewhen=_elsewhen(asked), all_or_none="fits" not in asked,
        mode=Mode.VIDEO if asked.get("mode") == Mode.VIDEO else Mode.IN_PERSON)


def _elsewhen(asked: dict[str, str]) -> list[Elsewhen]:
    """What was chosen for single visits: another time, or none."""
    found = []
    for number in range(1, MOST + 1):
        text = asked.get(f"at-{number}", "")
        if text == OUT:
            found.append(Elsewhen(number=number))
        elif text:
            with contextlib.suppress(ValueError):
                if (at := datetime.fromisoformat(text)).tzinfo:
                    found.append(Elsewhen(number=number, starts_at=at))
    return found

"""Visits that were booked together: seen, moved and cancelled one by one or together, at the desk and by the patient."""
from __future__ import annotations

from datetime import datetime, time
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import (
    Appointment,
    Appointments,
    RescheduleAppointment,
    Why,
)
from infirmary.contexts.appointments.contract.series import (
    CancelSeries,
    MoveSeries,
    Occurrence,
    Series,
    SeriesBlocked,
)
from infirmary.kernel.errors import Malformed, NotFound, Refusal
from infirmary.language import PATIENT
from infirmary.web import whom
from infirmary.web.menu import N_
from infirmary.web.obstacles import obstacle_item, told_in_full
from infirmary.web.page import Page, Pages
from infirmary.web.shown import MOVABLE, Item, Told
from infirmary.web.typed import a_day, an_id, typed_clock

from .desk import ROLES, search
from .visits import VISITS

pages = Pages()
ONE, FOLLOWING, ALL = "one", "following", "all"
WHICH = {FOLLOWING: N_("It and those after it"), ONE: N_("Only this one"), ALL: N_("All that are still to come")}
VISITS_OF = {True: VISITS, False: "/visits"}   # at the desk, and for patients


class Move(Struct, frozen=True):
    """`which` of the visits: this one alone, those after it too, or all; this one to `to`."""

    visit_id: UUID
    which: str
    to: datetime
    fits: bool


@pages.get("/desk/series/{series_id}", roles=ROLES)
@pages.get("/series/{series_id}", roles=[PATIENT])
async def series(page: Page) -> Response[Any]:
    return await _show(page)


async def _show(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    one = await page.ask(Appointments).series(page.caller, page.id("series_id"))
    desk = page.path.startswith("/desk/")
    if not desk:
        whom.about(page, one.visits[0].patient_id)
    coming = [visit for visit in one.visits if _comes(page, visit)]
    asked = page.form if refusal else {}
    return await page.render(
        "desk/series.html" if desk else "series.html", status=refusal.status if refusal else 200,
        here=VISITS_OF[desk], search=search(page) if desk else None, series=one, base="/desk" if desk else "",
        visits=one.visits, coming=[(str(visit.id), _when(page, visit)) for visit in coming],
        first=page.local(coming[0].starts_at) if coming else None, values=asked,
        which=[(key, page.language.gettext(words)) for key, words in WHICH.items()], refusal=blocked(page, refusal))


def _comes(page: Page, visit: Appointment) -> bool:
    return visit.status in MOVABLE and visit.starts_at > page.now


def _when(page: Page, visit: Appointment | Occurrence) -> str:
    local = page.local(visit.starts_at)
    return f"{page.language.day(local.date(), page.today)}, {page.language.time(local)}"


@pages.post("/desk/series/{series_id}/cancel", roles=ROLES)
@pages.post("/series/{series_id}/cancel", roles=[PATIENT])
async def cancel(page: Page) -> Response[Any]:
    series_id, since, which = page.id("series_id"), an_id(page.form.get("from", "")), page.form.get("which", FOLLOWING)
    ask, reason, _ = page.ask(Appointments), page.form.get("reason", "").strip()[:500], page.language.gettext
    try:
        if which == ONE and since is not None:
            await ask.cancel(page.caller, since, Why(reason))
            return page.redirect(_at(page), toast=_("The visit is cancelled; its time is free again."))
        await ask.cancel_series(page.caller, series_id, CancelSeries(
            from_appointment_id=None if which == ALL else since, reason=reason))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, refusal)
    return page.redirect(_at(page), toast=_("The visits are cancelled; their times are free again."))


@pages.post("/desk/series/{series_id}/move", roles=ROLES)
@pages.post("/series/{series_id}/move", roles=[PATIENT])
async def move(page: Page) -> Response[Any]:
    """From the form, or back again by the undo button of a toast."""
    try:
        wish = _move(page)
        before = await page.ask(Appointments).series(page.caller, page.id("series_id"))
        pivot = next((one for one in before.visits if one.id == wish.visit_id), None)
        if pivot is None:
            raise NotFound
        after = await _moved(page, before, wish)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, refusal)
    _, was = page.language.gettext, {one.id: one.starts_at for one in before.visits}
    moved = {one.id for one in after.visits if one.starts_at != was[one.id]}
    undo = urlencode({"from": pivot.id, "which": wish.which, "to": pivot.starts_at.isoformat()})
    return page.redirect(
        _at(page), toast=_("The visit is moved.") if wish.which == ONE else _("The visits are moved."),
        undo=f"{_at(page)}/move?{undo}" if moved == _meant(page, after, wish) else "")


def _at(page: Page) -> str:
    return page.path.rpartition("/")[0]


async def _moved(page: Page, before: Series, wish: Move) -> Series:
    ask = page.ask(Appointments)
    if wish.which == ONE:
        await ask.reschedule(page.caller, wish.visit_id, RescheduleAppointment(starts_at=wish.to))
        return await ask.series(page.caller, before.id)
    return await ask.move_series(page.caller, before.id, MoveSeries(
        appointment_id=wish.visit_id, starts_at=wish.to, whole=wish.which == ALL, all_or_none=not wish.fits))


def _meant(page: Page, now: Series, wish: Move) -> set[UUID]:
    """Whom the same wish would move from here: only where these are those that were moved does it lead back."""
    coming = [one for one in now.visits if _comes(page, one)]
    since = next((one.starts_at for one in coming if one.id == wish.visit_id), None)
    return {one.id for one in coming if wish.which == ALL or one.id == wish.visit_id
            or (wish.which == FOLLOWING and since is not None and one.starts_at > since)}


def _move(page: Page) -> Move:
    asked = page.query | page.form
    day, clock, since = a_day(asked.get("day", "")), typed_clock(asked.get("time", "")), an_id(asked.get("from", ""))
    to = None
    if back := asked.get("to", ""):
        try:
            to = datetime.fromisoformat(back)
        except ValueError as error:
            raise NotFound from error
    elif day is not None and clock is not None and clock != "24:00":
        to = datetime.combine(day, time.fromisoformat(clock), page.settings.hospital.tz)
    which = asked.get("which", FOLLOWING)
    if to is None or to.tzinfo is None or since is None or which not in WHICH:
        raise Malformed(page.language.gettext("Choose a visit, its new day, and a time such as 9:20."))
    return Move(since, which, to, "fits" in asked)


def patient_in_words(page: Page) -> str:
    """How a sentence about what is in the way names the patient; empty where they read it themselves."""
    if page.path.startswith("/desk/"):
        return page.language.gettext("The patient")
    return "" if page.whom is None or page.whom.own else page.whom.name


def blocked(page: Page, refusal: Refusal | None) -> Told | None:
    """A refusal with what is in the way of each visit."""
    _, patient = page.language.gettext, patient_in_words(page)
    visits_at = VISITS_OF[page.path.startswith("/desk/")]
    if isinstance(refusal, SeriesBlocked):
        items = [Item(f"{_when(page, one)}: {item.text}", item.href)
                 for one in msgspec.convert(refusal.extra["occurrences"], list[Occurrence]) for each in one.obstacles
                 for item in [obstacle_item(page, each, visits_at=visits_at, patient=patient)]]
        return Told(_("Not every visit can be had at its time"), _(
            "Nothing was changed. Choose other times for these, leave them out, or take those that fit."), [],
            icon="clock-x", items=items)
    if refusal is None:
        return None
    return told_in_full(page, refusal, kept=_("Nothing was changed."), visits_at=visits_at, patient=patient)

"""Waiting for a time to come free: the patient's own places."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.waitlist import (
    AlreadyWaiting,
    JoinWaitlist,
    OfferIsGone,
    Standing,
    WaitIsOver,
)
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal
from infirmary.language import PATIENT, STAFF_ROLES
from infirmary.web.obstacles import told_in_full
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, Way
from infirmary.web.typed import a_day, an_id

pages = Pages()
MINE = "/waitlist"
OPEN = (Standing.OFFERED, Standing.WAITING)
LATELY = timedelta(days=14)   # places that have ended are shown for so long
USUAL = timedelta(days=14)    # what is filled in


@pages.get("/waitlist", roles=[PATIENT, *STAFF_ROLES])
async def mine(page: Page) -> Response[Any]:
    """Links in mails lead here, whoever reads them."""
    return await _mine(page) if PATIENT in page.caller.roles else page.redirect("/desk/waitlist")


async def _mine(page: Page, *, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    found = (await page.ask(Appointments).waitlist(
        page.caller, patient_id=page.patient_id, limit=100)).items
    since = page.site.clock.now() - LATELY
    over = [one for one in found if one.status not in OPEN and one.created_at > since]
    return await page.render("waitlist.html", status=status, here="/visits", refusal=refusal, over=over[::-1],
                             places=sorted((one for one in found if one.status in OPEN), key=lambda one: one.status))


@pages.get("/waitlist/join", roles=[PATIENT])
async def join_form(page: Page) -> Response[Any]:
    return await _form(page, {"doctor": page.query.get("doctor", ""), "department": page.query.get("department", ""),
                              "earliest": page.today.isoformat(), "latest": (page.today + USUAL).isoformat()})


async def _form(page: Page, values: dict[str, str], *, errors: dict[str, str] | None = None, refusal: Told | None = None,
                status: int = 200) -> Response[Any]:
    doctor_id, department_id = an_id(values.get("doctor", "")), an_id(values.get("department", ""))
    about = next((one for one in await page.ask(Appointments).earliest_for(page.caller, page.patient_id)
                  if doctor_id == one.doctor_id or (doctor_id is None and department_id == one.department_id)), None)
    if about is None:
        raise NotFound
    asked = {"doctor": doctor_id} if doctor_id else {"department": department_id}
    return await page.render("waitlist_join.html", status=status, values=values, errors=errors or {}, refusal=refusal,
                             back="/book/when?" + urlencode(asked), asked={name: str(one) for name, one in asked.items()},
                             about=about.doctor_name if doctor_id else about.department_name)


@pages.post("/waitlist/join", roles=[PATIENT])
async def join(page: Page) -> Response[Any]:
    _ = page.language.gettext
    earliest, latest = a_day(page.form.get("earliest", "")), a_day(page.form.get("latest", ""))
    doctor_id, department_id = an_id(page.form.get("doctor", "")), an_id(page.form.get("department", ""))
    zone = page.settings.hospital.tz
    try:
        if earliest is None or latest is None:
            raise Malformed(errors=[FieldError("earliest" if earliest is None else "latest", _("Choose a day."))])
        body = JoinWaitlist(
            patient_id=page.patient_id, doctor_id=doctor_id,
            department_id=None if doctor_id else department_id,
            earliest=datetime(earliest.year, earliest.month, earliest.day, tzinfo=zone),
            latest=datetime(latest.year, latest.month, latest.day, 23, 59, tzinfo=zone))
        await page.ask(Appointments).join_waitlist(page.caller, body)
    except AlreadyWaiting:
        return page.redirect(MINE, toast=_("You wait for this already."))
    except Malformed as refusal:
        errors = page.field_errors(refusal)
        if "latest" in errors and latest is not None:
            errors["latest"] = _("Choose a day after the first and not before today, at most 62 days later.")
        return await _form(page, page.form, errors=errors, status=refusal.status)
    except Refusal as refusal:
        return await _form(page, page.form, refusal=why_not(page, refusal), status=refusal.status)
    return page.redirect(MINE, toast=_("You are on the waitlist. We tell you when a time comes free."))


@pages.post("/waitlist/{waiting_id}/accept", roles=[PATIENT])
async def accept(page: Page) -> Response[Any]:
    try:
        done = await page.ask(Appointments).accept_offer(page.caller, page.id("waiting_id"))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _mine(page, refusal=why_not(page, refusal), status=refusal.status)
    return page.redirect(f"/visits/{done.appointment_id}", toast=page.language.gettext("The time is yours."))


@pages.post("/waitlist/{waiting_id}/leave", roles=[PATIENT])
async def leave(page: Page) -> Response[Any]:
    try:
        await page.ask(Appointments).leave_waitlist(page.caller, page.id("waiting_id"))
    except WaitIsOver as refusal:
        return await _mine(page, refusal=why_not(page, refusal), status=refusal.status)
    return page.redirect(MINE, toast=page.language.gettext("You do not wait for this any more."))


def why_not(page: Page, refusal: Refusal, *, visits_at: str = "/visits", patient: str = "") -> Told:
    _ = page.language.gettext
    if isinstance(refusal, OfferIsGone):
        ways = [] if patient else [Way(_("Book a visit"), "/book")]
        return Told(_("This offer does not stand any more"),
                    _("The time to answer has run out, and it went to the next. Nothing was booked."), ways,
                    icon="clock-off")
    if isinstance(refusal, WaitIsOver):
        return Told(_("This wait has ended already"), _("Nothing was changed."), [], icon="clock-off")
    return told_in_full(page, refusal, kept=_("Nothing was booked."), visits_at=visits_at, patient=patient)

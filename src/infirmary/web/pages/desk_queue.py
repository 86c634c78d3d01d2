"""The queue at the desk: give a number and print it, call the next, and the screens on the wall."""
from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import segno
from litestar import Response
from markupsafe import Markup

from infirmary.contexts.appointments.contract import Appointments, Why
from infirmary.contexts.appointments.contract.queue import (
    CallNext,
    HasANumber,
    NobodyToCall,
    NotInThisPlace,
    OpenDisplay,
    Precedence,
    PutBefore,
    TakeNumber,
    Token,
)
from infirmary.contexts.patients.contract import Patients
from infirmary.contexts.staff.contract import Department, Staff
from infirmary.kernel.errors import Malformed, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, NURSE, RECEPTION
from infirmary.web import forms
from infirmary.web.forms import filled
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, Way, told
from infirmary.web.typed import an_id

from .desk import ROLES, search

pages = Pages()
DESK = "/desk/queue"
CALLERS = (RECEPTION, NURSE, ADMIN, DOCTOR)


@pages.get("/desk/queue", roles=ROLES)
async def queue(page: Page) -> Response[Any]:
    return await _queue(page)


@pages.get("/desk/queue/line", roles=ROLES, background=True)
async def line(page: Page) -> Response[Any]:
    """Those in line alone, for the page that keeps itself fresh."""
    return await page.render("desk/_queue.html", **await _line(page, await _departments(page)))


async def _queue(page: Page, *, refusal: Told | None = None, errors: dict[str, str] | None = None,
                 status: int = 200) -> Response[Any]:
    asked = an_id(page.request.path_params.get("token_id", "") if errors else page.query.get("ask", ""))
    departments = await _departments(page)
    context = await _line(page, departments)
    doctors = (await page.ask(Staff).doctors(page.caller, department_id=context["chosen"], limit=100)).items
    found = context["queue"].items if context["queue"] else []
    return await page.render("desk/queue.html", status=status, here=DESK, search=search(page), refusal=refusal,
                             departments=departments, doctors=doctors, values=page.form, errors=errors or {},
                             asked=next((one for one in found if one.id == asked), None), **context)


async def _departments(page: Page) -> list[Department]:
    return [one for one in (await page.ask(Staff).departments(page.caller)).items if one.retired_at is None]


async def _line(page: Page, departments: list[Department]) -> dict[str, Any]:
    wanted = an_id(page.form.get("department") or page.query.get("department", ""))
    chosen = wanted or (departments[0].id if departments else None)
    try:
        found = await page.ask(Appointments).queue(page.caller, department_id=chosen) if chosen else None
    except NotFound:   # nobody sees patients there
        found = None
    return {"queue": found, "chosen": chosen}


@pages.post("/desk/queue/call", roles=ROLES)
async def call(page: Page) -> Response[Any]:
    doctor_id = an_id(page.form.get("doctor", ""))
    if doctor_id is None:
        raise NotFound
    try:
        called = await page.ask(Appointments).call_next(page.caller, CallNext(doctor_id=doctor_id))
    except NobodyToCall as refusal:
        return await _queue(page, refusal=why_not(page, refusal), status=refusal.status)
    return page.redirect(_back(page), toast=said(page, called))


@pages.post("/desk/queue/tokens/{token_id}/{deed}", roles=CALLERS)
async def do(page: Page) -> Response[Any]:
    try:
        done = await _deed(page)
    except NotFound:
        raise
    except Malformed as refusal:
        return await _queue(page, errors=page.field_errors(refusal), status=refusal.status)
    except Refusal as refusal:
        if DOCTOR in page.caller.roles and page.form.get("back"):
            return page.redirect(_back(page), toast=refusal.detail)
        return await _queue(page, refusal=why_not(page, refusal), status=refusal.status)
    return page.redirect(_back(page), toast=said(page, done))


async def _deed(page: Page) -> Token:
    ask, token_id = page.ask(Appointments), page.id("token_id")
    match page.request.path_params["deed"]:
        case "recall":
            return await ask.recall(page.caller, token_id)
        case "back":
            return await ask.back_in_line(page.caller, token_id)
        case "no-show":
            return await ask.not_there(page.caller, token_id)
        case "leave":
            return await ask.leave_queue(page.caller, token_id, Why())
        case "first":
            mend = {"note": page.language.gettext("Write why: those who look after the queue read it.")}
            return await ask.put_before(page.caller, token_id, filled(page, PutBefore, mend))
        case "complete":
            token = await ask.token_of(page.caller, token_id)
            if token.appointment_id is None:
                raise NotFound
            await ask.complete(page.caller, token.appointment_id)
            return await ask.token_of(page.caller, token_id)
    raise NotFound


def _back(page: Page) -> str:
    department = an_id(page.form.get("department", ""))
    return forms.back(page, DESK + (f"?{urlencode({'department': department})}" if department else ""))


def said(page: Page, token: Token) -> str:
    _ = page.language.gettext
    words = {"waiting": _("Number %(n)s stands in line."), "called": _("Number %(n)s is called to %(room)s."),
             "seen": _("The visit of number %(n)s is completed."), "no_show": _("Number %(n)s did not come."),
             "left": _("Number %(n)s has left.")}
    return words.get(token.status.value, "") % {"n": token.number, "room": token.room}


def why_not(page: Page, refusal: Refusal) -> Told:
    _ = page.language.gettext
    titles: dict[type[Refusal], str] = {
        NobodyToCall: _("Nobody can be called just now"), NotInThisPlace: _("This number is somewhere else by now"),
        HasANumber: _("This patient has a number already")}
    title = titles.get(type(refusal))
    return told(refusal, icon="list-numbers") if title is None else Told(title, refusal.detail, [], icon="list-numbers")


# --- A number -----------------------------------------------------------------------------------------------------------

@pages.get("/desk/queue/new", roles=ROLES)
async def number_form(page: Page) -> Response[Any]:
    return await _form(page, {})


async def _form(page: Page, values: dict[str, str], *, errors: dict[str, str] | None = None, refusal: Told | None = None,
                status: int = 200) -> Response[Any]:
    patient_id = an_id(page.form.get("patient_id") or page.query.get("patient_id", ""))
    if patient_id is None:
        return page.redirect("/desk")
    patient, departments, doctors = await asyncio.gather(
        page.ask(Patients).patient(page.caller, patient_id), _departments(page),
        page.ask(Staff).doctors(page.caller, limit=100))
    return await page.render("desk/number.html", status=status, here=DESK, search=search(page), patient=patient,
                             departments=departments, doctors=doctors.items, precedences=list(Precedence), values=values,
                             errors=errors or {}, refusal=refusal)


@pages.post("/desk/queue/new", roles=ROLES)
async def take_number(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        body = filled(page, TakeNumber, {"department_id": _("Choose a department."), "doctor_id": _("Choose a doctor."),
                                         "note": _("At most 200 letters."), "reason": _("At most 500 letters.")})
        token = await page.ask(Appointments).take_number(page.caller, body)
    except Malformed as refusal:
        return await _form(page, page.form, errors=page.field_errors(refusal), status=refusal.status)
    except HasANumber as refusal:
        text = _("It is number %(n)s. Print it again from the queue, if it is lost.") % {"n": refusal.extra.get("number")}
        ways = [Way(_("Open the queue"), _back_to(body.department_id))]
        return await _form(page, page.form, refusal=Told(why_not(page, refusal).title, text, ways, icon="list-numbers"),
                           status=refusal.status)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _form(page, page.form, refusal=told(refusal), status=refusal.status)
    return await _printed(page, token)


def _back_to(department_id: UUID) -> str:
    return f"{DESK}?{urlencode({'department': department_id})}"


@pages.post("/desk/queue/tokens/{token_id}/print", roles=ROLES)
async def print_number(page: Page) -> Response[Any]:
    return await _printed(page, await page.ask(Appointments).token_of(page.caller, page.id("token_id")))


async def _printed(page: Page, token: Token) -> Response[Any]:
    """Never at an address of its own: the secret is shown once, and kept by nobody but the paper."""
    try:
        secret = (await page.ask(Appointments).link(page.caller, token.id)).secret
    except NotInThisPlace as refusal:
        return await _queue(page, refusal=why_not(page, refusal), status=refusal.status)
    url = f"{page.settings.public_url.rstrip('/')}/q/{secret}"
    picture = segno.make(url, error="m").svg_inline(border=2, dark="#000", light="#fff", omitsize=True)
    return await page.render("desk/number_printed.html", here=DESK, search=search(page), token=token, url=url,
                             back=_back_to(token.department_id),
                             qr=Markup(picture))   # noqa: S704 – made of our own address


# --- Screens on the wall ------------------------------------------------------------------------------------------------

@pages.get("/desk/queue/screens", roles=[RECEPTION, ADMIN])
async def screens(page: Page) -> Response[Any]:
    return await _screens(page)


async def _screens(page: Page, *, opened: str = "", errors: dict[str, str] | None = None,
                   status: int = 200) -> Response[Any]:
    departments, displays = await asyncio.gather(_departments(page), page.ask(Appointments).displays(page.caller))
    return await page.render("desk/screens.html", status=status, here=DESK, search=search(page), displays=displays,
                             departments=departments, opened=opened, values=page.form, errors=errors or {})


@pages.post("/desk/queue/screens", roles=[RECEPTION, ADMIN])
async def open_screen(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        body = filled(page, OpenDisplay, {"department_id": _("Choose a department."), "name": _("Write where it hangs.")})
        opened = await page.ask(Appointments).open_display(page.caller, body)
    except Malformed as refusal:
        return await _screens(page, errors=page.field_errors(refusal), status=refusal.status)
    except NotFound as refusal:
        return await _screens(page, errors={"department_id": _("Nobody sees patients there yet.")}, status=refusal.status)
    page.form = {}
    return await _screens(page, opened=f"{page.settings.public_url.rstrip('/')}/wall/{opened.secret}")


@pages.post("/desk/queue/screens/{display_id}/close", roles=[RECEPTION, ADMIN])
async def close_screen(page: Page) -> Response[Any]:
    await page.ask(Appointments).close_display(page.caller, page.id("display_id"))
    return page.redirect(f"{DESK}/screens", toast=page.language.gettext("The link of the screen is ended."))

"""All visits of a day for the staff at the desk, and one of them with what happened to it."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Appointments, Status
from infirmary.contexts.patients.contract import Patient, Patients
from infirmary.contexts.staff.contract import Doctor, Staff
from infirmary.kernel.errors import Malformed, NotFound, Refusal
from infirmary.web import deeds, forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE, overbooked, step_text
from infirmary.web.typed import a_day, an_id

from .desk import ROLES, search

pages = Pages()
VISITS = "/desk/visits"
AT_A_TIME = 50
SOON = timedelta(hours=2)   # a check-in is at hand for visits until then; earlier ones have it on their own page


class Row(Struct, frozen=True):
    visit: Appointment
    deed: deeds.Deed | None   # what is next to do
    late: int


@pages.get("/desk/visits", roles=ROLES)
async def visits(page: Page) -> Response[Any]:
    asked = page.query
    day, status = a_day(asked.get("day", "")), _status(asked.get("status", ""))
    doctor_id, department_id = an_id(asked.get("doctor_id", "")), an_id(asked.get("department_id", ""))
    every = "day" in asked and not asked["day"]   # any day: what still waits for somebody
    when: dict[str, Any] = {"from_": page.site.clock.now()} if every else {"day": day or page.today}
    found, departments, doctors = await asyncio.gather(
        page.ask(Appointments).appointments(
            page.caller, doctor_id=doctor_id, department_id=department_id, status=status, limit=AT_A_TIME,
            cursor=asked.get("cursor"), **when),
        page.ask(Staff).departments(page.caller), all_doctors(page))
    day = day or page.today

    def address(**changes: Any) -> str:
        kept = {name: asked[name] for name in ("day", "department_id", "doctor_id", "status") if asked.get(name)}
        made = {name: value for name, value in {**kept, **changes}.items() if value}
        return VISITS + ("?" + urlencode(made) if made else "")

    return await page.render(
        "desk/visits.html", here=VISITS, search=search(page), rows=[_row(page, one) for one in found.items], day=day,
        every=every, before=address(day=day - timedelta(days=1)), after=address(day=day + timedelta(days=1)),
        today_href=address(day=""),
        more=address(cursor=found.next_cursor) if found.next_cursor else "", back=address(),
        departments=[("", page.language.gettext("all departments")),
                     *((str(one.id), one.name) for one in departments.items)],
        doctors=[("", page.language.gettext("all doctors")), *((str(one.id), one.name) for one in doctors)],
        statuses=Status, asked={"department_id": department_id or "", "doctor_id": doctor_id or "",
                                "status": status.value if status else "", "day": "" if every else day.isoformat()})


def _row(page: Page, one: Appointment) -> Row:
    soon = one.status is not Status.BOOKED or one.starts_at < page.now + SOON
    next_deed = next((deed for deed in deeds.open_to(page, one) if soon and deed.name not in ("move", "cancel")), None)
    late = int((page.now - one.starts_at).total_seconds()) // 60 if one.status is Status.BOOKED else 0
    return Row(one, next_deed, late if 0 < late < 24 * 60 else 0)


async def all_doctors(page: Page) -> list[Doctor]:
    found: list[Doctor] = []
    cursor = None
    while True:
        part = await page.ask(Staff).doctors(page.caller, limit=100, cursor=cursor)
        found += part.items
        if (cursor := part.next_cursor) is None:
            return found


def _status(text: str) -> Status | None:
    return Status(text) if text in set(Status) else None


@pages.get("/desk/visits/overlapping", roles=ROLES)
async def overlapping(page: Page) -> Response[Any]:
    """Two visits of one person at once, each with what can be done."""
    found = await page.ask(Appointments).overlapping(page.caller)
    return await page.render("desk/overlapping.html", here=VISITS, search=search(page), pairs=[
        [(one, deeds.open_to(page, one)) for one in (each.visit, each.other)] for each in found])


@pages.get("/desk/visits/{visit_id}", roles=ROLES)
async def visit(page: Page) -> Response[Any]:
    return await show_visit(page)


async def show_visit(page: Page, *, ask: str = "", refusal: Refusal | None = None) -> Response[Any]:
    appointments = page.ask(Appointments)
    one, steps = await asyncio.gather(appointments.appointment(page.caller, page.id("visit_id")),
                                      appointments.steps(page.caller, page.id("visit_id")))
    errors = page.field_errors(refusal) if isinstance(refusal, Malformed) else {}
    history = [{"at": page.local(step.at), "text": step_text(step, before, page.language.gettext), "by": step.by}
               for before, step in zip([None, *steps], steps, strict=False)]
    return await page.render(
        "desk/visit.html", status=refusal.status if refusal else 200, here=VISITS, search=search(page), visit=one,
        history=history[::-1], over=overbooked(one, page.language.gettext), patient=await _patient(page, one),
        deeds=deeds.open_to(page, one), may_change=one.status in LIVE,
        ask=ask or page.query.get("ask", ""),
        back=forms.back(page, ""), errors=errors,
        refusal=await deeds.why_not(page, refusal, one) if refusal and not errors else None)


async def _patient(page: Page, one: Appointment) -> Patient | None:
    try:
        return await page.ask(Patients).patient(page.caller, one.patient_id)
    except NotFound:
        return None


@pages.post("/desk/visits/{visit_id}/{deed}", roles=ROLES)
async def do(page: Page) -> Response[Any]:
    deed = deeds.BY_NAME.get(page.request.path_params["deed"])
    if deed is None:
        raise NotFound
    try:
        one = await deeds.do(page, deed)
    except NotFound:
        raise
    except Refusal as refusal:
        return await show_visit(page, ask=deed.name if isinstance(refusal, Malformed) else "", refusal=refusal)
    return page.redirect(forms.back(page, f"/desk/visits/{one.id}"), toast=deeds.done(page, deed, one))

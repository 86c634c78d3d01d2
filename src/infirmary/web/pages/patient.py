"""What patients see: home, their visits, and what they can do with them."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response

from infirmary.contexts.appointments.contract import Appointment, Appointments, NotInThisState, Why
from infirmary.contexts.notifications.contract import Notifications
from infirmary.contexts.patients.contract import Patients
from infirmary.kernel.errors import Refusal
from infirmary.language import DOCTOR, PATIENT, STAFF_ROLES
from infirmary.web import whom
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE, ShownVisit, doctor_choice, step_text, told, visit

pages = Pages()
NEWS = 4


def shown(page: Page, one: Appointment) -> ShownVisit:
    return visit(one, now=page.now, zone=page.settings.hospital.tz, _=page.language.gettext)


async def coming(page: Page) -> list[Appointment]:
    found = await page.ask(Appointments).appointments(page.caller, patient_id=page.patient_id,
                                                      from_=page.site.clock.now(), limit=100)
    return [one for one in found.items if one.status in LIVE]


@pages.get("/home", roles=[PATIENT])
async def home(page: Page) -> Response[Any]:
    patient = await page.ask(Patients).patient(page.caller, page.patient_id)
    visits = [shown(page, one) for one in await coming(page)]
    news = (await page.ask(Notifications).notifications(page.caller, limit=NEWS)).items
    openings = await page.ask(Appointments).earliest_for(page.caller, page.patient_id)
    return await page.render(
        "patient_home.html", here="/home", given_name=patient.given_name, next_visit=visits[0] if visits else None,
        later=visits[1:4], choices=[doctor_choice(one, page.settings.hospital.tz) for one in openings[:3]],
        news=[{"at": page.local(one.created_at), "title": one.title, "text": one.body, "unread": one.read_at is None,
               "href": f"/notifications/{one.id}/open" if one.link else ""} for one in news])


@pages.get("/visits", roles=[PATIENT])
async def visits(page: Page) -> Response[Any]:
    past = await page.ask(Appointments).appointments(page.caller, patient_id=page.patient_id,
                                                     to=page.site.clock.now(), newest_first=True, cursor=page.query.get("past"), limit=20)
    cancelled = await page.ask(Appointments).appointments(page.caller, patient_id=page.patient_id,
                                                          from_=page.site.clock.now(), limit=100)
    over = [one for one in cancelled.items if one.status not in LIVE] if not page.query.get("past") else []
    more = "/visits?" + urlencode({"past": past.next_cursor}) if past.next_cursor else ""
    return await page.render("visits.html", here="/visits", coming=[shown(page, one) for one in await coming(page)],
                             past=[shown(page, one) for one in [*reversed(over), *past.items]], past_more=more)


async def show_visit(page: Page, visit_id: UUID, *, refusal: Refusal | None = None) -> Response[Any]:
    one = await page.ask(Appointments).appointment(page.caller, visit_id)
    whom.about(page, one.patient_id)
    steps = await page.ask(Appointments).steps(page.caller, visit_id)
    history = [{"at": page.local(step.at), "text": step_text(step, before, page.language.gettext), "by": step.by}
               for before, step in zip([None, *steps], steps, strict=False)]
    return await page.render("visit.html", status=refusal.status if refusal else 200, here="/visits",
                             visit=shown(page, one), history=history[::-1], ask=page.query.get("ask", ""),
                             refusal=told(refusal) if refusal else None)


@pages.get("/visits/{visit_id}", roles=[PATIENT, *STAFF_ROLES])
async def one_visit(page: Page) -> Response[Any]:
    """Links in mails lead here, whoever reads them."""
    if PATIENT not in page.caller.roles:
        return page.redirect(f"/{'doctor' if DOCTOR in page.caller.roles else 'desk'}/visits/{page.id('visit_id')}")
    return await show_visit(page, page.id("visit_id"))


@pages.get("/visits/{visit_id}/calendar.ics", roles=[PATIENT, *STAFF_ROLES])
async def calendar_file(page: Page) -> Response[Any]:
    file = await page.ask(Appointments).calendar_file(page.caller, page.id("visit_id"))
    return Response(file.content, media_type="text/calendar", headers={
        "Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"})


@pages.post("/visits/{visit_id}/cancel", roles=[PATIENT])
async def cancel(page: Page) -> Response[Any]:
    visit_id = page.id("visit_id")
    try:
        done = await page.ask(Appointments).cancel(page.caller, visit_id, page.read(Why))
    except NotInThisState as refusal:
        return await show_visit(page, visit_id, refusal=refusal)
    day = page.language.day(page.local(done.starts_at).date(), page.today)
    return page.redirect("/visits", toast=page.language.gettext("The visit on %(day)s is cancelled.") % {"day": day})

"""Rooms and equipment: what there is, who has it on a day, and who and what takes part in a visit."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response
from msgspec import UNSET, Struct

from infirmary.contexts.appointments.contract import Appointment, Appointments, ParticipantKind
from infirmary.contexts.appointments.contract.participants import MOST_PARTICIPANTS
from infirmary.contexts.appointments.contract.resources import (
    AmendResource,
    Candidate,
    DepartmentSeesNobody,
    Resource,
    ResourceForm,
    ResourceNameTaken,
    SetParticipants,
)
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.language import ADMIN, DOCTOR
from infirmary.web import forms
from infirmary.web.menu import N_
from infirmary.web.obstacles import told_in_full
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told
from infirmary.web.typed import a_day, an_id

from . import doctor, visits
from .desk import ROLES, search

pages = Pages()
RESOURCES = "/admin/resources"
KINDS = {"room": (N_("Room"), "building-hospital"), "equipment": (N_("Equipment"), "server")}
GROUPS = {ParticipantKind.DOCTOR: N_("Further doctors"), ParticipantKind.ROOM: N_("Rooms"),
          ParticipantKind.EQUIPMENT: N_("Equipment")}


async def _departments(page: Page) -> dict[UUID, str]:
    return {one.id: one.name for one in (await page.ask(Staff).departments(page.caller, limit=100)).items}


# --- what there is ---------------------------------------------------------------------------------------------------


@pages.get("/admin/resources", roles=[ADMIN])
async def resources(page: Page) -> Response[Any]:
    found, departments = await asyncio.gather(
        page.ask(Appointments).resources(page.caller, cursor=page.query.get("cursor")), _departments(page))
    return await page.render(
        "admin/resources.html", here=RESOURCES, resources=found.items, departments=departments, kinds=KINDS,
        more=f"?cursor={found.next_cursor}" if found.next_cursor else "")


@pages.get("/admin/resources/new", roles=[ADMIN])
async def new(page: Page) -> Response[Any]:
    return await _show(page, None)


async def _show(page: Page, thing: Resource | None, *, values: dict[str, str] | None = None,
                errors: dict[str, str] | None = None, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    if values is None:
        values = {"name": thing.name, "department_id": str(thing.department_id or "")} if thing else {}
    return await page.render(
        "admin/resource.html", status=status, here=RESOURCES, thing=thing, values=values, errors=errors or {},
        refusal=refusal, kinds=[(key, page.language.gettext(words)) for key, (words, _) in KINDS.items()],
        departments=[("", page.language.gettext("the whole hospital")),
                     *((str(key), name) for key, name in (await _departments(page)).items())])


def _mend(page: Page) -> dict[str, str]:
    _ = page.language.gettext
    return {"name": _("Write a name."), "kind": _("Choose what it is.")}


def _taken(page: Page, refusal: Refusal) -> dict[str, str]:
    _ = page.language.gettext
    match refusal:
        case ResourceNameTaken():
            return {"name": _("There is one of this kind with this name already, perhaps a retired one.")}
        case DepartmentSeesNobody():
            return {"department_id": _("No doctor of this department takes visits. Choose another, or the whole hospital.")}
    return page.field_errors(refusal)


@pages.post("/admin/resources/new", roles=[ADMIN])
async def add(page: Page) -> Response[Any]:
    try:
        made = await page.ask(Appointments).add_resource(page.caller, forms.filled(page, ResourceForm, _mend(page)))
    except (Malformed, ResourceNameTaken, DepartmentSeesNobody) as refusal:
        return await _show(page, None, values=page.form, errors=_taken(page, refusal), status=refusal.status)
    return page.redirect(RESOURCES, toast=page.language.gettext("Visits can take %(name)s from now on.") % {"name": made.name})


@pages.get("/admin/resources/{resource_id}", roles=[ADMIN])
async def one_resource(page: Page) -> Response[Any]:
    return await _show(page, await page.ask(Appointments).resource(page.caller, page.id("resource_id")))


@pages.post("/admin/resources/{resource_id}", roles=[ADMIN])
async def amend(page: Page) -> Response[Any]:
    """Its name and department; or `active` alone, by the button that retires it or brings it back."""
    ask, thing_id, _ = page.ask(Appointments), page.id("resource_id"), page.language.gettext
    wish = page.form.get("active", "")
    try:
        name = page.form.get("name", "").strip()[:101]
        if not wish and not 0 < len(name) <= 100:
            raise Malformed(errors=[FieldError("name", _("Write a name."))])
        body = AmendResource(active=wish == "yes") if wish else AmendResource(
            name=name, department_id=an_id(page.form.get("department_id", "")))
        made = await ask.amend_resource(page.caller, thing_id, body, forms.version(page))
    except (Malformed, ResourceNameTaken, DepartmentSeesNobody) as refusal:
        return await _show(page, await ask.resource(page.caller, thing_id), values=page.form,
                           errors=_taken(page, refusal), status=refusal.status)
    except StaleVersion as refusal:
        return await _show(page, await ask.resource(page.caller, thing_id), status=refusal.status, refusal=Told(
            _("Somebody changed this a moment ago"), _("Nothing was done. This is how it reads now."), [], icon="versions"))
    text = (_("%(name)s is changed.") if body.active is UNSET else _("%(name)s can be booked again.") if made.active else
            _("%(name)s is retired. Visits that have it keep it."))
    return page.redirect(RESOURCES, toast=text % {"name": made.name})


# --- who has it ------------------------------------------------------------------------------------------------------


@pages.get("/desk/resources/{resource_id}", roles=ROLES)
async def day(page: Page) -> Response[Any]:
    ask, day = page.ask(Appointments), a_day(page.query.get("day", "")) or page.today
    thing, found = await asyncio.gather(ask.resource(page.caller, page.id("resource_id")),
                                        ask.resource_day(page.caller, page.id("resource_id"), day))
    at = f"/desk/resources/{thing.id}?day="
    return await page.render("desk/resource.html", here=visits.VISITS, search=search(page), thing=thing, visits=found, day=day,
                             before=f"{at}{day - timedelta(days=1)}", after=f"{at}{day + timedelta(days=1)}")


# --- who and what takes part -----------------------------------------------------------------------------------------


class Choice(Struct, frozen=True):
    """`chosen` stays choosable although it is taken: by this very visit."""

    id: UUID
    name: str
    where: str
    free: bool
    chosen: bool


@pages.get("/desk/visits/{visit_id}/participants", roles=ROLES)
@pages.get("/doctor/visits/{visit_id}/participants", roles=[DOCTOR])
async def participants(page: Page) -> Response[Any]:
    return await _choose(page)


async def _choose(page: Page, *, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    ask = page.ask(Appointments)
    visit = await ask.appointment(page.caller, page.id("visit_id"))
    found, departments = await asyncio.gather(
        ask.candidates(page.caller, from_=visit.starts_at, to=visit.ends_at), _departments(page))
    on = {one.id for one in visit.participants}
    chosen = {key for text in page.lists.get("participants", []) if (key := an_id(text))} if refusal else on
    base = _base(page)
    return await page.render(
        "desk/participants.html", status=status, here=visits.VISITS if base == "/desk" else doctor.TODAY,
        search=search(page) if base == "/desk" else None, base=base, visit=visit, refusal=refusal, groups=[
            (page.language.gettext(words), choices) for kind, words in GROUPS.items()
            if (choices := _choices(visit, kind, found, departments, on, chosen, colleagues=base == "/desk"))])


def _base(page: Page) -> str:
    return "/doctor" if page.path.startswith("/doctor/") else "/desk"


def _choices(visit: Appointment, kind: ParticipantKind, found: list[Candidate], departments: dict[UUID, str], on: set[UUID],
             chosen: set[UUID], *, colleagues: bool) -> list[Choice]:
    """What is on the visit, then what is free, near ones first; the time of colleagues is given by the desk."""
    fitting = [one for one in found if one.kind is kind and one.id != visit.doctor_id
               and (colleagues or one.id in on or kind is not ParticipantKind.DOCTOR)]
    fitting.sort(key=lambda one: (one.id not in on, not one.free, one.department_id not in (visit.department_id, None)))
    known = {one.id for one in fitting}
    return [*(Choice(one.id, one.name, "", free=True, chosen=one.id in chosen)   # retired meanwhile, and still here
              for one in visit.participants if one.kind is kind and one.id not in known),
            *(Choice(one.id, one.name, departments.get(one.department_id, "") if one.department_id else "",
                     free=one.free or one.id in on, chosen=one.id in chosen) for one in fitting)]


@pages.post("/desk/visits/{visit_id}/participants", roles=ROLES)
@pages.post("/doctor/visits/{visit_id}/participants", roles=[DOCTOR])
async def set_participants(page: Page) -> Response[Any]:
    _ = page.language.gettext
    chosen = [key for text in page.lists.get("participants", []) if (key := an_id(text))]
    try:
        if len(chosen) > MOST_PARTICIPANTS:
            raise Malformed(errors=[FieldError("participants", "Choose eight at most.")])
        one = await page.ask(Appointments).set_participants(
            page.caller, page.id("visit_id"), SetParticipants(participants=chosen), forms.version(page))
    except NotFound:
        raise
    except Malformed as refusal:
        return await _choose(page, status=refusal.status, refusal=Told(
            _("Eight can take part at most"), _("Nothing is changed. Leave some out."), [], icon="users"))
    except StaleVersion as refusal:
        return await _choose(page, status=refusal.status, refusal=Told(
            _("Somebody changed this visit while you looked at it"), _("Nothing of yours was done. Look at it as it is now."),
            [], icon="versions"))
    except Refusal as refusal:
        return await _choose(page, status=refusal.status, refusal=told_in_full(
            page, refusal, kept=_("Nothing is changed."), visits_at=f"{_base(page)}/visits", patient=_("The patient")))
    text = _("The visit of %(name)s has all that it takes.") % {"name": one.patient_name}
    return page.redirect(f"{_base(page)}/visits/{one.id}", toast=text)

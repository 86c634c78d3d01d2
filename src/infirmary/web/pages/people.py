"""Departments, doctors and other staff: lists, who joins, what is known of them, who leaves."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response
from msgspec import Struct, structs

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.staff.contract import (
    Department,
    DepartmentForm,
    DepartmentInUse,
    DoctorForm,
    NameTaken,
    NoSuchDepartment,
    Occupation,
    Staff,
    StaffForm,
)
from infirmary.kernel.errors import Malformed, Refusal, StaleVersion
from infirmary.language import ADMIN
from infirmary.web import forms
from infirmary.web.menu import N_
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE, Told, Way, told
from infirmary.web.typed import an_id

pages = Pages()


class Kind(Struct, frozen=True, kw_only=True):
    """Three kinds of things that are kept alike: where their pages are, their form, and what the contract calls it."""

    path: str
    id: str          # of the path parameter
    template: str
    form: Any
    fields: dict[str, str]   # and their labels
    get: Callable[[Staff], Callable[..., Any]]
    add: Callable[[Staff], Callable[..., Any]]
    replace: Callable[[Staff], Callable[..., Any]]
    end: Callable[[Staff], Callable[..., Any]]
    added: str
    changed: str
    ended: str
    next: str = ""   # where to go on after adding


DEPARTMENT = Kind(
    path="/admin/departments", id="department_id", template="admin/department.html", form=DepartmentForm,
    fields={"name": N_("Name"), "location": N_("Where"), "icon": N_("Picture"),
            "accepts_first": N_("Answers requests first")},
    get=lambda staff: staff.department, add=lambda staff: staff.open_department,
    replace=lambda staff: staff.replace_department, end=lambda staff: staff.close_department,
    added=N_("%(name)s is open. Engage doctors for it next."), changed=N_("%(name)s is changed."),
    ended=N_("%(name)s is closed."))
DOCTOR = Kind(
    path="/admin/doctors", id="doctor_id", template="admin/doctor.html", form=DoctorForm,
    fields={"given_name": N_("Given name"), "family_name": N_("Family name"), "specialty": N_("Specialty"),
            "department_id": N_("Department"), "room": N_("Room")},
    get=lambda staff: staff.doctor, add=lambda staff: staff.engage_doctor, replace=lambda staff: staff.replace_doctor,
    end=lambda staff: staff.retire_doctor, added=N_("%(name)s joins. Give them hours, and visits can be booked."),
    changed=N_("%(name)s is changed."), ended=N_("%(name)s has left. No more times are offered."), next="/hours")
MEMBER = Kind(
    path="/admin/staff", id="staff_id", template="admin/member.html", form=StaffForm,
    fields={"given_name": N_("Given name"), "family_name": N_("Family name"), "occupation": N_("Work"),
            "department_id": N_("Department")},
    get=lambda staff: staff.member, add=lambda staff: staff.engage, replace=lambda staff: staff.replace_member,
    end=lambda staff: staff.retire_member, added=N_("%(name)s joins. To sign in they need an account."),
    changed=N_("%(name)s is changed."), ended=N_("%(name)s has left."))


# --- lists -----------------------------------------------------------------------------------------------------------


@pages.get("/admin/departments", roles=[ADMIN])
async def departments(page: Page) -> Response[Any]:
    openings, found = await asyncio.gather(page.ask(Appointments).earliest(page.caller), _departments(page))
    doctors = {one.id: sum(other.department_id == one.id for other in openings) for one in found}
    return await page.render("admin/departments.html", here=DEPARTMENT.path, departments=found, doctors=doctors)


async def _departments(page: Page) -> list[Department]:
    return (await page.ask(Staff).departments(page.caller, limit=100)).items


@pages.get("/admin/doctors", roles=[ADMIN])
async def doctors(page: Page) -> Response[Any]:
    q, department_id = page.query.get("q", "").strip()[:100], an_id(page.query.get("department_id", ""))
    found, every, openings = await asyncio.gather(
        page.ask(Staff).doctors(page.caller, q=q, department_id=department_id, limit=50,
                                cursor=page.query.get("cursor")),
        _departments(page), page.ask(Appointments).earliest(page.caller))
    return await page.render(
        "admin/doctors.html", here=DOCTOR.path, doctors=found.items, q=q, department_id=department_id or "",
        more=_more(page, found.next_cursor), departments=_options(every, page.language.gettext("all departments")),
        next_free={one.doctor_id: page.local(one.next.starts_at) if one.next else None for one in openings})


@pages.get("/admin/staff", roles=[ADMIN])
async def members(page: Page) -> Response[Any]:
    asked, q = page.query.get("occupation", ""), page.query.get("q", "").strip()[:100]
    occupation = Occupation(asked) if asked in set(Occupation) else None
    found, every = await asyncio.gather(
        page.ask(Staff).members(page.caller, q=q, occupation=occupation, limit=50, cursor=page.query.get("cursor")),
        _departments(page))
    return await page.render(
        "admin/staff.html", here=MEMBER.path, members=found.items, q=q, occupation=asked, works=_works(page),
        more=_more(page, found.next_cursor), departments={one.id: one.name for one in every})


def _more(page: Page, cursor: str | None) -> str:
    return "?" + urlencode({**page.query, "cursor": cursor}) if cursor else ""


def _options(every: list[Department], none: str) -> list[tuple[str, str]]:
    return [("", none), *((str(one.id), one.name) for one in every)]


def _works(page: Page) -> list[tuple[str, str]]:
    _ = page.language.gettext
    words = {"nurse": _("Nurse"), "reception": _("Reception"), "pharmacist": _("Pharmacist"), "cashier": _("Cashier"),
             "admin": _("Administration"), "auditor": _("Auditor"), "other": _("Other")}
    return list(words.items())


# --- one of them -----------------------------------------------------------------------------------------------------


async def _show(page: Page, kind: Kind, thing: Any, *, values: dict[str, str] | None = None,
                errors: dict[str, str] | None = None, changed: list[tuple[str, str, str]] | None = None,
                refusal: Told | None = None, status: int = 200) -> Response[Any]:
    values = _values(thing) if values is None and thing is not None else dict(values or {})
    if changed is not None:
        values["version"] = str(thing.version)
    return await page.render(
        kind.template, status=status, here=kind.path, kind=kind, thing=thing, values=values, errors=errors or {},
        changed=changed, refusal=refusal, ask=page.query.get("ask", ""), works=_works(page),
        departments=_options(await _departments(page), page.language.gettext("Choose one") if kind is DOCTOR
                             else page.language.gettext("all of them")),
        standing=await _standing(page, thing.id) if kind is DOCTOR and thing is not None else 0)


async def _standing(page: Page, doctor_id: UUID) -> int:
    """Visits that stay booked when a doctor leaves."""
    found = await page.ask(Appointments).appointments(page.caller, doctor_id=doctor_id, from_=page.site.clock.now(),
                                                      limit=100)
    return sum(one.status in LIVE for one in found.items)


def _values(thing: Any) -> dict[str, str]:
    def text(value: Any) -> str:
        return ("yes" if value else "") if isinstance(value, bool) else "" if value is None else str(value)

    return {name: text(value) for name, value in structs.asdict(thing).items()}


def _typed(page: Page, kind: Kind) -> Any:
    _ = page.language.gettext
    mend = {"name": _("Write a name."), "given_name": _("Write the given name."),
            "family_name": _("Write the family name."), "specialty": _("Write the specialty, such as Cardiology."),
            "department_id": _("Choose a department."),
            "occupation": _("Choose the work."), "icon": _("Choose a picture.")}
    more = {"accepts_first": page.form.get("accepts_first") == "yes"} if kind is DEPARTMENT else {}
    return forms.filled(page, kind.form, mend, **more)


def _taken(page: Page, refusal: Refusal) -> dict[str, str]:
    _ = page.language.gettext
    match refusal:
        case NameTaken():
            return {"name": _("There is a department with this name already.")}
        case NoSuchDepartment():
            return {"department_id": _("This department is closed. Choose another.")}
    return page.field_errors(refusal)


async def _add(page: Page, kind: Kind) -> Response[Any]:
    try:
        made = await kind.add(page.ask(Staff))(page.caller, _typed(page, kind))
    except (Malformed, NameTaken, NoSuchDepartment) as refusal:
        return await _show(page, kind, None, values=page.form, errors=_taken(page, refusal), status=refusal.status)
    return page.redirect(f"{kind.path}/{made.id}{kind.next}" if kind.next else kind.path,
                         toast=page.language.gettext(kind.added) % {"name": made.name})


async def _save(page: Page, kind: Kind) -> Response[Any]:
    staff, thing_id = page.ask(Staff), page.id(kind.id)
    before = await kind.get(staff)(page.caller, thing_id)
    try:
        made = await kind.replace(staff)(page.caller, thing_id, _typed(page, kind), forms.version(page))
    except (Malformed, NameTaken, NoSuchDepartment) as refusal:
        return await _show(page, kind, before, values=page.form, errors=_taken(page, refusal), status=refusal.status)
    except StaleVersion:
        now = await kind.get(staff)(page.caller, thing_id)
        return await _show(page, kind, now, values=page.form, changed=await _differences(page, kind, now), status=412)
    return page.redirect(kind.path, toast=page.language.gettext(kind.changed) % {"name": made.name})


async def _differences(page: Page, kind: Kind, now: Any) -> list[tuple[str, str, str]]:
    there, names = _values(now), dict(_options(await _departments(page), "")) | dict(_works(page))
    return [(page.language.gettext(label), names.get(there[name], there[name]),
             names.get(page.form.get(name, ""), page.form.get(name, "")))
            for name, label in kind.fields.items() if there[name] != page.form.get(name, "").strip()]


async def _end(page: Page, kind: Kind) -> Response[Any]:
    _, staff, thing_id = page.language.gettext, page.ask(Staff), page.id(kind.id)
    try:
        gone = await kind.end(staff)(page.caller, thing_id, forms.version(page))
    except (DepartmentInUse, StaleVersion) as refusal:
        now = await kind.get(staff)(page.caller, thing_id)
        text = _("%(name)s stays open. Move them to another department first.") % {"name": now.name}
        said = Told(_("Doctors still belong here"), text, [
            Way(_("Its doctors"), f"/admin/doctors?department_id={thing_id}")], icon="stethoscope") \
            if isinstance(refusal, DepartmentInUse) else \
            Told(_("Somebody changed this a moment ago"), _("Nothing was done. This is how it reads now."), [],
                 icon="versions")
        return await _show(page, kind, now, refusal=said, status=refusal.status)
    except Refusal as refusal:
        now = await kind.get(staff)(page.caller, thing_id)
        return await _show(page, kind, now, refusal=told(refusal), status=refusal.status)
    return page.redirect(kind.path, toast=_(kind.ended) % {"name": gone.name})


def _pages_for(kind: Kind) -> None:
    """New, one, save and end: the same four for each kind."""

    async def new(page: Page) -> Response[Any]:
        return await _show(page, kind, None, values=page.query)

    async def add(page: Page) -> Response[Any]:
        return await _add(page, kind)

    async def one(page: Page) -> Response[Any]:
        return await _show(page, kind, await kind.get(page.ask(Staff))(page.caller, page.id(kind.id)))

    async def save(page: Page) -> Response[Any]:
        return await _save(page, kind)

    async def end(page: Page) -> Response[Any]:
        return await _end(page, kind)

    one_path = f"{kind.path}/{{{kind.id}}}"
    pages.get(f"{kind.path}/new", roles=[ADMIN])(new)
    pages.post(kind.path, roles=[ADMIN])(add)
    pages.get(one_path, roles=[ADMIN])(one)
    pages.post(one_path, roles=[ADMIN])(save)
    pages.post(f"{one_path}/end", roles=[ADMIN])(end)


for _kind in (DEPARTMENT, DOCTOR, MEMBER):
    _pages_for(_kind)

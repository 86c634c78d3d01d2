"""The front desk: find a patient by typing, see who they are and what they come for, check them in."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from litestar import Response
from markupsafe import Markup
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Appointments, Status
from infirmary.contexts.patients.contract import Patient, Patients
from infirmary.kernel.errors import NotFound
from infirmary.language import ADMIN, NURSE, RECEPTION
from infirmary.web import deeds
from infirmary.web.found import fragments, marked, marked_digits, number
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE
from infirmary.web.typed import an_id

pages = Pages()
DESK = "/desk"
ROLES = (RECEPTION, NURSE, ADMIN)
FOUND = 8          # patients shown while typing
ARRIVALS = 12
STILL_COMING = timedelta(hours=2)   # how long somebody booked who has not come stays among the arrivals


def search(page: Page) -> dict[str, str]:
    """The field in the top bar, on pages that do not search themselves."""
    return {"href": DESK, "placeholder": page.language.gettext("Find a patient")}


class Row(Struct, frozen=True):
    """A patient found, with what was searched for marked, and their next visit of today."""

    patient: Patient
    name: Markup
    number: Markup
    born: Markup
    phone: Markup
    visit: Appointment | None


class Arrival(Struct, frozen=True):
    visit: Appointment
    late: int


@pages.get("/desk", roles=ROLES)
async def desk(page: Page) -> Response[Any]:
    q, chosen = page.query.get("q", "").strip()[:100], an_id(page.query.get("patient", ""))
    rows, arrivals, person = await asyncio.gather(find(page, q), _arrivals(page), _person(page, chosen))
    return await page.render("desk/desk.html", here=DESK, q=q, rows=rows, chosen=chosen, person=person, **arrivals)


@pages.get("/desk/find", roles=ROLES)
async def found(page: Page) -> Response[Any]:
    """The list alone, while somebody types."""
    q = page.query.get("q", "").strip()[:100]
    return await page.render("desk/_found.html", q=q, rows=await find(page, q), chosen=None)


async def find(page: Page, q: str) -> list[Row] | None:
    """None where nothing was asked."""
    if not q:
        return None
    patients = (await page.ask(Patients).search(page.caller, q=q, limit=FOUND)).items
    today = await asyncio.gather(*(_today(page, one.id) for one in patients))
    wanted = fragments(q)
    return [Row(one, marked(f"{one.family_name}, {one.given_name}", wanted), marked_digits(number(one.number), wanted),
                marked_digits(page.language.full_day(one.birth_date), wanted), marked_digits(one.phone or "–", wanted),
                next_of(visits)) for one, visits in zip(patients, today, strict=True)]


async def _today(page: Page, patient_id: UUID) -> Sequence[Appointment]:
    found = await page.ask(Appointments).appointments(page.caller, patient_id=patient_id, day=page.today, limit=20)
    return found.items


def next_of(visits: Sequence[Appointment]) -> Appointment | None:
    """The one somebody at the desk means: the first that is not over, or else the last."""
    return next((one for one in visits if one.status in LIVE), visits[-1] if visits else None)


@pages.get("/desk/arrivals", roles=ROLES, background=True)
async def arrivals(page: Page) -> Response[Any]:
    return await page.render("desk/_arrivals.html", **await _arrivals(page))


async def _arrivals(page: Page) -> dict[str, Any]:
    arrivals, overlapping = await asyncio.gather(coming(page), page.ask(Appointments).overlapping(page.caller))
    return {"arrivals": arrivals, "overlapping": len(overlapping)}


async def coming(page: Page) -> list[Arrival]:
    """Who is expected in all departments for the rest of the day, and who waits."""
    tonight = datetime.combine(page.today + timedelta(days=1), time(), page.settings.hospital.tz)
    ask = page.ask(Appointments).appointments
    booked, waiting = await asyncio.gather(
        ask(page.caller, from_=page.now - STILL_COMING, to=tonight, status=Status.BOOKED, limit=ARRIVALS),
        ask(page.caller, day=page.today, status=Status.CHECKED_IN, limit=ARRIVALS))
    rows = [Arrival(one, max(0, int((page.now - one.starts_at).total_seconds()) // 60)
                    if one.status is Status.BOOKED else 0) for one in [*booked.items, *waiting.items]]
    return sorted(rows, key=lambda row: row.visit.starts_at)[:ARRIVALS]


async def _person(page: Page, patient_id: UUID | None) -> dict[str, Any] | None:
    """All that the right side shows of one patient."""
    if patient_id is None:
        return None
    try:
        patient = await page.ask(Patients).patient(page.caller, patient_id)
    except NotFound:
        return None
    ask = page.ask(Appointments).appointments
    midnight = datetime.combine(page.today, time(), page.settings.hospital.tz)
    since, past = await asyncio.gather(
        ask(page.caller, patient_id=patient_id, from_=midnight, limit=20),
        ask(page.caller, patient_id=patient_id, to=midnight, newest_first=True, limit=5))
    today = [one for one in since.items if page.local(one.starts_at).date() == page.today]
    visit = next_of(today)
    ahead = await ask(page.caller, doctor_id=visit.doctor_id, day=page.today, status=Status.CHECKED_IN, limit=20) \
        if visit and visit.status is Status.BOOKED else None
    return {"patient": patient, "visit": visit, "deeds": deeds.open_to(page, visit) if visit else [],
            "waiting": len(ahead.items) if ahead else None,
            "others": [one for one in since.items if one is not visit], "past": past.items}

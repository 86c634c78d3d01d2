"""Booking and moving by staff: who, when, done, by keyboard alone. A doctor books own visits, the desk everybody's."""
from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import (
    Appointment,
    Appointments,
    BookAppointment,
    Mode,
    NotInThisState,
    ObstacleCode,
    Opening,
    Overbooking,
    RescheduleAppointment,
    Slot,
    TimeIsTaken,
)
from infirmary.contexts.appointments.contract.participants import MOST_PARTICIPANTS
from infirmary.contexts.patients.contract import Patient, Patients
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.kernel.request import changed
from infirmary.language import DOCTOR
from infirmary.web import deeds, forms
from infirmary.web.obstacles import told_in_full
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE, OVERBOOKING, Told, alternatives, slot_of, slot_value
from infirmary.web.typed import a_day, an_id, monday, plain, typed_clock

from . import diary, doctor, visits
from .desk import ROLES

pages = Pages()
DAYS = 14
OFFERED = 4   # other times beside a refusal


class Time(Struct, frozen=True):
    value: str
    at: datetime


class DayOf(Struct, frozen=True):
    date: date
    href: str
    free: int


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be booked or moved, and from where: `path` is this page, `base` its part of the site."""

    base: str
    path: str
    here: str
    patient_id: UUID
    patient_name: str
    visit: Appointment | None   # the one that is moved
    own_doctor: UUID | None     # a doctor books only for themselves


async def _wish(page: Page) -> Wish:
    as_doctor = page.path.startswith("/doctor/")
    base, here = ("/doctor", doctor.TODAY) if as_doctor else ("/desk", "/desk")
    own = doctor.own_id(page.caller) if as_doctor else None
    if "visit_id" in page.request.path_params:
        visit = await page.ask(Appointments).appointment(page.caller, page.id("visit_id"))
        return Wish(base=base, path=f"{base}/visits/{visit.id}/move", here=here, patient_id=visit.patient_id,
                    patient_name=visit.patient_name, visit=visit, own_doctor=own)
    patient_id = an_id(page.form.get("patient_id") or page.query.get("patient_id", ""))
    if patient_id is None:
        raise NotFound
    card = await page.ask(Patients).card(page.caller, patient_id)
    return Wish(base=base, path=f"{base}/book", here=here, patient_id=patient_id, patient_name=card.name, visit=None,
                own_doctor=own)


@pages.get("/desk/book", roles=ROLES)
@pages.get("/doctor/book", roles=[DOCTOR])
async def book_form(page: Page) -> Response[Any]:
    if an_id(page.query.get("patient_id", "")) is None:
        return await _whom(page)
    return await _show(page, await _wish(page))


async def _whom(page: Page) -> Response[Any]:
    """A free time was chosen first: now for which patient."""
    if page.path.startswith("/desk/"):
        return page.redirect("/desk")
    q = page.query.get("q", "").strip()[:100]
    found = (await page.ask(Patients).search(page.caller, q=q, limit=12)).items
    kept = {name: page.query[name] for name in ("day", "time") if page.query.get(name)}
    return await page.render("doctor/book_whom.html", here=doctor.TODAY, q=q, kept=kept, patients=[
        (one, "/doctor/book?" + urlencode({**kept, "patient_id": one.id})) for one in found])


@pages.get("/desk/visits/{visit_id}/move", roles=ROLES)
@pages.get("/doctor/visits/{visit_id}/move", roles=[DOCTOR])
async def move_form(page: Page) -> Response[Any]:
    return await _show(page, await _wish(page))


async def _show(page: Page, wish: Wish, *, values: dict[str, str] | None = None, errors: dict[str, str] | None = None,
                refusal: Told | None = None, offered: list[Time] | None = None, overbooking: bool = False,
                status: int = 200) -> Response[Any]:
    """Doctors on one side, the chosen one's fortnight on the other."""
    asked = {**page.query, **(values or {})}
    q = asked.get("q", "").strip()[:60]
    openings, patient = await asyncio.gather(_openings(page, wish), _patient(page, wish))
    chosen = wish.own_doctor or (an_id(asked["doctor_id"]) if "doctor_id" in asked else
                                 wish.visit.doctor_id if wish.visit else None)
    who = next((one for one in openings if one.doctor_id == chosen), None)

    also = _also(page, wish)
    kept = {name: value for name, value in (("also", "" if wish.visit else ",".join(map(str, also))), ("visit", str(an_id(asked.get("visit", "")) or "")),
                                            ("back", forms.own(asked.get("back", "")))) if value}

    def address(**changes: Any) -> str:
        whose: dict[str, Any] = {} if wish.visit else {"patient_id": wish.patient_id}
        if asked.get("doctor_id"):
            whose["doctor_id"] = asked["doctor_id"]
        return wish.path + "?" + urlencode({**whose, **kept, **changes})

    when = await _fortnight(page, wish, asked, who, address, also) if who else {}
    return await page.render(
        "desk/book.html", status=status, here=wish.here, wish=wish, patient=patient, q=q, who=who, refusal=refusal,
        offered=offered or [], overbooking=OVERBOOKING if overbooking else {}, values=values or _first_values(asked, when),
        kept=kept, errors=errors or {}, address=address, needed=await _needed(page, wish, who, openings, also),
        openings=[(one, address(doctor_id=one.doctor_id, q=q) if q else address(doctor_id=one.doctor_id))
                  for one in openings if _fits(one, q)], key=str(uuid4()), **when)


async def _openings(page: Page, wish: Wish) -> list[Opening]:
    """The desk is not offered what the patient cannot take; a doctor may not look at their whole diary."""
    ask = page.ask(Appointments)
    return await (ask.earliest(page.caller) if wish.own_doctor else ask.earliest_for(page.caller, wish.patient_id))


def _first_values(asked: dict[str, str], when: dict[str, Any]) -> dict[str, str]:
    """A time that came in the address is chosen if it is offered, else it is typed already."""
    wanted = typed_clock(asked.get("time", ""))
    times = [one for one in when.get("times", []) if one.at.strftime("%H:%M") == wanted]
    if wanted and not times:
        return {"time": wanted}
    return {"slot": times[0].value} if times else {}


def _fits(one: Opening, q: str) -> bool:
    said = plain(f"{one.doctor_name} {one.specialty} {one.department_name}")
    return all(word in said for word in plain(q).split())


async def _patient(page: Page, wish: Wish) -> Patient | None:
    try:
        return await page.ask(Patients).patient(page.caller, wish.patient_id)
    except NotFound:
        return None


def _also(page: Page, wish: Wish) -> list[UUID]:
    """Who and what is to take part: as chosen, or as it is on the visit that is moved."""
    return [one.id for one in wish.visit.participants] if wish.visit else asked_along(page)


def asked_along(page: Page) -> list[UUID]:
    """Who and what was ticked on a page, or goes along in its form."""
    given = [*page.request.query_params.getall("also", []), page.form.get("also", "")]
    ids = [key for text in ",".join(given).split(",") if (key := an_id(text))]
    return list(dict.fromkeys(ids))[:MOST_PARTICIPANTS]


async def _needed(page: Page, wish: Wish, who: Opening | None, openings: list[Opening], also: list[UUID],
                  ) -> list[tuple[UUID, str, bool]]:
    """What a new visit can be given besides its doctor, near ones first; colleagues by the desk alone."""
    if who is None or wish.visit:
        return []
    colleagues = [] if wish.own_doctor else [(one.doctor_id, one.doctor_name) for one in openings
                                             if one.doctor_id != who.doctor_id]
    return await to_ask_along(page, colleagues, also, near=who.department_id)


async def to_ask_along(page: Page, colleagues: Iterable[tuple[UUID, str]], also: list[UUID], near: UUID | None = None,
                       ) -> list[tuple[UUID, str, bool]]:
    """What a visit can be given, by id and name, and whether it is ticked; things of the department first."""
    things = (await page.ask(Appointments).resources(page.caller, active=True)).items
    things.sort(key=lambda one: one.department_id not in (near, None))
    return [(key, name, key in also) for key, name in (*((one.id, one.name) for one in things), *colleagues)]


async def _fortnight(page: Page, wish: Wish, asked: dict[str, str], who: Opening, address: Any, also: list[UUID],
                     ) -> dict[str, Any]:
    """The chosen day with its free times, and the days around it; free for all who take part."""
    since = a_day(asked.get("from", ""))
    soonest = max(page.local(who.next.starts_at).date() if who.next else page.today, since or page.today)
    later = int(asked["in"]) if asked.get("in", "").isdecimal() and len(asked["in"]) < 4 else None
    wanted = a_day(asked.get("day", "")) or (page.today + timedelta(days=later) if later is not None else soonest)
    first = monday(since or wanted)
    start = datetime.combine(first, time(), page.settings.hospital.tz)
    ask = page.ask(Appointments)
    offered = partial(ask.slots, page.caller) if wish.own_doctor else partial(ask.slots_for, page.caller, wish.patient_id)
    slots = (await offered(from_=start, to=start + timedelta(days=DAYS), doctor_id=who.doctor_id,
                           with_=",".join(map(str, also)))).items
    by_day: dict[date, list[Slot]] = {}
    for slot in slots:
        by_day.setdefault(page.local(slot.starts_at).date(), []).append(slot)
    if not asked.get("day") and wanted not in by_day:   # nobody chose this very day
        wanted = min((day for day in by_day if day >= wanted), default=wanted)
    before = max(monday(page.today), first - timedelta(days=DAYS))
    return {"day": wanted, "minutes": who.visit_minutes,
            "times": [Time(slot_value(one.doctor_id, one.starts_at), page.local(one.starts_at))
                      for one in by_day.get(wanted, [])],
            "days": [DayOf(day, address(day=day, **{"from": first}), len(by_day.get(day, [])))
                     for day in (first + timedelta(days=n) for n in range(DAYS))],
            "earlier": address(**{"from": before}) if first > page.today else "",
            "later": address(**{"from": first + timedelta(days=DAYS)})}


# --- doing it --------------------------------------------------------------------------------------------------------


def _chosen(page: Page, wish: Wish) -> tuple[UUID, datetime, int | None]:
    """The doctor, the instant, and the length where it is not the usual."""
    doctor_id, at, minutes = _asked(page, wish)
    if not 1900 < at.year < 2900:   # there is no calendar around it
        raise Malformed(errors=[FieldError("slot", page.language.gettext("Choose a time."))])
    return doctor_id, at, minutes


def _asked(page: Page, wish: Wish) -> tuple[UUID, datetime, int | None]:
    """A time offered, a wall time that was dragged to, a typed one, or a slot."""
    _, form = page.language.gettext, {**page.query, **page.form}
    if (offered := slot_of(form.get("instead", ""))) is not None:
        return *offered, _minutes(page, form)
    if wish.visit is not None and "starts_at" in form:
        return wish.visit.doctor_id, _wall_time(page, form["starts_at"]), None
    doctor_id, text = an_id(form.get("doctor_id", "")), form.get("time", "").strip()
    if text and doctor_id is not None:
        clock, day = typed_clock(text), a_day(form.get("day", ""))
        if clock is None or day is None or clock == "24:00":
            raise Malformed(errors=[FieldError("time", _("Write a time such as 9:20."))])
        at = datetime.combine(day, time.fromisoformat(clock), page.settings.hospital.tz)
        return doctor_id, at, _minutes(page, form)
    if (slot := slot_of(form.get("slot", ""))) is not None:
        return *slot, None
    raise Malformed(errors=[FieldError("slot", _("Choose a time."))])


def _overbook(page: Page) -> Overbooking | None:
    text = page.form.get("overbook", "")
    return Overbooking(text) if text in set(Overbooking) else None


def _minutes(page: Page, form: dict[str, str]) -> int | None:
    text = form.get("minutes", "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 5 <= int(text[:4]) <= 480 or int(text[:4]) % 5:
        raise Malformed(errors=[FieldError("minutes", page.language.gettext("Between 5 and 480, in steps of five."))])
    return int(text)


@pages.post("/desk/book", roles=ROLES)
@pages.post("/doctor/book", roles=[DOCTOR])
async def book(page: Page) -> Response[Any]:
    wish = await _wish(page)
    try:
        doctor_id, at, minutes = _chosen(page, wish)
        with changed(key=page.form.get("key", "")[:64]):   # the form sent twice is one visit
            made = await page.ask(Appointments).book(page.caller, BookAppointment(
                patient_id=wish.patient_id, doctor_id=doctor_id, starts_at=at, minutes=minutes,
                reason=page.form.get("reason", "").strip()[:500], overbook=_overbook(page),
                participants=_also(page, wish) or None,
                mode=Mode.VIDEO if page.form.get("mode") == "video" else Mode.IN_PERSON))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _refused(page, wish, refusal)
    local = page.local(made.starts_at)
    back = f"/doctor/visits/{page.form['visit']}" if wish.own_doctor and an_id(page.form.get("visit", "")) else \
        f"/doctor/visits/{made.id}" if wish.own_doctor else f"/desk?patient={wish.patient_id}"
    text = page.language.gettext("%(name)s is booked for %(day)s, %(time)s with %(doctor)s.") % {
        "name": made.patient_name, "day": page.language.day(local.date(), page.today),
        "time": page.language.time(local), "doctor": made.doctor_name}
    return page.redirect(forms.back(page, back), toast=text, undo=f"{wish.base}/visits/{made.id}/cancel")


@pages.post("/desk/visits/{visit_id}/move", roles=ROLES)
@pages.post("/doctor/visits/{visit_id}/move", roles=[DOCTOR])
async def move(page: Page) -> Response[Any]:
    """From the form, from the diary (`starts_at` is wall time), or back again by the undo button of a toast."""
    wish, version = await _wish(page), page.form.get("version", "")
    before = wish.visit
    assert before is not None
    try:
        doctor_id, at, minutes = _chosen(page, wish)
        moved = await page.ask(Appointments).reschedule(
            page.caller, before.id, RescheduleAppointment(
                starts_at=at, doctor_id=doctor_id if doctor_id != before.doctor_id else None, minutes=minutes,
                reason=page.form.get("reason", "").strip()[:500], overbook=_overbook(page)),
            if_match=int(version) if version.isdecimal() and len(version) < 18 else None)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _refused(page, wish, refusal)
    local = page.local(moved.starts_at)
    text = page.language.gettext("The visit of %(name)s is moved to %(day)s, %(time)s.") % {
        "name": moved.patient_name, "day": page.language.day(local.date(), page.today),
        "time": page.language.time(local)}
    dragged = "starts_at" in page.form and page.from_htmx
    undo = f"{wish.path}?" + urlencode({
        "instead": slot_value(before.doctor_id, before.starts_at),
        **({"back": f"{diary.whose(page, before.doctor_id).at}?date={local.date()}"} if dragged else {})})
    if dragged:
        return diary.moved(page, text, undo)
    return page.redirect(forms.back(page, f"{wish.base}/visits/{moved.id}"), toast=text, undo=undo)


def _wall_time(page: Page, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=page.settings.hospital.tz)
    except ValueError:
        raise Malformed(errors=[FieldError("starts_at", page.language.gettext("Choose a day and a time."))]) from None


# --- refused ---------------------------------------------------------------------------------------------------------


async def _refused(page: Page, wish: Wish, refusal: Refusal) -> Response[Any]:
    """What was typed stays, what happened is said, and the nearest free times are buttons that take them."""
    if wish.visit and isinstance(refusal, NotInThisState | StaleVersion):
        show = doctor.show_visit if wish.own_doctor else visits.show_visit
        if not page.from_htmx:
            return await show(page, refusal=refusal)
    if not wish.visit and isinstance(refusal, TimeIsTaken) and (same := await _booked_already(page, wish)):
        return page.redirect(f"{wish.base}/visits/{same.id}",
                             toast=page.language.gettext("This visit was booked already."))
    offered = [Time(slot_value(who, at), page.local(at)) for who, at in alternatives(refusal)[:OFFERED]]
    if page.from_htmx:
        return await page.render("desk/_refused.html", status=refusal.status, offered=offered,
                                 refusal=await _said(page, wish, refusal) or Told(refusal.detail, "", []))
    errors = page.field_errors(refusal)
    return await _show(page, wish, values=page.form, errors=errors, offered=offered, status=refusal.status,
                       refusal=await _said(page, wish, refusal), overbooking=await _may_overbook(page, wish, refusal))


async def _may_overbook(page: Page, wish: Wish, refusal: Refusal) -> bool:
    """Whether the visit could be put over what is in the way."""
    found = {one["code"] for one in refusal.extra.get("conflicts", [])}
    if not found or found - {ObstacleCode.DOCTOR_TAKEN, ObstacleCode.TIME_HELD, ObstacleCode.DAY_FULL}:
        return False
    return (await page.ask(Staff).hours(page.caller, _chosen(page, wish)[0])).overbook > 0


async def _booked_already(page: Page, wish: Wish) -> Appointment | None:
    doctor_id, at, _ = _chosen(page, wish)
    found = await page.ask(Appointments).appointments(page.caller, patient_id=wish.patient_id, from_=at,
                                                      to=at + timedelta(minutes=1), limit=5)
    return next((one for one in found.items
                 if one.doctor_id == doctor_id and one.starts_at == at and one.status in LIVE), None)


async def _said(page: Page, wish: Wish, refusal: Refusal) -> Told | None:
    _ = page.language.gettext
    match refusal:
        case Malformed():
            return None
        case StaleVersion() | NotInThisState() if wish.visit:
            return await deeds.why_not(page, refusal, wish.visit)
    kept = _("The visit stays where it is.") if wish.visit else _("Nothing was booked.")
    return told_in_full(page, refusal, kept=kept, visits_at=f"{wish.base}/visits", patient=wish.patient_name)

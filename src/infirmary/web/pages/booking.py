"""Booking in three steps, each an address of its own: who, when, confirm. Moving a visit is the middle step again."""
from __future__ import annotations

import contextlib
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import (
    Appointments,
    BookAppointment,
    Held,
    HoldSlot,
    Mode,
    NotInThisState,
    Opening,
    RescheduleAppointment,
    Slot,
)
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.errors import NotFound, Refusal
from infirmary.kernel.request import changed
from infirmary.language import PATIENT
from infirmary.web import whom
from infirmary.web.obstacles import told_in_full
from infirmary.web.page import Page, Pages
from infirmary.web.shown import (
    Told,
    Way,
    alternatives,
    department_choices,
    doctor_choice,
    initials,
    slot_of,
    slot_value,
)
from infirmary.web.typed import a_day, an_id

from .patient import show_visit, shown

pages = Pages()
DAYS = 14   # shown at once
FULL_BAR = 300   # seconds of a hold


class SlotChoice(Struct, frozen=True):
    value: str
    at: datetime
    note: str


class DayChoice(Struct, frozen=True):
    date: date
    href: str
    free: int
    state: str


@pages.get("/book", roles=[PATIENT])
async def who(page: Page) -> Response[Any]:
    zone, q = page.settings.hospital.tz, page.query.get("q", "").strip()[:100]
    openings = await page.ask(Appointments).earliest_for(page.caller, page.patient_id)
    icons = {one.id: one.icon for one in (await page.ask(Staff).departments(page.caller)).items}
    chosen = an_id(page.query.get("department", ""))
    if chosen is not None and (doctors := [one for one in openings if one.department_id == chosen]):
        department = {"name": doctors[0].department_name, "doctors": len(doctors),
                      "next_at": page.local(doctors[0].next.starts_at) if doctors[0].next else None,
                      "href": "/book/when?" + urlencode({"department": chosen})}
        return await page.render("book_who.html", back="/book", q="", seen=[], departments=[], department=department,
                                 doctors=[doctor_choice(one, zone) for one in doctors])
    found = [one for one in openings if _mentions(one, q)] if q else []
    departments = department_choices(openings if not q else [one for one in openings if _in(q, one.department_name)],
                                     icons, zone)
    past = await page.ask(Appointments).appointments(page.caller, patient_id=page.patient_id, to=page.site.clock.now(),
                                                     newest_first=True, limit=25)
    known = list(dict.fromkeys(one.doctor_id for one in past.items))[:3]
    seen = [doctor_choice(one, zone) for wanted in known for one in openings if one.doctor_id == wanted]
    return await page.render("book_who.html", back="/home", q=q, seen=seen, departments=departments,
                             doctors=[doctor_choice(one, zone) for one in found])


def _mentions(one: Opening, q: str) -> bool:
    return _in(q, f"{one.doctor_name} {one.specialty} {one.department_name}")


def _in(q: str, text: str) -> bool:
    return all(word in text.casefold() for word in q.casefold().split())


@pages.get("/book/when", roles=[PATIENT])
async def when(page: Page) -> Response[Any]:
    return await _times(page, doctor_id=an_id(page.query.get("doctor", "")),
                        department_id=an_id(page.query.get("department", "")))


async def _times(page: Page, *, doctor_id: UUID | None, department_id: UUID | None, day: date | None = None,
                 moving: Any = None, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    """The free times, a fortnight at a time; the day chosen, else the first with something free."""
    openings = [one for one in await page.ask(Appointments).earliest_for(page.caller, page.patient_id)
                if one.doctor_id == doctor_id or (doctor_id is None and one.department_id == department_id)]
    if not openings:
        raise NotFound
    soonest = openings[0].next
    wanted = day or a_day(page.query.get("day", "")) or (page.local(soonest.starts_at).date() if soonest else page.today)
    first = max(a_day(page.query.get("from", "")) or min(wanted, page.today + timedelta(days=DAYS * 2)), page.today)
    first = max(page.today, wanted - timedelta(days=3)) if not page.query.get("from") else first
    start = datetime(first.year, first.month, first.day, tzinfo=page.settings.hospital.tz)
    about = {"doctor_id": doctor_id} if doctor_id else {"department_id": department_id}
    slots = (await page.ask(Appointments).slots_for(page.caller, page.patient_id, from_=start,
                                                    to=start + timedelta(days=DAYS),
                                                    with_=moving["with_"] if moving else "", **about)).items
    by_day: dict[date, list[Slot]] = {}
    for slot in slots:
        by_day.setdefault(page.local(slot.starts_at).date(), []).append(slot)

    def address(**changes: Any) -> str:
        asked = {"doctor": doctor_id} if doctor_id else {"department": department_id}
        if moving:
            asked = {}
        base = page.path if moving else "/book/when"
        return base + "?" + urlencode({**asked, **changes})

    days = [DayChoice(day, address(day=day, **({"from": page.query["from"]} if "from" in page.query else {})),
                      len(by_day.get(day, ())), "free" if by_day.get(day) else "closed" if day.weekday() > 4 else "full")
            for day in (first + timedelta(days=n) for n in range(DAYS))]
    names = {one.doctor_id: one.doctor_name for one in openings}
    one = openings[0]
    return await page.render(
        "book_when.html", status=status, refusal=refusal, moving=moving,
        back=f"/visits/{moving['id']}" if moving else f"/book?department={one.department_id}" if doctor_id else "/book",
        who={"name": one.doctor_name, "sub": f"{one.specialty} · {_minutes(page, one.visit_minutes)}",
             "initials": initials(one.doctor_name)} if doctor_id else
            {"name": one.department_name, "sub": page.language.gettext("Whoever is free first"), "icon": "clock"},
        day=wanted, days=days, groups=_groups(page, by_day.get(wanted, []), names, several=doctor_id is None),
        earliest=page.local(soonest.starts_at) if soonest else None,
        waitlist_href="/waitlist/join?" + urlencode({"doctor": doctor_id} if doctor_id else {"department": department_id}),
        earlier_href=address(**{"from": max(page.today, first - timedelta(days=DAYS))}) if first > page.today else "",
        later_href=address(**{"from": first + timedelta(days=DAYS), "day": first + timedelta(days=DAYS)}),
        next_free=_next_free(page, by_day, wanted, soonest, address))


def _next_free(page: Page, by_day: dict[date, list[Slot]], wanted: date, soonest: Slot | None, address: Any) -> Any:
    later = min((day for day in by_day if day >= wanted), default=None)
    slot = by_day[later][0] if later else soonest
    if slot is None:
        return None
    at = page.local(slot.starts_at)
    return {"at": at, "href": address(day=at.date())}


def _minutes(page: Page, minutes: int) -> str:
    return page.language.gettext("%(n)s minutes") % {"n": minutes}


def _groups(page: Page, slots: list[Slot], names: dict[UUID, str], *, several: bool) -> list[dict[str, Any]]:
    _ = page.language.gettext
    parts: dict[str, list[SlotChoice]] = {_("Morning"): [], _("Afternoon"): [], _("Evening"): []}
    for slot in slots:
        at = page.local(slot.starts_at)
        part = _("Morning") if at.hour < 12 else _("Afternoon") if at.hour < 17 else _("Evening")
        parts[part].append(SlotChoice(slot_value(slot.doctor_id, slot.starts_at), at,
                                      names.get(slot.doctor_id, "") if several else ""))
    return [{"name": name, "slots": chosen} for name, chosen in parts.items()]


@pages.post("/book/hold", roles=[PATIENT])
async def hold(page: Page) -> Response[Any]:
    """Choosing a time keeps it while the patient reads on."""
    value = page.form.get("instead") or page.form.get("slot", "")
    slot = slot_of(value)
    if slot is None:
        raise NotFound
    if "repeat" in page.form:
        return page.redirect("/book/series?" + urlencode({"slot": value}))
    try:
        held = await page.ask(Appointments).hold(page.caller, HoldSlot(
            patient_id=page.patient_id, doctor_id=slot[0], starts_at=slot[1]))
    except Refusal as refusal:
        why = _why_not(page, refusal, _others(page, refusal))
        return await _times(page, doctor_id=slot[0], department_id=None, day=page.local(slot[1]).date(), refusal=why,
                            status=refusal.status)
    if any(_typed(page).values()):   # what was typed does not go into an address
        return await _confirmation(page, value, key=str(uuid4()), held=held, values=_typed(page))
    return page.redirect("/book/confirm?" + urlencode({"slot": value, "hold": held.hold_id}))


@pages.get("/book/confirm", roles=[PATIENT])
async def confirm(page: Page) -> Response[Any]:
    hold_id, held = an_id(page.query.get("hold", "")), None
    if hold_id is not None:
        with contextlib.suppress(NotFound):
            held = await page.ask(Appointments).held(page.caller, hold_id)
            whom.about(page, held.patient_id)
    return await _confirmation(page, page.query.get("slot", ""), key=str(uuid4()), held=held,
                               hold_over=hold_id is not None and held is None)


async def _confirmation(page: Page, value: str, *, key: str, held: Held | None = None, hold_over: bool = False,
                        status: int = 200, refusal: Told | None = None, values: dict[str, str] | None = None,
                        ) -> Response[Any]:
    slot = slot_of(value)
    if held is not None and slot != (held.doctor_id, held.starts_at):
        raise NotFound
    opening = next((one for one in await page.ask(Appointments).earliest_for(page.caller, page.patient_id)
                    if slot and one.doctor_id == slot[0]), None)
    if slot is None or opening is None:
        raise NotFound
    at, now = page.local(slot[1]), page.site.clock.now()
    left = int((held.expires_at - now).total_seconds()) if held else 0
    running = held and {"id": held.hold_id, "until": page.local(held.expires_at), "left": left, "of": max(left, FULL_BAR)}
    room = (await page.ask(Staff).doctor(page.caller, slot[0])).room
    return await page.render(
        "book_confirm.html", status=status, slot=value, key=key, refusal=refusal, values=values or {}, hold=running,
        hold_over=hold_over, video=opening.video,
        back="/book/when?" + urlencode({"doctor": slot[0], "day": at.date()}), needs_answer=opening.accepts_first,
        visit={"starts_at": at, "minutes": opening.visit_minutes, "doctor": opening.doctor_name,
               "department": opening.department_name, "place": room})


@pages.post("/book", roles=[PATIENT])
async def book(page: Page) -> Response[Any]:
    if page.form.get("instead"):
        return await hold(page)
    value, key, reason = page.form.get("slot", ""), page.form.get("key", "")[:64], page.form.get("reason", "").strip()[:500]
    slot = slot_of(value)
    if slot is None:
        raise NotFound
    body = BookAppointment(patient_id=page.patient_id, doctor_id=slot[0], starts_at=slot[1], reason=reason,
                           mode=Mode.VIDEO if page.form.get("mode") == Mode.VIDEO else Mode.IN_PERSON,
                           hold_id=an_id(page.form.get("hold", "")))
    try:
        with changed(key=key):   # the form sent twice is one visit
            made = await page.ask(Appointments).book(page.caller, body)
    except Refusal as refusal:
        ways = _others(page, refusal)
        ways.append(Way(page.language.gettext("All times"), "/book/when?" + urlencode({"doctor": slot[0]})))
        return await _confirmation(page, value, key=str(uuid4()), status=refusal.status, values=_typed(page),
                                   refusal=_why_not(page, refusal, ways))
    words = page.language.gettext("Asked for %(day)s, %(time)s. We tell you when the department has answered.") \
        if made.status.value == "requested" else page.language.gettext("Booked for %(day)s, %(time)s.")
    at = page.local(made.starts_at)
    return page.redirect(f"/visits/{made.id}", toast=words % {
        "day": page.language.day(at.date(), page.today), "time": page.language.time(at)})


def _typed(page: Page) -> dict[str, str]:
    return {"reason": page.form.get("reason", "").strip()[:500], "mode": page.form.get("mode", "")}


def _why_not(page: Page, refusal: Refusal, ways: list[Way]) -> Told:
    return told_in_full(page, refusal, kept=page.language.gettext("Nothing was booked."), visits_at="/visits", ways=ways)


def _others(page: Page, refusal: Refusal) -> list[Way]:
    """The nearest other times, each a button that holds it (or moves the visit to it)."""
    return [Way(_day_and_time(page, page.local(at)), slot=slot_value(doctor, at))
            for doctor, at in alternatives(refusal)[:3]]


def _day_and_time(page: Page, local: datetime) -> str:
    return f"{page.language.day(local.date(), page.today)}, {page.language.time(local)}"


@pages.get("/visits/{visit_id}/move", roles=[PATIENT])
async def move_form(page: Page) -> Response[Any]:
    return await _move_times(page)


async def _move_times(page: Page, *, status: int = 200, refusal: Told | None = None) -> Response[Any]:
    one = await page.ask(Appointments).appointment(page.caller, page.id("visit_id"))
    whom.about(page, one.patient_id)
    now = shown(page, one)
    if not now.move_href:
        return await show_visit(page, one.id)
    return await _times(page, doctor_id=one.doctor_id, department_id=None, status=status, refusal=refusal,
                        moving={"id": one.id, "starts_at": now.starts_at, "move_href": now.move_href,
                                "with_": ",".join(str(other.id) for other in one.participants)})


@pages.post("/visits/{visit_id}/move", roles=[PATIENT])
async def move(page: Page) -> Response[Any]:
    slot, visit_id = slot_of(page.form.get("instead") or page.form.get("slot", "")), page.id("visit_id")
    if slot is None:
        return await _move_times(page, status=422)
    before = await page.ask(Appointments).appointment(page.caller, visit_id)
    try:
        moved = await page.ask(Appointments).reschedule(page.caller, visit_id, RescheduleAppointment(
            starts_at=slot[1], doctor_id=slot[0] if slot[0] != before.doctor_id else None))
    except NotInThisState as refusal:
        return await show_visit(page, visit_id, refusal=refusal)
    except Refusal as refusal:
        why = told_in_full(page, refusal, kept=page.language.gettext("The visit stays where it is."), visits_at="/visits",
                           ways=_others(page, refusal))
        return await _move_times(page, status=refusal.status, refusal=why)
    at = page.local(moved.starts_at)
    return page.redirect(f"/visits/{visit_id}", toast=page.language.gettext("Visit moved to %(day)s, %(time)s.") % {
        "day": page.language.day(at.date(), page.today), "time": page.language.time(at)})

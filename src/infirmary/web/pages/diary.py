"""A doctor's diary, their own or at the desk: a week of visits, free times and leave, as a calendar and as a list."""
from __future__ import annotations

import asyncio
import json
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Appointments, Slot, Status
from infirmary.contexts.staff.contract import Leave, Staff
from infirmary.kernel.errors import NotFound
from infirmary.language import DOCTOR
from infirmary.web.page import Page, Pages
from infirmary.web.shown import MOVABLE, overbooked
from infirmary.web.typed import a_day, an_id, monday

from .desk import ROLES, search
from .doctor import own_id

pages = Pages()
DIARY = "/doctor/diary"
SHOWN = {   # status -> tone and icon in the calendar; what was cancelled or declined leaves the time to others
    Status.REQUESTED: ("attention", "hourglass"), Status.BOOKED: ("", "calendar-check"),
    Status.CHECKED_IN: ("active", "door-enter"), Status.IN_PROGRESS: ("solid", "stethoscope"),
    Status.COMPLETED: ("quiet", "check"), Status.NO_SHOW: ("danger", "user-off")}
MOST = timedelta(days=62)   # what the slots may be asked for at a time


class Whose(Struct, frozen=True):
    """Whose diary, where it is, and where its visits are. The desk moves visits in everybody's."""

    doctor_id: UUID
    at: str
    visits: str
    own: bool


def whose(page: Page, doctor_id: UUID | None = None) -> Whose:
    """That of the address, or else of the doctor who looks."""
    if page.path.startswith("/desk/"):
        doctor_id = doctor_id or page.id("doctor_id")
        return Whose(doctor_id, f"/desk/diaries/{doctor_id}", "/desk/visits", own=False)
    return Whose(own_id(page.caller), DIARY, "/doctor/visits", own=True)


@pages.get("/doctor/diary", roles=[DOCTOR])
@pages.get("/desk/diaries/{doctor_id}", roles=ROLES)
async def diary(page: Page) -> Response[Any]:
    of, day = whose(page), a_day(page.query.get("date", "")) or page.today
    if of.own and page.query.get("view") == "list":
        return await _as_list(page, monday(day))
    requests, hours, doctor = await asyncio.gather(
        page.ask(Appointments).appointments(page.caller, doctor_id=of.doctor_id, from_=page.site.clock.now(),
                                            status=Status.REQUESTED, limit=50),
        page.ask(Staff).hours(page.caller, of.doctor_id), page.ask(Staff).doctor(page.caller, of.doctor_id))
    return await page.render(
        "doctor/diary.html", here=DIARY if of.own else of.visits, search=None if of.own else search(page), of=of,
        doctor=doctor, requests=[one for one in requests.items if one.doctor_id == of.doctor_id] if of.own else [], day=day,
        slot=f"00:{min(hours.visit_minutes or 20, 30):02}")


async def _as_list(page: Page, first: date) -> Response[Any]:
    start, end = _midnight(page, first), _midnight(page, first + timedelta(days=7))
    visits, slots, leaves = await _between(page, start, end)
    days = [{"date": day, "visits": [one for one in visits if page.local(one.starts_at).date() == day],
             "free": sum(page.local(one.starts_at).date() == day for one in slots),
             "away": [one for one in leaves if one.starts_at < _midnight(page, day + timedelta(days=1))
                      and one.ends_at > _midnight(page, day)]}
            for day in (first + timedelta(days=n) for n in range(7))]
    return await page.render(
        "doctor/diary_list.html", here=DIARY, first=first, last=first + timedelta(days=6), free=len(slots),
        days=[one for one in days if any(one[what] for what in ("visits", "free", "away"))],
        booked=sum(one.status in (Status.BOOKED, Status.CHECKED_IN, Status.IN_PROGRESS) for one in visits),
        asking=sum(one.status is Status.REQUESTED for one in visits),
        before=first - timedelta(days=7), after=first + timedelta(days=7))


async def _between(page: Page, start: datetime, end: datetime) -> tuple[list[Appointment], list[Slot], list[Leave]]:
    doctor_id = whose(page).doctor_id
    visits, slots, leaves = await asyncio.gather(
        _visits(page, doctor_id, start, end),
        page.ask(Appointments).slots(page.caller, from_=start, to=end, doctor_id=doctor_id),
        page.ask(Staff).leaves(page.caller, doctor_id, from_=start, to=end))
    return visits, slots.items, leaves


async def _visits(page: Page, doctor_id: UUID, start: datetime, end: datetime) -> list[Appointment]:
    found: list[Appointment] = []
    cursor = None
    while True:
        part = await page.ask(Appointments).appointments(page.caller, doctor_id=doctor_id, from_=start, to=end,
                                                         limit=100, cursor=cursor)
        found += [one for one in part.items if one.status in SHOWN]
        if (cursor := part.next_cursor) is None:
            return found


def _midnight(page: Page, day: date) -> datetime:
    return datetime.combine(day, time(), page.settings.hospital.tz)


@pages.get("/doctor/diary/events", roles=[DOCTOR])
@pages.get("/desk/diaries/{doctor_id}/events", roles=ROLES)
async def events(page: Page) -> Response[Any]:
    """What the calendar draws, in the hospital's wall clock."""
    of, (start, end) = whose(page), _asked(page)
    if end <= start:
        return page.json([])
    visits, slots, leaves = await _between(page, start, end)
    return page.json([*(_visit(page, of, one) for one in visits), *(_break(page, one) for one in visits if _is_kept(of, one)),
                      *(_free(page, of, one) for one in slots), *(_away(page, of, one, start, end) for one in leaves)])


@pages.get("/diary/stream", roles=[DOCTOR, *ROLES], background=True)
async def changes(page: Page) -> Response[Any]:
    """Says so when something of this time is not as it was."""
    start, end = _asked(page)
    if (doctor_id := an_id(page.query.get("doctor_id", ""))) is None or end <= start:
        raise NotFound
    told = await page.ask(Appointments).diary_changes(page.caller, doctor_id, from_=start, to=end)
    return page.stream(told.chunks)


def _asked(page: Page) -> tuple[datetime, datetime]:
    start = _instant(page, "start") or _midnight(page, monday(page.today))
    return start, min(_instant(page, "end") or start + timedelta(days=7), start + MOST)


def _instant(page: Page, name: str) -> datetime | None:
    try:
        asked = datetime.fromisoformat(page.query.get(name, "").replace(" ", "+"))
        known = asked if asked.tzinfo else asked.replace(tzinfo=page.settings.hospital.tz)
        return known if 1900 < known.year < 2900 else None
    except ValueError:
        return None


def _wall(page: Page, at: datetime) -> str:
    return page.local(at).strftime("%Y-%m-%dT%H:%M:%S")


def _visit(page: Page, of: Whose, one: Appointment) -> dict[str, Any]:
    (tone, icon), over = SHOWN[one.status], overbooked(one, page.language.gettext)
    words = {Status.REQUESTED: "Requested", Status.BOOKED: "Booked", Status.CHECKED_IN: "Checked in",
             Status.IN_PROGRESS: "With doctor", Status.COMPLETED: "Completed", Status.NO_SHOW: "No-show"}
    others = [other.name for other in one.participants if other.id != of.doctor_id]
    takes_part = [] if one.doctor_id == of.doctor_id else [one.doctor_name]
    return {"id": str(one.id), "title": " · ".join([one.patient_name, *takes_part, *others]), "start": _wall(page, one.starts_at),
            "end": _wall(page, one.ends_at), "url": f"{of.visits}/{one.id}", "tone": tone, "icon": icon,
            "word": ", ".join([page.language.gettext(words[one.status]), *([over] if over else [])]),
            **({"over": True} if over else {}), "version": one.version,
            "editable": one.status in MOVABLE and (not of.own or not takes_part)}


def _is_kept(of: Whose, one: Appointment) -> bool:
    """The break after a visit is its doctor's."""
    return one.doctor_id == of.doctor_id and one.buffer_minutes > 0 and one.status is not Status.NO_SHOW


def _break(page: Page, one: Appointment) -> dict[str, Any]:
    """The minutes after a visit that are kept free, faintly."""
    return {"id": f"break-{one.id}", "start": _wall(page, one.ends_at), "display": "background", "tone": "break",
            "end": _wall(page, one.ends_at + timedelta(minutes=one.buffer_minutes)), "classNames": ["in-break"]}


def _free(page: Page, of: Whose, one: Slot) -> dict[str, Any]:
    at = page.local(one.starts_at)
    return {"id": f"free-{at.isoformat()}", "title": page.language.gettext("free"), "start": _wall(page, one.starts_at),
            "end": _wall(page, one.ends_at), "tone": "free", "word": page.language.gettext("Free"), "editable": False,
            **({"url": f"/doctor/book?day={at.date()}&time={at:%H:%M}"} if of.own else {})}   # the desk begins with whom


def _away(page: Page, of: Whose, one: Leave, start: datetime, end: datetime) -> dict[str, Any]:
    leave = page.language.gettext("Leave")
    return {"id": f"leave-{one.id}", "title": f"{leave}: {one.reason}" if one.reason and of.own else leave,
            "start": _wall(page, max(one.starts_at, start)), "end": _wall(page, min(one.ends_at, end)),
            **({"url": "/doctor/hours#leave"} if of.own else {}), "tone": "leave", "icon": "beach", "word": leave,
            "editable": False}


@pages.get("/doctor/diary/hours", roles=[DOCTOR])
@pages.get("/desk/diaries/{doctor_id}/hours", roles=ROLES)
async def business_hours(page: Page) -> Response[Any]:
    hours = await page.ask(Staff).hours(page.caller, whose(page).doctor_id)
    return page.json([{"daysOfWeek": [one.weekday % 7], "startTime": one.starts, "endTime": one.ends}
                      for one in hours.weekly])


def moved(page: Page, text: str, undo: str) -> Response[Any]:
    """The answer to the calendar's own question: done, with a toast."""
    response = page.json({})
    response.status_code = 200
    response.headers["HX-Trigger"] = json.dumps({"toast": {"text": text, "undo": undo}})
    return response

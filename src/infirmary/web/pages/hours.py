"""Working hours and leave: a doctor's own, and any doctor's for an administrator; the desk enters leave alone."""
from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.plans import UnderLeave
from infirmary.contexts.staff.contract import (
    Hours,
    HoursForm,
    Leave,
    LeaveBackwards,
    LeaveForm,
    LeaveOverlaps,
    Opening,
    Staff,
)
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.language import ADMIN, DOCTOR
from infirmary.web import forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, told
from infirmary.web.typed import a_day, typed_clock

from .desk import search
from .doctor import own_id
from .moves import LEAVE, LEAVERS, leave_words, moves_href

pages = Pages()
MOST_STRETCHES = 42


class Row(Struct):
    """One stretch of the week as it is typed."""

    weekday: int
    starts: str = ""
    ends: str = ""
    location: str = ""
    error: str = ""
    new: bool = False


class Whose(Struct, frozen=True):
    """Which doctor, where the page is, and which tab it belongs to."""

    doctor_id: UUID
    base: str
    here: str


def _whose(page: Page) -> Whose:
    if "doctor_id" in page.request.path_params:
        doctor_id = page.id("doctor_id")
        if page.path.startswith(LEAVE):
            return Whose(doctor_id, f"{LEAVE}/{doctor_id}", LEAVE)
        return Whose(doctor_id, f"/admin/doctors/{doctor_id}/hours", "/admin/doctors")
    return Whose(own_id(page.caller), "/doctor/hours", "/doctor/hours")


@pages.get("/doctor/hours", roles=[DOCTOR])
@pages.get("/admin/doctors/{doctor_id}/hours", roles=[ADMIN])
@pages.get("/desk/leave/{doctor_id}", roles=LEAVERS)
async def hours(page: Page) -> Response[Any]:
    return await _show(page)


async def _show(page: Page, *, rows: list[Row] | None = None, values: dict[str, str] | None = None,
                errors: dict[str, str] | None = None, refusal: Refusal | None = None, said: Told | None = None,
                changed: list[tuple[str, str, str]] | None = None, hit: UnderLeave | None = None, status: int = 0,
                ) -> Response[Any]:
    whose, staff = _whose(page), page.ask(Staff)
    doctor, hours, leaves = await asyncio.gather(
        staff.doctor(page.caller, whose.doctor_id), staff.hours(page.caller, whose.doctor_id),
        staff.leaves(page.caller, whose.doctor_id))
    if rows is None:
        rows = [Row(one.weekday, one.starts, one.ends, one.location) for one in hours.weekly]
        values = {"visit_minutes": str(hours.visit_minutes or 20), "buffer_minutes": str(hours.buffer_minutes),
                  "most_per_day": str(hours.most_per_day or ""), "overbook": str(hours.overbook),
                  "video": "true" if hours.video else "", "version": str(hours.version), **(values or {})}
    if changed is not None:
        values = {**(values or {}), "version": str(hours.version)}
    standing = await asyncio.gather(*(_standing(page, one, whose.doctor_id) for one in leaves))
    return await page.render(
        "desk/leave_of.html" if whose.here == LEAVE else "doctor/hours.html",
        status=status or (refusal.status if refusal else 200), here=whose.here, base=whose.base,
        search=search(page) if whose.here == LEAVE else None, doctor=doctor, hit=hit, weekdays=_weekdays(page), rows=rows,
        values=values or {}, errors=errors or {}, changed=changed,
        refusal=said or (told(refusal) if refusal and not errors else None),
        leaves=[{"leave": one, "words": leave_words(page, one.starts_at, one.ends_at), "standing": hit.count + len(hit.accompanied),
                 "href": moves_href(page, hit)} for one, hit in zip(leaves, standing, strict=True)])


def _weekdays(page: Page) -> list[str]:
    names = page.language.locale.days["stand-alone"]["wide"]
    return [names[n] for n in range(7)]


async def _would_stand(page: Page, wanted: LeaveForm, doctor_id: UUID) -> UnderLeave | None:
    """What would stand in this leave, if anything would."""
    try:
        hit = await _standing(page, wanted, doctor_id)
    except Malformed:   # too long, or backwards: staff says so better
        return None
    return hit if hit.count or hit.accompanied else None


async def _standing(page: Page, leave: Leave | LeaveForm, doctor_id: UUID) -> UnderLeave:
    """Visits that are still booked in a time of leave."""
    [found] = await page.ask(Appointments).under_leave(page.caller, doctor_id=doctor_id, from_=leave.starts_at,
                                                       to=leave.ends_at)
    return found


# --- the week --------------------------------------------------------------------------------------------------------


@pages.post("/doctor/hours", roles=[DOCTOR])
@pages.post("/admin/doctors/{doctor_id}/hours", roles=[ADMIN])
async def set_hours(page: Page) -> Response[Any]:
    rows, deed = _typed_rows(page), page.form.get("do", "save")
    what, _, which = deed.partition("-")
    if what == "add" and which in "1234567" and len(rows) < MOST_STRETCHES:
        more = sorted([*rows, Row(int(which), new=True)], key=lambda row: row.weekday)
        return await _show(page, rows=more, values=page.form)
    if what == "remove" and which.isdecimal():
        return await _show(page, rows=[row for n, row in enumerate(rows) if n != int(which)], values=page.form)
    try:
        await page.ask(Staff).set_hours(page.caller, _whose(page).doctor_id, _week(page, rows), forms.version(page))
    except Malformed as refusal:
        return await _show(page, rows=rows, values=page.form, errors=page.field_errors(refusal), refusal=refusal)
    except StaleVersion:
        now = await page.ask(Staff).hours(page.caller, _whose(page).doctor_id)
        return await _show(page, rows=rows, values=page.form, changed=_differences(page, now, rows), status=412)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, rows=rows, values=page.form, refusal=refusal)
    return page.redirect(_whose(page).base,
                         toast=page.language.gettext("The hours are saved. Visits already booked stay."))


def _typed_rows(page: Page) -> list[Row]:
    columns = [page.lists.get(name, [])[:MOST_STRETCHES] for name in ("weekday", "starts", "ends", "location")]
    return [Row(int(weekday), starts.strip(), ends.strip(), location.strip())
            for weekday, starts, ends, location in zip(*columns, strict=False) if weekday in "1234567" and weekday]


def _week(page: Page, rows: list[Row]) -> HoursForm:
    """The hours as typed; a row that cannot be read says so itself. A row left empty counts as removed."""
    _ = page.language.gettext
    openings = []
    for row in rows:
        if not (row.starts or row.ends):
            continue
        starts, ends = typed_clock(row.starts), typed_clock(row.ends)
        if starts is None or ends is None:
            row.error = _("Write times such as 8:30 or 17:00.")
        elif starts[-1] not in "05" or ends[-1] not in "05":
            row.error = _("Use steps of five minutes.")
        elif starts >= ends:
            row.error = _("It ends before it begins.")
        else:
            row.starts, row.ends = starts, ends
            openings.append(Opening(weekday=row.weekday, starts=starts, ends=ends, location=row.location[:200]))
    mend = {"visit_minutes": _("Between 5 and 240, in steps of five."),
            "buffer_minutes": _("Between 0 and 120, in steps of five."),
            "most_per_day": _("Between 1 and 200, or empty for no limit."), "overbook": _("Between 0 and 5.")}
    filled = forms.filled(page, HoursForm, mend, weekly=openings, video=bool(page.form.get("video")))
    if any(row.error for row in rows):
        raise Malformed(errors=[FieldError("weekly", _("Mend the marked times."))])
    return filled


def _differences(page: Page, now: Hours, rows: list[Row]) -> list[tuple[str, str, str]]:
    def of(weekday: int, openings: Iterable[Opening | Row]) -> str:
        return ", ".join(f"{one.starts} – {one.ends}" for one in openings if one.weekday == weekday)

    return [(name, of(n, now.weekly), of(n, rows)) for n, name in enumerate(_weekdays(page), 1)
            if of(n, now.weekly) != of(n, rows)]


# --- leave -----------------------------------------------------------------------------------------------------------


@pages.post("/doctor/hours/leave", roles=[DOCTOR])
@pages.post("/admin/doctors/{doctor_id}/hours/leave", roles=[ADMIN])
@pages.post("/desk/leave/{doctor_id}/leave", roles=LEAVERS)
async def take_leave(page: Page) -> Response[Any]:
    """Visits that would stand in it are shown first; afterwards they are what is next to do."""
    _, whose = page.language.gettext, _whose(page)
    try:
        wanted = _leave(page)
        hit = await _would_stand(page, wanted, whose.doctor_id)
        if hit and "sure" not in page.form:
            return await _show(page, values=page.form, hit=hit)
        leave = await page.ask(Staff).take_leave(page.caller, whose.doctor_id, wanted)
    except Malformed as refusal:
        return await _show(page, values=page.form, errors=page.field_errors(refusal), refusal=refusal)
    except (LeaveBackwards, LeaveOverlaps) as refusal:
        title = _("There is leave in this time already") if isinstance(refusal, LeaveOverlaps) \
            else _("This leave is too long, or ends before it begins")
        return await _show(page, values=page.form, refusal=refusal, said=Told(
            title, _("Nothing was added. Look at both days and try again."), [], icon="beach"))
    on = moves_href(page, hit) if hit else f"{whose.base}#leave"
    return page.redirect(on, undo=f"{whose.base}/leave/{leave.id}/end", toast=_(
        "Leave added from %(from)s to %(to)s. No times are offered then.") % {
            "from": page.language.day(page.local(leave.starts_at).date(), page.today),
            "to": page.language.day(page.local(leave.ends_at - timedelta(seconds=1)).date(), page.today)})


def _leave(page: Page) -> LeaveForm:
    """Whole days, unless times are given: then from and until then."""
    _ = page.language.gettext
    first_day, last_day = page.form.get("first_day", ""), page.form.get("last_day", "")
    first, last = a_day(first_day), a_day(last_day or first_day)
    begins, ends = page.form.get("first_time", "").strip(), page.form.get("last_time", "").strip()
    errors = []
    if first is None or last is None:
        errors.append(FieldError("first_day" if first is None else "last_day", _("Choose a day.")))
    for name, text in (("first_time", begins), ("last_time", ends)):
        if text and typed_clock(text) is None:
            errors.append(FieldError(name, _("Write a time such as 13:00, or leave it empty.")))
    if errors:
        raise Malformed(errors=errors)
    assert first is not None
    assert last is not None
    return LeaveForm(starts_at=_moment(page, first, begins or "00:00"), ends_at=_moment(page, last, ends or "24:00"),
                     reason=page.form.get("reason", "").strip()[:500])


def _moment(page: Page, day: date, text: str) -> datetime:
    clock = typed_clock(text) or "00:00"
    if clock == "24:00":
        day, clock = day + timedelta(days=1), "00:00"
    return datetime.combine(day, time.fromisoformat(clock), page.settings.hospital.tz)


@pages.post("/doctor/hours/leave/{leave_id}/end", roles=[DOCTOR])
@pages.post("/admin/doctors/{doctor_id}/hours/leave/{leave_id}/end", roles=[ADMIN])
@pages.post("/desk/leave/{doctor_id}/leave/{leave_id}/end", roles=LEAVERS)
async def end_leave(page: Page) -> Response[Any]:
    whose = _whose(page)
    await page.ask(Staff).end_leave(page.caller, whose.doctor_id, page.id("leave_id"))
    return page.redirect(f"{whose.base}#leave", toast=page.language.gettext(
        "The leave is taken back; the times are offered again."))


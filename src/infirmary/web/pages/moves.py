"""Visits in a doctor's leave: which they are, where they could go, and moving them together. Doctors see their own."""
from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.plans import (
    FreeTime,
    ItemStatus,
    MakePlan,
    MoveItem,
    MovePlan,
    PlanStatus,
    Target,
    UnderLeave,
    Unmoved,
    Whither,
)
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal
from infirmary.kernel.request import changed
from infirmary.language import ADMIN, DOCTOR, RECEPTION
from infirmary.web import forms
from infirmary.web.menu import N_
from infirmary.web.page import Page, Pages
from infirmary.web.shown import slot_of, slot_value, told
from infirmary.web.typed import an_id

from .desk import search
from .doctor import own_id
from .visits import all_doctors

pages = Pages()
LEAVE = "/desk/leave"
LEAVERS = (RECEPTION, ADMIN)   # a nurse does not plan diaries
AT_WORK = (PlanStatus.APPLYING, PlanStatus.UNDOING)
WHY = {
    Unmoved.NOTHING_FREE: N_("No time is free within a month."),
    Unmoved.LEFT_OUT: N_("Left where it is."),
    Unmoved.TIME_TAKEN: N_("Somebody else has the time by now."),
    Unmoved.TIME_PAST: N_("The time has passed."),
    Unmoved.NOT_OFFERED: N_("The doctor does not see patients then any more."),
    Unmoved.CHANGED_SINCE: N_("Somebody changed the visit meanwhile."),
    Unmoved.DOCTOR_LEFT: N_("The doctor does not take visits any more."),
}
WHITHER = {
    Whither.SAME_DOCTOR: N_("To other times of the same doctor"),
    Whither.SAME_SPECIALTY: N_("To a colleague of the same specialty"),
    Whither.SAME_DEPARTMENT: N_("To a colleague in the department"),
}


class Row(Struct, frozen=True):
    """A visit of a plan with why it stays, and whether another time may be chosen for it."""

    item: MoveItem
    why: str
    editable: bool


def leave_words(page: Page, starts_at: datetime, ends_at: datetime) -> str:
    """Whole days without their times: Thu 26 Nov – Fri 4 Dec."""
    starts, ends = page.local(starts_at), page.local(ends_at)
    if starts.time() == ends.time() == time():
        first, last = starts.date(), ends.date() - timedelta(days=1)
        return _span(page.language.day(first, page.today), page.language.day(last, page.today))
    speaks = page.language
    until = speaks.time(ends) if starts.date() == ends.date() \
        else f"{speaks.day(ends.date(), page.today)}, {speaks.time(ends)}"
    return _span(f"{speaks.day(starts.date(), page.today)}, {speaks.time(starts)}", until)


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} – {last}"


def moves_href(page: Page, hit: UnderLeave) -> str:
    """Where the visits of this time are moved from."""
    return f"{_base(page)}/moves?" + urlencode({
        "doctor_id": hit.doctor_id, "from": hit.starts_at.isoformat(), "to": hit.ends_at.isoformat()})


def _base(page: Page) -> str:
    return "/doctor" if page.path.startswith("/doctor/") else "/desk"


def _frame(page: Page) -> dict[str, Any]:
    """What every page here needs of its surroundings."""
    base = _base(page)
    return {"base": base, "here": LEAVE if base == "/desk" else "/doctor/hours",
            "search": search(page) if base == "/desk" else None}


@pages.get("/desk/leave", roles=LEAVERS)
async def everybody(page: Page) -> Response[Any]:
    if doctor_id := an_id(page.query.get("doctor_id", "")):
        return page.redirect(f"{LEAVE}/{doctor_id}")
    hits, doctors, plans = await asyncio.gather(
        page.ask(Appointments).under_leave(page.caller), all_doctors(page), page.ask(Appointments).plans(page.caller, limit=12))
    return await page.render(
        "desk/leave.html", **_frame(page), doctors=[(str(one.id), one.name) for one in doctors],
        hits=[(hit, leave_words(page, hit.starts_at, hit.ends_at), moves_href(page, hit)) for hit in hits],
        plans=[(one, leave_words(page, one.starts_at, one.ends_at)) for one in plans.items])


@pages.get("/desk/moves", roles=LEAVERS)
@pages.get("/doctor/moves", roles=[DOCTOR])
async def standing(page: Page) -> Response[Any]:
    return await _standing(page)


async def _standing(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    wish = _wish(page)
    [hit] = await page.ask(Appointments).under_leave(page.caller, doctor_id=wish.doctor_id, from_=wish.starts_at,
                                                     to=wish.ends_at)
    ways = WHITHER if _base(page) == "/desk" else {Whither.SAME_DOCTOR: WHITHER[Whither.SAME_DOCTOR]}
    return await page.render(
        "desk/moves.html", status=refusal.status if refusal else 200, **_frame(page), hit=hit, whither=wish.whither,
        words=leave_words(page, hit.starts_at, hit.ends_at), ways=[(way.value, words) for way, words in ways.items()],
        refusal=told(refusal) if refusal else None)


def _wish(page: Page) -> MakePlan:
    asked = {**page.query, **page.form}
    try:
        doctor_id = UUID(asked["doctor_id"]) if _base(page) == "/desk" else own_id(page.caller)
        starts_at, ends_at = (datetime.fromisoformat(asked[name]) for name in ("from", "to"))
        whither = Whither(asked.get("whither") or Whither.SAME_DOCTOR)
    except (KeyError, ValueError) as error:
        raise NotFound from error
    if not (starts_at.tzinfo and ends_at.tzinfo):
        raise NotFound
    return MakePlan(doctor_id=doctor_id, starts_at=starts_at, ends_at=ends_at, whither=whither)


@pages.post("/desk/moves", roles=LEAVERS)
@pages.post("/doctor/moves", roles=[DOCTOR])
async def propose(page: Page) -> Response[Any]:
    wish = _wish(page)
    try:
        with changed(key=page.form.get("key", "")[:64]):   # the form sent twice is one plan
            plan = await page.ask(Appointments).make_plan(page.caller, wish)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _standing(page, refusal)
    return page.redirect(f"{_base(page)}/moves/{plan.id}")


@pages.get("/desk/moves/{plan_id}", roles=LEAVERS)
@pages.get("/doctor/moves/{plan_id}", roles=[DOCTOR])
async def plan(page: Page) -> Response[Any]:
    return await _show(page)


async def _show(page: Page, *, refusal: Refusal | None = None) -> Response[Any]:
    plan = await page.ask(Appointments).plan(page.caller, page.id("plan_id"))
    counts = {status.value: sum(item.status is status for item in plan.items) for status in ItemStatus}
    at_work = plan.status in AT_WORK
    return await page.render(
        "desk/plan.html", status=refusal.status if refusal else 200, **_frame(page), plan=plan, counts=counts,
        at_work=at_work, words=leave_words(page, plan.starts_at, plan.ends_at), rows=_rows(page, plan),
        left=counts[ItemStatus.PROPOSED if plan.status is PlanStatus.APPLYING else ItemStatus.MOVED],
        colleagues=plan.whither is not Whither.SAME_DOCTOR, refusal=told(refusal) if refusal else None)


def _rows(page: Page, plan: MovePlan) -> list[Row]:
    editable = plan.status in (PlanStatus.DRAFT, PlanStatus.APPLIED)
    return [Row(item, page.language.gettext(WHY[item.why]) if item.why else "", editable and item.status in (
        ItemStatus.PROPOSED, ItemStatus.STANDING)) for item in plan.items]


@pages.post("/desk/moves/{plan_id}/{deed}", roles=LEAVERS)
@pages.post("/doctor/moves/{plan_id}/{deed}", roles=[DOCTOR])
async def do(page: Page) -> Response[Any]:
    ask = page.ask(Appointments)
    deed = {"apply": ask.apply_plan, "undo": ask.undo_plan}.get(page.request.path_params["deed"])
    if deed is None:
        raise NotFound
    try:
        done = await deed(page.caller, page.id("plan_id"), if_match=forms.version(page))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(page, refusal=refusal)
    return page.redirect(f"{_base(page)}/moves/{done.id}")


# --- another time for one of them ------------------------------------------------------------------------------------


@pages.get("/desk/moves/{plan_id}/visits/{visit_id}", roles=LEAVERS)
@pages.get("/doctor/moves/{plan_id}/visits/{visit_id}", roles=[DOCTOR])
async def choose(page: Page) -> Response[Any]:
    return await _choose(page)


async def _choose(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    ask, plan_id, visit_id = page.ask(Appointments), page.id("plan_id"), page.id("visit_id")
    plan, times = await asyncio.gather(ask.plan(page.caller, plan_id), ask.times_for(page.caller, plan_id, visit_id))
    item = next(one for one in plan.items if one.appointment_id == visit_id)
    if item.to is not None and item.to not in times:
        times.insert(0, item.to)
    errors = page.field_errors(refusal) if isinstance(refusal, Malformed) else {}
    return await page.render(
        "desk/plan_visit.html", status=refusal.status if refusal else 200, **_frame(page), plan=plan, item=item,
        times=[(_value(one), one) for one in times], chosen=page.form.get("slot") or (_value(item.to) if item.to else ""),
        errors=errors, refusal=told(refusal, icon="clock-x") if refusal and not errors else None)


def _value(one: FreeTime) -> str:
    return slot_value(one.doctor_id, one.starts_at)


@pages.post("/desk/moves/{plan_id}/visits/{visit_id}", roles=LEAVERS)
@pages.post("/doctor/moves/{plan_id}/visits/{visit_id}", roles=[DOCTOR])
async def chosen(page: Page) -> Response[Any]:
    text, plan_id = page.form.get("slot", ""), page.id("plan_id")
    slot = slot_of(text)
    try:
        if slot is None and text != "stay":
            raise Malformed(errors=[FieldError("slot", page.language.gettext("Choose a time."))])
        await page.ask(Appointments).set_target(
            page.caller, plan_id, page.id("visit_id"),
            Target(doctor_id=slot[0], starts_at=slot[1]) if slot else Target(), forms.version(page))
    except NotFound:
        raise
    except Refusal as refusal:
        return await _choose(page, refusal)
    return page.redirect(f"{_base(page)}/moves/{plan_id}#visits")

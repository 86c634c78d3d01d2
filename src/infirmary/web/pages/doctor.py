"""A doctor's day: the queue on one side, the chosen visit on the other. On a phone each is a screen of its own."""
from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Appointments, Status
from infirmary.contexts.appointments.contract.queue import CallNext, NobodyToCall
from infirmary.contexts.appointments.contract.queue import Queue as Line
from infirmary.contexts.patients.contract import Patient, Patients
from infirmary.kernel.access import Caller
from infirmary.kernel.errors import Malformed, NotFound, Refusal
from infirmary.language import DOCTOR
from infirmary.web import deeds, forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import LIVE, Told, step_text, video_href

from .desk_queue import said

pages = Pages()
TODAY = "/doctor/today"
PAST = 8   # earlier visits shown with the chosen one


class Waiting(Struct, frozen=True):
    """A row of the queue: how many minutes it has been so, and how late a visit is that has not been checked in."""

    visit: Appointment
    minutes: int = 0
    late: int = 0


class Queue(Struct, frozen=True):
    in_progress: list[Waiting]
    checked_in: list[Waiting]
    booked: list[Waiting]
    requested: list[Waiting]
    over: list[Waiting]
    late: int
    line: Line | None   # those who stand in line with a number

    @property
    def visits(self) -> int:
        return sum(map(len, (self.in_progress, self.checked_in, self.booked))) + sum(
            one.visit.status is Status.COMPLETED for one in self.over)

    @property
    def first(self) -> Appointment | None:
        """Who is looked at when nobody was chosen."""
        rows = [*self.in_progress, *self.checked_in, *self.booked]
        return rows[0].visit if rows else None


def own_id(caller: Caller) -> UUID:
    """The doctor that the account is."""
    try:
        return caller.subjects["doctor_id"]
    except KeyError:
        raise NotFound("This account belongs to no doctor. Ask an administrator to link it.") from None


async def queue_of(page: Page) -> Queue:
    ask, mine = page.ask(Appointments), own_id(page.caller)
    today, requested, line = await asyncio.gather(
        ask.appointments(page.caller, doctor_id=mine, day=page.today, limit=100),
        ask.appointments(page.caller, doctor_id=mine, from_=page.site.clock.now(), status=Status.REQUESTED, limit=50),
        _line(page, mine))
    of: dict[Status, list[Waiting]] = {status: [] for status in Status}
    for one in today.items:
        of[one.status].append(Waiting(one, minutes=_minutes(page, one.changed_at), late=_minutes(page, one.starts_at)))
    of[Status.CHECKED_IN].sort(key=lambda row: row.visit.starts_at)
    over = [row for status in (Status.COMPLETED, Status.NO_SHOW, Status.CANCELLED) for row in of[status]]
    late = of[Status.CHECKED_IN][0].late if of[Status.CHECKED_IN] else 0
    return Queue(of[Status.IN_PROGRESS], of[Status.CHECKED_IN], of[Status.BOOKED],
                 [Waiting(one) for one in requested.items if one.doctor_id == mine], sorted(over, key=lambda row: row.visit.starts_at), late, line)


async def _line(page: Page, doctor_id: UUID) -> Line | None:
    try:
        return await page.ask(Appointments).queue(page.caller, doctor_id=doctor_id)
    except NotFound:   # who sees nobody here
        return None


def _minutes(page: Page, since: datetime) -> int:
    return max(0, int((page.now - since).total_seconds()) // 60)


@pages.get("/doctor/today", roles=[DOCTOR])
async def today(page: Page) -> Response[Any]:
    queue = await queue_of(page)
    return await _desk(page, queue, queue.first, show="queue")


@pages.get("/doctor/queue", roles=[DOCTOR], background=True)
async def queue_part(page: Page) -> Response[Any]:
    """The queue alone, for the page that keeps itself fresh."""
    return await page.render("doctor/_queue.html", queue=await queue_of(page), chosen=page.query.get("chosen", ""),
                             show=page.query.get("show", ""))


@pages.post("/doctor/queue/call", roles=[DOCTOR])
async def call_next(page: Page) -> Response[Any]:
    try:
        called = await page.ask(Appointments).call_next(page.caller, CallNext(doctor_id=own_id(page.caller)))
    except NobodyToCall as refusal:
        return page.redirect(TODAY, toast=refusal.detail)
    return page.redirect(f"/doctor/visits/{called.appointment_id}", toast=said(page, called))


@pages.get("/doctor/visits/{visit_id}", roles=[DOCTOR])
async def visit(page: Page) -> Response[Any]:
    return await show_visit(page)


async def show_visit(page: Page, *, ask: str = "", refusal: Refusal | None = None) -> Response[Any]:
    one = await page.ask(Appointments).appointment(page.caller, page.id("visit_id"))
    errors = page.field_errors(refusal) if isinstance(refusal, Malformed) else {}
    said = await deeds.why_not(page, refusal, one) if refusal and not errors else None
    return await _desk(page, await queue_of(page), one, show="visit", status=refusal.status if refusal else 200,
                       ask=ask or page.query.get("ask", ""), refusal=said, errors=errors)


async def _desk(page: Page, queue: Queue, one: Appointment | None, *, show: str, status: int = 200, ask: str = "",
                refusal: Told | None = None, errors: dict[str, str] | None = None) -> Response[Any]:
    context: dict[str, Any] = {}
    if one is not None:
        patient, steps, past, coming = await asyncio.gather(
            _patient(page, one), page.ask(Appointments).steps(page.caller, one.id),
            _others(page, one, to=one.starts_at, newest_first=True),
            _others(page, one, from_=one.starts_at + timedelta(seconds=1)))
        own = one.doctor_id == own_id(page.caller)
        history = [{"at": page.local(step.at), "text": step_text(step, before, page.language.gettext), "by": step.by}
                   for before, step in zip([None, *steps], steps, strict=False)]
        context = {"patient": patient, "history": history[::-1], "past": past[:PAST],
                   "coming": [other for other in coming if other.status in LIVE],
                   "own": own, "may_change": own and one.status in LIVE,
                   "deeds": deeds.open_to(page, one) if own else [], "join_href": video_href(one, page.now) if own else "",
                   "since": _minutes(page, one.changed_at)}
    return await page.render("doctor/today.html", status=status, here=TODAY, queue=queue, visit=one, show=show,
                             chosen=str(one.id) if one else "", ask=ask, refusal=refusal, errors=errors or {}, **context)


async def _patient(page: Page, one: Appointment) -> Patient | None:
    """Out of reach until they are treated: then the visit's own name has to do."""
    try:
        return await page.ask(Patients).patient(page.caller, one.patient_id)
    except NotFound:
        return None


async def _others(page: Page, one: Appointment, **when: Any) -> list[Appointment]:
    found = await page.ask(Appointments).appointments(page.caller, patient_id=one.patient_id,
                                                      doctor_id=own_id(page.caller), limit=PAST + 5, **when)
    return [other for other in found.items if other.id != one.id]


@pages.post("/doctor/visits/{visit_id}/{deed}", roles=[DOCTOR])
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
    on = f"/doctor/visits/{one.id}" if one.status in (Status.IN_PROGRESS, Status.BOOKED) else TODAY
    return page.redirect(forms.back(page, on), toast=deeds.done(page, deed, one))

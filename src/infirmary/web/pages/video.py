"""The video room of a visit: one page for the two of it, and what its script asks for (assets/js/video.js)."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointments, Status
from infirmary.contexts.appointments.contract.video import EnterRoom, RoomNotOpen, RoomState, Side, Signal
from infirmary.kernel.contract import Done
from infirmary.kernel.errors import NotFound, Refusal
from infirmary.language import DOCTOR, PATIENT
from infirmary.web.page import Page, Pages
from infirmary.web.typed import an_id

pages = Pages()
THE_TWO = (PATIENT, DOCTOR)
# Elsewhere no page may use them. Pictures that a script has from the browser itself need nothing of the content policy.
DEVICES = {"Permissions-Policy": "camera=(self), microphone=(self), geolocation=()"}
Deed = Callable[[Page, UUID], Awaitable[Struct]]


@pages.get("/visits/{visit_id}/video", roles=THE_TWO)
async def room(page: Page) -> Response[Any]:
    ask, visit_id = page.ask(Appointments), page.id("visit_id")
    visit, room = await ask.appointment(page.caller, visit_id), await ask.room(page.caller, visit_id)
    doctor = room.side is Side.DOCTOR
    return await page.render(
        "video.html", headers=DEVICES, visit=visit, doctor=doctor, base=f"/visits/{visit_id}/video",
        back=f"/doctor/visits/{visit_id}" if doctor else f"/visits/{visit_id}",
        other=visit.patient_name if doctor else visit.doctor_name, opens_at=page.local(room.opens_at),
        opens_in=max(0, int((room.opens_at - page.now).total_seconds()) + 1) if page.now < room.opens_at else 0,
        unanswered=visit.status is Status.REQUESTED, over=room.state is RoomState.OVER)


def asked(what: str) -> Callable[[Deed], Deed]:
    """A deed that the script asks for: answered in JSON, a refusal with the sentence that people read."""
    def declare(deed: Deed) -> Deed:
        @pages.post(f"/visits/{{visit_id}}/video/{what}", roles=THE_TWO)
        async def answer(page: Page) -> Response[Any]:
            try:
                return page.json(await deed(page, page.id("visit_id")))
            except Refusal as refusal:
                return page.json({"code": refusal.code, "detail": _said(page, refusal)}, status=refusal.status)

        answer.__name__ = f"video_{deed.__name__}"
        return deed

    return declare


def _said(page: Page, refusal: Refusal) -> str:
    if isinstance(refusal, RoomNotOpen):
        opens_at = page.local(datetime.fromisoformat(refusal.extra["opens_at"]))
        return page.language.gettext("The room opens at %(time)s, ten minutes before the visit.") % {
            "time": page.language.time(opens_at)}
    return refusal.detail


@asked("enter")
async def enter(page: Page, visit_id: UUID) -> Struct:
    return await page.ask(Appointments).enter_room(page.caller, visit_id, page.read(EnterRoom))


@asked("leave")
async def leave(page: Page, visit_id: UUID) -> Struct:
    return await page.ask(Appointments).leave_room(page.caller, visit_id, page.read(EnterRoom))


@asked("signal")
async def signal(page: Page, visit_id: UUID) -> Struct:
    return await page.ask(Appointments).send_signal(page.caller, visit_id, page.read(Signal))


@asked("let-in")
async def let_in(page: Page, visit_id: UUID) -> Struct:
    await page.ask(Appointments).start(page.caller, visit_id)
    return Done()


@asked("end")
async def end(page: Page, visit_id: UUID) -> Struct:
    await page.ask(Appointments).complete(page.caller, visit_id)
    return Done()


@pages.get("/visits/{visit_id}/video/stream", roles=THE_TWO, background=True)
async def stream(page: Page) -> Response[Any]:
    client = an_id(page.query.get("client", ""))
    if client is None:
        raise NotFound
    return page.stream((await page.ask(Appointments).watch_room(page.caller, page.id("visit_id"), client)).chunks)

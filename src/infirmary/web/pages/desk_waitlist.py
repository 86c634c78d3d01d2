"""Everybody who waits for a time, for the front desk; taken or left by telephone."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.waitlist import Standing, Waiting
from infirmary.kernel.errors import NotFound, Refusal
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told

from .desk import ROLES, search
from .waitlist import why_not

pages = Pages()
DESK = "/desk/waitlist"


@pages.get("/desk/waitlist", roles=ROLES)
async def everybody(page: Page) -> Response[Any]:
    return await _everybody(page)


async def _everybody(page: Page, *, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    text = page.query.get("status", "")
    chosen = Standing(text) if text in set(Standing) else Standing.WAITING
    found = await page.ask(Appointments).waitlist(page.caller, status=chosen, cursor=page.query.get("cursor"), limit=50)
    offered = [] if chosen is Standing.OFFERED or "cursor" in page.query else (
        await page.ask(Appointments).waitlist(page.caller, status=Standing.OFFERED, limit=100)).items
    more = f"{DESK}?" + urlencode({"status": chosen.value, "cursor": found.next_cursor}) if found.next_cursor else ""
    return await page.render("desk/waitlist.html", status=status, here=DESK, search=search(page), refusal=refusal,
                             rows=[*offered, *found.items], more=more, standings=Standing, chosen=chosen)


@pages.post("/desk/waitlist/{waiting_id}/{deed}", roles=ROLES)
async def do(page: Page) -> Response[Any]:
    """By telephone, for the patient."""
    ask, _ = page.ask(Appointments), page.language.gettext
    place = await ask.waiting(page.caller, page.id("waiting_id"))
    try:
        done = await _deed(page, place.id)
    except NotFound:
        raise
    except Refusal as refusal:
        why = why_not(page, refusal, visits_at="/desk/visits", patient=place.patient_name)
        return await _everybody(page, refusal=why, status=refusal.status)
    words = (_("%(name)s is booked for the time that was offered.") if done.status is Standing.BOOKED else
             _("%(name)s does not wait any more."))
    return page.redirect(DESK, toast=words % {"name": place.patient_name})


async def _deed(page: Page, waiting_id: UUID) -> Waiting:
    match page.request.path_params["deed"]:
        case "accept":
            return await page.ask(Appointments).accept_offer(page.caller, waiting_id)
        case "leave":
            return await page.ask(Appointments).leave_waitlist(page.caller, waiting_id)
    raise NotFound

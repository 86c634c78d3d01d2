"""One's own calendar feed: make, renew and end its link, with what it shows stated."""
from __future__ import annotations

import contextlib
from typing import Any

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments
from infirmary.kernel.errors import NotFound
from infirmary.language import DOCTOR, PATIENT
from infirmary.web.page import Page, Pages

from .security import layout

pages = Pages()
OWNERS = (PATIENT, DOCTOR)


@pages.get("/calendar-feed", roles=OWNERS)
async def mine(page: Page) -> Response[Any]:
    return await _mine(page)


async def _mine(page: Page, *, secret: str = "") -> Response[Any]:
    try:
        feed = await page.ask(Appointments).calendar_feed(page.caller)
    except NotFound:
        feed = None
    link = f"{page.settings.public_url.rstrip('/')}/api/v1/calendar/{secret}.ics" if secret else ""
    return await page.render("calendar_feed.html", here="/profile", feed=feed, link=link, layout=layout(page))


@pages.post("/calendar-feed", roles=OWNERS)
async def make(page: Page) -> Response[Any]:
    """The link stands on the answer itself: there is no address at which it could be found again."""
    return await _mine(page, secret=(await page.ask(Appointments).make_calendar_feed(page.caller)).secret)


@pages.post("/calendar-feed/end", roles=OWNERS)
async def end(page: Page) -> Response[Any]:
    with contextlib.suppress(NotFound):   # ended already
        await page.ask(Appointments).end_calendar_feed(page.caller)
    return page.redirect("/calendar-feed", toast=page.language.gettext("The link is ended. Calendars find nothing there."))

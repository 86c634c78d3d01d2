"""What is looked at without an account: the screen of a waiting room, and a patient's place in line. No name is on either."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.errors import NotFound
from infirmary.web.page import Page, Pages

pages = Pages()


@pages.get("/wall/{secret}", background=True)
async def wall(page: Page) -> Response[Any]:
    return await _linked(page, "wall.html", board=page.ask(Appointments).board)


@pages.get("/wall/{secret}/numbers", background=True)
async def numbers(page: Page) -> Response[Any]:
    """The numbers alone, for the screen that keeps itself fresh."""
    return await _linked(page, "_wall.html", board=page.ask(Appointments).board)


@pages.get("/q/{secret}", background=True)
async def place(page: Page) -> Response[Any]:
    return await _linked(page, "place.html", mine=page.ask(Appointments).my_place)


@pages.get("/q/{secret}/now", background=True)
async def place_now(page: Page) -> Response[Any]:
    return await _linked(page, "_place.html", mine=page.ask(Appointments).my_place)


async def _linked(page: Page, template: str, **asked: Callable[[Caller, str], Awaitable[Any]]) -> Response[Any]:
    """What the link opens, under these names; or that it opens nothing any more."""
    secret: str = page.request.path_params["secret"]
    try:
        found = {name: await ask(NOBODY, secret) for name, ask in asked.items()}
    except NotFound:
        return await page.render("link_ended.html", status=404)
    return await page.render(template, secret=secret, **found)

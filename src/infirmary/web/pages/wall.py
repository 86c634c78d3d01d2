"""What is looked at without an account: the screen of a waiting room, and a patient's place in line. No name is on either."""
from __future__ import annotations

from typing import Any

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import NotFound
from infirmary.web.page import Page, Pages

pages = Pages()


def secret(page: Page) -> str:
    given: str = page.request.path_params["secret"]
    return given


@pages.get("/wall/{secret}", background=True)
async def wall(page: Page) -> Response[Any]:
    return await _wall(page, "wall.html")


@pages.get("/wall/{secret}/numbers", background=True)
async def numbers(page: Page) -> Response[Any]:
    """The numbers alone, for the screen that keeps itself fresh."""
    return await _wall(page, "_wall.html")


async def _wall(page: Page, template: str) -> Response[Any]:
    try:
        board = await page.ask(Appointments).board(NOBODY, secret(page))
    except NotFound:
        return await page.render("link_ended.html", status=404)
    return await page.render(template, board=board, secret=secret(page))


@pages.get("/q/{secret}", background=True)
async def place(page: Page) -> Response[Any]:
    return await _place(page, "place.html")


@pages.get("/q/{secret}/now", background=True)
async def place_now(page: Page) -> Response[Any]:
    return await _place(page, "_place.html")


async def _place(page: Page, template: str) -> Response[Any]:
    try:
        mine = await page.ask(Appointments).my_place(NOBODY, secret(page))
    except NotFound:
        return await page.render("link_ended.html", status=404)
    return await page.render(template, mine=mine, secret=secret(page))

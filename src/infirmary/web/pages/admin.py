"""The hospital at a glance, what needs somebody, what was sent, and how the system runs."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlencode

from litestar import Response
from msgspec import Struct

from infirmary.contexts.notifications.contract import DeliveryStatus, NothingToRetry, Notifications
from infirmary.contexts.reports.contract import HospitalFigures, Period, Reports
from infirmary.kernel.errors import Unavailable
from infirmary.language import ADMIN
from infirmary.system import StillFails, System
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told

from .desk import search

T = TypeVar("T")
pages = Pages()
HOSPITAL, DELIVERIES, SYSTEM = "/admin", "/admin/deliveries", "/admin/system"
LAGGING = 30.0   # seconds an event may wait before it counts as late


class Need(Struct, frozen=True):
    """Something that waits for a person: what, of what, and where to go."""

    title: str
    text: str
    act: str
    href: str


@pages.get("/admin", roles=[ADMIN])
async def hospital(page: Page) -> Response[Any]:
    asked = page.query.get("period", "")
    period = Period(asked) if asked in set(Period) else Period.WEEK
    figures, needs = await asyncio.gather(page.ask(Reports).hospital(page.caller, period=period), _needs(page))
    if figures.requested_now:
        needs = [_requests(page, figures), *needs]
    return await page.render(
        "admin/hospital.html", here=HOSPITAL, search=search(page), figures=figures, period=period.value, needs=needs,
        periods=[(one.value, _period(page, one)) for one in Period],
        months={one.month: _month(page, one.month) for one in figures.no_shows_by_month})


def _month(page: Page, text: str) -> str:
    """`2026-11` as people call it."""
    names = page.language.locale.months["stand-alone"]["abbreviated"]
    number = text.rpartition("-")[2]
    return str(names[int(number)]) if number.isdecimal() else text


def _period(page: Page, period: Period) -> str:
    _ = page.language.gettext
    return {Period.WEEK: _("2 weeks"), Period.MONTH: _("30 days"), Period.QUARTER: _("13 weeks")}[period]


def _requests(page: Page, figures: HospitalFigures) -> Need:
    n = figures.requested_now
    title = page.language.ngettext("%(n)s request waits for an answer", "%(n)s requests wait for an answer", n)
    where = [f"{one.name} {one.requested}" for one in figures.departments if one.requested]
    return Need(title % {"n": n}, ", ".join(where), page.language.gettext("Answer"),
                "/desk/visits?day=&status=requested")


async def _needs(page: Page) -> list[Need]:
    _, ngettext = page.language.gettext, page.language.ngettext
    parked, failed = await asyncio.gather(
        _or_nothing(page.ask(System).parked(page.caller)),
        _or_nothing(page.ask(Notifications).deliveries(page.caller, status=DeliveryStatus.FAILED, limit=100)))
    needs = []
    if parked:
        n = len(parked)
        needs.append(Need(ngettext("%(n)s event was set aside", "%(n)s events were set aside", n) % {"n": n},
                          _("A part of the system could not handle it: %(parts)s") % {
                              "parts": ", ".join(sorted({one.context for one in parked}))}, _("See"), SYSTEM))
    if failed and failed.items:
        n = len(failed.items)
        needs.append(Need(ngettext("%(n)s message was not delivered", "%(n)s messages were not delivered", n) % {
            "n": f"{n}+" if failed.next_cursor else n}, _("The reason stands beside each of them"), _("See"),
            DELIVERIES + "?status=failed"))
    return needs


async def _or_nothing(asked: Awaitable[T]) -> T | None:
    """What is missing here must not take the whole page with it."""
    try:
        return await asked
    except Unavailable:
        return None


# --- messages --------------------------------------------------------------------------------------------------------


@pages.get("/admin/deliveries", roles=[ADMIN])
async def deliveries(page: Page) -> Response[Any]:
    return await _deliveries(page)


async def _deliveries(page: Page, *, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    asked = page.query.get("status", "")
    wanted = DeliveryStatus(asked) if asked in set(DeliveryStatus) else None
    found = await page.ask(Notifications).deliveries(page.caller, status=wanted, cursor=page.query.get("cursor"),
                                                     limit=50)
    more = {"cursor": found.next_cursor, **({"status": asked} if wanted else {})} if found.next_cursor else None
    return await page.render(
        "admin/deliveries.html", status=status, here=DELIVERIES, search=search(page), items=found.items, wanted=asked,
        more="?" + urlencode(more) if more else "", refusal=refusal, caught=page.settings.mail.port == 0)


@pages.post("/admin/deliveries/{delivery_id}/retry", roles=[ADMIN])
async def retry(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        await page.ask(Notifications).retry(page.caller, page.id("delivery_id"))
    except NothingToRetry as refusal:
        return await _deliveries(page, status=refusal.status, refusal=Told(
            _("There is nothing to try again"), _("This message was sent, or is about to be tried anyway."), [],
            icon="mail"))
    return page.redirect(DELIVERIES + "?status=pending", toast=_("The message is tried again within seconds."))


# --- the system ------------------------------------------------------------------------------------------------------


@pages.get("/admin/system", roles=[ADMIN])
async def system(page: Page) -> Response[Any]:
    return await _system(page)


async def _system(page: Page, *, refusal: Told | None = None, status: int = 200) -> Response[Any]:
    ask = page.ask(System)
    services, parked = await asyncio.gather(ask.services(page.caller), ask.parked(page.caller))
    return await page.render(
        "admin/system.html", status=status, here=SYSTEM, search=search(page), services=services, refusal=refusal,
        lagging=LAGGING, parked=sorted(parked, key=lambda one: one.parked_at, reverse=True))


@pages.post("/admin/system/events/{context}/{event_id}/replay", roles=[ADMIN])
async def replay(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        await page.ask(System).replay(page.caller, page.request.path_params["context"], page.id("event_id"))
    except StillFails as refusal:
        return await _system(page, status=refusal.status, refusal=Told(
            _("It could not be handled this time either"), refusal.detail, [], icon="plug-connected-x"))
    return page.redirect(SYSTEM, toast=_("The event is handled now."))

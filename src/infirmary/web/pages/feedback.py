"""What a patient says of a visit, and what doctors and the administration see of it: groups, never a name."""
from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response

from infirmary.contexts.appointments.contract import Appointments, NotInThisState, Status
from infirmary.contexts.appointments.contract.feedback import (
    AlreadyAnswered,
    Feedback,
    FeedbackSummary,
    GiveFeedback,
    NotToBeChanged,
)
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.errors import Malformed, NotFound, Refusal, StaleVersion
from infirmary.language import ADMIN, DOCTOR, PATIENT
from infirmary.web import forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import told
from infirmary.web.typed import an_id

from .doctor import own_id
from .patient import shown

pages = Pages()
PERIODS = {"month": timedelta(days=30), "quarter": timedelta(days=91), "year": timedelta(days=365)}


@pages.get("/visits/{visit_id}/feedback", roles=[PATIENT])
async def asked(page: Page) -> Response[Any]:
    return await _form(page)


@pages.post("/visits/{visit_id}/feedback", roles=[PATIENT])
async def say(page: Page) -> Response[Any]:
    ask, visit_id, _ = page.ask(Appointments), page.id("visit_id"), page.language.gettext
    try:
        said = forms.filled(page, GiveFeedback, {
            "rating": _("Choose one of the five."), "comment": _("Use at most 1000 letters.")})
        if "version" in page.form:
            await ask.change_feedback(page.caller, visit_id, said, if_match=forms.version(page))
        else:
            await ask.give_feedback(page.caller, visit_id, said)
    except Malformed as refusal:
        return await _form(page, errors=page.field_errors(refusal), status=refusal.status)
    except (AlreadyAnswered, NotInThisState, NotToBeChanged, StaleVersion) as refusal:
        return await _form(page, refusal=refusal, status=refusal.status)
    return page.redirect(f"/visits/{visit_id}", toast=_("Thank you. Your answer helps those who come after you."))


async def _form(page: Page, *, errors: dict[str, str] | None = None, refusal: Refusal | None = None,
                status: int = 200) -> Response[Any]:
    visit_id, given = page.id("visit_id"), None
    one = await page.ask(Appointments).appointment(page.caller, visit_id)
    with contextlib.suppress(NotFound):
        given = await page.ask(Appointments).feedback(page.caller, visit_id)
    return await page.render(
        "feedback.html", status=status, here="/visits", visit=shown(page, one), given=given, errors=errors or {},
        values=page.form if errors else _values(given), completed=one.status is Status.COMPLETED,
        open=given is None or page.now < given.editable_until, refusal=told(refusal) if refusal else None)


def _values(given: Feedback | None) -> dict[str, str]:
    return {"rating": str(given.rating), "comment": given.comment} if given else {}


@pages.get("/doctor/feedback", roles=[DOCTOR])
async def of_doctor(page: Page) -> Response[Any]:
    period = _period(page)
    summary = await page.ask(Appointments).feedback_for_doctor(
        page.caller, own_id(page.caller), from_=page.site.clock.now() - PERIODS[period])
    return await _seen(page, summary, period, here="/doctor/feedback")


@pages.get("/admin/feedback", roles=[ADMIN])
async def of_department(page: Page) -> Response[Any]:
    departments, period = (await page.ask(Staff).departments(page.caller)).items, _period(page)
    chosen: UUID | None = an_id(page.query.get("department", "")) or (departments[0].id if departments else None)
    summary = FeedbackSummary(count=0, mean=None, distribution=[0] * 5, comments=[], waiting=0)
    if chosen is not None:
        summary = await page.ask(Appointments).feedback_for_department(
            page.caller, chosen, from_=page.site.clock.now() - PERIODS[period])
    return await _seen(page, summary, period, here="/admin/feedback", department=chosen,
                       departments=[(str(one.id), one.name) for one in departments])


def _period(page: Page) -> str:
    asked = page.query.get("period", "")
    return asked if asked in PERIODS else "quarter"


async def _seen(page: Page, summary: FeedbackSummary, period: str, *, here: str, department: UUID | None = None,
                departments: list[tuple[str, str]] | None = None) -> Response[Any]:
    _ = page.language.gettext
    words = {"month": _("30 days"), "quarter": _("13 weeks"), "year": _("a year")}
    return await page.render("feedback_seen.html", here=here, summary=summary, period=period, periods=[*words.items()],
                             department=str(department or ""), departments=departments or [])

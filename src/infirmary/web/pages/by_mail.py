"""Signing in with a code by e-mail or text message, for patients who have no password at hand."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response

from infirmary.contexts.identity.contract import (
    AskForCode,
    CodeRefused,
    GiveCode,
    Identity,
    MfaRequired,
    NoTextMessages,
    WrongCredentials,
)
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import Malformed, Refusal, TooManyTries
from infirmary.web import forms, menu
from infirmary.web.forms import own
from infirmary.web.page import Page, Pages
from infirmary.web.shown import told
from infirmary.web.typed import an_id

from .security import ask_for_code

pages = Pages()
NOBODYS = UUID(int=0)
LONGEST = 20   # characters, as the contract has it


@pages.get("/sign-in/mail")
async def form(page: Page) -> Response[Any]:
    return await page.render("by_mail.html", values={"email": page.query.get("email", "")}, errors={},
                             next=page.query.get("next", ""))


@pages.post("/sign-in/mail")
async def ask(page: Page) -> Response[Any]:
    try:
        asked = await page.ask(Identity).request_code(NOBODY, forms.filled(page, AskForCode, {
            "email": page.language.gettext("Add what comes after the @.")}))
    except (Malformed, NoTextMessages, TooManyTries) as refusal:
        errors = page.field_errors(refusal)
        return await page.render("by_mail.html", status=refusal.status, values=page.form, errors=errors,
                                 next=page.form.get("next", ""), refusal=None if errors else told(refusal, icon="lock"))
    return await _code(page, asked.code_id)


async def _code(page: Page, code_id: UUID, refusal: Refusal | None = None, *, error: str = "") -> Response[Any]:
    return await page.render("by_mail_code.html", status=refusal.status if refusal else 200, code_id=code_id,
                             email=page.form.get("email", ""), channel=page.form.get("channel", "email"),
                             next=page.form.get("next", ""), error=error,
                             refusal=told(refusal, icon="lock") if refusal and not error else None)


@pages.post("/sign-in/mail/code")
async def give(page: Page) -> Response[Any]:
    code_id = an_id(page.form.get("code_id", "")) or NOBODYS
    try:
        page.sign_in(await page.ask(Identity).verify_code(
            NOBODY, GiveCode(code_id, page.form.get("code", "").strip()[:LONGEST] or "-")))
    except MfaRequired as refusal:
        return await ask_for_code(page, refusal)
    except CodeRefused as refusal:
        return await _code(page, code_id, refusal, error=refusal.detail)
    except (TooManyTries, WrongCredentials) as refusal:
        return await _code(page, code_id, refusal)
    return page.redirect(own(page.form.get("next", "")) or menu.start_of(page.caller))

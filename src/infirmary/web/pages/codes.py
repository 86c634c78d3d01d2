"""Codes by e-mail and text message: the phone they go to, whether signing in asks for one, and how the hospital writes."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response

from infirmary.contexts.identity.contract import (
    ConfirmContactPoint,
    FactorSet,
    Identity,
    MfaRequired,
    NewContactPoint,
    NoFactor,
    NotConfirmed,
    NoTextMessages,
    PhoneUnfit,
    StrongerFactorNeeded,
    WrongCode,
)
from infirmary.contexts.notifications.contract import NoPhone, Notifications, NoWayChosen, PreferencesForm
from infirmary.kernel.errors import Malformed, NotFound, Refusal, StaleVersion, TooManyTries
from infirmary.language import Channel
from infirmary.web import forms
from infirmary.web.page import Page, Pages
from infirmary.web.shown import told
from infirmary.web.typed import an_id

from .security import EVERYBODY, HERE, ask_for_code, layout, sensitive

pages = Pages()
LONGEST = 20   # characters, as the contract has it


def _channel(page: Page) -> Channel:
    try:
        return Channel(page.form.get("channel", ""))
    except ValueError:
        raise NotFound from None


# --- signing in ------------------------------------------------------------------------------------------------------

@pages.post("/sign-in/code/send")
async def send(page: Page) -> Response[Any]:
    token = page.form.get("token", "")[:200] or "-"
    known = [one for one in page.form.get("factors", "").split() if one in ("totp", *Channel)]
    return await ask_for_code(page, MfaRequired(mfa_token=token, factors=known), send=_channel(page))


# --- the phone -------------------------------------------------------------------------------------------------------

@pages.get("/security/phone", roles=EVERYBODY)
async def phone_form(page: Page) -> Response[Any]:
    return await _phone(page)


async def _phone(page: Page, refusal: Refusal | None = None) -> Response[Any]:
    errors = page.field_errors(refusal) if refusal else {}
    return await page.render("phone.html", status=refusal.status if refusal else 200, here=HERE, layout=layout(page),
                             phone=page.form.get("phone", ""), factor=page.form.get("factor", ""), errors=errors,
                             refusal=told(refusal, icon="device-mobile") if refusal and not errors else None)


@sensitive("/security/phone")
async def add_phone(page: Page) -> Response[Any]:
    mend = {"phone": page.language.gettext("Write the whole number, such as +353 85 012 3456.")}
    try:
        asked = await page.ask(Identity).add_contact_point(page.caller, forms.filled(
            page, NewContactPoint, mend, channel=Channel.SMS))
    except (Malformed, PhoneUnfit, NoTextMessages, TooManyTries) as refusal:
        return await _phone(page, refusal)
    return await _confirm(page, asked.code_id, Channel.SMS)


async def _confirm(page: Page, code_id: UUID, channel: Channel, *, status: int = 200, error: str = "") -> Response[Any]:
    return await page.render("contact_code.html", status=status, here=HERE, layout=layout(page), code_id=code_id,
                             channel=channel.value, phone=page.form.get("phone", ""), factor=page.form.get("factor", ""),
                             error=error)


@sensitive("/security/code")
async def confirm(page: Page) -> Response[Any]:
    _, identity, channel = page.language.gettext, page.ask(Identity), _channel(page)
    code_id = an_id(page.form.get("code_id", "")) or UUID(int=0)
    try:
        await identity.confirm_contact_point(page.caller, ConfirmContactPoint(
            code_id=code_id, code=page.form.get("code", "").strip()[:LONGEST] or "-"))
    except WrongCode as refusal:
        return await _confirm(page, code_id, channel, status=refusal.status, error=refusal.detail)
    if page.form.get("factor"):
        return await ask_for_codes(page)
    return page.redirect(HERE, toast=_("Your phone number is confirmed."))


@sensitive("/security/phone/remove")
async def remove_phone(page: Page) -> Response[Any]:
    try:
        await page.ask(Identity).remove_contact_point(page.caller, Channel.SMS)
    except NoFactor:   # gone already
        return page.redirect(HERE)
    return page.redirect(HERE, toast=page.language.gettext("Your phone number is removed. Nothing is sent to it any more."))


# --- besides the password --------------------------------------------------------------------------------------------

@sensitive("/security/codes")
async def ask_for_codes(page: Page) -> Response[Any]:
    """First whatever shows that codes arrive there."""
    _, identity, channel = page.language.gettext, page.ask(Identity), _channel(page)
    try:
        await identity.ask_for_codes(page.caller, channel)
    except NotConfirmed:
        page.form["factor"] = "yes"
        if channel is Channel.SMS:
            return await _phone(page)
        try:
            asked = await identity.add_contact_point(page.caller, NewContactPoint(channel=channel))
        except TooManyTries as refusal:
            return page.redirect(HERE, toast=refusal.detail)
        return await _confirm(page, asked.code_id, channel)
    except StrongerFactorNeeded as refusal:
        return page.redirect(HERE, toast=refusal.detail)
    except FactorSet:
        return page.redirect(HERE)
    return page.redirect(HERE, toast=_("Signing in asks for a code now."))


@sensitive("/security/codes/remove")
async def stop_asking(page: Page) -> Response[Any]:
    try:
        await page.ask(Identity).stop_asking_for_codes(page.caller, _channel(page))
    except NoFactor:
        return page.redirect(HERE)
    return page.redirect(HERE, toast=page.language.gettext("Signing in asks for no such code any more."))


# --- how the hospital writes -----------------------------------------------------------------------------------------

@pages.post("/profile/messages", roles=EVERYBODY)
async def prefer(page: Page) -> Response[Any]:
    _ = page.language.gettext
    body = PreferencesForm(email="email" in page.form, sms="sms" in page.form)
    try:
        await page.ask(Notifications).prefer(page.caller, body, forms.version(page))
    except NoWayChosen as refusal:
        return page.redirect("/profile", toast=refusal.detail)
    except NoPhone:
        return page.redirect("/security/phone")
    except StaleVersion:
        return page.redirect("/profile", toast=_("This was changed elsewhere a moment ago. Look at it again."))
    return page.redirect("/profile", toast=_("Messages come as you chose."))

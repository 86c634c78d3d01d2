"""Signing in and up, passwords, where one is signed in, and what the hospital wrote."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Response
from msgspec import structs

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.identity.contract import (
    ChangePassword,
    ForgottenPassword,
    Identity,
    LinkExpired,
    LoginTaken,
    MfaRequired,
    NewPassword,
    RegisterPatient,
    TokenRequest,
    TokenToRevoke,
    TripOver,
    WeakPassword,
    WrongCredentials,
)
from infirmary.contexts.notifications.contract import Notifications
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import Conflict, Malformed, NoSuchPath, NotFound, Refusal, TooManyTries
from infirmary.language import PATIENT, STAFF_ROLES
from infirmary.web import menu
from infirmary.web.forms import own
from infirmary.web.page import Page, Pages
from infirmary.web.shown import department_choices, told

from .security import ask_for_code, layout, link_of

pages = Pages()
EVERYBODY = (PATIENT, *STAFF_ROLES)
PASSWORD_LEAST = 10
ICONS = {"visits": "calendar-check", "doctor": "calendar-check"}


@pages.get("/")
async def start(page: Page) -> Response[Any]:
    if page.caller.account_id is not None:
        return page.redirect(menu.start_of(page.caller))
    return await welcome(page)


async def welcome(page: Page) -> Response[Any]:
    openings = await page.ask(Appointments).earliest(NOBODY)
    icons = {one.id: one.icon for one in (await page.ask(Staff).departments(NOBODY)).items}
    return await page.render("welcome.html", choices=department_choices(openings, icons, page.settings.hospital.tz))


@pages.get("/sign-in")
async def sign_in_form(page: Page) -> Response[Any]:
    if page.caller.account_id is not None:
        return page.redirect(menu.start_of(page.caller))
    return await page.render("sign_in.html", next=page.query.get("next", ""))


@pages.post("/sign-in")
async def sign_in(page: Page) -> Response[Any]:
    link = link_of(page)
    asked = TokenRequest(grant_type="password", username=page.form.get("email", "").strip()[:254],
                         password=page.form.get("password", "")[:200], link_token=link.token if link else "",
                         device_tokens=page.device_tokens)
    try:
        page.sign_in(await page.ask(Identity).token(NOBODY, asked))
    except MfaRequired as refusal:
        return await ask_for_code(page, refusal)
    except (WrongCredentials, TooManyTries) as refusal:
        return await page.render("sign_in.html", status=refusal.status, refusal=told(refusal, icon="lock"),
                                 values={"email": asked.username}, next=page.form.get("next", ""), link=link)
    except (TripOver, LoginTaken) as refusal:
        return await page.render("sign_in.html", status=refusal.status, refusal=told(refusal, icon="clock-off"),
                                 values={"email": asked.username}, next=page.form.get("next", ""))
    return page.redirect(own(page.form.get("next", "")) or menu.start_of(page.caller))


@pages.post("/sign-out")
async def sign_out(page: Page) -> Response[Any]:
    if page.refresh_token:
        await page.ask(Identity).revoke(NOBODY, TokenToRevoke(token=page.refresh_token))
    page.sign_out()
    return page.redirect("/")


@pages.get("/sign-up")
async def sign_up_form(page: Page) -> Response[Any]:
    return await page.render("sign_up.html", values={}, errors={}, next=page.query.get("next", ""),
                             password_least=PASSWORD_LEAST)


@pages.post("/sign-up")
async def sign_up(page: Page) -> Response[Any]:
    next_page, link = page.form.get("next", ""), link_of(page)
    try:
        body = page.read(RegisterPatient, password=page.form.get("password", ""))
        await page.ask(Identity).register(NOBODY, body)
        asked = TokenRequest(grant_type="password", username=body.email, password=body.password)
        try:
            page.sign_in(await page.ask(Identity).token(NOBODY, structs.replace(asked, link_token=link.token if link else "")))
        except (TripOver, LoginTaken):   # they are registered; the login can be added later
            page.sign_in(await page.ask(Identity).token(NOBODY, asked))
    except (Malformed, WeakPassword, Conflict, TooManyTries, Refusal) as refusal:
        errors = page.field_errors(refusal)
        if isinstance(refusal, WeakPassword):
            errors = {**errors, "password": refusal.detail}
        return await page.render("sign_up.html", status=refusal.status, values=page.form, errors=errors, next=next_page,
                                 password_least=PASSWORD_LEAST, refusal=None if errors else told(refusal), link=link)
    return page.redirect(own(next_page) or menu.start_of(page.caller))


@pages.get("/forgot")
async def forgot_form(page: Page) -> Response[Any]:
    return await page.render("forgot.html", values={}, errors={})


@pages.post("/forgot")
async def forgot(page: Page) -> Response[Any]:
    try:
        await page.ask(Identity).forgot_password(NOBODY, page.read(ForgottenPassword))
    except (Malformed, TooManyTries) as refusal:
        errors = page.field_errors(refusal)
        return await page.render("forgot.html", status=refusal.status, values=page.form, errors=errors,
                                 refusal=None if errors else told(refusal))
    return await page.render("forgot.html", sent=True)


@pages.get("/reset")
async def reset_form(page: Page) -> Response[Any]:
    return await page.render("reset.html", token=page.query.get("token", ""), password_least=PASSWORD_LEAST)


@pages.post("/reset")
async def reset(page: Page) -> Response[Any]:
    token = page.form.get("token", "")
    try:
        await page.ask(Identity).reset_password(NOBODY, page.read(NewPassword, password=page.form.get("password", "")))
    except LinkExpired as refusal:
        return await page.render("reset.html", status=refusal.status, token=token, expired=True)
    except (Malformed, WeakPassword, TooManyTries) as refusal:
        return await page.render("reset.html", status=refusal.status, token=token, password_least=PASSWORD_LEAST,
                                 errors={"password": refusal.detail})
    page.sign_out()
    return page.redirect("/sign-in", toast=page.language.gettext("Your new password is set. Sign in with it."))


@pages.get("/password", roles=EVERYBODY)
async def password_form(page: Page) -> Response[Any]:
    return await page.render("password.html", password_least=PASSWORD_LEAST)


@pages.post("/password", roles=EVERYBODY)
async def password(page: Page) -> Response[Any]:
    try:
        await page.ask(Identity).change_password(page.caller, ChangePassword(
            page.form.get("current", "")[:200], page.form.get("password", "")[:200]))
    except WrongCredentials:
        return await page.render("password.html", status=422, errors={"current": page.language.gettext(
            "This is not your password now. Nothing was changed.")}, password_least=PASSWORD_LEAST, back="/")
    except (WeakPassword, TooManyTries) as refusal:
        return await page.render("password.html", status=refusal.status, errors={"password": refusal.detail},
                                 password_least=PASSWORD_LEAST)
    return page.redirect("/security", toast=page.language.gettext("Your new password is set."))


@pages.get("/profile", roles=EVERYBODY)
async def profile(page: Page) -> Response[Any]:
    return await page.render("profile.html", here="/profile", account=await page.ask(Identity).me(page.caller),
                             preferences=await page.ask(Notifications).preferences(page.caller), layout=layout(page))


@pages.get("/notifications", roles=EVERYBODY)
async def notifications(page: Page) -> Response[Any]:
    found = await page.ask(Notifications).notifications(page.caller, cursor=page.query.get("cursor"))
    unread = (await page.ask(Notifications).unread(page.caller)).count
    items = [{"at": page.local(one.created_at), "title": one.title, "text": one.body, "unread": one.read_at is None,
              "href": f"/notifications/{one.id}/open" if one.link else "", "icon": "bell"} for one in found.items]
    more = "/notifications?" + urlencode({"cursor": found.next_cursor}) if found.next_cursor else ""
    return await page.render("notifications.html", here="/notifications", items=items, more_href=more, unread=unread,
                             layout=layout(page))


@pages.get("/notifications/bell", roles=EVERYBODY, background=True)
async def bell(page: Page) -> Response[Any]:
    unread = (await page.ask(Notifications).unread(page.caller)).count
    return await page.render("_bell.html", unread=unread)


@pages.get("/notifications/stream", roles=EVERYBODY, background=True)
async def stream(page: Page) -> Response[Any]:
    return page.stream((await page.ask(Notifications).stream(page.caller)).chunks)


@pages.post("/notifications/read", roles=EVERYBODY)
async def read_all(page: Page) -> Response[Any]:
    await page.ask(Notifications).read_all(page.caller)
    return page.redirect("/notifications")


@pages.get("/notifications/{notification_id}/open", roles=EVERYBODY)
async def open_notification(page: Page) -> Response[Any]:
    """Marks it as read on the way to what it speaks of."""
    one = await page.ask(Notifications).read(page.caller, page.id("notification_id"))
    return page.redirect(own(one.link) or "/notifications")


@pages.get("/{anything:path}")
async def nothing_here(page: Page) -> Response[Any]:
    raise NoSuchPath if page.path.startswith("/api/") else NotFound

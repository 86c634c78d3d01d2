"""Signing in with a provider of OpenID Connect, and which logins elsewhere open one's account."""
from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import msgspec
from litestar import Response

from infirmary.contexts.identity.contract import (
    BroughtBack,
    Identity,
    LinkRequired,
    LoginTaken,
    MfaRequired,
    NotKnownHere,
    NotProven,
    RegistrationRequired,
    TripOver,
)
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import NotFound, Refusal, TooManyTries, Unavailable
from infirmary.language import PATIENT, STAFF_ROLES
from infirmary.web import menu
from infirmary.web.forms import own
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, told
from infirmary.web.typed import an_id

from .account import PASSWORD_LEAST
from .security import HERE, Link, ask_for_code, link_of, sensitive

pages = Pages()
EVERYBODY = (PATIENT, *STAFF_ROLES)
TRIP = "trip"            # the cookie: what must come back with the answer, and where one wanted to go
TRIP_SECONDS = 600


def _name(page: Page) -> str:
    known = page.settings.oidc.get(page.request.path_params["provider"])
    if known is None:
        raise NotFound
    return known.name


# --- there and back --------------------------------------------------------------------------------------------------

@pages.get("/auth/oidc/{provider}/start")
async def start(page: Page) -> Response[Any]:
    """A link and no form: a form may not lead to another site, and that is a good rule."""
    name = _name(page)
    try:
        away = await page.ask(Identity).start_oidc(NOBODY, page.request.path_params["provider"])
    except (Unavailable, TooManyTries) as refusal:
        return await _otherwise(page, refusal, name, onward=page.query.get("next", ""))
    page.keep(TRIP, f"{away.browser} {quote(own(page.query.get('next', '')), safe='')}", seconds=TRIP_SECONDS)
    return page.redirect(away.authorization_url)


@pages.get("/auth/oidc/{provider}/callback")
async def callback(page: Page) -> Response[Any]:
    name, provider = _name(page), page.request.path_params["provider"]
    browser, _, onward = page.kept(TRIP).partition(" ")
    onward = own(unquote(onward))
    page.keep(TRIP, "", seconds=0)
    try:
        brought = msgspec.convert({**{part: page.query.get(part, "") for part in ("state", "code", "iss")},
                                   "browser": browser}, BroughtBack)
        arrived = await page.ask(Identity).come_back(page.caller, provider, brought)
    except msgspec.ValidationError:
        return await _otherwise(page, None if page.query.get("error") else TripOver(), name, onward=onward)
    except MfaRequired as refusal:
        page.form["next"] = onward
        return await ask_for_code(page, refusal)
    except LinkRequired as refusal:
        link = Link(refusal.extra["link_token"], provider, name)
        return await page.render("sign_in.html", link=link, next=onward, values={"email": refusal.extra["email"]})
    except RegistrationRequired as refusal:
        return await page.render("sign_up.html", link=Link(refusal.extra["link_token"], provider, name), next=onward,
                                 values=refusal.extra, password_least=PASSWORD_LEAST)
    except (TripOver, NotProven, NotKnownHere, LoginTaken, Unavailable) as refusal:
        return await _otherwise(page, refusal, name, onward=onward)
    if arrived.tokens is None:
        return page.redirect(HERE, toast=page.language.gettext("From now on %(provider)s opens your account here.") % {
            "provider": name})
    page.sign_in(arrived.tokens)
    return page.redirect(onward or menu.start_of(page.caller))


@pages.post("/sign-in/link")
async def sign_in_to_link(page: Page) -> Response[Any]:
    """From the form for newcomers to the one for those who have an account."""
    return await page.render("sign_in.html", link=link_of(page), next=page.form.get("next", ""))


async def _otherwise(page: Page, refusal: Refusal | None, name: str, *, onward: str) -> Response[Any]:
    """What happened, and every other way in. Without a refusal: they did not want to, there."""
    said, status = _told(page, refusal, name), refusal.status if refusal else 200
    if page.caller.account_id is not None:   # a login was to be added
        return await page.render("error.html", status=status, request_id="", title=said.title, text=said.text)
    return await page.render("sign_in.html", status=status, refusal=said, next=onward)


def _told(page: Page, refusal: Refusal | None, name: str) -> Told:
    _, names = page.language.gettext, {"provider": name, "phone": page.settings.hospital.phone}
    match refusal:
        case None:
            title, text, icon = _("You did not go on with %(provider)s"), _(
                "Nobody was signed in. Begin again, or sign in another way."), "ban"
        case Unavailable():
            title, text, icon = _("%(provider)s does not answer just now"), _(
                "Nobody was signed in. Try again in a minute, or sign in another way."), "plug-connected-x"
        case TripOver():
            title, text, icon = _("This way to sign in is closed"), _(
                "It was begun too long ago or in another browser, or it has been used. Begin again."), "clock-off"
        case NotProven():
            title, text, icon = _("%(provider)s could not show us who you are"), _(
                "Nobody was signed in. Begin again, or sign in another way."), "shield-off"
        case NotKnownHere():
            title, text, icon = _("Nobody here is known by this login"), _(
                "If you have an account, sign in another way and add the login under Security. Or call %(phone)s."), "user-search"
        case LoginTaken():
            title, text, icon = _("This login cannot be added"), _(
                "It opens another account here, or yours has one of %(provider)s already. Remove that one first."), "users"
        case _:
            return told(refusal, icon="lock")
    return Told(title % names, text % names, [], icon=icon)


# --- one's own -------------------------------------------------------------------------------------------------------

@sensitive("/security/logins")
async def add(page: Page) -> Response[Any]:
    provider = page.form.get("provider", "")
    known = page.settings.oidc.get(provider)
    if known is None:
        raise NotFound
    try:
        away = await page.ask(Identity).link_oidc(page.caller, provider)
    except Unavailable as refusal:
        return await _otherwise(page, refusal, known.name, onward="")
    page.keep(TRIP, away.browser, seconds=TRIP_SECONDS)
    # A form may not lead to another site; a page may go there by itself.
    return await page.render("leaving.html", name=known.name, href=away.authorization_url,
                             headers={"Refresh": f"0; url={away.authorization_url}"})


@sensitive("/security/logins/remove")
async def remove(page: Page) -> Response[Any]:
    login_id = an_id(page.form.get("login_id", ""))
    if login_id is None:
        raise NotFound
    await page.ask(Identity).unlink(page.caller, login_id)
    return page.redirect(HERE, toast=page.language.gettext("That login opens your account no more."))

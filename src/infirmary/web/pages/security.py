"""How one signs in: password, authenticator app, recovery codes; and where one is signed in."""
from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import segno
from litestar import Response
from msgspec import Struct

from infirmary.contexts.identity.contract import (
    CodeGiven,
    DisableTotp,
    FactorSet,
    Identity,
    LoginTaken,
    MfaRequired,
    NoFactor,
    NothingToConfirm,
    SendSecondFactor,
    StepUp,
    StepUpRequired,
    TokenRequest,
    TripOver,
    WrongCode,
    WrongCredentials,
)
from infirmary.kernel.access import NOBODY
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import PATIENT, STAFF_ROLES, Channel, Role
from infirmary.web import forms, menu
from infirmary.web.forms import own
from infirmary.web.page import Handler, Page, Pages
from infirmary.web.shown import Told, told
from infirmary.web.typed import an_id

pages = Pages()
EVERYBODY = (PATIENT, *STAFF_ROLES)
HERE = "/security"
LONGEST_URI = 600
CODE = 40   # characters, as the contract has it
ASKED = ("_csrf_token", "proof", "then")   # by the question itself
_resume: dict[str, tuple[frozenset[Role], Handler]] = {}


class Link(Struct, frozen=True):
    """A login elsewhere that waits to be added to the account that is signed in to with a password."""

    token: str
    provider: str   # its id
    name: str


def link_of(page: Page) -> Link | None:
    """The one that the form brings along."""
    token, provider = page.form.get("link_token", "")[:100], page.form.get("provider", "")
    known = page.settings.oidc.get(provider)
    return Link(token, provider, known.name) if token and known else None


# --- signing in: the second step -------------------------------------------------------------------------------------

async def ask_for_code(page: Page, refusal: MfaRequired, *, wrong: bool = False, send: Channel | None = None) -> Response[Any]:
    """The password was right; what stands for it travels in the form, never in an address. A code is sent by the channel
    `send`, or where nothing else will do."""
    token, factors = refusal.extra["mfa_token"], refusal.extra["factors"]
    error = page.language.gettext("This code does not match, or was used before. Wait for the next one.") if wrong else ""
    first = factors[0] if len(factors) == 1 and not wrong else ""
    channel, code_id, told_no = send or (Channel(first) if first in [*Channel] else None), page.form.get("code_id", ""), None
    if channel:
        try:
            code_id = str((await page.ask(Identity).send_second_factor(NOBODY, SendSecondFactor(
                mfa_token=token, channel=channel))).code_id)
        except (NoFactor, TooManyTries) as no:
            told_no = no
        except WrongCredentials as no:
            return await page.render("sign_in.html", status=no.status, next=page.form.get("next", ""),
                                     refusal=told(no, icon="clock-off"))
    status = told_no.status if told_no else refusal.status if wrong else 200
    return await page.render("sign_in_code.html", status=status, error=error, token=token, factors=factors, code_id=code_id,
                             sent=channel.value if channel and not told_no else "", next=page.form.get("next", ""),
                             link=link_of(page), refusal=told(told_no, icon="lock") if told_no else None)


@pages.post("/sign-in/code")
async def second_step(page: Page) -> Response[Any]:
    token, link = page.form.get("token", "")[:200], link_of(page)
    try:
        page.sign_in(await page.ask(Identity).token(NOBODY, TokenRequest(
            grant_type="mfa_otp", mfa_token=token or "-", otp=page.form.get("otp", "").strip()[:CODE] or "-",
            code_id=an_id(page.form.get("code_id", "")), link_token=link.token if link else "")))
    except MfaRequired as refusal:
        return await ask_for_code(page, refusal, wrong=True)
    except TooManyTries as refusal:
        return await page.render("sign_in_code.html", status=429, token=token, error="", next=page.form.get("next", ""),
                                 refusal=told(refusal, icon="lock"), link=link, factors=["totp"], code_id="", sent="")
    except (WrongCredentials, TripOver, LoginTaken) as refusal:
        return await page.render("sign_in.html", status=refusal.status, next=page.form.get("next", ""),
                                 refusal=told(refusal, icon="clock-off"))
    return page.redirect(own(page.form.get("next", "")) or menu.start_of(page.caller))


# --- the password, given again ---------------------------------------------------------------------------------------

def sensitive(path: str, roles: Collection[Role] = EVERYBODY) -> Callable[[Handler], Handler]:
    """A form that needs the password where it was given too long ago: it is asked for, and then the form goes on. A field
    `back` says where those go who leave it."""
    def declare(handler: Handler) -> Handler:
        async def answer(page: Page) -> Response[Any]:
            try:
                return await handler(page)
            except StepUpRequired:
                page.form["then"] = path
                return await ask_again(page)

        _resume[path] = frozenset(roles), answer
        answer.__name__ = handler.__name__
        return pages.post(path, roles=roles)(answer)

    return declare


async def ask_again(page: Page, *, status: int = 200, error: str = "", refusal: Told | None = None) -> Response[Any]:
    kept = [(name, value) for name, values in page.lists.items() if name not in ASKED for value in values]
    factor = await page.ask(Identity).second_factor(page.caller)
    return await page.render("step_up.html", status=status, here=HERE, then=page.form["then"], kept=kept, error=error,
                             refusal=refusal, passkeys=factor.passkeys, back=forms.back(page, HERE), layout=layout(page))


def going_on(page: Page) -> Handler:
    """The form that the password was asked for."""
    roles, handler = _resume.get(page.form.get("then", ""), (frozenset(), None))
    if handler is None or not roles & page.caller.roles:
        raise NotFound
    return handler


@pages.post("/security/prove", roles=EVERYBODY)
async def prove(page: Page) -> Response[Any]:
    go_on = going_on(page)
    try:
        await page.ask(Identity).step_up(page.caller, StepUp(page.form.get("proof", "")[:200] or "-"))
    except (WrongCredentials, TooManyTries) as refusal:
        return await ask_again(page, status=422 if refusal.status == 401 else refusal.status, error=refusal.detail)
    return await go_on(page)


# --- the page --------------------------------------------------------------------------------------------------------

@pages.get("/security", roles=EVERYBODY)
async def security(page: Page) -> Response[Any]:
    identity = page.ask(Identity)
    sessions = sorted(await identity.sessions(page.caller), key=lambda one: not one.current)
    points = {one.channel: one for one in await identity.contact_points(page.caller)}
    return await page.render("security.html", here=HERE, factor=await identity.second_factor(page.caller),
                             passkeys=await identity.passkeys(page.caller), sessions=sessions,
                             logins=await identity.logins(page.caller), layout=layout(page), channels=_channels(page),
                             points={one.value: points.get(one) for one in Channel})


def _channels(page: Page) -> list[str]:
    """By which a code may be asked for besides the password: fewer, or none, for whom that is too little."""
    if not page.caller.roles.isdisjoint(page.settings.strong_factor):
        return []
    return [one.value for one in Channel if one is not Channel.SMS or page.settings.texts]


@sensitive("/security/authenticator")
async def set_up(page: Page) -> Response[Any]:
    try:
        offered = await page.ask(Identity).enroll_totp(page.caller)
    except FactorSet:
        return page.redirect(HERE)
    return await _offer(page, offered.otpauth_uri)


async def _offer(page: Page, uri: str, *, status: int = 200, error: str = "") -> Response[Any]:
    """The secret stays in this one page: what was asked for is shown again when the code was wrong."""
    secret = parse_qs(urlsplit(uri).query).get("secret", [""])[0]
    picture = segno.make(uri, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True)
    return await page.render("authenticator.html", status=status, here=HERE, uri=uri, picture=picture, error=error,
                             secret=" ".join(secret[at:at + 4] for at in range(0, len(secret), 4)), layout=layout(page))


@sensitive("/security/authenticator/confirm")
async def confirm(page: Page) -> Response[Any]:
    uri = page.form.get("uri", "")
    if not uri.startswith("otpauth://totp/") or len(uri) > LONGEST_URI:
        return page.redirect(HERE)
    try:
        made = await page.ask(Identity).confirm_totp(page.caller, CodeGiven(page.form.get("code", "").strip()[:CODE] or "-"))
    except WrongCode as refusal:
        return await _offer(page, uri, status=refusal.status, error=refusal.detail)
    except NothingToConfirm:
        return page.redirect(HERE)
    return await _codes(page, made.recovery_codes, page.language.gettext("Signing in asks for a code now"))


@sensitive("/security/recovery-codes")
async def renew(page: Page) -> Response[Any]:
    try:
        made = await page.ask(Identity).renew_recovery_codes(page.caller)
    except NoFactor:
        return page.redirect(HERE)
    return await _codes(page, made.recovery_codes, page.language.gettext("Your new recovery codes"))


async def _codes(page: Page, codes: list[str], title: str) -> Response[Any]:
    return await page.render("recovery_codes.html", here=HERE, codes=codes, title=title, layout=layout(page))


@pages.get("/security/authenticator/remove", roles=EVERYBODY)
async def remove_form(page: Page) -> Response[Any]:
    return await page.render("authenticator_remove.html", here=HERE, layout=layout(page))


@pages.post("/security/authenticator/remove", roles=EVERYBODY)
async def remove(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        await page.ask(Identity).disable_totp(page.caller, DisableTotp(
            page.form.get("password", "")[:200] or "-", page.form.get("code", "").strip()[:CODE] or "-"))
    except (WrongCredentials, TooManyTries) as refusal:
        return await page.render("authenticator_remove.html", status=422 if refusal.status == 401 else refusal.status,
                                 here=HERE, layout=layout(page), refusal=told(refusal, icon="lock"))
    except NoFactor:
        return page.redirect(HERE)
    return page.redirect(HERE, toast=_("The authenticator app is removed. Your password alone signs you in."))


# --- where one is signed in ------------------------------------------------------------------------------------------

@pages.post("/sessions/others/end", roles=EVERYBODY)
async def end_others(page: Page) -> Response[Any]:
    await page.ask(Identity).end_other_sessions(page.caller)
    return page.redirect(HERE, toast=page.language.gettext("You are signed out everywhere but here."))


@pages.post("/sessions/{session_id}/end", roles=EVERYBODY)
async def end_session(page: Page) -> Response[Any]:
    await page.ask(Identity).end_session(page.caller, page.id("session_id"))
    return page.redirect(HERE, toast=page.language.gettext("That sign-in has ended."))


def layout(page: Page) -> str:
    return "_read.html" if page.caller.roles <= {PATIENT} else "_work.html"

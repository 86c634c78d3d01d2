"""Passkeys: signing in with one, giving one in place of the password, and looking after one's own. Making and using them
takes the browser's script (assets/js/passkeys.js); nothing else here does."""
from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Response

from infirmary.contexts.identity.contract import (
    ChallengeSpent,
    Identity,
    MadeCredential,
    NewPasskey,
    Passkey,
    PasskeyKnown,
    PasskeyRefused,
    PasskeyUnfit,
    RenamePasskey,
    TooManyPasskeys,
    UsedCredential,
    UsePasskey,
)
from infirmary.kernel.access import NOBODY
from infirmary.kernel.binding import malformed
from infirmary.kernel.errors import Malformed, NotFound, Refusal, StaleVersion, TooManyTries
from infirmary.web import forms, menu
from infirmary.web.forms import own
from infirmary.web.page import Page, Pages
from infirmary.web.shown import told
from infirmary.web.typed import an_id

from .security import EVERYBODY, HERE, ask_again, going_on, layout, sensitive

S = TypeVar("S", bound=msgspec.Struct)
pages = Pages()
ICON = "fingerprint"


def _answered(page: Page, kind: type[S], field: str = "credential") -> S:
    """What the browser's script put into the form."""
    try:
        return msgspec.json.decode(page.form.get(field, ""), type=kind)
    except msgspec.ValidationError as error:
        raise malformed(error) from error
    except msgspec.DecodeError as error:
        raise Malformed from error


@pages.get("/passkeys/options")
async def options(page: Page) -> Response[Any]:
    return page.json((await page.ask(Identity).passkey_challenge(NOBODY)).public_key)


@pages.post("/sign-in/passkey")
async def sign_in(page: Page) -> Response[Any]:
    try:
        page.sign_in(await page.ask(Identity).passkey_token(NOBODY, UsePasskey(_answered(page, UsedCredential))))
    except (PasskeyRefused, ChallengeSpent, TooManyTries, Malformed) as refusal:
        return await page.render("sign_in.html", status=refusal.status, refusal=told(refusal, icon=ICON),
                                 next=page.form.get("next", ""))
    return page.redirect(own(page.form.get("next", "")) or menu.start_of(page.caller))


@pages.post("/security/prove/passkey", roles=EVERYBODY)
async def prove(page: Page) -> Response[Any]:
    go_on = going_on(page)
    try:
        await page.ask(Identity).passkey_step_up(page.caller, UsePasskey(_answered(page, UsedCredential, "proof")))
    except (PasskeyRefused, ChallengeSpent, TooManyTries, Malformed) as refusal:
        return await ask_again(page, status=422 if refusal.status == 401 else refusal.status,
                               refusal=told(refusal, icon=ICON))
    return await go_on(page)


# --- one's own -------------------------------------------------------------------------------------------------------

@sensitive("/security/passkeys/new")
async def new(page: Page) -> Response[Any]:
    return await _new(page)


async def _new(page: Page, refusal: Refusal | None = None, *, errors: dict[str, str] | None = None) -> Response[Any]:
    """With a challenge of its own each time. StepUpRequired where the password was given too long ago."""
    try:
        offered = await page.ask(Identity).passkey_options(page.caller)
    except TooManyPasskeys as full:
        return page.redirect(HERE, toast=full.detail)
    return await page.render(
        "passkey_new.html", status=refusal.status if refusal else 200, here=HERE, layout=layout(page),
        options=msgspec.json.encode(offered.public_key).decode(), name=page.form.get("name", ""), errors=errors or {},
        refusal=told(refusal, icon=ICON) if refusal and not errors else None)


@sensitive("/security/passkeys")
async def add(page: Page) -> Response[Any]:
    _ = page.language.gettext
    try:
        body = msgspec.convert({"name": page.form.get("name", "").strip(), "credential": _answered(page, MadeCredential)},
                               type=NewPasskey)
        made = await page.ask(Identity).add_passkey(page.caller, body)
    except msgspec.ValidationError:
        return await _new(page, Malformed(), errors={"name": _mend_name(page)})
    except (PasskeyUnfit, ChallengeSpent, PasskeyKnown, TooManyPasskeys, Malformed) as refusal:
        return await _new(page, refusal)
    return page.redirect(HERE, toast=_("“%(name)s” signs you in from now on.") % {"name": made.name})


def _mend_name(page: Page) -> str:
    return page.language.gettext("Write a name of up to 60 letters.")


@pages.get("/security/passkeys/{passkey_id}", roles=EVERYBODY)
async def one(page: Page) -> Response[Any]:
    return await _show(page, await _mine(page))


async def _mine(page: Page) -> Passkey:
    found = await page.ask(Identity).passkeys(page.caller)
    known = next((one for one in found if one.id == page.id("passkey_id")), None)
    if known is None:
        raise NotFound
    return known


async def _show(page: Page, passkey: Passkey, *, refusal: Refusal | None = None, errors: dict[str, str] | None = None,
                ) -> Response[Any]:
    return await page.render("passkey.html", status=refusal.status if refusal else 200, here=HERE, layout=layout(page),
                             passkey=passkey, errors=errors or {}, name=page.form.get("name", passkey.name),
                             refusal=told(refusal, icon="versions") if refusal and not errors else None)


@pages.post("/security/passkeys/{passkey_id}", roles=EVERYBODY)
async def rename(page: Page) -> Response[Any]:
    passkey = await _mine(page)
    try:
        body = forms.filled(page, RenamePasskey, {"name": _mend_name(page)})
        renamed = await page.ask(Identity).rename_passkey(page.caller, passkey.id, body, forms.version(page))
    except Malformed as refusal:
        return await _show(page, passkey, refusal=refusal, errors=page.field_errors(refusal))
    except StaleVersion as refusal:
        return await _show(page, passkey, refusal=refusal)
    return page.redirect(HERE, toast=page.language.gettext("It is called “%(name)s” now.") % {"name": renamed.name})


@sensitive("/security/passkeys/remove")
async def remove(page: Page) -> Response[Any]:
    passkey_id = an_id(page.form.get("passkey_id", ""))
    if passkey_id is None:
        raise NotFound
    await page.ask(Identity).remove_passkey(page.caller, passkey_id)
    return page.redirect(HERE, toast=page.language.gettext("That passkey signs nobody in any more."))

"""Programs that sign in by themselves: made, given roles, given another secret, and revoked."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Response

from infirmary.contexts.identity.contract import (
    AmendClient,
    Client,
    ClientForm,
    ClientRevoked,
    ClientSecret,
    Identity,
)
from infirmary.kernel.errors import FieldError, Malformed, NotFound, StaleVersion
from infirmary.language import ADMIN, DOCTOR, STAFF_ROLES, Role
from infirmary.web import forms
from infirmary.web.menu import LABELS
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told
from infirmary.web.typed import an_id

from .security import sensitive

pages = Pages()
CLIENTS = "/admin/clients"
HERE = "/admin/accounts"   # the tab
ROLES = [role for role in STAFF_ROLES if role is not DOCTOR]


def _roles(page: Page) -> list[tuple[str, str]]:
    return [(role.value, page.language.gettext(LABELS[role])) for role in ROLES]


def _form(page: Page) -> dict[str, Any]:
    """Name and roles as they were typed; refuses with what is to be mended."""
    _ = page.language.gettext
    roles = [Role(one) for one in page.lists.get("roles", []) if one in ROLES]
    if not roles:
        raise Malformed(errors=[FieldError("roles", _("Choose at least one."))])
    return {"mend": {"name": _("Write a name.")}, "roles": roles}


@pages.get("/admin/clients", roles=[ADMIN])
async def clients(page: Page) -> Response[Any]:
    found = await page.ask(Identity).clients(page.caller, limit=50, cursor=page.query.get("cursor"))
    more = "?" + urlencode({"cursor": found.next_cursor}) if found.next_cursor else ""
    return await page.render("admin/clients.html", here=HERE, clients=found.items, roles=dict(_roles(page)), more=more)


@pages.get("/admin/clients/new", roles=[ADMIN])
async def new(page: Page) -> Response[Any]:
    return await _new(page)


async def _new(page: Page, *, errors: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    return await page.render("admin/client_new.html", status=status, here=HERE, values=page.form, errors=errors or {},
                             chosen=page.lists.get("roles", []), roles=_roles(page))


@sensitive("/admin/clients", [ADMIN])
async def make(page: Page) -> Response[Any]:
    try:
        made = await page.ask(Identity).make_client(page.caller, forms.filled(page, ClientForm, **_form(page)))
    except Malformed as refusal:
        return await _new(page, errors=page.field_errors(refusal), status=refusal.status)
    return await _secret(page, made, page.language.gettext("%(name)s can sign in now"))


async def _secret(page: Page, made: ClientSecret, title: str) -> Response[Any]:
    """The one page that shows it."""
    return await page.render("admin/client_secret.html", here=HERE, made=made, title=title % {"name": made.client.name},
                             token_url=f"{page.settings.public_url}/api/v1/auth/token")


@pages.get("/admin/clients/{client_id}", roles=[ADMIN])
async def one_client(page: Page) -> Response[Any]:
    return await _show(page, await page.ask(Identity).client(page.caller, page.id("client_id")))


async def _show(page: Page, client: Client, *, errors: dict[str, str] | None = None, refusal: Told | None = None,
                status: int = 200) -> Response[Any]:
    typed = errors is not None
    return await page.render(
        "admin/client.html", status=status, here=HERE, client=client, errors=errors or {}, refusal=refusal,
        name=page.form.get("name", "") if typed else client.name, roles=_roles(page), ask=page.query.get("ask", ""),
        chosen=page.lists.get("roles", []) if typed else [one.value for one in client.roles])


async def _named(page: Page) -> Client:
    """The one that the form is about."""
    client_id = an_id(page.form.get("client_id", ""))
    if client_id is None:
        raise NotFound
    return await page.ask(Identity).client(page.caller, client_id)


async def _meanwhile(page: Page, client: Client) -> Response[Any]:
    _ = page.language.gettext
    return await _show(page, client, status=412, refusal=Told(
        _("Somebody changed this program a moment ago"), _("Nothing was done. This is how it reads now."), [],
        icon="versions"))


@sensitive("/admin/clients/amend", [ADMIN])
async def amend(page: Page) -> Response[Any]:
    client = await _named(page)
    try:
        made = await page.ask(Identity).amend_client(
            page.caller, client.id, forms.filled(page, AmendClient, **_form(page)), forms.version(page))
    except Malformed as refusal:
        return await _show(page, client, errors=page.field_errors(refusal), status=refusal.status)
    except (StaleVersion, ClientRevoked):
        return await _meanwhile(page, client)
    return page.redirect(f"{CLIENTS}/{made.id}", toast=page.language.gettext("%(name)s is changed.") % {"name": made.name})


@sensitive("/admin/clients/rotate", [ADMIN])
async def rotate(page: Page) -> Response[Any]:
    client = await _named(page)
    try:
        made = await page.ask(Identity).rotate_client(page.caller, client.id, forms.version(page))
    except (StaleVersion, ClientRevoked):
        return await _meanwhile(page, client)
    return await _secret(page, made, page.language.gettext("The new secret of %(name)s"))


@pages.post("/admin/clients/revoke", roles=[ADMIN])
async def revoke(page: Page) -> Response[Any]:
    client = await _named(page)
    try:
        made = await page.ask(Identity).revoke_client(page.caller, client.id, forms.version(page))
    except (StaleVersion, ClientRevoked):
        return await _meanwhile(page, client)
    return page.redirect(f"{CLIENTS}/{made.id}", toast=page.language.gettext(
        "%(name)s can sign in no more; its tokens end within seconds.") % {"name": made.name})

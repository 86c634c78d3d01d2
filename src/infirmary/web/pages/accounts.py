"""Accounts: who may sign in, as what, and whether still."""
from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from litestar import Response

from infirmary.contexts.identity.contract import (
    Account,
    AlreadyLinked,
    AmendAccount,
    EmailTaken,
    Identity,
    LastAdmin,
    NoFactor,
    OpenAccount,
    RoleNeedsPerson,
)
from infirmary.contexts.staff.contract import Doctor, Staff
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.language import ADMIN, DOCTOR, STAFF_ROLES, Role
from infirmary.web import forms
from infirmary.web.menu import LABELS
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, told
from infirmary.web.typed import an_id

from .security import sensitive

pages = Pages()
ACCOUNTS = "/admin/accounts"
ROLES = (*STAFF_ROLES, Role.PATIENT)


@pages.get("/admin/accounts", roles=[ADMIN])
async def accounts(page: Page) -> Response[Any]:
    q, asked = page.query.get("q", "").strip()[:100], page.query.get("role", "")
    role = Role(asked) if asked in ROLES else None
    found = await page.ask(Identity).accounts(page.caller, q=q, role=role, limit=50, cursor=page.query.get("cursor"))
    more = "?" + urlencode({**page.query, "cursor": found.next_cursor}) if found.next_cursor else ""
    return await page.render("admin/accounts.html", here=ACCOUNTS, accounts=found.items, q=q, role=asked, more=more,
                             roles=_roles(page))


def _roles(page: Page) -> list[tuple[str, str]]:
    return [(role.value, page.language.gettext(LABELS[role])) for role in ROLES]


@pages.get("/admin/accounts/new", roles=[ADMIN])
async def new(page: Page) -> Response[Any]:
    return await _new(page, values=page.query, chosen=[page.query.get("role", "")])


async def _new(page: Page, *, values: dict[str, str], chosen: list[str], errors: dict[str, str] | None = None,
               refusal: Told | None = None, status: int = 200) -> Response[Any]:
    return await page.render("admin/account_new.html", status=status, here=ACCOUNTS, values=values, chosen=chosen,
                             errors=errors or {}, refusal=refusal, roles=_roles(page), doctors=await _doctors(page))


async def _doctors(page: Page) -> list[tuple[str, str]]:
    found: list[Doctor] = []
    cursor = None
    while True:
        part = await page.ask(Staff).doctors(page.caller, limit=100, cursor=cursor)
        found += part.items
        if (cursor := part.next_cursor) is None:
            break
    return [("", page.language.gettext("nobody")), *((str(one.id), f"{one.name}, {one.specialty}") for one in found)]


def _chosen(page: Page) -> list[Role]:
    roles = [Role(one) for one in page.lists.get("roles", []) if one in ROLES]
    if not roles:
        raise Malformed(errors=[FieldError("roles", page.language.gettext("Choose at least one."))])
    return roles


@pages.post("/admin/accounts", roles=[ADMIN])
async def open_account(page: Page) -> Response[Any]:
    """Without a password: the person chooses one by the link in the invitation."""
    _ = page.language.gettext
    typed = page.lists.get("roles", [])
    try:
        roles = _chosen(page)
        linked = {"patient_id": an_id(page.form.get("patient_id", "")) if Role.PATIENT in roles else None,
                  "doctor_id": an_id(page.form.get("doctor_id", "")) if DOCTOR in roles else None,
                  "staff_id": an_id(page.form.get("staff_id", ""))}
        made = await page.ask(Identity).open_account(page.caller, forms.filled(
            page, OpenAccount, {"email": _("Write the whole address, such as name@example.org."),
                                "name": _("Write a name.")}, roles=roles, password=None, **linked))
    except (Malformed, EmailTaken, AlreadyLinked, RoleNeedsPerson) as refusal:
        errors = _errors(page, refusal)
        return await _new(page, values=page.form, chosen=typed, errors=errors, status=refusal.status,
                          refusal=None if errors else told(refusal))
    text = _("%(name)s is invited: a link to choose a password is on its way.") % {"name": made.name}
    return page.redirect(f"{ACCOUNTS}/{made.id}", toast=text)


def _errors(page: Page, refusal: Refusal) -> dict[str, str]:
    _ = page.language.gettext
    match refusal:
        case EmailTaken():
            return {"email": _("There is an account with this address already.")}
        case AlreadyLinked():
            return {"doctor_id": _("Another account belongs to this doctor already.")}
        case RoleNeedsPerson():
            return {"roles": refusal.detail}
    return page.field_errors(refusal)


@pages.get("/admin/accounts/{account_id}", roles=[ADMIN])
async def one_account(page: Page) -> Response[Any]:
    return await _show(page, await page.ask(Identity).account(page.caller, page.id("account_id")))


async def _show(page: Page, account: Account, *, values: dict[str, str] | None = None, chosen: list[str] | None = None,
                errors: dict[str, str] | None = None, refusal: Told | None = None, status: int = 200,
                changed: list[tuple[str, str, str]] | None = None) -> Response[Any]:
    values = values or {"name": account.name, "doctor_id": str(account.doctor_id or "")}
    identity = page.ask(Identity)
    return await page.render(
        "admin/account.html", status=status, here=ACCOUNTS, account=account,
        factor=await identity.second_factor_of(page.caller, account.id),
        sessions=await identity.sessions_of(page.caller, account.id),
        logins=await identity.logins_of(page.caller, account.id),
        passkeys=await identity.passkeys_of(page.caller, account.id), values=values, errors=errors or {},
        chosen=[one.value for one in account.roles] if chosen is None else chosen, refusal=refusal, changed=changed,
        ask=page.query.get("ask", ""), roles=_roles(page), doctors=await _doctors(page),
        own=account.id == page.caller.account_id)


@pages.post("/admin/accounts/{account_id}", roles=[ADMIN])
async def amend(page: Page) -> Response[Any]:
    _, identity, account_id = page.language.gettext, page.ask(Identity), page.id("account_id")
    before, typed = await identity.account(page.caller, account_id), page.lists.get("roles", [])
    try:
        roles = _chosen(page)
        body = forms.filled(page, AmendAccount, {"name": _("Write a name.")}, roles=roles,
                            doctor_id=an_id(page.form.get("doctor_id", "")) if DOCTOR in roles else None)
        made = await identity.amend_account(page.caller, account_id, body, forms.version(page))
    except StaleVersion:
        now = await identity.account(page.caller, account_id)
        return await _show(page, now, values=page.form, chosen=typed, changed=_differences(page, now, typed),
                           status=412)
    except LastAdmin as refusal:
        return await _show(page, before, values=page.form, chosen=typed, status=refusal.status, refusal=_last(page))
    except (Malformed, AlreadyLinked, RoleNeedsPerson) as refusal:
        return await _show(page, before, values=page.form, chosen=typed, errors=_errors(page, refusal),
                           status=refusal.status)
    return page.redirect(f"{ACCOUNTS}/{account_id}", toast=_("The account of %(name)s is changed.") % {
        "name": made.name})


def _last(page: Page) -> Told:
    _ = page.language.gettext
    return Told(_("This is the last administrator"),
                _("Nothing was changed. Make somebody else an administrator first."), [], icon="key")


def _differences(page: Page, now: Account, typed: list[str]) -> list[tuple[str, str, str]]:
    _, words = page.language.gettext, dict(_roles(page))
    there, yours = (", ".join(words[role] for role in words if role in chosen) for chosen in ([*now.roles], typed))
    rows = [(_("Name"), now.name, page.form.get("name", "").strip()), (_("Roles"), there, yours)]
    return [row for row in rows if row[1] != row[2]]


@pages.post("/admin/accounts/{account_id}/{deed}", roles=[ADMIN])
async def switch(page: Page) -> Response[Any]:
    """Disable or enable."""
    _, identity, account_id = page.language.gettext, page.ask(Identity), page.id("account_id")
    if page.request.path_params["deed"] not in ("disable", "enable"):
        raise NotFound
    before = await identity.account(page.caller, account_id)
    disabled = page.request.path_params["deed"] == "disable"
    version = forms.version(page) if "version" in page.form else before.version   # the undo button of a toast has none
    try:
        made = await identity.amend_account(page.caller, account_id, AmendAccount(disabled=disabled), version)
    except LastAdmin as refusal:
        return await _show(page, before, status=refusal.status, refusal=_last(page))
    except StaleVersion as refusal:
        return await _show(page, before, status=refusal.status, refusal=Told(
            _("Somebody changed this account a moment ago"), _("Nothing was done. This is how it reads now."), [],
            icon="versions"))
    text = _("%(name)s can sign in no more and is signed out everywhere.") if disabled \
        else _("%(name)s can sign in again.")
    return page.redirect(f"{ACCOUNTS}/{account_id}", toast=text % {"name": made.name},
                         undo=f"{ACCOUNTS}/{account_id}/{'enable' if disabled else 'disable'}")


@sensitive("/admin/second-factor/reset", roles=[ADMIN])
async def reset_factor(page: Page) -> Response[Any]:
    account_id = an_id(page.form.get("account_id", ""))
    if account_id is None:
        raise NotFound
    made = await page.ask(Identity).account(page.caller, account_id)
    with suppress(NoFactor):   # somebody has just done it
        await page.ask(Identity).reset_second_factor(page.caller, account_id)
    return page.redirect(f"{ACCOUNTS}/{account_id}", toast=page.language.gettext(
        "The second factor of %(name)s is taken off. They are told by e-mail.") % {"name": made.name})


@sensitive("/admin/logins/remove", roles=[ADMIN])
async def remove_login(page: Page) -> Response[Any]:
    account_id, login_id = an_id(page.form.get("account_id", "")), an_id(page.form.get("login_id", ""))
    if account_id is None or login_id is None:
        raise NotFound
    made = await page.ask(Identity).account(page.caller, account_id)
    with suppress(NotFound):   # gone already
        await page.ask(Identity).unlink_of(page.caller, account_id, login_id)
    return page.redirect(f"{ACCOUNTS}/{account_id}", toast=page.language.gettext(
        "That login opens the account of %(name)s no more. They are told by e-mail.") % {"name": made.name})


@pages.post("/admin/accounts/{account_id}/sessions/end", roles=[ADMIN])
async def end_sessions(page: Page) -> Response[Any]:
    account_id = page.id("account_id")
    made = await page.ask(Identity).account(page.caller, account_id)
    await page.ask(Identity).end_sessions_of(page.caller, account_id)
    return page.redirect(f"{ACCOUNTS}/{account_id}", toast=page.language.gettext(
        "%(name)s is signed out everywhere.") % {"name": made.name})


@pages.post("/admin/accounts/{account_id}/sessions/{session_id}/end", roles=[ADMIN])
async def end_one_session(page: Page) -> Response[Any]:
    account_id = page.id("account_id")
    await page.ask(Identity).end_session_of(page.caller, account_id, page.id("session_id"))
    return page.redirect(f"{ACCOUNTS}/{account_id}", toast=page.language.gettext("That sign-in has ended."))

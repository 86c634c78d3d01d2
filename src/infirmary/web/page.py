"""One page request: who asks, in which language, what was sent, and the ways to answer."""
from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

import msgspec
import structlog
from jinja2 import Environment
from litestar import Request, Response
from litestar.datastructures import Cookie, UploadFile
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream as StreamResponse
from litestar.types import Empty

from infirmary.contexts.identity.contract import Identity, TokenRequest, Tokens
from infirmary.contexts.notifications.contract import Notifications
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.binding import fault, malformed
from infirmary.kernel.clock import Clock
from infirmary.kernel.context import Ask
from infirmary.kernel.contract import Contract, Download
from infirmary.kernel.errors import (
    NotFound,
    NotSignedIn,
    Refusal,
    RoleMayNot,
    Unavailable,
)
from infirmary.kernel.request import current
from infirmary.kernel.stream import while_allowed
from infirmary.language import PATIENT, Role
from infirmary.settings import Settings

from . import menu
from .i18n import Language, language_of
from .sent import sent
from .whom import ABOUT_SOMEBODY, Whom, choose

C = TypeVar("C", bound=Contract)
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
log = structlog.get_logger()
REFRESH_COOKIE_DAYS = 30
AROUND_FILE = 1 << 16   # bytes of a form beside the file that it brings
DEVICE_COOKIE_DAYS, DEVICES = 180, 8   # as long as identity knows them; so many accounts on one device


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    settings: Settings
    ask: Ask
    clock: Clock
    verify: Callable[[str], Caller]
    csrf_secret: bytes
    templates: Environment

    @property
    def secure(self) -> bool:
        """`__Host-` cookies need HTTPS; browsers count a loopback address as secure too."""
        return self.settings.public_url.startswith("https://")

    def cookie_name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name


class Toast(msgspec.Struct, frozen=True):
    """One sentence about what was done, and where its undo button posts to."""

    text: str
    undo: str = ""


@dataclass
class Page:
    site: Site
    request: Request[Any, Any, Any]
    caller: Caller = NOBODY
    form: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)   # fields of the form that may be named many times
    files: dict[str, UploadFile] = field(default_factory=dict)   # those that came with it
    cookies: list[Cookie] = field(default_factory=list)
    whom: Whom | None = None   # whose visits and record a patient's pages are about: their own, or those of a ward
    wards: list[Whom] = field(default_factory=list)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def settings(self) -> Settings:
        return self.site.settings

    @property
    def language(self) -> Language:
        return language_of(self.request.headers.get("accept-language", ""))

    @property
    def now(self) -> datetime:
        """The present, on the hospital's clock."""
        return self.site.clock.now().astimezone(self.settings.hospital.tz)

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def path(self) -> str:
        """As the server has it. `request.url` is made of the Host header too, which may be any nonsense."""
        path: str = self.request.scope["path"]
        return path

    @property
    def address(self) -> str:
        """What the browser shows: for a part of a page, the page that it is a part of."""
        query = self.request.scope["query_string"].decode("latin-1")
        shown = urlsplit(self.request.headers.get("hx-current-url", "")) if self.from_htmx else None
        path, query = (shown.path, shown.query) if shown and shown.path else (self.path, query)
        return path + (f"?{query}" if query else "")

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.request.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @property
    def from_htmx(self) -> bool:
        return self.request.headers.get("hx-request") == "true"

    @property
    def patient_id(self) -> UUID:
        """Of whom a patient's page is about."""
        assert self.whom is not None   # chosen before any page that is for patients
        return self.whom.id

    def id(self, name: str) -> UUID:
        """An id from the path; what is none is not there."""
        try:
            return UUID(self.request.path_params[name])
        except ValueError as error:
            raise NotFound from error

    def ask(self, contract: type[C], /) -> C:
        return self.site.ask(contract)

    def local(self, moment: datetime) -> datetime:
        """An instant on the hospital's clock: templates work with these."""
        return moment.astimezone(self.settings.hospital.tz)

    def read(self, into: type[S], **more: Any) -> S:
        """The form as a request of a contract; empty fields count as left out. Malformed names the fields."""
        wanted = {one.encode_name for one in msgspec.structs.fields(into)}
        given: dict[str, Any] = {name: value.strip() for name, value in self.form.items()
                                 if name in wanted and value.strip()}
        try:
            return msgspec.convert({**given, **more}, type=into, strict=False)
        except msgspec.ValidationError as error:
            raise malformed(error) from error

    def field_errors(self, refusal: Refusal) -> dict[str, str]:
        """What to mend, by field."""
        return {one.field: one.message for one in refusal.errors if one.field}

    # --- answers ---------------------------------------------------------------------------------------------------

    async def render(self, template: str, *, status: int = 200, here: str = "", headers: dict[str, str] | None = None,
                     **context: Any) -> Response[bytes]:
        """A template as the answer; `here` is the href of the tab it belongs to."""
        _, known = self.language.gettext, self.caller.account_id is not None
        shared = {
            "_": _, "ngettext": self.language.ngettext, "lang": self.language.code, "dir": self.language.direction,
            "hospital": self.settings.hospital, "passkey_host": self.settings.passkey_host, "now": self.now, "today": self.today, "status": status, "here": here,
            "csp_nonce": self.nonce, "csrf_token": self._csrf_token(), "toasts": self._toasts(),
            "providers": self.settings.oidc, "texts": self.settings.texts, "user": menu.user_of(self.caller, _), "tabs": menu.tabs_of(self.caller, _),
            "whom": self.whom, "wards": self.wards, "own_id": self.caller.subjects.get("patient_id"),
            "stay": self.path if self.path in ABOUT_SOMEBODY else "/home",
            "unread": await self._unread() if known and not self.from_htmx and "unread" not in context else 0}
        text = self.site.templates.get_template(template).render(shared | context)
        return self._finish(Response(text.encode(), status_code=status, media_type="text/html; charset=utf-8",
                                     headers=headers))

    async def _unread(self) -> int:
        try:
            return (await self.ask(Notifications).unread(self.caller)).count
        except Unavailable:   # the bell can wait; the page must not
            return 0

    def redirect(self, to: str, *, toast: str = "", undo: str = "") -> Response[bytes]:
        """See other. `toast` is shown once on the next page; `undo` is where its button posts to."""
        if toast:
            self.keep("toast", quote(msgspec.json.encode(Toast(toast, undo)).decode(), safe=""), seconds=60)
        if self.from_htmx:
            return self._finish(Response(b"", status_code=204, headers={"HX-Redirect": to}))
        return self._finish(Response(b"", status_code=303, headers={"Location": to}))

    def _toasts(self) -> list[Toast]:
        said = self.kept("toast")
        if not said or self.from_htmx:
            return []
        self.keep("toast", "", seconds=0)
        try:
            return [msgspec.json.decode(said, type=Toast)]
        except msgspec.DecodeError:
            return []

    def stream(self, chunks: AsyncIterator[bytes]) -> StreamResponse:
        """Events as they happen. A token that was renewed for this goes along, or the next one to renew it is taken for
        a thief."""
        if self.caller.token:
            chunks = while_allowed(chunks, partial(self.site.verify, self.caller.token))
        response = StreamResponse(chunks, media_type="text/event-stream",
                                  headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        for cookie in self.cookies:
            response.set_cookie(cookie)
        return response

    def download(self, file: Download) -> StreamResponse:
        response = StreamResponse(file.chunks, media_type="text/csv", headers={
            "Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{file.name}"'})
        for cookie in self.cookies:
            response.set_cookie(cookie)
        return response

    def json(self, value: Any, *, status: int = 200) -> Response[bytes]:
        return self._finish(Response(msgspec.json.encode(value), status_code=status, media_type="application/json"))

    def _finish(self, response: Response[bytes]) -> Response[bytes]:
        for cookie in self.cookies:
            response.set_cookie(cookie)
        response.headers["Content-Security-Policy"] = content_security_policy(self.nonce)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Vary", "Cookie, Accept-Language, HX-Request")
        return response

    # --- session ---------------------------------------------------------------------------------------------------

    def keep(self, name: str, value: str, *, seconds: int | None = None) -> None:
        self.cookies.append(Cookie(self.site.cookie_name(name), value=value, path="/", httponly=True,
                                   secure=self.site.secure, samesite="lax", max_age=seconds))

    def kept(self, name: str) -> str:
        return self.request.cookies.get(self.site.cookie_name(name), "")

    def sign_in(self, tokens: Tokens) -> None:
        self.keep("access", tokens.access_token)
        self.keep("refresh", tokens.refresh_token, seconds=REFRESH_COOKIE_DAYS * 86400)
        if new := tokens.device_token:   # kept over signing out, one of each account: several people share a desk
            there = [one for one in self.device_tokens.split() if one.partition(".")[0] != new.partition(".")[0]]
            self.keep("device", "~".join([new, *there][:DEVICES]), seconds=DEVICE_COOKIE_DAYS * 86400)
        self.caller = self.site.verify(tokens.access_token)

    @property
    def device_tokens(self) -> str:
        return self.kept("device").replace("~", " ")[:2000]

    def sign_out(self) -> None:
        for name in ("access", "refresh", "for"):
            self.keep(name, "", seconds=0)
        self.caller = NOBODY

    @property
    def refresh_token(self) -> str:
        return self.kept("refresh")

    async def recognise(self, *, background: bool = False) -> None:
        """Whose cookies these are; an access token that has run out is traded for a new one. What a page asks by itself
        (`background`) does not keep the sign-in from ending unused."""
        try:
            if access := self.kept("access"):
                self.caller = self.site.verify(access)
                return
        except NotSignedIn:
            pass
        if self.refresh_token:
            try:
                self.sign_in(await self.ask(Identity).token(
                    NOBODY, TokenRequest(grant_type="refresh_token", refresh_token=self.refresh_token,
                                         background=background)))
            except NotSignedIn:
                self.sign_out()

    # --- cross-site request forgery --------------------------------------------------------------------------------

    def _csrf_token(self) -> str:
        seed = self.kept("csrf")
        if not seed:
            seed = next((c.value or "" for c in self.cookies if c.key == self.site.cookie_name("csrf")), "")
        if not seed:
            seed = secrets.token_urlsafe(18)
            self.keep("csrf", seed, seconds=REFRESH_COOKIE_DAYS * 86400)
        return hmac.new(self.site.csrf_secret, seed.encode(), sha256).hexdigest()

    def check_csrf(self) -> None:
        given = self.request.headers.get("x-csrf-token") or self.form.get("_csrf_token", "")
        same_site = self.request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if not (same_site and self.kept("csrf") and hmac.compare_digest(given.encode(), self._csrf_token().encode())):
            raise FormExpired


class FormExpired(Refusal):
    """This form is too old, or came from another site. Nothing was changed; open the page again and repeat it."""

    status = 403


Handler = Callable[[Page], Awaitable[Response[Any]]]


class Pages:
    """The pages of one module: `@pages.get("/path", roles=[...])`. Without roles a page is for everybody."""

    def __init__(self) -> None:
        self._declared: list[tuple[str, str, frozenset[Role] | None, Handler]] = []
        self._background: set[str] = set()
        self._with_file: set[str] = set()

    def get(self, path: str, *, roles: Collection[Role] | None = None, background: bool = False,
            ) -> Callable[[Handler], Handler]:
        """`background`: pages ask for it by themselves, whether or not anybody is there."""
        if background:
            self._background.add(path)
        return self._declare("GET", path, roles)

    def post(self, path: str, *, roles: Collection[Role] | None = None, with_file: bool = False,
             ) -> Callable[[Handler], Handler]:
        """`with_file`: the form may bring files, and be as large as a table of people may be."""
        if with_file:
            self._with_file.add(path)
        return self._declare("POST", path, roles)

    def _declare(self, verb: str, path: str, roles: Collection[Role] | None) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            self._declared.append((verb, path, None if roles is None else frozenset(roles), handler))
            return handler

        return declare

    @property
    def paths(self) -> list[tuple[str, str, frozenset[Role] | None]]:
        return [(verb, path, roles) for verb, path, roles, _ in self._declared]

    def handlers(self, site: Site) -> list[HTTPRouteHandler]:
        return [_route(site, *declared, background=declared[1] in self._background, with_file=declared[1] in self._with_file)
                for declared in self._declared]


def _route(site: Site, verb: str, path: str, roles: frozenset[Role] | None, handler: Handler, *,
           background: bool, with_file: bool) -> HTTPRouteHandler:
    async def answer(request: Request[Any, Any, Any]) -> Response[Any]:
        page = Page(site, request)
        try:
            await page.recognise(background=background)
            if verb == "POST":
                pairs, page.files = await sent(request)
                page.form = dict(pairs)
                for name, value in pairs:
                    page.lists.setdefault(name, []).append(value)
                page.check_csrf()
            if roles is not None and not roles & page.caller.roles:
                if page.caller.account_id is None:
                    raise NotSignedIn
                raise RoleMayNot
            if roles is not None and PATIENT in roles & page.caller.roles:
                await choose(page)
            return await handler(page)
        except NotSignedIn:
            page.sign_out()
            back = page.address
            return page.redirect("/sign-in" + (f"?{urlencode({'next': back})}" if verb == "GET" and back != "/" else ""))
        except Refusal as refusal:
            return await show_refusal(page, refusal)
        except Exception as error:   # noqa: BLE001 – the last line: a page that says so, and the fault in the log
            return await show_refusal(page, fault(path, error))

    answer.__name__ = f"page_{handler.__name__}"
    typed = re.sub(r"{(\w+)}", r"{\1:str}", path)
    size = site.settings.imports.most_bytes + AROUND_FILE if with_file else Empty
    return HTTPRouteHandler(typed, http_method=verb, include_in_schema=False,   # type: ignore[arg-type]
                            request_max_body_size=size)(answer)


async def show_refusal(page: Page, refusal: Refusal) -> Response[Any]:
    """A refusal that no page showed in its own place."""
    headers = {"Retry-After": str(refusal.retry_after or 1)} if refusal.status in (429, 503) else None
    own = refusal.status in (400, 409, 412, 422) or isinstance(refusal, FormExpired)
    return await page.render("error.html", status=refusal.status, headers=headers, request_id=current.get().id,
                             title=refusal.title() if own else "", text=refusal.detail if own else "")


def content_security_policy(nonce: str) -> str:
    return ("default-src 'none'; script-src 'self'; "
            f"style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
            "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")

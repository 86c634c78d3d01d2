"""The mails that were caught instead of sent, for an administrator to read."""
from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from litestar import Response

from infirmary.kernel.errors import NotFound
from infirmary.language import ADMIN
from infirmary.web.page import Page, Pages, content_security_policy

MAIL, HERE = "/admin/mail", "/admin/deliveries"
NOTHING_RUNS = ("default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
                "base-uri 'none'; form-action 'none'; sandbox")


class Caught(Protocol):
    """Where they are kept; `infirmary.sandbox.mail.MailCatcher` is one."""

    def mails(self, limit: int = 50) -> list[Any]: ...

    def mail(self, mail_id: UUID) -> Any: ...


def pages_of(catcher: Caught) -> Pages:
    pages = Pages()

    def one_of(page: Page) -> Any:
        found = catcher.mail(page.id("mail_id"))
        if found is None:
            raise NotFound
        return found

    @pages.get(MAIL, roles=[ADMIN])
    async def mails(page: Page) -> Response[Any]:
        return await page.render("admin/mails.html", here=HERE, mails=catcher.mails(100))

    @pages.get(f"{MAIL}/{{mail_id}}", roles=[ADMIN])
    async def mail(page: Page) -> Response[Any]:
        response = await page.render("admin/mail.html", here=HERE, mail=one_of(page))
        response.headers["Content-Security-Policy"] = content_security_policy(page.nonce) + "; frame-src 'self'"
        return response

    @pages.get(f"{MAIL}/{{mail_id}}/html", roles=[ADMIN])
    async def html(page: Page) -> Response[Any]:
        """As the recipient sees it, in a frame where nothing runs, loads or leaves."""
        return Response(one_of(page).html.encode(), media_type="text/html; charset=utf-8", headers={
            "Content-Security-Policy": NOTHING_RUNS, "X-Frame-Options": "SAMEORIGIN", "Cache-Control": "no-store"})

    return pages

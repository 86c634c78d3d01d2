"""Every page, for everybody who may open it: axe finds nothing, in light and dark, on phone and desktop; nothing is wider
than the phone; the first page is light."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import DESKTOP, PHONE, Visitor

pytestmark = pytest.mark.xdist_group("browser")
Visit = Callable[..., Visitor]

PAGES = {
    "": ["/", "/sign-in", "/sign-up", "/forgot", "/sign-in/mail", "/reset?token=x", "/nothing-here", "/q/ended", "/api/docs"],
    "patient": ["/home", "/visits", "/book", "/book/when?department=first", "/notifications", "/profile", "/calendar-feed",
                "/password",
                "/security", "/security/phone", "/visits/first", "/record", "/record/consents", "/record/contacts/new", "/waitlist"],
    "doctor": ["/doctor/today", "/doctor/diary", "/doctor/diary?view=list", "/doctor/hours", "/doctor/feedback", "/notifications", "/profile",
               "/security/authenticator/remove"],
    "reception": ["/desk", "/desk?q=rosa", "/desk/register", "/desk/visits", "/desk/waitlist", "/desk/leave", "/desk/queue",
                  "/desk/queue/screens", "/notifications",
                  "/desk/patients/first", "/desk/patients/first/guardians/new?q=delgado"],
    "admin": ["/admin", "/admin?period=quarter", "/admin/departments", "/admin/doctors", "/admin/staff", "/admin/accounts",
              "/admin/clients", "/admin/clients/new",
              "/admin/deliveries", "/admin/feedback", "/admin/mail", "/admin/system", "/desk/visits"],
    "auditor": ["/audit", "/audit?action=appointment."],
}


def address(visitor: Visitor, path: str) -> str:
    """Some addresses carry ids that only the pages know."""
    page = visitor.page
    if path == "/visits/first":
        visitor.open("/visits")
        return str(page.locator("article.in-visit h3 a").first.get_attribute("href"))
    if path.startswith("/desk/patients/first"):
        visitor.open("/desk?q=emma")
        link = str(page.locator("a[href*='patient=']").first.get_attribute("href"))
        return path.replace("first", link.partition("patient=")[2].partition("#")[0])
    if path.endswith("department=first"):
        visitor.open("/book")
        link = page.locator("a.in-choice[href*='department=']").first.get_attribute("href")
        return str(link).replace("/book?", "/book/when?")
    return path


@pytest.mark.parametrize("role", PAGES)
def test_axe_finds_nothing_and_nothing_is_too_wide(visit: Visit, role: str) -> None:
    found: list[str] = []
    for viewport in (PHONE, DESKTOP):
        visitor = visit(viewport)
        if role:
            visitor.sign_in(f"{role}@demo.test")
        for path in PAGES[role]:
            page = visitor.open(address(visitor, path))
            page.wait_for_load_state("networkidle" if not role else "load")
            page.wait_for_timeout(150)
            found += visitor.found_in_both_schemes()
        visitor.said = [said for said in visitor.said if "404" not in said]   # the page that is not there says so
    assert found == []


def test_a_plain_page_weighs_less_than_150_kilobytes(visit: Visit) -> None:
    visitor = visit(PHONE)
    sizes: dict[str, int] = {}
    visitor.page.on("requestfinished", lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]})
                    if request.url.partition("?")[0].endswith((".js", ".css")) else None)
    visitor.open("/").wait_for_load_state("networkidle")
    assert 10_000 < sum(sizes.values()) < 150_000, sizes

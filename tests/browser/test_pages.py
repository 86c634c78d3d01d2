"""Every page, for everybody who may open it: axe finds nothing, in light and dark, on phone and desktop; nothing is wider
than the phone; the first page is light."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from .conftest import DESKTOP, PHONE, Visitor
from .every_page import PAGES, examples

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def known(browser: Browser, base: str) -> Iterator[dict[str, str]]:
    context = browser.new_context(locale="en-GB")
    yield examples(Visitor(context, base))
    context.close()


@pytest.mark.parametrize("role", PAGES)
def test_axe_finds_nothing_and_nothing_is_too_wide(visit: Visit, known: dict[str, str], role: str) -> None:
    visitor, found = visit(PHONE), list[str]()
    if role:
        visitor.sign_in(f"{role}@demo.test")
    for path in PAGES[role]:
        visitor.page.set_viewport_size(PHONE)   # type: ignore[arg-type]
        page = visitor.open(path.format(**known))
        page.wait_for_timeout(150)
        found += visitor.found_in_both_schemes()
        page.set_viewport_size(DESKTOP)   # type: ignore[arg-type]
        if page.locator("[data-diary]").count():
            page.reload()   # it chooses its view when it opens
        page.wait_for_timeout(50)
        page.emulate_media(color_scheme="light")
        first = path == PAGES[role][0]   # what a desktop adds is around the page, and has the same colours on each
        found += [f"{page.url}, desktop: {one}" for one in visitor.axe(colours=first)]
    visitor.said = [said for said in visitor.said if "404" not in said]   # the pages that are not there say so
    assert found == []


def test_a_plain_page_weighs_less_than_150_kilobytes(visit: Visit) -> None:
    visitor = visit(PHONE)
    sizes: dict[str, int] = {}
    visitor.page.on("requestfinished", lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]})
                    if request.url.partition("?")[0].endswith((".js", ".css")) else None)
    visitor.open("/").wait_for_load_state("networkidle")
    assert 10_000 < sum(sizes.values()) < 150_000, sizes

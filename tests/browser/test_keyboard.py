"""The desk without a mouse: from somebody who was never here to somebody who waits for the doctor."""
from __future__ import annotations

from collections.abc import Callable
from random import choices, randint
from string import ascii_lowercase

from playwright.sync_api import expect

from .conftest import Visitor

Visit = Callable[..., Visitor]


def test_somebody_new_is_registered_booked_and_checked_in_by_keys_alone(visit: Visit) -> None:
    visitor = visit()
    page = visitor.sign_in("reception@demo.test")
    page.wait_for_selector("[data-find]:focus")
    keys = page.keyboard

    keys.press("?")
    page.wait_for_selector("#keys:modal")
    for does in ("register", "check in", "book", "find a patient", "Queue" if page.locator(".in-tab[data-key=q]").count() else "Visits"):
        expect(page.locator("#keys")).to_contain_text(does, ignore_case=True)
    assert visitor.axe() == []
    keys.press("Escape")

    keys.press("Alt+r")
    page.wait_for_url("**/desk/register**")
    page.wait_for_selector("#f-given_name:focus")
    given, family = ("".join(choices(ascii_lowercase, k=9)).title() for _ in range(2))   # like nobody who is there
    for text in (given, family, f"3.4.{randint(1930, 1999)}"):
        keys.type(text)
        keys.press("Tab")
    keys.type("f")
    keys.press("Control+Enter")
    page.wait_for_url("**/desk/book**")
    expect(page.locator("h1")).to_contain_text(family)

    keys.type("okafor")
    expect(page.locator("#who a")).to_have_count(1)
    keys.press("ArrowDown")
    keys.press("Enter")
    page.wait_for_selector("#when [name=slot]:focus")
    expect(page.locator("#who a[aria-current=true]")).to_contain_text("Today")
    keys.press("Space")
    keys.press("Control+Enter")
    page.wait_for_url("**/desk?patient=**")
    keys.press("Alt+c")
    expect(page.locator(".in-toast").first).to_contain_text("checked in")
    expect(page.locator("#patient")).to_contain_text("Checked in")


def test_single_keys_can_be_switched_off_and_stay_off(visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in("reception@demo.test")
    page = visitor.open("/desk/visits")
    page.keyboard.press("?")
    page.wait_for_selector("#keys:modal")
    page.get_by_label("Single keys").uncheck()
    page.keyboard.press("Escape")
    for path in ("/desk/visits", "/desk/waitlist"):
        visitor.open(path)
        page.keyboard.press("?")
        page.keyboard.press("/")
        page.wait_for_timeout(100)
        assert not page.locator("#keys").is_visible()
        assert not page.evaluate("document.activeElement.matches('[data-find]')")
    page.keyboard.press("Alt+r")   # keys with Alt work still
    page.wait_for_url("**/desk/register**")
    page.get_by_role("button", name="Your account").click()
    page.get_by_role("button", name="Keys").click()
    page.wait_for_selector("#keys:modal")

"""Sign up, book, be accepted, move, cancel: by real people's browsers, on a phone and on a desktop."""
from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import DESKTOP, PHONE, Visitor

Visit = Callable[..., Visitor]


def sign_up(visitor: Visitor, given: str, family: str) -> Page:
    page = visitor.open("/sign-up")
    for label, value in (("Given name", given), ("Family name", family), ("Birth date", "1991-05-07"),
                         ("Phone", "0600 555 999"), ("E-mail", f"{uuid4().hex[:12]}@example.org"),
                         ("Password", "blue kettle on a tram")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(given)
    return page


def choose_time(page: Page) -> str:
    """The second free time of the day shown, so that several tests do not want the same one."""
    slots = page.locator(".in-slot")
    slot = slots.nth(min(1, slots.count() - 1))
    slot.click()
    return str(slot.locator("input").get_attribute("data-says"))


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_visit_is_asked_for_accepted_moved_and_cancelled(visit: Visit, viewport: dict[str, int]) -> None:
    family = f"Journey{uuid4().hex[:6]}"
    patient = visit(viewport)
    page = sign_up(patient, "Lan", family)
    page.get_by_role("link", name="Book a visit").first.click()
    page.get_by_role("link", name="Cardiology").first.click()
    page.get_by_role("link", name="Okafor").first.click()
    choose_time(page)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("What is it about?").fill("Palpitations")
    page.get_by_role("button", name="Ask for this visit").click()
    expect(page.get_by_text("Requested").first).to_be_visible()
    visit_page = page.url

    doctor = visit(DESKTOP)
    desk = doctor.sign_in("doctor@demo.test")
    desk.get_by_role("button", name=f"Accept Lan {family}").click()
    expect(desk.get_by_role("button", name=f"Accept Lan {family}")).to_have_count(0)

    page.goto(visit_page)
    expect(page.get_by_text("Booked", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Reschedule").first.click()
    moved_to = choose_time(page)
    page.get_by_role("button", name="Move the visit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(moved_to)

    page.get_by_role("link", name="Cancel the visit").click()
    page.get_by_role("button", name="Cancel the visit").click()
    expect(page.get_by_text("is cancelled").first).to_be_visible()
    expect(page.get_by_text("Cancelled", exact=True).first).to_be_visible()


def test_the_bell_rings_while_the_page_is_open(visit: Visit) -> None:
    family = f"Bell{uuid4().hex[:6]}"
    patient, doctor = visit(PHONE), visit(DESKTOP)
    page = sign_up(patient, "Ola", family)
    page.goto(patient.base + "/book?q=Park")
    page.get_by_role("link", name="Park").first.click()
    choose_time(page)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Ask for this visit").click()
    expect(page.get_by_text("Requested").first).to_be_visible()
    reception = doctor.sign_in("reception@demo.test")
    answer = reception.request.get(doctor.base + "/desk/visits")
    assert answer.ok
    accept_by_api(patient, page.url.rpartition("/")[2])
    expect(page.locator("#bell .in-dot")).to_be_visible(timeout=8000)


def accept_by_api(visitor: Visitor, visit_id: str) -> None:
    api = visitor.base + "/api/v1"
    token = visitor.page.request.post(api + "/auth/token", form={
        "grant_type": "password", "username": "reception@demo.test", "password": "infirmary-demo-1"}).json()["access_token"]
    accepted = visitor.page.request.post(f"{api}/appointments/{visit_id}/accept",
                                         headers={"Authorization": f"Bearer {token}"})
    assert accepted.ok, accepted.text()


def test_a_whole_booking_by_keyboard(visit: Visit) -> None:
    page = visit(DESKTOP).sign_in("patient@demo.test")

    def go_to(name: str, *, role: str) -> None:
        go_on_to(page.get_by_role(role, name=name).first)   # type: ignore[arg-type]

    def go_on_to(target: Locator) -> None:
        """Tab until the focus stands on it, as somebody without a mouse does."""
        for _ in range(80):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{target} cannot be reached by Tab")

    go_to("Book a visit", role="link")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book")
    go_on_to(page.locator("a[href*='department=']", has_text="Dermatology"))
    page.keyboard.press("Enter")
    page.wait_for_url("**department=**")
    go_to("Demir", role="link")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/when**")
    page.locator(".in-slot input").first.focus()
    page.keyboard.press("ArrowRight")
    go_to("Continue", role="button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/confirm**")
    go_to("What is it about?", role="textbox")
    page.keyboard.type("A mole that has changed")
    go_to("Book this visit", role="button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/visits/**")
    expect(page.get_by_text("Booked").first).to_be_visible()


def test_booking_works_without_script(visit: Visit) -> None:
    visitor = visit(PHONE, javascript=False)
    page = sign_up(visitor, "Nora", "Plain")   # who has no other visit at the first free time
    page.goto(visitor.base + "/book?q=Ferreira")
    page.get_by_role("link", name="Ferreira").first.click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_text("Booked").first).to_be_visible()


def test_somebody_else_was_quicker_and_the_page_offers_other_times(visit: Visit) -> None:
    first, second = visit(PHONE), visit(DESKTOP)
    pages = [sign_up(first, "Ann", "Quick"), sign_up(second, "Ben", "Slow")]
    for page in pages:
        page.goto(first.base + "/book?q=Haddad")
        page.get_by_role("link", name="Haddad").first.click()
    for page in pages:
        page.get_by_role("button", name="Continue").click()
    pages[0].get_by_role("button", name="Book this visit").click()
    expect(pages[0].get_by_text("Booked").first).to_be_visible()
    alert = pages[1].get_by_role("alert")
    expect(alert).to_be_visible()
    second.said.clear()   # the browser itself notes the 409
    alert.get_by_role("button").first.click()
    pages[1].get_by_role("button", name="Book this visit").click()
    expect(pages[1].get_by_text("Booked").first).to_be_visible()


def test_a_held_time_counts_down_says_so_aloud_and_can_be_held_again(visit: Visit) -> None:
    one = visit(PHONE)
    page = one.sign_in("patient@demo.test")
    page.goto(one.base + "/book?q=Haddad")
    page.get_by_role("link", name="Haddad").first.click()
    page.clock.install()
    page.get_by_role("button", name="Continue").click()
    timer, says = page.get_by_role("timer"), page.locator("[data-hold-says]")
    expect(timer).to_have_text(re.compile(r"^(5:00|4:5\d)$"))
    expect(says).to_be_empty()
    page.clock.fast_forward("04:10")
    expect(says).to_have_text("One minute left to confirm this time.")
    page.get_by_label("What is it about?").fill("A cough")
    page.clock.fast_forward("01:00")
    expect(says).to_have_text("The time is not held for you any more.")
    expect(timer).to_be_hidden()
    page.get_by_role("button", name="Hold it again").click()
    expect(timer).to_be_visible()
    expect(page.get_by_label("What is it about?")).to_have_value("A cough")
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_text("Booked").first).to_be_visible()

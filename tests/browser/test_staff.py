"""Staff work by keyboard and on phones: what the scripts add to pages that work without them."""
from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from .conftest import PHONE, Visitor

Visit = Callable[..., Visitor]
FOCUSED = "document.activeElement.outerHTML.slice(0, 200)"


def test_the_desk_finds_chooses_and_books_by_keyboard_alone(visit: Visit) -> None:
    page = visit().sign_in("reception@demo.test")
    page.wait_for_selector("[data-find]:focus")
    page.keyboard.type("rosa del 68")
    page.wait_for_selector("#rows mark")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#patient .in-band")
    assert "Rosa Delgado Vega" in page.locator("#patient").inner_text()
    assert page.locator("#rows tr[aria-selected=true]").count() == 1

    page.keyboard.press("Alt+b")
    page.wait_for_url("**/desk/book**")
    page.keyboard.type("okafor")
    expect(page.locator("#who a")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#when [name=slot]:focus")
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/desk?patient=**")
    assert "Rosa Delgado Vega is booked for" in page.locator(".in-toast").first.inner_text()


def test_a_list_that_refreshes_itself_keeps_the_focus(visit: Visit) -> None:
    page = visit().sign_in("doctor@demo.test")
    page.locator("#queue .in-ask a.in-who").first.focus()
    before = page.evaluate("document.activeElement.id")
    assert before.startswith("q-")
    with page.expect_response("**/doctor/queue?**"):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('live:notification'))")
    page.wait_for_timeout(150)
    assert page.evaluate("document.activeElement.id") == before


def test_somebody_alike_is_shown_while_typing_and_the_date_as_it_was_read(visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in("reception@demo.test")
    page = visitor.open("/desk/register")
    for text in ("Rosa", "Delgado", "14.3.68"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.wait_for_selector("#matches table")
    assert "Rosa Delgado Vega" in page.locator("#matches").inner_text()
    assert page.locator("#f-birth_date-hint").inner_text().startswith("14 Mar 1968, ")
    assert 'id="f-gender"' in page.evaluate(FOCUSED)   # whoever types is not disturbed
    assert visitor.axe() == []


def test_on_a_phone_queue_and_visit_are_a_screen_each(visit: Visit) -> None:
    page = visit(PHONE).sign_in("doctor@demo.test")
    assert page.locator("#queue").is_visible()
    assert not page.locator("#visit").is_visible()
    page.locator("#queue a[href^='/doctor/visits/']:visible").first.click()
    page.wait_for_selector("#visit", state="visible")
    assert not page.locator("#queue").is_visible()


def test_a_question_opens_over_the_page_and_escape_leaves_it(visit: Visit) -> None:
    page = visit().sign_in("doctor@demo.test")
    page.locator(".in-ask a[hx-get*='ask=decline']").first.click()
    page.wait_for_selector("#question:modal")
    assert "Decline this time?" in page.locator("#question").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("#question", state="hidden")
    assert page.url.endswith("/doctor/today")


def test_the_diary_moves_a_visit_by_keyboard_and_offers_undo(visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in("doctor@demo.test")
    page = visitor.open(f"/doctor/diary?date={visitor.day_ahead(4)}")
    booked = page.locator(".fc-event:has([data-tone='free'])")
    booked.first.wait_for()
    free = booked.last.locator("b").inner_text()
    day = booked.last.evaluate("one => one.closest('[data-date]').dataset.date")
    event = page.locator(".fc-event:has([data-tone=''])").first
    event.focus()
    page.keyboard.press("m")
    page.wait_for_selector("#diary-move:modal")
    page.locator("#diary-move [name=starts_at]").fill(f"{day}T{free}")
    page.keyboard.press("Enter")
    page.wait_for_selector(".in-toast button:has-text('Undo')")
    assert "is moved to" in page.locator(".in-toast").first.inner_text()
    page.locator(".in-toast button:has-text('Undo')").click()
    page.wait_for_url("**/doctor/diary?date=**")


def test_a_new_stretch_of_hours_waits_for_its_time(visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in("doctor@demo.test")
    page = visitor.open("/doctor/hours")
    before = page.locator("[name=weekday][value='6']").count()
    page.get_by_role("button", name="Add a stretch on Saturday").click()
    page.wait_for_selector("[name=starts]:focus")
    assert page.locator("[name=weekday][value='6']").count() == before + 1
    assert page.locator("[name=starts]:focus").input_value() == ""

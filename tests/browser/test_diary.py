"""The diary under the hands of several people: a visit is moved by keys, and who looks at the same diary sees it."""
from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from .conftest import Visitor

Visit = Callable[..., Visitor]


def test_arrow_keys_move_a_visit_and_whoever_looks_at_the_diary_sees_it(visit: Visit) -> None:
    doctor, desk = visit(), visit()
    doctor.sign_in("doctor@demo.test")
    day = doctor.day_ahead(4)
    page = doctor.open(f"/doctor/diary?date={day}")
    event = page.locator(".fc-event:has([data-tone=''])").first
    event.wait_for()
    visit_id, before = event.get_attribute("data-id"), event.locator("b").inner_text()
    stream = str(page.locator("[data-diary-stream]").get_attribute("data-diary-stream"))
    desk.sign_in("reception@demo.test")
    theirs = desk.open(f"/desk/diaries/{stream.partition('=')[2]}?date={day}")
    same = theirs.locator(f".fc-event[data-id='{visit_id}']")
    expect(same.locator("b")).to_have_text(before)

    event.focus()
    page.keyboard.press("ArrowDown")
    moving = page.locator(".fc-event[data-id='moving']")
    expect(moving).to_be_focused()
    assert doctor.axe() == []
    page.keyboard.press("Escape")
    expect(moving).to_have_count(0)
    expect(page.locator("#announce")).to_have_text("It stays where it is.")
    expect(page.locator(f".fc-event[data-id='{visit_id}']")).to_be_focused()

    for _ in range(30):   # down to where it is taken: said before it is asked for, and refused with the place kept
        page.keyboard.press("ArrowDown")
        expect(moving).to_be_focused()
        if "taken" in page.locator("#announce").inner_text():
            break
    wanted = moving.locator("b").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#diary-move .in-notice")).to_contain_text(re.compile("has a visit from|outside the hours"))
    assert page.locator("#diary-move [name=starts_at]").input_value().endswith(wanted)
    page.locator("#diary-move [name=instead]").first.click()
    page.locator(".in-toast", has_text="is moved to").wait_for()
    mine = page.locator(f".fc-event[data-id='{visit_id}']")
    expect(mine).to_be_focused()
    assert mine.locator("b").inner_text() != before
    expect(same.locator("b")).to_have_text(mine.locator("b").inner_text())   # without anybody doing anything there
    doctor.said = [said for said in doctor.said if "409" not in said and "422" not in said]   # the refusal, as asked for

"""A number is called at the desk, and the screen on the wall and the patient's phone show it by themselves."""
from __future__ import annotations

import random
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from .conftest import DESKTOP, PHONE, Visitor


def opened(page: Page, part: str) -> str:
    return re.sub(r"^https?://[^/]+", "", str(page.locator(f"a[href*='{part}']").first.get_attribute("href")))


def call(page: Page, number: int) -> bool:
    """For one doctor after the other, until it is this number's turn; False when nobody there has time."""
    for at in range(page.locator("#f-doctor option").count()):
        page.locator("#f-doctor").select_option(index=at)
        page.get_by_role("button", name="Call the next").click()
        page.wait_for_load_state("load")
        if f"Number {number} is called" in page.locator("#toasts").inner_text():
            return True
    return False


def test_a_call_is_seen_on_the_wall_and_on_the_phone_at_once(visit: Callable[..., Visitor]) -> None:
    desk, wall, phone = visit(), visit(DESKTOP), visit(PHONE)
    desk.sign_in("reception@demo.test")
    rows = desk.open(f"/desk?q={random.choice('aeiou')}").locator("#rows a").all()   # whoever has no number yet
    row = random.choice(rows)
    href, name = str(row.get_attribute("href")), row.inner_text()
    patient = re.search(r"patient=([0-9a-f-]{36})", href)
    assert patient
    found: list[str] = []
    for department in range(6):
        page = desk.open(f"/desk/queue/new?patient_id={patient[1]}")
        page.get_by_label("Department").select_option(index=department)
        page.get_by_label("Should not wait long").select_option("emergency")
        page.get_by_role("button", name="Give a number").click()
        number = int(page.locator(".in-number").inner_text())
        place, queue = opened(page, "/q/"), opened(page, "/desk/queue?department")
        page = desk.open("/desk/queue/screens")
        page.get_by_label("Department").select_option(index=department)
        page.get_by_label("Where it hangs").fill("Waiting room")
        page.get_by_role("button", name="Make a link").click()
        wall.open(opened(page, "/wall/"))
        phone.open(place)
        expect(phone.page.get_by_text("Before you", exact=True)).to_be_visible()
        for visitor, what in ((wall, "wall"), (phone, "phone")):
            found += [f"{what}: {one}" for one in visitor.axe()]
        if call(desk.open(queue), number):
            break
    expect(wall.page.locator(".in-wall-called li").first).to_contain_text(str(number))
    expect(wall.page.locator("#announce")).to_contain_text(f"Number {number}")
    expect(phone.page.get_by_text("It is your turn")).to_be_visible()
    assert name.split(",")[0] not in wall.page.content() + phone.page.content()
    desk.said = [said for said in desk.said if "409" not in said]   # nobody to call for that doctor
    assert found == []

"""A number is called at the desk, and the screen on the wall and the patient's phone show it by themselves."""
from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from playwright.sync_api import Page, expect

from .conftest import DESKTOP, PHONE, Visitor
from .office import Office


def opened(page: Page, part: str) -> str:
    return re.sub(r"^https?://[^/]+", "", str(page.locator(f"a[href*='{part}']").first.get_attribute("href")))


def test_a_call_is_seen_on_the_wall_and_on_the_phone_at_once(visit: Callable[..., Visitor]) -> None:
    desk, wall, phone = visit(), visit(DESKTOP), visit(PHONE)
    desk.sign_in("reception@demo.test")
    office, family = Office(desk), f"Queue{uuid4().hex[:6]}"
    doctor, _ = office.a_doctor()
    department = office.ask("GET", f"/doctors/{doctor}")["department_name"]
    patient = office.ask("POST", "/patients", data={"given_name": "Ada", "family_name": family, "birth_date": "1980-01-02"})["id"]

    page = desk.open(f"/desk/queue/new?patient_id={patient}")
    page.get_by_label("Department").select_option(department)
    page.get_by_label("Should not wait long").select_option("emergency")
    page.get_by_role("button", name="Give a number").click()
    number = int(page.locator(".in-number").inner_text())
    place, queue = opened(page, "/q/"), opened(page, "/desk/queue?department")
    page = desk.open("/desk/queue/screens")
    page.get_by_label("Department").select_option(department)
    page.get_by_label("Where it hangs").fill("Waiting room")
    page.get_by_role("button", name="Make a link").click()
    wall.open(opened(page, "/wall/"))
    phone.open(place)
    expect(phone.page.get_by_text("Before you", exact=True)).to_be_visible()
    assert [*wall.axe(), *phone.axe()] == []

    page = desk.open(queue)
    page.get_by_role("button", name="Call the next").click()
    expect(page.locator("#toasts")).to_contain_text(f"Number {number} is called")
    expect(wall.page.locator(".in-wall-called li").first).to_contain_text(str(number))
    expect(wall.page.locator("#announce")).to_contain_text(f"Number {number}")
    expect(phone.page.get_by_text("It is your turn")).to_be_visible()
    for shown in (wall.page.content(), phone.page.content()):
        assert "Ada" not in shown and family not in shown

"""Two browsers, each with a camera: the patient waits, the doctor lets them in, both see each other, whatever comes between."""
from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from playwright.sync_api import Page, expect

from .conftest import DESKTOP, PHONE, Visitor
from .office import Office, soon
from .test_journey import sign_up

Visit = Callable[..., Visitor]


def until(page: Page, true: str) -> None:
    """The page's own content policy forbids what Playwright would wait with."""
    for _ in range(200):
        if page.evaluate(true):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {true}")


def sees(page: Page) -> None:
    """A moving picture of the other."""
    until(page, "document.querySelector('[data-other]').videoWidth > 0")
    at = page.evaluate("document.querySelector('[data-other]').currentTime")
    until(page, f"document.querySelector('[data-other]').currentTime > {at}")


def test_the_two_of_a_visit_meet_and_nobody_else(visit: Visit) -> None:
    family = f"Video{uuid4().hex[:6]}"
    patient, doctor, third = visit(PHONE), visit(DESKTOP), visit(PHONE)
    sign_up(patient, "Ada", family)
    office = Office(patient)
    doctor_id, email = office.a_doctor()
    doctor.sign_in(email)
    room = f"/visits/{office.a_visit(office.patient(family), doctor_id, soon(), 'video')}/video"

    later = office.a_visit(office.patient(family), doctor_id, soon(minutes=30), "video")
    page = patient.open(f"/visits/{later}/video")
    expect(page.get_by_text(re.compile("The room opens (at|on) "))).to_be_visible()
    expect(page.get_by_role("button", name="Enter")).to_have_count(0)

    sign_up(third, "Eve", "Dropper")
    assert third.page.goto(third.base + room).status == 404   # type: ignore[union-attr]
    third.said.clear()   # the browser itself notes the 404

    page = patient.open(room)
    until(page, "document.querySelector('[data-own]').videoWidth > 0")
    assert patient.axe() == []
    page.get_by_role("button", name="Enter the waiting room").click()
    expect(page.get_by_text("is not in the room yet")).to_be_visible()

    desk = doctor.open(room)
    desk.get_by_role("button", name="Enter the room").click()
    expect(desk.get_by_text(f"Ada {family} is here and waits for you")).to_be_visible()
    desk.get_by_role("button", name="Let Ada").press("Alt+s")
    sees(page)
    sees(desk)
    assert patient.axe() + doctor.axe() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    page.keyboard.press("Alt+m")
    expect(desk.get_by_text("is muted")).to_be_visible()
    page.keyboard.press("Alt+v")
    expect(desk.get_by_text("has the camera off")).to_be_visible()

    page.reload()   # it comes back by itself, and as it was: nobody is seen who had the camera off
    sees(page)
    sees(desk)
    expect(desk.get_by_text("has the camera off")).to_be_visible()
    expect(desk.get_by_text("is muted")).to_be_visible()
    page.keyboard.press("Alt+v")
    expect(desk.get_by_text("has the camera off")).to_be_hidden()
    page.keyboard.press("Alt+l")
    expect(page.get_by_role("heading", name="You have left the room")).to_be_visible()
    expect(desk.get_by_role("paragraph").filter(has_text="is not in the room just now")).to_be_visible()
    page.get_by_role("button", name="Come back").click()
    sees(page)
    sees(desk)

    desk.keyboard.press("Alt+e")
    desk.get_by_role("dialog").get_by_role("button", name="End the visit").click()
    for one in (page, desk):
        expect(one.get_by_role("heading", name="The visit is over")).to_be_visible()

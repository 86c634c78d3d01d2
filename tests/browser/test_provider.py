"""Signing in with a provider of OpenID Connect: real Chromium, and a certified provider as a process of its own."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.provider import real

from .conftest import DESKTOP, PASSWORD, PHONE, PROVIDER_PORT, Visitor

Visit = Callable[..., Visitor]


@pytest.fixture
def provider(base: str) -> Iterator[str]:
    if os.environ.get("HOSPITAL_AT"):
        pytest.skip("the hospital that is up knows no provider of ours")
    with real.running(PROVIDER_PORT, base) as issuer:
        yield issuer


def goes_there(visitor: Visitor, name: str) -> None:
    visitor.page.get_by_role("link", name="Sign in with Harbour ID").click()
    visitor.page.get_by_label("Name").fill(name)
    visitor.page.get_by_role("button", name="Sign in there").click()


def test_somebody_links_a_login_with_their_password_signs_in_with_it_and_takes_it_off(visit: Visit, provider: str) -> None:
    visitor = visit(PHONE)
    page = visitor.open("/sign-in?next=/record")
    goes_there(visitor, "patient")   # whose verified address is an account's
    page.get_by_text("Sign in to your account here with its password, this once.").wait_for()
    assert page.get_by_label("E-mail").input_value() == "patient@demo.test"
    assert visitor.axe() == []
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/record")

    again = visit(DESKTOP)
    page = again.open("/sign-in?next=/waitlist")
    goes_there(again, "patient")
    page.wait_for_url("**/waitlist")
    again.open("/security")
    assert again.axe() == []
    page.get_by_role("button", name="Remove Harbour ID").click()
    page.get_by_label("Password").fill(PASSWORD)   # signing in over there was no fresh password
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Add Harbour ID").wait_for()
    page.get_by_role("button", name="Add Harbour ID").click()
    page.get_by_role("button", name="Remove Harbour ID").wait_for()   # still signed in there, one comes straight back


def test_a_newcomer_finds_the_form_filled_in_and_who_turns_back_every_other_way_in(visit: Visit, provider: str) -> None:
    visitor = visit(PHONE)
    page = visitor.open("/")
    page.get_by_role("link", name="Sign in with Harbour ID").click()
    page.get_by_role("button", name="Not now").click()
    page.get_by_role("heading", name="You did not go on with Harbour ID").wait_for()
    goes_there(visitor, "wilma")
    page.get_by_text("Nobody here is known by your login at Harbour ID yet.").wait_for()
    assert [page.get_by_label(label).input_value() for label in ("Given name", "Family name", "E-mail")] == [
        "Wilma", "Harbour", "wilma@demo.test"]
    assert visitor.axe() == []
    page.get_by_label("Birth date").fill("1990-01-01")
    page.get_by_label("Phone").fill("+353 1 555 0188")
    page.get_by_label("Password").fill("three unrelated words")
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url("**/home")
    assert "Harbour ID" in visitor.open("/security").content()

"""A passkey from its making to its end, on Chromium's own virtual authenticator: no e-mail address, no password, no code."""
from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from .conftest import PHONE, Visitor


def with_a_finger(visitor: Visitor) -> Callable[[], int]:
    """A device that finds its passkeys by itself, and whose owner is there; answers how many it holds."""
    devices = visitor.context.new_cdp_session(visitor.page)
    devices.send("WebAuthn.enable", {"enableUI": False})
    made = devices.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True}})
    return lambda: len(devices.send("WebAuthn.getCredentials", {"authenticatorId": made["authenticatorId"]})["credentials"])


def test_made_used_to_sign_in_and_removed(visit: Callable[..., Visitor]) -> None:
    visitor = visit(PHONE)
    visitor.base = visitor.base.replace("127.0.0.1", "localhost")   # passkeys are made for a name
    holds, page = with_a_finger(visitor), visitor.sign_in("nurse@demo.test")
    visitor.open("/security")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("My phone")
    assert visitor.axe() == []
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_text("“My phone” signs you in from now on.").first).to_be_visible()
    assert holds() == 1
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("The same again")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_text("This device holds a passkey for your account already.").first).to_be_visible()

    visitor.context.clear_cookies()
    visitor.open("/sign-in?next=/security")   # the browser offers it by itself, and this device says yes to everything
    page.wait_for_url("**/security")
    page.get_by_role("link", name="Change My phone").click()
    assert visitor.axe() == []
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_text("That passkey signs nobody in any more.").first).to_be_visible()

    visitor.context.clear_cookies()
    visitor.open("/sign-in")
    refused = page.get_by_role("alert").filter(has_text="This passkey does not sign in here.")
    expect(refused).to_be_visible()   # and it is not offered again and again
    with page.expect_response("**/sign-in/passkey"):
        page.get_by_role("button", name="Sign in with a passkey").click()
    expect(refused).to_be_visible()
    visitor.said = [said for said in visitor.said if "401" not in said]

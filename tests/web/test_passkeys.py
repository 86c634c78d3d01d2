"""Passkeys on the pages, with a browser whose script is the test: it puts into the forms what the device answers."""
from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

from tests.authenticator import PRESENT, Authenticator

from .conftest import Hospital
from .test_security import PASSWORD, signs_in
from .visitor import Answer, Visitor


def a_device(hospital: Hospital) -> Authenticator:
    return Authenticator(hospital.house.settings.passkey_origin)


def asked(page: Answer) -> dict[str, Any]:
    """What the page has for the browser to ask."""
    [options] = re.findall(r'data-options="({[^"]+})"', page.text)
    found: dict[str, Any] = json.loads(unescape(options))
    return found


async def makes(visitor: Visitor, device: Authenticator, name: str = "My phone", **lies: Any) -> Answer:
    page = await visitor.submit((await visitor.open("/security")).form("/security/passkeys/new"))
    return await visitor.submit(page.form("/security/passkeys"), name=name,
                                credential=json.dumps(device.makes(asked(page), **lies)))


async def signed(visitor: Visitor, device: Authenticator) -> str:
    return json.dumps(device.signs((await visitor.ask("GET", "/passkeys/options")).json()))


async def test_made_used_to_sign_in_renamed_and_removed(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    device = a_device(hospital)
    assert (await makes(visitor, device)).location == "/security"
    assert "“My phone” signs you in from now on." in (await visitor.open("/security")).words
    stranger = hospital.visitor()
    form = (await stranger.open("/sign-in?next=/admin/staff")).form("/sign-in/passkey")
    answer = await stranger.submit(form, credential=await signed(stranger, device))
    assert (answer.status, answer.location) == (303, "/admin/staff")
    page = await stranger.open("/security")
    one = await stranger.open(page.links["Change My phone"])
    naming = next(form for form in one.forms if "version" in form.values)
    named = await stranger.submit(naming, name="Old phone")
    assert "It is called “Old phone” now." in (await stranger.open(named.location)).words
    stale = await stranger.submit(naming, name="Newer")
    assert stale.status == 412
    await stranger.submit((await stranger.open(page.links["Change My phone"])).form("/remove"))
    assert "That passkey signs nobody in any more." in (await stranger.open("/security")).words
    again = hospital.visitor()
    form = (await again.open("/sign-in")).form("/sign-in/passkey")
    refused = await again.submit(form, credential=await signed(again, device))
    assert (refused.status, "This passkey does not sign in here." in refused.words) == (401, True)


async def test_what_does_not_fit_is_said_and_asked_anew(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    wrong = await makes(visitor, a_device(hospital), flags=PRESENT)
    assert (wrong.status, "Begin again." in wrong.words) == (422, True)
    again = await visitor.submit(wrong.form("/security/passkeys"), name=" ",
                                 credential=json.dumps(a_device(hospital).makes(asked(wrong))))
    assert (again.status, "Write a name of up to 60 letters." in again.words) == (400, True)
    for nonsense in ("", "{}", "[1]", "\x7f"):
        answer = await visitor.submit(again.form("/security/passkeys"), name="x", credential=nonsense)
        assert answer.status == 400
    stranger = hospital.visitor()
    page = await stranger.open("/sign-in")
    unknown = a_device(hospital)
    unknown.handle = "AAAA"
    for nonsense in ("", "{}", json.dumps(unknown.signs({"challenge": "AAAA"}))):
        assert (await stranger.submit(page.form("/sign-in/passkey"), credential=nonsense)).status in (400, 401)


async def test_a_passkey_takes_the_place_of_the_password_that_is_asked_for_again(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    device, other = a_device(hospital), a_device(hospital)
    await makes(visitor, device)
    await hospital.wait(11)
    step = await visitor.submit((await visitor.open("/security")).form("/security/passkeys/new"))
    assert "Is it you?" in step.words
    other.handle = device.handle
    wrong = await visitor.submit(step.form("/prove/passkey"), proof=await signed(visitor, other))
    assert (wrong.status, "This passkey does not sign in here." in wrong.words) == (422, True)
    given = await signed(visitor, device)
    offered = await visitor.submit(wrong.form("/prove/passkey"), proof=given)
    assert offered.status == 200
    assert asked(offered)["excludeCredentials"]
    answer = await visitor.send("/security/prove/passkey", {"then": "/sign-out", "proof": given})
    assert answer.status == 404
    assert PASSWORD not in offered.text

"""The pages where the administration lets programs in, and takes them out again."""
from __future__ import annotations

import re
from uuid import UUID

from infirmary.contexts.identity.contract import Identity, TokenRequest, WrongClient
from infirmary.kernel.access import NOBODY
from infirmary.language import ADMIN, RECEPTION
from tests.house import admin

from .conftest import Hospital
from .visitor import Answer, Visitor

PASSWORD = "a long password of his"


async def boss(hospital: Hospital) -> Visitor:
    visitor = hospital.visitor()
    page = await visitor.open("/sign-in")
    await visitor.submit(page.form("/sign-in"), email="boss@example.org", password=PASSWORD)
    return visitor


async def lets_in(visitor: Visitor, *roles: str) -> Answer:
    await visitor.open("/admin/clients/new")
    return await visitor.send("/admin/clients", [("name", "Wall display"), *(("roles", role) for role in roles)])


def told(answer: Answer) -> tuple[str, str]:
    found = re.findall(r'<code class="in-break">([^<]+)</code>', answer.text)
    return found[0], found[1]


async def signs_in(hospital: Hospital, client_id: str, secret: str) -> bool:
    try:
        return bool(await hospital.ask(Identity).token(NOBODY, TokenRequest(
            grant_type="client_credentials", client_id=client_id, client_secret=secret)))
    except WrongClient:
        return False


async def test_a_program_is_let_in_sees_its_secret_once_and_is_taken_out(hospital: Hospital) -> None:
    visitor = await boss(hospital)
    assert "No program signs in here" in (await visitor.open("/admin/clients")).words
    made = await lets_in(visitor, "reception", "nurse")
    client_id, secret = told(made)
    assert await signs_in(hospital, client_id, secret)
    assert "Reception" in (await visitor.open("/admin/clients")).words
    one = f"/admin/clients/{client_id}"
    assert secret not in (await visitor.open(one)).text
    again = await visitor.submit((await visitor.open(f"{one}?ask=rotate")).form("/rotate"))
    assert not await signs_in(hospital, client_id, secret)
    assert await signs_in(hospital, *told(again))
    stale = await visitor.send("/admin/clients/amend", {"client_id": client_id, "version": "1", "name": "X", "roles": "nurse"})
    assert (stale.status, "Nothing was done" in stale.words) == (412, True)
    gone = await visitor.submit((await visitor.open(f"{one}?ask=revoke")).form("/revoke"))
    assert gone.location == one
    assert "Revoked for good" in (await visitor.open(one)).words
    assert not await signs_in(hospital, *told(again))


async def test_after_ten_minutes_the_password_is_asked_for_and_every_role_goes_on_with_it(hospital: Hospital) -> None:
    visitor = await boss(hospital)
    await hospital.wait(11)
    asked = await lets_in(visitor, "reception", "nurse")
    made = await visitor.submit(asked.form("/security/prove"), proof=PASSWORD)
    client = await hospital.ask(Identity).client(admin, UUID(told(made)[0]))
    assert [role.value for role in client.roles] == ["nurse", "reception"]


async def test_what_is_missing_is_said_and_what_was_typed_is_kept(hospital: Hospital) -> None:
    visitor = await boss(hospital)
    answer = await visitor.send("/admin/clients", {"name": "Wall display"})
    assert (answer.status, "Choose at least one." in answer.words) == (400, True)
    assert answer.form("/admin/clients").values["name"] == "Wall display"
    assert (await visitor.send("/admin/clients", {"name": "X", "roles": "doctor"})).status == 400


async def test_nobody_else_sees_or_does_any_of_it(hospital: Hospital) -> None:
    desk = hospital.visitor(RECEPTION)
    for path in ("/admin/clients", "/admin/clients/new"):
        assert (await desk.open(path)).status == 403
    for path in ("/admin/clients", "/admin/clients/amend", "/admin/clients/rotate", "/admin/clients/revoke"):
        assert (await desk.send(path, {"name": "X", "roles": "nurse"})).status in (403, 404)
    assert (await hospital.visitor(ADMIN).open("/admin/clients/no-id")).status == 404

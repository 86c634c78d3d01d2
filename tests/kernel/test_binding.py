"""One declaration, three ends: the same answers and refusals by a call, over HTTP, and to whoever speaks raw HTTP."""
from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio

from infirmary.kernel import openapi
from infirmary.kernel.access import ANY, NOBODY, Caller
from infirmary.kernel.binding import Routes
from infirmary.kernel.client import PolicyNotApplied, in_process
from infirmary.kernel.contract import Contract, get
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import Malformed, NotFound, NotSignedIn, RoleMayNot, StaleVersion, Unavailable
from infirmary.kernel.http import build_app
from infirmary.kernel.remote import over_http
from tests.serving import serving

from .toy import NewToy, Toy, ToyBox, ToyIsBroken, Toys

ME, OTHER = new_id(), new_id()
owner = Caller(account_id=ME, roles=frozenset({"owner"}), subjects={"owner_id": ME}, token="owner")
keeper = Caller(account_id=OTHER, roles=frozenset({"keeper"}), token="keeper")
stranger = Caller(account_id=new_id(), roles=frozenset({"visitor"}), token="stranger")
CALLERS = {caller.token: caller for caller in (owner, keeper, stranger)}


def authenticate(token: str) -> Caller:
    try:
        return CALLERS[token]
    except KeyError:
        raise NotSignedIn from None


@pytest_asyncio.fixture
async def world(db: Database) -> AsyncIterator[Any]:
    db.context = "toys"
    box = ToyBox(db)
    app = build_app(Routes(Toys, box, db, authenticate).handlers)
    async with serving(app) as base, aiohttp.ClientSession() as http:
        yield SimpleNamespace(box=box, base=base, http=http, db=db, clients={
            "in process": in_process(Toys, lambda: (box, db)), "over http": over_http(Toys, lambda: [base], http)})


async def raw(world: Any, verb: str, path: str, *, token: str = "keeper", **more: Any) -> tuple[int, Any, Any]:
    headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
    async with world.http.request(verb, world.base + "/api/v1" + path, headers=headers, **more) as reply:
        text = await reply.text()
        return reply.status, json.loads(text) if "json" in reply.content_type else text, reply.headers


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("end", ["in process", "over http"])
class TestBothClients:
    async def test_answer_alike(self, world: Any, end: str) -> None:
        client: Toys = world.clients[end]
        made = await client.make(owner, NewToy(name="Käfer 🚗", owner_id=ME))
        assert isinstance(made, Toy)
        assert await client.toy(owner, made.id) == made
        assert (await client.toys(owner)).items == [made]
        assert (await client.toys(keeper, from_=made.made_at, limit=1)).items == [made]
        assert (await client.toys(keeper, big=True)).items == []
        assert (await client.change(owner, made.id, NewToy(name="Ente", owner_id=ME), if_match=1)).version == 2
        assert (await client.manual(NOBODY, made.id)).content == b"Push it."

    async def test_refuse_with_the_same_class(self, world: Any, end: str) -> None:
        client: Toys = world.clients[end]
        with pytest.raises(ToyIsBroken) as refused:
            await client.make(owner, NewToy(name="broken", owner_id=ME))
        assert refused.value.extra == {"name": "broken"}
        assert str(refused.value) == "The toy is broken."
        with pytest.raises(NotFound):
            await client.toy(keeper, new_id())
        with pytest.raises(RoleMayNot):
            await client.toys(stranger)
        with pytest.raises(NotSignedIn):
            await client.toys(NOBODY)
        made = await client.make(owner, NewToy(name="Ente", owner_id=ME))
        with pytest.raises(StaleVersion):
            await client.change(owner, made.id, NewToy(name="Gans", owner_id=ME), if_match=7)

    async def test_what_is_out_of_reach_is_not_there(self, world: Any, end: str) -> None:
        client: Toys = world.clients[end]
        theirs = await client.make(keeper, NewToy(name="Theirs", owner_id=OTHER))
        for asked in (client.toy(owner, theirs.id), client.toys(owner, owner_id=OTHER),
                      client.make(owner, NewToy(name="Mine?", owner_id=OTHER)),
                      client.change(owner, theirs.id, NewToy(name="Mine!", owner_id=ME), if_match=1)):
            with pytest.raises(NotFound):
                await asked
        assert world.box.kept[theirs.id] == theirs

    async def test_asking_inside_a_transaction_is_refused(self, world: Any, end: str) -> None:
        async with world.db.transaction():
            with pytest.raises(RuntimeError, match="ask first"):
                await world.clients[end].toys(keeper)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
class TestHttp:
    async def test_an_operation_that_forgets_its_scope_fails_instead_of_answering(self, world: Any) -> None:
        with pytest.raises(PolicyNotApplied):
            await world.clients["in process"].forgetful(owner)
        status, problem, _ = await raw(world, "GET", "/forgetful", token="owner")
        assert (status, problem["code"]) == (500, "broken")

    async def test_a_fault_is_a_500_that_says_nothing_of_its_cause(self, world: Any) -> None:
        status, problem, headers = await raw(world, "GET", "/faulty")
        assert (status, problem["code"]) == (500, "broken")
        assert "Rosa" not in json.dumps(problem)
        assert problem["request_id"] == headers["X-Request-Id"]

    @pytest.mark.parametrize(("query", "field"), [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("owner_id=7", "owner_id"),
        ("colour=red", "colour"), ("from=2027-01-01T00:00:00", "from"), ("from_=2027-01-01T00:00:00Z", "from_"),
        ("limit=1&limit=2", ""), ("limit=%00", ""), ("limit=%ff", ""), ("big=perhaps", "big")])
    async def test_a_query_that_does_not_fit_names_its_field(self, world: Any, query: str, field: str) -> None:
        status, problem, headers = await raw(world, "GET", f"/toys?{query}")
        assert (status, problem["code"], headers["Content-Type"]) == (400, "malformed", "application/problem+json")
        assert problem["errors"][0]["field"] == field

    @pytest.mark.parametrize(("body", "field"), [
        ({"owner_id": str(ME)}, "name"), ({"name": "", "owner_id": str(ME)}, "name"),
        ({"name": "x", "owner_id": "x"}, "owner_id"), ({"name": "x", "owner_id": str(ME), "id": str(ME)}, "id"),
        ({"name": "x", "owner_id": str(ME), "version": 3}, "version"), ([], ""),
        ({"name": "x", "owner_id": str(ME), "wheels": 2**80}, "wheels"), ({"name": "a\0b", "owner_id": str(ME)}, "")])
    async def test_a_body_that_does_not_fit_names_its_field(self, world: Any, body: Any, field: str) -> None:
        status, problem, _ = await raw(world, "POST", "/toys", json=body)
        assert status == 400
        assert problem["errors"][0]["field"] == field
        assert not world.box.kept

    @pytest.mark.parametrize(("data", "media", "status"), [
        (b"{", "application/json", 400), (b"\xff", "application/json", 400), (b'{"name":"\\ud800"}', "application/json", 400),
        (b"", "application/json", 400), (b"name=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415), (b"[" * 100_000, "application/json", 400),
        (b'"' + b"x" * 1_100_000 + b'"', "application/json", 413)])
    async def test_nonsense_is_refused(self, world: Any, data: bytes, media: str, status: int) -> None:
        assert (await raw(world, "POST", "/toys", data=io.BytesIO(data), headers={"Content-Type": media}))[0] == status

    async def test_a_form_is_read_as_one(self, world: Any) -> None:
        assert (await raw(world, "POST", "/sign-in", token="", data={"name": "a", "years": "3"}))[0] == 200
        assert (await raw(world, "POST", "/sign-in", token="", data={"name": "a", "admin": "1"}))[0] == 400
        assert (await raw(world, "POST", "/sign-in", token="", json={"name": "a"}))[0] == 415

    async def test_versions_travel_as_etags(self, world: Any) -> None:
        _, made, headers = await raw(world, "POST", "/toys", json={"name": "x", "owner_id": str(ME)})
        assert headers["ETag"] == '"1"'
        path, body = f"/toys/{made['id']}", {"name": "y", "owner_id": str(ME)}
        assert (await raw(world, "PUT", path, json=body))[0] == 428
        for stale in ('"2"', "*", "1", '"x"'):
            assert (await raw(world, "PUT", path, json=body, headers={"If-Match": stale}))[0] == 412
        status, _, headers = await raw(world, "PUT", path, json=body, headers={"If-Match": '"1"'})
        assert (status, headers["ETag"]) == (200, '"2"')

    @pytest.mark.parametrize("token", ["", "forged"])
    async def test_who_is_not_signed_in_learns_nothing_from_a_body(self, world: Any, token: str) -> None:
        status, problem, headers = await raw(world, "POST", "/toys", token=token, json={"nonsense": 1})
        assert (status, problem["code"]) == (401, "not_signed_in")
        assert headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize(("verb", "path", "status"), [
        ("GET", "/nothing", 404), ("GET", "/toys/no-id", 404), ("PATCH", "/toys", 405), ("GET", f"/toys/{UUID(int=9)}/x", 404)])
    async def test_the_frameworks_own_refusals_are_problems_too(self, world: Any, verb: str, path: str, status: int) -> None:
        found, problem, headers = await raw(world, verb, path)
        assert (found, problem["status"], headers["Content-Type"]) == (status, status, "application/problem+json")

    @pytest.mark.parametrize(("verb", "status"), [("OPTIONS", 204), ("PATCH", 405)])
    async def test_what_a_path_allows_is_said_with_all_its_methods(self, world: Any, verb: str, status: int) -> None:
        found, _, headers = await raw(world, verb, "/toys")
        assert (found, headers["Allow"]) == (status, "GET, OPTIONS, POST")

    async def test_the_same_key_and_request_have_one_effect_and_one_answer(self, world: Any) -> None:
        body, key = {"name": "once", "owner_id": str(ME)}, {"Idempotency-Key": "k-1"}
        answers = [await raw(world, "POST", "/toys", json=body, headers=key) for _ in range(3)]
        assert len(world.box.kept) == 1
        assert {(status, answer["id"], headers["ETag"]) for status, answer, headers in answers} == {
            (201, answers[0][1]["id"], '"1"')}
        status, problem, _ = await raw(world, "POST", "/toys", json={**body, "wheels": 3}, headers=key)
        assert (status, problem["code"]) == (422, "key_reused")
        assert (await raw(world, "POST", "/toys", json=body, headers=key, token="owner"))[1]["id"] != answers[0][1]["id"]
        assert (await raw(world, "POST", "/toys", json=body, headers={"Idempotency-Key": "ä" * 3}))[0] == 400

    async def test_the_same_key_sent_at_once_has_one_effect(self, world: Any) -> None:
        body, key = {"name": "once", "owner_id": str(ME)}, {"Idempotency-Key": "k-2"}
        answers = await asyncio.gather(*(raw(world, "POST", "/toys", json=body, headers=key) for _ in range(20)))
        assert {status for status, _, _ in answers} <= {201, 409}
        assert len({answer["id"] for status, answer, _ in answers if status == 201}) == 1
        assert len(world.box.kept) == 1

    async def test_a_denial_of_somebody_known_is_audited(self, world: Any) -> None:
        from infirmary.kernel.outbox import OUTBOX
        await raw(world, "GET", "/toys", token="stranger")
        async with world.db.reading() as reading:
            entries = [stored.body for stored in await reading.all(OUTBOX.find())]
        assert [(e["action"], e["outcome"], e["actor_id"]) for e in entries] == [
            ("access.denied", "refused", str(stranger.account_id))]

    async def test_who_does_not_answer_is_unavailable_within_the_deadline(self, world: Any) -> None:
        client = over_http(Toys, lambda: ["http://127.0.0.1:9"], world.http)
        async with asyncio.timeout(3):
            for _ in range(4):
                with pytest.raises(Unavailable):
                    await client.toys(keeper)

    async def test_the_document_describes_every_operation(self, world: Any) -> None:
        document = openapi.document([Toys], title="Toys", version="1")
        assert set(document["paths"]) == {f"/api/v1{operation.path}" for operation in Toys.operations.values()}
        listing = document["paths"]["/api/v1/toys"]["get"]
        assert {p["name"]: p["in"] for p in listing["parameters"]} == {
            "owner_id": "query", "from": "query", "limit": "query", "big": "query"}
        assert listing["x-policy"] == {"owner": "mine", "keeper": "any"}
        assert document["paths"]["/api/v1/toys"]["post"]["responses"]["409"]["description"] == "key_reused / toy_is_broken" \
            or "toy_is_broken" in document["paths"]["/api/v1/toys"]["post"]["responses"]["409"]["description"]


def test_an_operation_without_a_policy_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="without a policy"):
        class Open(Contract, context="open"):
            @get("/open", allow={})
            async def anything(self, caller: Caller) -> None: ...


async def test_nothing_granted_means_nothing_not_everything() -> None:
    for caller in (keeper, owner, NOBODY):   # no permit: nobody has looked at a policy yet
        with pytest.raises(NotFound):
            caller.must_reach(owner_id=ME)
        with pytest.raises(NotFound):
            caller.only()
    lost = Caller(account_id=ME, roles=frozenset({"owner"}))   # the role, but no id of one's own
    with pytest.raises(NotFound):
        lost.permitted({"owner": Toys.operations["toy"].allow["owner"]}).must_reach(owner_id=None)
    with pytest.raises(Malformed):
        raise Malformed


def test_a_contract_may_be_declared_in_parts() -> None:
    class Lending(Contract):
        @get("/loans", allow={"anyone": ANY})
        async def loans(self, caller: Caller) -> list[UUID]:
            """Who has what."""

    class Library(Lending, context="library"):
        @get("/books", allow={"anyone": ANY})
        async def books(self, caller: Caller) -> list[UUID]:
            """What there is."""

    assert {name: one.id for name, one in Library.operations.items()} == {
        "books": "library.books", "loans": "library.loans"}

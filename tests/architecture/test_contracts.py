"""Every contract is complete, and keeps its promises."""
from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from infirmary.contexts.identity.contract import ChangePassword
from infirmary.kernel.access import ANY, ANYONE
from infirmary.kernel.contract import Contract, Operation, Page, get
from infirmary.kernel.errors import Refusal
from infirmary.kernel.idempotency import once_of

from . import snapshots
from .judge import ALLOWED, MATRIX, cells_of
from .requests import MAKERS, OPERATIONS
from .world import OWN, World

HERE = pytest.mark.parametrize("name", sorted(OPERATIONS))
CHANGES = sorted(name for name, operation in OPERATIONS.items() if operation.verb == "POST")
# Asked again with the same key, these do something else than answer the same, and why that is right.
NOT_KEPT = {
    "patients.begin_import": "a file is known again by what is in it, and is refused with the import that it became",
    "identity.token": "tokens are stored nowhere; a repeated sign-in is another session",
    "identity.come_back": "as identity.token; and what was brought back is good once",
    "identity.verify_code": "as token; its code is used",
    "identity.passkey_token": "as token; its challenge is spent",
    "backstage.replay": "as system.replay",
    "system.replay": "a fact that was handled is not parked any more, so that there is nothing to repeat",
}


@HERE
def test_an_operation_says_what_it_does(name: str) -> None:
    assert OPERATIONS[name].method.__doc__


@pytest.mark.parametrize("refusal", Refusal.known.values(), ids=str)
def test_a_refusal_says_what_happened_in_a_sentence(refusal: type[Refusal]) -> None:
    said = (refusal.__doc__ or "").strip()
    assert said.endswith("."), f"{refusal.__name__} needs a docstring: it is what people read"
    assert refusal.__doc__ != Refusal.__doc__


def test_no_two_operations_answer_at_one_address() -> None:
    addresses = Counter((one.verb, one.prefix + re.sub(r"{\w+}", "{}", one.path)) for one in OPERATIONS.values())
    assert [address for address, times in addresses.items() if times > 1] == []


def test_no_two_refusals_share_a_code() -> None:
    codes = Counter(one.code for one in _all_refusals(Refusal))
    assert [code for code, times in codes.items() if times > 1] == []


def _all_refusals(of: type[Refusal]) -> set[type[Refusal]]:
    """By class, not by code: `Refusal.known` would show the last one only."""
    return {one for child in of.__subclasses__() if child.__module__.startswith("infirmary.")
            for one in (child, *_all_refusals(child))}


def unbounded(operation: Operation) -> bool:
    """Whether it answers pages whose size the caller may choose without bound."""
    if getattr(operation.answer, "__origin__", operation.answer) is not Page:
        return False
    schema = msgspec.json.schema(operation.hints["limit"]) if "limit" in operation.hints else {}
    return not 1 <= schema.get("maximum", 0) <= 100


@HERE
def test_a_page_has_at_most_a_hundred_items(name: str) -> None:
    assert not unbounded(OPERATIONS[name])


def test_a_page_without_bounds_would_be_found() -> None:
    class Loose(Contract, context="loose"):
        @get("/loose", allow={ANYONE: ANY})
        async def things(self, caller: Any, limit: int = 25) -> Page[str]:
            """All of them."""

    assert unbounded(Loose.operations["things"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_asked_twice_with_one_key_happens_once(world: World, name: str) -> None:
    operation = OPERATIONS[name]
    cell = next(cell for cell in cells_of(name, MATRIX[name]) if cell.expected == ALLOWED)
    ask = await MAKERS[name](operation, world, world.subject(cell.who, cell.whose))
    key = {"Idempotency-Key": str(uuid4())}
    first = await world.send(ask, world.token(cell.who), **key)
    assert first.status == operation.status, first
    after_first = world.kept()
    second = await world.send(ask, world.token(cell.who), **key)
    if name in NOT_KEPT:
        assert second.body != first.body, f"{name} keeps its answer now: take it out of NOT_KEPT"
        return
    assert (second.status, second.body) == (first.status, first.body)
    assert world.kept() == after_first


@pytest.mark.asyncio(loop_scope="module")
async def test_a_kept_key_is_no_digest_to_try_passwords_against(world: World) -> None:
    name = "identity.change_password"
    ask = await MAKERS[name](OPERATIONS[name], world, world.subject("auditor", OWN))
    assert (await world.send(ask, world.token("auditor"), **{"Idempotency-Key": str(uuid4())})).status == 200
    given = {"body": msgspec.convert(ask.body, type=ChangePassword)}
    assert world.fingerprints("identity")
    assert hashlib.sha256(msgspec.json.encode(given)).hexdigest() not in world.fingerprints("identity")
    assert once_of("identity", "change_password", world.accounts["auditor"].id, "k", given).fingerprint not in (
        world.fingerprints("identity"))


# --- promises --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("context", snapshots.snapshots())
def test_no_promise_is_taken_back(context: str) -> None:
    assert not snapshots.taken_back(snapshots.kept(context), snapshots.snapshots()[context])


@pytest.mark.parametrize("context", snapshots.snapshots())
def test_every_promise_is_on_record(context: str) -> None:
    new = snapshots.snapshots()[context].keys() - snapshots.kept(context).keys()
    assert not new, f"new here: `{sys.executable} -m tests.architecture.snapshots` puts it on record"


def test_what_was_taken_back_is_named() -> None:
    before = {"GET /visits": "200 json", "GET /visits takes limit": "int", "Visit.at": "time", "Visit.why": "text",
              "Mode = video": ""}
    now = {"GET /visits": "200 json", "GET /visits takes limit": "text", "GET /visits takes day": "date, needed",
           "Visit.at": "time", "Visit.room": "text, needed", "Visit.note": "text", "Room.name": "text, needed"}
    assert snapshots.taken_back(before, now) == [
        "GET /visits takes limit: int, now text", "Visit.why: text, now gone", "Mode = video: there, now gone",
        "GET /visits takes day is new and needed", "Visit.room is new and needed"]
    assert not snapshots.taken_back(before, {**before, "Visit.note": "text", "GET /rooms takes day": "date, needed"})

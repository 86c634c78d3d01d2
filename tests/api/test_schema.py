"""The API document and what is served, held against each other by schemathesis: every operation, three roles; every limit of
every value as the one who may do most, as the others are mostly refused before anybody looks at them.

FUZZ_EXAMPLES=500 makes it look longer (8 without); FUZZ_SEED repeats a run that found something.
"""
from __future__ import annotations

import asyncio
import copy
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from infirmary.kernel.binding import Routes
from infirmary.kernel.contract import Contract, Operation, Page
from infirmary.run import operations
from tests.architecture.requests import OPERATIONS
from tests.architecture.world import World

EXAMPLES, SEED = os.environ.get("FUZZ_EXAMPLES", "8"), os.environ.get("FUZZ_SEED", "1")
SETTINGS = Path(__file__).parent / "schemathesis.toml"
_COUNTED = re.compile(r"([\d,]+) generated")
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def found_by_fuzzing(base: str, token: str, *more: str) -> tuple[int, int, str]:
    """The exit status (0: nothing found), how many requests, and all that it says."""
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "--config-file", str(SETTINGS), "run", f"{base}/api/v1/openapi.json", "--no-color", "--seed", SEED,
        "--max-examples", EXAMPLES, "--header", f"Authorization: Bearer {token}", *more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    said = (await run.communicate())[0].decode()
    counted = _COUNTED.search(said)
    return run.returncode or 0, int(counted[1].replace(",", "")) if counted else 0, said


@pytest.mark.parametrize("role", ["patient", "reception", "admin"])
async def test_what_is_served_is_what_is_described(world: World, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    phases = () if role == "admin" else ("--phases", "examples,fuzzing")
    status, requests, said = await found_by_fuzzing(world.base, world.token(role), *phases)
    with capsys.disabled():
        print(f"\nschemathesis as {role}: {requests:,} requests")
    assert status == 0, said
    assert requests > .8 * int(EXAMPLES) * len(OPERATIONS)


def spoilt(world: World, name: str, operation: Operation, method: Any) -> list[Any]:
    """The house's handlers, with one operation answered by something else than is described."""
    room = world.house.rooms[operation.context]
    contract = type("Spoilt", (Contract,), {"context": operation.context, "operations": {operation.name: operation}})
    service = copy.copy(room.service)
    setattr(service, operation.name, method)
    others = [handler for handler in world.house.api() if handler.opt["operation"].id != name]
    return [*others, *operations.handlers(world.house),
            *Routes(contract, service, room.db, world.house.trust.caller).handlers]


async def breaks_on_digits(caller: Any, q: str = "", **_: Any) -> Any:
    assert not any(digit in q for digit in "0123456789")
    return Page([])


async def answers_nonsense(caller: Any, **_: Any) -> Any:
    return Page([{"id": 7}])


async def takes_anything(caller: Any, **_: Any) -> Any:
    return Page([])


@pytest.mark.parametrize(("method", "limit", "finding"), [
    (breaks_on_digits, None, "Server error"), (answers_nonsense, None, "Response violates schema"),
    (takes_anything, int, "Schema-violating request accepted")])
async def test_what_differs_is_found(world: World, method: Any, limit: Any, finding: str) -> None:
    operation = copy.copy(OPERATIONS["staff.doctors"])
    if limit:
        operation.__dict__["hints"] = {**operation.hints, "limit": limit}
    async with world.serving(spoilt(world, "staff.doctors", operation, method)) as base:
        status, _, said = await found_by_fuzzing(base, world.token("admin"), "--include-operation-id", "staff.doctors")
    assert status != 0
    assert finding in said, said

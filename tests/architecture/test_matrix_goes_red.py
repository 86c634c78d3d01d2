"""The judge of the access matrix, seen to complain: one door at a time is left open, on a copy served beside."""
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from infirmary.contexts.appointments.tables import VISITS
from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.binding import Routes
from infirmary.kernel.contract import Contract
from infirmary.kernel.errors import NotFound
from infirmary.language import CASHIER, PATIENT

from .judge import MATRIX, Judge
from .requests import OPERATIONS
from .world import World

Mutant = Callable[[World, str], Routes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strangers(world: World) -> dict[str, str]:
    return await world.strangers()


def served(world: World, name: str, *, routes: type[Routes] = Routes, service: Any = None,
           authenticate: Callable[[str], Caller] | None = None, **allow: Any) -> Routes:
    """One operation as the house serves it, but for what is changed on purpose."""
    operation = copy.copy(OPERATIONS[name])
    operation.allow = {**operation.allow, **allow}
    contract = type("Copy", (Contract,), {"context": operation.context, "operations": {operation.name: operation}})
    room = world.house.rooms[operation.context]
    return routes(contract, service or room.service, room.db, authenticate or world.house.trust.caller)


class ReachesAnybody(Caller, frozen=True):
    """As if the service had forgotten to ask."""

    def must_reach(self, thing: object = None, /, **fields: Any) -> None:
        assert self.permit
        self.permit.applied = True

    def only(self, **asked: Any) -> dict[str, Any]:
        self.must_reach()
        return {field: value for field, value in asked.items() if value is not None}


class Forgetful(Routes):
    async def _remember_denial(self, *_: Any) -> None:
        """As if denials were nobody's business."""


def without_reach(world: World, name: str) -> Routes:
    def authenticate(token: str) -> Caller:
        return ReachesAnybody(**msgspec.structs.asdict(world.house.trust.caller(token)))
    return served(world, name, authenticate=authenticate)


def telling_404(world: World, name: str) -> Routes:
    service = copy.copy(world.house.rooms["appointments"].service)
    honest = service.seen

    async def seen(caller: Caller, appointment_id: Any) -> Any:
        try:
            return await honest(caller, appointment_id)
        except NotFound:
            async with service.db.reading() as reading:
                kept = await VISITS.get(reading, appointment_id)
            raise NotFound("This visit is not yours.") if kept else NotFound() from None

    service.seen = seen
    return served(world, name, service=service)


MUTANTS: dict[str, tuple[str, Mutant, str]] = {
    "a role too many": ("appointments.appointment", lambda world, name: served(world, name, **{CASHIER: ANY}),
                        "cashier × treated: 200"),
    "a reach too far": ("appointments.appointment", lambda world, name: served(world, name, **{PATIENT: ANY}),
                        "patient × other: 200"),
    "open to the world": ("patients.patient", lambda world, name: served(world, name, **{ANYONE: ANY}),
                          "nobody × other: 200"),
    "a change without asking for reach": ("appointments.cancel", without_reach, "changed appointments.appointment"),
    "a list that is not narrowed": ("appointments.appointments", without_reach, "Bergamotte"),
    "a 404 that tells": ("appointments.steps", telling_404, "what exists answers"),
    "a denial that is not on record": ("patients.patient", lambda world, name: served(world, name, routes=Forgetful),
                                       "denials of auditor, and 0"),
    "tokens that outlive their end": ("staff.members", lambda world, name: served(
        world, name, authenticate=lambda token: world.house.verifier.read(token).caller),
                                      "an ended session × other: 200"),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("mutant", MUTANTS)
async def test_the_judge_sees(world: World, strangers: dict[str, str], mutant: str) -> None:
    name, make, complaint = MUTANTS[mutant]
    async with world.serving(make(world, name).handlers) as base:
        complaints = await Judge(world, strangers, base=base).complaints(OPERATIONS[name], MATRIX[name])
    assert any(complaint in one for one in complaints), complaints


@pytest.mark.asyncio(loop_scope="module")
async def test_the_same_copy_unchanged_is_fine(world: World, strangers: dict[str, str]) -> None:
    for name in sorted({name for name, _, _ in MUTANTS.values()}):
        async with world.serving(served(world, name).handlers) as base:
            assert not await Judge(world, strangers, base=base).complaints(OPERATIONS[name], MATRIX[name])

"""How to ask each operation for something that it can do, about a person of one's choice.

A maker answers what `Ask` needs: path, query, body, if_match. It is called anew for every request, so that each finds
a thing in the state it needs. A new operation needs one here, and a row in access_matrix.toml.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from infirmary.kernel.contract import Contract, Operation
from infirmary.run.catalogue import CONTEXTS
from infirmary.system import Backstage, System
from tests.architecture.asks import Ask
from tests.architecture.world import OTHER, OWN, TREATED, Subject, World

CONTRACTS: tuple[type[Contract], ...] = (*(context.contract for context in CONTEXTS), System, Backstage)
OPERATIONS = {operation.id: operation for contract in CONTRACTS for operation in contract.operations.values()}
Make = Callable[[World, Subject], Awaitable[dict[str, Any]]]
PERSONS = (OWN, TREATED, OTHER)   # the things that this operation is about are somebody's
NOBODYS = (OTHER,)                # or nobody's in particular, and then one request stands for all
ONES_OWN = (OWN,)                 # or always the caller's


@dataclass(frozen=True)
class Maker:
    make: Make
    about: tuple[str, ...]

    async def __call__(self, operation: Operation, world: World, of: Subject) -> Ask:
        given = await self.make(world, of)
        unused = {"body": operation.body is None, "if_match": operation.wants_version is None}   # makers serve several
        return Ask(operation, **{name: value for name, value in given.items() if not unused.get(name)})


MAKERS: dict[str, Maker] = {}


def asks(*operations: str, about: tuple[str, ...] = NOBODYS) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        MAKERS.update({operation: Maker(make, about) for operation in operations})
        return make
    return keep

"""Judges an operation as it is served against its row in access_matrix.toml, cell by cell."""
from __future__ import annotations

import asyncio
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infirmary.kernel.contract import Operation
from infirmary.language import Role

from .asks import Ask, Reply
from .requests import MAKERS, OPERATIONS
from .world import FORMER_WARD, OTHER, PEOPLE, WARD, World

Row = dict[str, str]   # role -> reach
MATRIX: dict[str, Row] = tomllib.loads((Path(__file__).parent / "access_matrix.toml").read_text())
REACHES = {"own", "treated", "any"}
NO_GUARDIAN = ("guardian", "none")
STRANGERS = ("nobody", "an expired token", "a disabled account", "an ended session")
ALLOWED, REFUSED, HIDDEN, NOT_SIGNED_IN = "allowed", "refused", "hidden", "not signed in"
NO_SUCH_PATH = "no such path"   # of what a gateway keeps to itself


@dataclass(frozen=True)
class Cell:
    """One question: may `who` do this to the thing of `whose`? The answer is `expected`."""

    who: str
    whose: str
    expected: str

    def __str__(self) -> str:
        return f"{self.who} × {self.whose}"


def cells_of(operation: str, row: Row) -> list[Cell]:
    reaches = {**dict.fromkeys(PEOPLE if "people" in row else (), row.get("people", "")), **row}
    about = MAKERS[operation].about
    found = [Cell(role, whose, _expected(reaches, role, whose, somebodys=len(about) > 1))
             for role in Role for whose in about]
    if len(about) > 1 and row.get(Role.PATIENT) == "own":
        found += [Cell(Role.PATIENT, WARD, HIDDEN if row.get("guardian") == "none" else ALLOWED),
                  Cell(Role.PATIENT, FORMER_WARD, HIDDEN)]
    return [*found, Cell("nobody", OTHER, ALLOWED if "anyone" in row else NOT_SIGNED_IN),
            *(Cell(who, OTHER, NOT_SIGNED_IN) for who in STRANGERS[1:])]


def _expected(reaches: Row, role: Role, whose: str, *, somebodys: bool) -> str:
    reach = "any" if "anyone" in reaches else reaches.get(role)
    if reach is None:
        return REFUSED
    return ALLOWED if reach in ("any", whose) or not somebodys else HIDDEN


def gaps() -> list[str]:
    """What keeps the matrix from being complete, and what to do about it."""
    found = [f"{name} has no row in access_matrix.toml: decide which roles may do it, and how far they reach"
             for name in OPERATIONS.keys() - MATRIX.keys()]
    found += [f"{name} has no request maker in requests/: write how to ask for it"
              for name in OPERATIONS.keys() - MAKERS.keys()]
    found += [f"{name} is no operation (any more): take it out of access_matrix.toml and requests/"
              for name in (MATRIX.keys() | MAKERS.keys()) - OPERATIONS.keys()]
    known = {*map(str, Role), "people", "anyone"}
    found += [f"{name}: {role} = {reach!r} is no role or no reach" for name, row in MATRIX.items()
              for role, reach in row.items()
              if (role, reach) != NO_GUARDIAN and (role not in known or reach not in REACHES)]
    return sorted(found)


class Judge:
    refused_by_rule = frozenset({"patients.retire"})   # the people of this world have visits to come

    def __init__(self, world: World, strangers: dict[str, str], *, base: str = "") -> None:
        self.world, self.strangers, self.base = world, strangers, base

    def cells(self, operation: Operation, row: Row) -> list[Cell]:
        return cells_of(operation.id, row)

    async def kept(self) -> dict[str, str]:
        return self.world.kept()

    async def denials(self) -> list[dict[str, Any]]:
        return self.world.audited("access.denied")

    async def complaints(self, operation: Operation, row: Row) -> list[str]:
        """What is not as the matrix says; empty when all is well."""
        cells = self.cells(operation, row)
        shut = [(cell, await self._ask(operation, cell)) for cell in cells if cell.expected != ALLOWED]
        wrong = await self._shut_doors(operation, shut)
        for cell in cells:
            if cell.expected == ALLOWED:
                ask = await self._ask(operation, cell)
                wrong += self._opened(operation, cell, await self._send(ask, cell))
        return wrong

    async def _ask(self, operation: Operation, cell: Cell) -> Ask:
        return await MAKERS[operation.id](operation, self.world, self.world.subject(cell.who, cell.whose))

    async def _send(self, ask: Ask, cell: Cell) -> Reply:
        token = self.world.token(cell.who) if cell.who in set(Role) else self.strangers.get(cell.who, "")
        return await self.world.send(ask, token, base=self.base)

    async def _shut_doors(self, operation: Operation, shut: list[tuple[Cell, Ask]]) -> list[str]:
        """Nobody gets in, nobody learns anything, nothing changes, and each try is on record."""
        before, noted = await self.kept(), await self._noted(operation)
        replies = await asyncio.gather(*(self._send(ask, cell) for cell, ask in shut))
        answered = [(cell, ask, reply) for (cell, ask), reply in zip(shut, replies, strict=True)]
        hidden = [one for one in answered if one[0].expected == HIDDEN]
        twins = await asyncio.gather(*(self._send(ask.twin(), cell) for cell, ask, _ in hidden))
        wrong = [one for cell, ask, reply in answered for one in self._shut(operation, cell, ask, reply)]
        wrong += [f"{operation.id}: {cell}: what exists answers {reply.told}, what does not {twin.told}"
                  for (cell, _, reply), twin in zip(hidden, twins, strict=True) if reply.told != twin.told]
        after = await self.kept()
        wrong += [f"{operation.id}: a request that was refused changed {table}" for table in after
                  if after[table] != before.get(table)]
        denied = Counter(cell.who for cell, _, reply in answered
                         if reply.status in (403, 404) and cell.expected != NO_SUCH_PATH)
        denied += Counter(cell.who for (cell, _, _), twin in zip(hidden, twins, strict=True) if twin.status == 404)
        noted = await self._noted(operation) - noted
        return wrong + [f"{operation.id}: {denied[who]} denials of {who}, and {noted[who]} in the audit trail"
                        for who in denied.keys() | noted.keys() if denied[who] != noted[who]]

    def _shut(self, operation: Operation, cell: Cell, ask: Ask, reply: Reply) -> list[str]:
        said = f"{operation.id}: {cell}: {reply.status} {reply.body[:200]!r}"
        words = self.world.hidden_from(cell.who) if cell.who in set(Role) else ()
        wrong = [f"{said} tells {word!r}" for word in {*words, *self.world.words(cell.whose)} if _occurs(word, reply)]
        match cell.expected:
            case "refused":
                as_it_should = reply.status == 403
            case "hidden":
                left_out = ask.listing and reply.status == 200 and reply.json["items"] == []
                as_it_should = reply.status == 404 or left_out
            case "no such path":
                as_it_should = reply.status == 404 and reply.json["code"] == "no_such_path"
            case _:
                as_it_should = reply.status == 401 and reply.headers.get("WWW-Authenticate") == "Bearer"
        return wrong if as_it_should else [*wrong, f"{said}, but should be {cell.expected}"]

    def _opened(self, operation: Operation, cell: Cell, reply: Reply) -> list[str]:
        said = f"{operation.id}: {cell}: {reply.status} {reply.body[:300]!r}"
        words = self.world.hidden_from(cell.who) if cell.who in set(Role) else ()
        wrong = [f"{said} tells {word!r}" for word in words if _occurs(word, reply)]
        declared = {refusal.status for refusal in operation.refuses} - {401, 403, 404}
        if reply.status != operation.status and not (operation.id in self.refused_by_rule and reply.status in declared):
            wrong.append(f"{said}, but should be {operation.status}")
        return wrong

    async def _noted(self, operation: Operation) -> Counter[str]:
        names = {str(account.id): role for role, account in self.world.accounts.items()}
        return Counter(names.get(entry["actor_id"], "service")
                       for entry in await self.denials() if entry["entity"] == operation.id)


def _occurs(word: str, reply: Reply) -> bool:
    return word.encode() in reply.body

"""Every operation, asked over HTTP by every role about everybody's things, answers as access_matrix.toml says."""
from __future__ import annotations

import pytest
import pytest_asyncio

from .judge import ALLOWED, HIDDEN, MATRIX, NOT_SIGNED_IN, REFUSED, Judge, cells_of, gaps
from .requests import MAKERS, OPERATIONS
from .world import World

of_the_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(world: World) -> Judge:
    return Judge(world, await world.strangers())


def test_every_operation_has_a_row_and_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert not gaps()
    cells = [cell for name, row in MATRIX.items() for cell in cells_of(name, row)]
    figures = ", ".join(f"{sum(cell.expected == kind for cell in cells):,} {kind}"
                        for kind in (ALLOWED, REFUSED, HIDDEN, NOT_SIGNED_IN))
    with capsys.disabled():
        print(f"\nAccess matrix: {len(OPERATIONS)} operations, {len(cells):,} cells ({figures})")
    assert len(cells) > 1_000


@of_the_module
async def test_what_the_house_serves_is_what_the_matrix_knows(world: World) -> None:
    served = {operation.id for contract in world.house.contracts for operation in contract.operations.values()}
    assert served == OPERATIONS.keys()


@of_the_module
@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_it_answers_as_the_matrix_says(judge: Judge, name: str) -> None:
    assert not await judge.complaints(OPERATIONS[name], MATRIX[name])


@pytest.mark.parametrize(("missing", "said"), [
    (MATRIX,
     "appointments.book has no row in access_matrix.toml: decide which roles may do it, and how far they reach"),
    (MAKERS, "appointments.book has no request maker in requests/: write how to ask for it"),
    (OPERATIONS, "appointments.book is no operation (any more): take it out of access_matrix.toml and requests/")])
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, missing: dict[str, object], said: str) -> None:
    monkeypatch.delitem(missing, "appointments.book")
    assert gaps() == [said]

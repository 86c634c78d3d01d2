"""Reactions that only insert leave together, and each hears its own answer."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from infirmary.kernel.database import together
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.errors import AlreadyHandled, ConnectionLost, OutcomeUnknown, UniqueViolation
from infirmary.kernel.outbox import INBOX, PARKED, Parked
from tests.network import Line, port_of, through


def row(db: Database, key: UUID) -> Parked:
    return Parked(key, "toys.ToyMade", key, 1, {}, "", db.clock.now(), db.clock.now(), "")


async def react(db: Database, fact: UUID, effect: UUID) -> None:
    async with db.transaction(once=fact) as tx:
        PARKED.add(tx, row(db, effect))


async def test_one_that_clashes_spoils_nobody_elses_effect(db: Database) -> None:
    taken, handled = new_id(), new_id()
    await react(db, handled, taken)
    facts = [new_id() for _ in range(20)]
    effects = [new_id() for _ in facts]
    outcomes = await asyncio.gather(
        react(db, new_id(), taken), react(db, handled, new_id()),
        *(react(db, fact, effect) for fact, effect in zip(facts, effects, strict=True)), return_exceptions=True)
    assert [type(one) for one in outcomes[:2]] == [UniqueViolation, AlreadyHandled]
    assert set(outcomes[2:]) == {None}
    async with db.reading() as reading:
        assert all([await PARKED.get(reading, effect) for effect in effects])
        assert all([await INBOX.get(reading, fact) for fact in facts])


async def test_two_of_one_company_that_want_the_same_row_are_told_apart(db: Database) -> None:
    effect = new_id()
    outcomes = await asyncio.gather(*(react(db, new_id(), effect) for _ in range(5)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType", *["UniqueViolation"] * 4]


async def test_who_leaves_alone_is_answered_too(db: Database) -> None:
    await react(db, fact := new_id(), new_id())
    with pytest.raises(AlreadyHandled):
        await react(db, fact, new_id())


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_company_on_a_dead_line_holds_up_nobody_who_comes_later(
        db: Database, database_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LEAVES_WITHIN", .3)
    url = database_url("kernel")
    async with Line.to(port_of(url)) as line:
        there = await Database.open(through(line, url), "kernel", size=4)
        await asyncio.gather(*(react(there, new_id(), new_id()) for _ in range(4)))
        line.silent = True
        outcomes = await asyncio.gather(*(react(there, new_id(), new_id()) for _ in range(4)), return_exceptions=True)
        assert {type(one) for one in outcomes} <= {OutcomeUnknown, ConnectionLost}
        line.mend()
        async with asyncio.timeout(10):
            await asyncio.gather(*(react(there, new_id(), new_id()) for _ in range(4)))
        await there.close()

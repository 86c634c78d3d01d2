"""One key, one effect, one answer."""
from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import KeyReused
from infirmary.kernel.idempotency import ANSWERS, KEPT, answer_before, forget_old_answers, once_of
from infirmary.kernel.request import Once, Request, current

from .model import COUNT, NOON, VISITS, Visit, a_visit


def a_once(**changes: Any) -> Once:
    return msgspec.structs.replace(once_of("kernel", "book", new_id(), "key-1", {"minutes": 30}), **changes)


@contextmanager
def asked(once: Once | None) -> Iterator[None]:
    mark = current.set(Request(once=once))
    try:
        yield
    finally:
        current.reset(mark)


async def book(db: Database, visit: Visit | None = None) -> Visit:
    async with db.transaction() as tx:
        one = visit or a_visit()
        VISITS.add(tx, one)
        return tx.answer(one)


async def test_the_answer_is_kept_with_the_effect_and_given_again(db: Database) -> None:
    once = a_once()
    assert await answer_before(db, once) is None
    with asked(once):
        visit = await book(db)
    before = await answer_before(db, once)
    assert before
    assert msgspec.convert(before.answer, Visit) == visit


async def test_no_answer_is_kept_of_an_effect_that_failed(db: Database) -> None:
    once, visit = a_once(), a_visit()
    await book(db, visit)
    with asked(once), pytest.raises(UniqueViolation):
        await book(db, visit)
    assert await answer_before(db, once) is None


async def test_the_same_key_with_another_request_is_refused(db: Database) -> None:
    once = a_once()
    with asked(once):
        await book(db)
    with pytest.raises(KeyReused):
        await answer_before(db, once_of("kernel", "book", once.principal, once.key, {"minutes": 5}))


@pytest.mark.parametrize("other", [{"principal": new_id()}, {"operation": "cancel"}, {"key": "key-2"}, {"key": "KEY-1"}],
                         ids=["caller", "operation", "key", "case of key"])
async def test_another_callers_or_operations_key_is_another_key(db: Database, other: dict[str, Any]) -> None:
    once = a_once()
    with asked(once):
        await book(db)
    assert await answer_before(db, msgspec.structs.replace(once, **other)) is None


@pytest.mark.parametrize("once", [None, a_once(context="elsewhere")], ids=["no key", "a key for another context"])
async def test_without_a_key_for_this_context_nothing_is_kept(db: Database, once: Once | None) -> None:
    with asked(once):
        await book(db)
    async with db.reading() as reading:
        assert await reading.all(ANSWERS.find()) == []


async def test_twenty_at_once_with_one_key_have_one_effect_and_one_answer(db: Database) -> None:
    once = a_once()

    async def request() -> Any:
        with asked(once):
            try:
                return msgspec.to_builtins(await db.retry(book, db))
            except UniqueViolation as lost:
                winner = await answer_before(db, once)
                return winner.answer if winner and lost.on == "answered" else lost

    answers = await asyncio.gather(*(asyncio.create_task(request()) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    async with db.reading() as reading:
        assert await reading.one(COUNT) == 1


async def test_keys_are_forgotten_after_three_days(db: Database) -> None:
    db.clock = clock = HeldClock(NOON)
    old, new = a_once(), a_once()
    with asked(old):
        await book(db)
    clock.advance(timedelta(hours=1))
    with asked(new):
        await book(db)
    clock.advance(KEPT)
    await forget_old_answers(db)
    assert await answer_before(db, old) is None
    assert await answer_before(db, new) is not None
    clock.advance(timedelta(microseconds=1))
    await forget_old_answers(db)
    assert await answer_before(db, new) is None


def test_requests_are_the_same_when_all_that_was_asked_is_the_same() -> None:
    caller, visit = new_id(), a_visit()
    one, same, other = (once_of("kernel", "book", caller, "key-1", {"visit_id": visit.id, "body": body})
                        for body in (visit, msgspec.structs.replace(visit), a_visit(id=visit.id)))
    assert one == same
    assert one != other

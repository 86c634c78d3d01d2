"""All or nothing, once, and in the right order."""
from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import bindparam, select, update

from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database, inside_transaction
from infirmary.kernel.database.errors import AlreadyHandled, UniqueViolation
from infirmary.kernel.database.statement import Query, Statement
from infirmary.kernel.errors import StaleVersion
from infirmary.kernel.outbox import OLDEST, WAITING, Stored, outbox
from tests.kernel.model import (
    BUMP,
    BY_DOCTOR,
    BY_IDS,
    CANCEL,
    COUNT,
    FREE,
    OCCUPANCIES,
    PEOPLE,
    TAKEN,
    VISITS,
    Occupancy,
    Person,
    Visit,
    VisitBooked,
    a_person,
    a_visit,
    book,
    grains,
    person,
    visit,
)

SAME = Statement(update(visit).where(visit.c.id == bindparam("key")).values(minutes=30))
RENAME = Statement(update(person).where(person.c.id == bindparam("key")).values(email=bindparam("new_email")))
FACTS = Query(select(outbox).order_by(outbox.c.id), Stored)


async def test_compare_and_set_lets_one_of_many_win(db: Database) -> None:
    one = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, one)

    async def cancel() -> int:
        async with db.transaction() as tx:
            return await tx.run(CANCEL, key=one.id)

    assert sorted(await asyncio.gather(*(db.retry(cancel) for _ in range(20)))) == [0] * 19 + [1]


async def test_saving_a_stale_row_is_refused(db: Database) -> None:
    one = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, one)
        newer = await VISITS.save(tx, msgspec.structs.replace(one, minutes=45))
    assert newer.version == 2
    with pytest.raises(StaleVersion):
        async with db.transaction() as tx:
            await VISITS.save(tx, one)
    async with db.reading() as reading:
        assert await VISITS.get(reading, one.id) == newer


async def test_of_what_others_announce_the_newest_is_kept_whatever_comes_late_or_twice(db: Database) -> None:
    first = a_visit()
    second, third = (msgspec.structs.replace(first, reason=f"version {n}", version=n) for n in (2, 3))
    kept = []
    for announced in (second, first, second, third, second):
        async with db.transaction() as tx:
            kept.append(await VISITS.keep_newest(tx, announced))
    assert kept == [True, False, False, True, False]
    async with db.reading() as reading:
        assert await VISITS.get(reading, first.id) == third


async def test_the_count_is_of_rows_matched_even_when_nothing_changes(db: Database) -> None:
    one = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, one)
        assert await tx.run(SAME, key=one.id) == 1
        assert await tx.run(FREE, visit_id=one.id) == 0


@pytest.mark.parametrize("when", ["alone", "in a set", "after a question", "before a question"])
async def test_a_second_row_with_the_same_key_is_a_unique_violation_that_names_the_table(
        db: Database, when: str) -> None:
    one = a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, one)

    async def again() -> None:
        async with db.transaction() as tx:
            if when == "after a question":
                await tx.one(COUNT)
            if when == "in a set":
                OCCUPANCIES.add(tx, *grains(one))
            VISITS.add(tx, one)
            tx.emit(VisitBooked(aggregate=one.id, version=1))
            if when == "before a question":
                await tx.one(COUNT)

    with pytest.raises(UniqueViolation) as refused:
        await again()
    assert refused.value.on == "visit"
    async with db.reading() as reading:
        assert await reading.one(COUNT) == 1
        assert await reading.one(TAKEN) == 0


@pytest.mark.parametrize(("second", "on"), [
    ({"email": "a@example.org"}, "person_email"),
    ({"hospital": "south", "number": "7"}, "person_hospital_number"),
    ({"badge": 9}, "person_one_badge"),
])
async def test_a_unique_violation_names_the_constraint(db: Database, second: dict[str, Any], on: str) -> None:
    first = a_person(email="a@example.org", hospital="south", number="7", badge=9)
    async with db.transaction() as tx:
        PEOPLE.add(tx, first)
    with pytest.raises(UniqueViolation) as refused:
        await _add(db, a_person(**second))
    assert refused.value.on == on
    assert str(refused.value) == on   # never the values: they may be somebody's


async def test_an_update_that_collides_names_the_constraint_too(db: Database) -> None:
    ann, ben = a_person(email="ann@example.org"), a_person(email="ben@example.org")
    async with db.transaction() as tx:
        PEOPLE.add(tx, ann, ben)
    with pytest.raises(UniqueViolation) as refused:
        async with db.transaction() as tx:
            await tx.run(RENAME, key=ben.id, new_email=ann.email)
    assert refused.value.on == "person_email"


async def test_a_list_of_any_length_may_be_asked_for(db: Database) -> None:
    visits = [a_visit() for _ in range(40)]
    async with db.transaction() as tx:
        VISITS.add(tx, *visits)
        for count in (0, 1, 2, 3, 5, 17, 40):
            found = await tx.all(BY_IDS, ids=[one.id for one in visits[:count]])
            assert {one.id for one in found} == {one.id for one in visits[:count]}
    assert len(BY_IDS._compiled) <= 7 * 3


async def test_a_wrong_parameter_name_is_refused(db: Database) -> None:
    async with db.reading() as reading:
        with pytest.raises(TypeError):
            await reading.all(BY_DOCTOR, doctor_id=new_id(), limit=3)
        with pytest.raises(KeyError):
            await reading.all(BY_DOCTOR, doctor=new_id())


async def test_thousands_of_rows_go_in_at_once(db: Database) -> None:
    doctor = new_id()
    async with db.transaction() as tx:
        OCCUPANCIES.add(tx, *[Occupancy(doctor, at, 0, doctor) for at in range(3210)])
    async with db.reading() as reading:
        assert await reading.one(TAKEN) == 3210


async def test_two_thousand_claims_on_fifty_slots_give_exactly_fifty(db: Database) -> None:
    doctor = new_id()

    async def claim(grain: int) -> bool:
        try:
            async with db.transaction() as tx:
                one = a_visit(doctor_id=doctor, minutes=5)
                OCCUPANCIES.add(tx, Occupancy(doctor, grain, 0, one.id))
                VISITS.add(tx, one)
                tx.emit(VisitBooked(aggregate=one.id, version=1))
        except UniqueViolation as taken:
            if taken.on != "occupancy":
                raise
            return False
        return True

    won = await asyncio.gather(*(db.retry(claim, at % 50) for at in range(2000)))
    async with db.reading() as reading:
        assert sum(won) == await reading.one(TAKEN) == await reading.one(COUNT) == len(await reading.all(FACTS)) == 50


@pytest.mark.parametrize("refusal", [UniqueViolation, StaleVersion])
async def test_whoever_is_refused_can_read_what_was_in_the_way(db: Database, refusal: type[Exception]) -> None:
    """On SQLite transactions that share a commit see each other's work before anybody else does."""
    one = a_visit()
    if refusal is StaleVersion:
        await _add_visit(db, one)

    async def change(minutes: int) -> None:
        async with db.transaction() as tx:
            if refusal is UniqueViolation:
                await tx.one(COUNT)
                VISITS.add(tx, msgspec.structs.replace(one, minutes=minutes))
                await tx.one(COUNT)
            else:
                await VISITS.save(tx, msgspec.structs.replace(one, minutes=minutes))

    async def change_or_look(minutes: int) -> int | None:
        try:
            await change(minutes)
        except refusal:
            async with db.reading() as reading:
                found = await VISITS.get(reading, one.id)
            return found.minutes if found else None
        return minutes

    seen = await asyncio.gather(*(asyncio.create_task(change_or_look(at)) for at in range(100, 110)))
    assert len(set(seen)) == 1   # the winner's, for all ten


async def test_a_deadlock_is_retried_whole(db: Database) -> None:
    one, two = a_visit(), a_visit()
    async with db.transaction() as tx:
        VISITS.add(tx, one, two)
    runs, both_hold_one = 0, asyncio.Barrier(2)

    async def both(first: UUID, second: UUID) -> None:
        nonlocal runs
        runs += 1
        first_try = runs <= 2
        async with db.transaction() as tx:
            await tx.run(BUMP, key=first)
            if first_try and db.driver.dialect.name != "sqlite":
                await both_hold_one.wait()
            await tx.run(BUMP, key=second)

    await asyncio.gather(db.retry(both, one.id, two.id), db.retry(both, two.id, one.id))
    async with db.reading() as reading:
        assert [found.version for found in await reading.all(BY_IDS, ids=[one.id, two.id])] == [3, 3]
    assert runs == (2 if db.driver.dialect.name == "sqlite" else 3)   # one writer cannot deadlock


async def test_a_unique_violation_is_never_retried(db: Database) -> None:
    one, runs = a_visit(), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        async with db.transaction() as tx:
            VISITS.add(tx, one)

    await db.retry(work)
    with pytest.raises(UniqueViolation):
        await db.retry(work)
    assert runs == 2


async def test_the_same_fact_has_its_effect_once_however_many_react_at_once(db: Database) -> None:
    fact = new_id()

    async def react() -> bool:
        try:
            async with db.transaction(once=fact) as tx:
                VISITS.add(tx, a_visit())
        except AlreadyHandled:
            return False
        return True

    assert sum(await asyncio.gather(*(db.retry(react) for _ in range(20)))) == 1
    async with db.reading() as reading:
        assert await reading.one(COUNT) == 1


async def test_a_failed_effect_leaves_the_fact_unhandled(db: Database) -> None:
    fact = new_id()

    async def fail() -> None:
        async with db.transaction(once=fact) as tx:
            VISITS.add(tx, a_visit())
            await tx.one(COUNT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with db.transaction(once=fact) as tx:
        VISITS.add(tx, a_visit())
    async with db.reading() as reading:
        assert await reading.one(COUNT) == 1


async def test_a_transaction_inside_a_transaction_is_refused(db: Database) -> None:
    async def somebody_else() -> None:
        async with db.transaction() as tx:
            book(tx, a_visit())

    async with db.transaction() as tx:
        await tx.one(COUNT)
        assert inside_transaction()
        with pytest.raises(RuntimeError):
            async with db.transaction():
                pass
        other = asyncio.create_task(somebody_else())   # inherits the context, but is not inside
        VISITS.add(tx, a_visit())
    assert not inside_transaction()
    await other


async def test_a_fact_leaves_with_its_effect_or_not_at_all(db: Database) -> None:
    one = a_visit()

    async def fail() -> None:
        async with db.transaction() as tx:
            book(tx, one)
            await tx.one(COUNT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not db.facts_waiting.is_set()
    async with db.transaction() as tx:
        book(tx, one)
    assert db.facts_waiting.is_set()
    async with db.reading() as reading:
        assert await reading.one(WAITING) == 1
        fact = await reading.one(OLDEST)
    assert fact
    assert fact.fact.event == VisitBooked(aggregate=one.id, version=1, patient="Zoë")


async def _add_visit(db: Database, one: Visit) -> None:
    async with db.transaction() as tx:
        VISITS.add(tx, one)


async def _add(db: Database, one: Person) -> None:
    async with db.transaction() as tx:
        VISITS.add(tx, a_visit())
        PEOPLE.add(tx, one)

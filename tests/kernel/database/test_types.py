"""Values come back as they went in, whatever the engine."""
from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest
from sqlalchemy import bindparam

from infirmary.kernel.database.columns import Money, new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.errors import DatabaseError, UniqueViolation
from tests.kernel.model import (
    BY_DOCTOR,
    NOON,
    PEOPLE,
    THINGS,
    VISITS,
    Everything,
    Status,
    a_person,
    a_thing,
    a_visit,
    person,
)


@pytest.mark.parametrize("thing", [
    a_thing(),
    a_thing(name="日本語 🩺👩‍⚕️ 'quote' \"double\" \\ %s %% :x $1 ?", note="", data={"ключ": ["é", None, 1.5, True]}),
    a_thing(note="line\nbreak\ttab", born=date(1900, 2, 28), other=new_id(), flag=True, maybe=Status.CANCELLED,
            price=Money(-(2**63), "JPY"), discount=Money(2**63 - 1, "KWD"), data=[]),
    a_thing(at=datetime(1970, 1, 1, tzinfo=UTC), later=datetime(9999, 12, 31, 23, 59, 59, 999998, UTC)),
    a_thing(at=datetime(1001, 1, 1, 0, 0, 0, 1, UTC), later=NOON.replace(microsecond=0), data="text", name="trailing "),
    a_thing(at=datetime(2026, 11, 20, 3, 4, 5, 7, timezone(timedelta(hours=5, minutes=30)))),
], ids=["least", "odd text", "extremes", "far times", "near times", "another zone"])
async def test_every_type_comes_back_as_it_went_in(db: Database, thing: Everything) -> None:
    async with db.transaction() as tx:
        THINGS.add(tx, thing)                                                               # one row
        THINGS.add(tx, *[msgspec.structs.replace(thing, id=new_id()) for _ in range(3)])   # several
        back = await THINGS.get(tx, thing.id)
    assert back == thing
    assert back.at.tzinfo is UTC
    assert type(back.flag) is bool
    async with db.reading() as reading:
        assert all(msgspec.structs.replace(row, id=thing.id) == thing for row in await reading.all(THINGS.find()))
    assert msgspec.json.decode(msgspec.json.encode(back), type=Everything) == thing
    async with db.transaction() as tx:
        saved = await THINGS.save(tx, thing)
        assert await THINGS.get(tx, thing.id) == saved


async def test_a_time_without_zone_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        async with db.transaction() as tx:
            VISITS.add(tx, a_visit(starts_at=datetime(2026, 1, 1)))


async def test_times_compare_to_the_microsecond(db: Database) -> None:
    doctor = new_id()
    times = [NOON + timedelta(microseconds=at) for at in (-1, 0, 1, 876543, 876544)]
    async with db.transaction() as tx:
        VISITS.add(tx, *[a_visit(doctor_id=doctor, starts_at=at) for at in random.sample(times, 5)])
        assert [visit.starts_at for visit in await tx.all(BY_DOCTOR, doctor_id=doctor)] == times


async def test_keys_of_text_are_exact_to_case_accents_and_trailing_spaces(db: Database) -> None:
    emails = ["zoe@example.org", "Zoe@example.org", "zoë@example.org", "zoe@example.org ", "zoe@example.org  "]
    async with db.transaction() as tx:
        PEOPLE.add(tx, *[a_person(email=email) for email in emails])
    found = PEOPLE.find(person.c.email == bindparam("email"))
    async with db.reading() as reading:
        for email in emails:
            assert [one.email for one in await reading.all(found, email=email)] == [email]
    with pytest.raises(UniqueViolation):
        async with db.transaction() as tx:
            PEOPLE.add(tx, a_person(email="zoe@example.org "))


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)   # SQLite does not check; contracts do
async def test_a_text_longer_than_its_column_is_refused(db: Database) -> None:
    with pytest.raises(DatabaseError):
        async with db.transaction() as tx:
            VISITS.add(tx, a_visit(reason="x" * 501))


def test_new_ids_increase_and_are_uuids_of_version_7() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert {one.version for one in ids} == {7}

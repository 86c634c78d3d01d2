"""Pages by the last row's keys: no gap, no repeat, whatever was inserted in between."""
from __future__ import annotations

import base64
import random
from uuid import UUID

import msgspec
import pytest

from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import Malformed
from tests.kernel.model import DIARY, NOON, VISITS, a_visit, days


async def test_pages_follow_each_other_without_gap_or_repeat(db: Database) -> None:
    doctor = new_id()
    visits = [a_visit(doctor_id=doctor, starts_at=NOON + days(at // 4)) for at in range(23)]   # equal times on purpose
    async with db.transaction() as tx:
        VISITS.add(tx, *random.sample(visits, len(visits)))
    seen, cursor = [], None
    async with db.reading() as reading:
        while True:
            rows, cursor = await DIARY.page(reading, after=cursor, limit=5, doctor_id=doctor)
            seen += rows
            if cursor is None:
                break
    assert [one.id for one in seen] == [one.id for one in sorted(visits, key=lambda one: (one.starts_at, one.id))]


async def test_a_page_that_ends_with_the_last_row_has_no_next(db: Database) -> None:
    doctor = new_id()
    async with db.transaction() as tx:
        VISITS.add(tx, *[a_visit(doctor_id=doctor) for _ in range(5)])
    async with db.reading() as reading:
        rows, cursor = await DIARY.page(reading, after=None, limit=5, doctor_id=doctor)
    assert len(rows) == 5
    assert cursor is None


def _cursor(*keys: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(keys)).decode()


@pytest.mark.parametrize("forged", [
    "bm9wZQ==", "", "é", "AAAA", _cursor("2026", "x"), _cursor(NOON), _cursor(NOON.replace(tzinfo=None), UUID(int=7)),
], ids=["text", "empty", "not ASCII", "zeros", "wrong types", "too few", "no zone"])
async def test_a_forged_cursor_is_refused_before_it_reaches_the_database(db: Database, forged: str) -> None:
    async with db.reading() as reading:
        with pytest.raises(Malformed):
            await DIARY.page(reading, after=forged, limit=5, doctor_id=new_id())

"""How often somebody may try: counted in the database, one row per bucket, so that a restart forgets nothing."""
from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Collection, Iterable
from datetime import timedelta

from msgspec import Struct

from infirmary.contexts.identity import tables
from infirmary.contexts.identity.domain import Limit
from infirmary.contexts.identity.tables import ThrottleRow
from infirmary.kernel.clock import Clock
from infirmary.kernel.database.db import Database, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import TooManyTries


class Bucket(Struct, frozen=True, order=True):
    """What is counted; its key tells nobody whose it is."""

    key: str
    most: int
    window: timedelta


class Throttle:
    def __init__(self, db: Database, clock: Clock, secret: bytes) -> None:
        self._db, self._clock, self._secret = db, clock, secret

    def bucket(self, limit: Limit, *counted: str) -> Bucket:
        key = hmac.digest(self._secret, "\0".join(counted).encode(), hashlib.sha256).hex()
        return Bucket(key, limit.tries, limit.window)

    async def refuse_full(self, buckets: Iterable[Bucket]) -> None:
        """For those who would only queue to be refused; what decides is `take`."""
        now = self._clock.now()
        async with self._db.reading() as reading:
            for bucket in buckets:
                if full := await reading.one(tables.FULL, key=bucket.key, now=now, most=bucket.most):
                    raise _too_many(full.ends_at - now)

    async def take(self, buckets: Iterable[Bucket]) -> None:
        """Count a try in each of them, or in none and refuse (429): the counting decides, so that a thousand at once
        are not more than a thousand one by one."""
        ordered = sorted(buckets)   # everybody in the same order, so that nobody waits in a circle
        while True:
            try:
                return await self._db.retry(self._take, ordered)
            except UniqueViolation:   # somebody else began this bucket just now
                continue

    async def _take(self, buckets: list[Bucket]) -> None:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            for bucket in buckets:
                if await tx.run(tables.COUNT, key=bucket.key, now=now, most=bucket.most):
                    continue
                if full := await tx.one(tables.FULL, key=bucket.key, now=now, most=bucket.most):
                    raise _too_many(full.ends_at - now)
                if not await tx.run(tables.BEGIN_AGAIN, key=bucket.key, now=now, until=now + bucket.window):
                    tables.THROTTLES.add(tx, ThrottleRow(bucket.key, 1, now + bucket.window))

    @staticmethod
    async def forgive(tx: Transaction, emptied: Collection[Bucket], others: Iterable[Bucket]) -> None:
        """It was no failure: what is the account's own begins anew, the others get this one try back."""
        for bucket in sorted([*emptied, *others]):
            await tx.run(tables.EMPTY if bucket in emptied else tables.GIVE_BACK, key=bucket.key)


def _too_many(wait: timedelta) -> TooManyTries:
    seconds = max(math.ceil(wait.total_seconds()), 1)
    minutes = math.ceil(seconds / 60)
    return TooManyTries(f"There were too many tries from here or for this account. "
                        f"Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.", retry_after=seconds)

"""A person's visits for their own calendar, by a link that they can end."""
from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import Appointment
from infirmary.contexts.appointments.contract.feeds import CalendarFeed
from infirmary.contexts.appointments.contract.queue import Link
from infirmary.contexts.appointments.domain import calendar
from infirmary.contexts.appointments.tables import feeds as rows
from infirmary.contexts.appointments.tables.feeds import FeedRow
from infirmary.contexts.identity.contract import Identity
from infirmary.kernel.access import Caller
from infirmary.kernel.capability import digest, new_secret
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Done, File
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, StaleVersion, TooManyTries
from infirmary.language import DOCTOR, PATIENT, service

from .base import Base, there

ME = service("appointments")
BACK, AHEAD = timedelta(days=31), timedelta(days=366)
SHOWN = 5_000   # visits; nobody has more
MOST, WINDOW = 30, timedelta(hours=1)   # reads; calendars ask every five minutes at the most


class Feeds(Base):
    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.identity = kit.ask(Identity)

    async def calendar_feed(self, caller: Caller) -> CalendarFeed:
        async with self.db.reading() as reading:
            row = there(await rows.FEEDS.get(reading, _own(caller)))
        return CalendarFeed(created_at=row.created_at, read_at=row.read_at)

    async def make_calendar_feed(self, caller: Caller) -> Link:
        account_id = _own(caller)
        while True:   # again when the same person makes another at once
            try:
                return await self.db.retry(self._make_feed, caller, account_id)
            except (UniqueViolation, StaleVersion):
                continue

    async def _make_feed(self, caller: Caller, account_id: UUID) -> Link:
        secret, now = new_secret(), self.clock.now()
        async with self.db.transaction() as tx:
            before = await rows.FEEDS.get(tx, account_id)
            made = FeedRow(account_id, caller.subjects.get("patient_id") if PATIENT in caller.roles else None,
                           caller.subjects.get("doctor_id") if DOCTOR in caller.roles else None, digest(secret), now, None, 0,
                           now, before.version if before else 1)
            if before:
                await rows.FEEDS.save(tx, made)
            else:
                rows.FEEDS.add(tx, made)
            tx.audit("calendar.linked", caller, subject_id=made.patient_id, entity=f"account/{account_id}")
            return tx.answer(Link(secret), secret=True)

    async def end_calendar_feed(self, caller: Caller) -> Done:
        account_id = _own(caller)
        async with self.db.transaction() as tx:
            if not await tx.run(rows.END_FEED, key=account_id):
                raise NotFound
            tx.audit("calendar.unlinked", caller, entity=f"account/{account_id}")
        return Done()

    async def calendar(self, caller: Caller, file: str) -> File:
        async with self.db.reading() as reading:
            found = await reading.one(rows.FEED_BY_LINK, link=digest(file.removesuffix(".ics")))
        feed, now = there(found), self.clock.now()
        await self.db.retry(self._count, feed, now)
        people = await self.identity.recipients(ME, account_id=feed.account_id)
        if not people:   # the account is closed, and so is its calendar
            raise NotFound
        # By whom they are known now: two records may have been made one since.
        whose = {"doctor_id": people[0].doctor_id if feed.doctor_id else None,
                 "patient_id": people[0].patient_id if feed.patient_id else None}
        visits: dict[UUID, Appointment] = {}
        async with self.db.reading() as reading:
            for field, value in whose.items():
                if value is not None:
                    seen = {field: value, "since": now - BACK, "until": now + AHEAD}
                    found_visits, _ = await tables.pages(frozenset(seen), newest_first=False).page(
                        reading, after=None, limit=SHOWN, **seen)
                    visits |= {one.id: one for one in found_visits if one.status in calendar.KEPT}
        content = calendar.feed(visits.values(), doctor_id=whose["doctor_id"],
                                hospital=self.hospital.name, address=self.hospital.address, host=self.host)
        return File("visits.ics", content, tag=sha256(content).hexdigest())

    async def _count(self, feed: FeedRow, now: datetime) -> None:
        async with self.db.transaction() as tx:
            within = {"key": feed.account_id, "now": now}
            if not (await tx.run(rows.COUNT_READ, most=MOST, **within)
                    or await tx.run(rows.COUNT_ANEW, until=now + WINDOW, **within)
                    or await tx.run(rows.COUNT_READ, most=MOST, **within)):   # somebody else has just begun anew
                wait = there(await rows.FEEDS.get(tx, feed.account_id)).window_ends - now
                raise TooManyTries("This calendar was read very often. Let it ask every few hours, and wait a little.",
                                   retry_after=max(int(wait.total_seconds()), 1))


def _own(caller: Caller) -> UUID:
    caller.must_reach(account_id=caller.account_id)
    assert caller.account_id is not None
    return caller.account_id

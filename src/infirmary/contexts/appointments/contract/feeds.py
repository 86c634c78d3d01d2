"""What may be asked about a person's private calendar feed."""
from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Done, File, Instant, delete, get, post
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import DOCTOR, PATIENT, SELF

from .queue import Link

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{32,64}\.ics$")]
OWNERS = {PATIENT: SELF, DOCTOR: SELF}


class CalendarFeed(Struct, frozen=True, kw_only=True):
    """That there is one, since when, and when a calendar has last read it. Its link is shown only when it is made."""

    created_at: Instant
    read_at: Instant | None


class CalendarFeeds(Contract):
    @get("/calendar-feed", allow=OWNERS, refuses=[NotFound])
    async def calendar_feed(self, caller: Caller) -> CalendarFeed:
        """Your own, if you have one."""

    @post("/calendar-feed", status=201, allow=OWNERS)
    async def make_calendar_feed(self, caller: Caller) -> Link:
        """A new link, for `/calendar/{secret}.ics`; the one before ends."""

    @delete("/calendar-feed", allow=OWNERS, refuses=[NotFound])
    async def end_calendar_feed(self, caller: Caller) -> Done:
        """Calendars that have the link find nothing there any more."""

    @get("/calendar/{file}", allow={ANYONE: ANY}, refuses=[NotFound, TooManyTries], media="text/calendar")
    async def calendar(self, caller: Caller, file: FileName) -> File:
        """The visits of whoever made the link, a month back and a year ahead (RFC 5545, RFC 7986): a doctor's without
        patients, a patient's without reasons. `If-None-Match` answers 304 while nothing has changed."""

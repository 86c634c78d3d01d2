"""What may be asked about visits that recur."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Contract, Instant, get, post
from infirmary.kernel.errors import Conflict, NotFound
from infirmary.language import Note

from .participants import ParticipantIds
from .visits import (
    BOOKERS,
    Appointment,
    DeskAsksColleagues,
    DoctorNotAvailable,
    Minutes,
    Mode,
    NotInThisState,
    Obstacle,
    Slot,
    TimeIsTaken,
)

Number = Annotated[int, Meta(ge=1, le=60)]


class Frequency(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Missing(StrEnum):
    """Where a month has no such day: it is left out (as RFC 5545 has it), or its last day stands in (RFC 7529)."""

    SKIP = "skip"
    LAST_DAY = "last_day"


class Recurrence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every `interval` days, weeks or months, `count` times or `until` a day (inclusive), at the same time of the clock on
    the wall."""

    frequency: Frequency
    interval: Annotated[int, Meta(ge=1, le=52)] = 1
    count: Number | None = None
    until: date | None = None
    missing: Missing = Missing.SKIP


class Elsewhen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another time for one occurrence; without a time it is left out."""

    number: Number
    starts_at: Instant | None = None


class BookSeries(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first visit is at `starts_at`. `all_or_none`: whether one that cannot be booked stops all. `participants`: further
    doctors, rooms and equipment that every visit takes, chosen by staff."""

    patient_id: UUID
    doctor_id: UUID
    starts_at: Instant
    recurrence: Recurrence
    reason: Note = ""
    mode: Mode = Mode.IN_PERSON
    minutes: Minutes | None = None
    elsewhen: Annotated[list[Elsewhen], Meta(max_length=60)] = []
    all_or_none: bool = True
    participants: ParticipantIds | None = None


class Occurrence(Struct, frozen=True, kw_only=True):
    """One visit of a series, before it is booked: all that is in its way, and the free times nearest to it.

    `moved_by_clocks`: the agreed time does not exist on that day, so it begins at another (RFC 5545, 3.3.5).
    """

    number: int
    starts_at: Instant
    local_start: str
    moved_by_clocks: bool
    obstacles: list[Obstacle]
    nearest: list[Slot]


class Preview(Struct, frozen=True, kw_only=True):
    """`rule` is an RRULE (RFC 5545). `short_months` (YYYY-MM) have no such day: left out, or on their last day."""

    rule: str
    occurrences: list[Occurrence]
    short_months: list[str]


class Series(Struct, frozen=True, kw_only=True):
    """Visits that were booked together, by their start. `not_done`: what could not be, of what was asked for just now."""

    id: UUID
    rule: str
    visits: list[Appointment]
    not_done: list[Occurrence]
    version: int


class CancelSeries(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From this visit on; without one, all that are still to come."""

    from_appointment_id: UUID | None = None
    reason: Note = ""


class MoveSeries(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """This visit to `starts_at`, and those after it (or `whole`: all still to come) by as many days, to that time of day."""

    appointment_id: UUID
    starts_at: Instant
    whole: bool = False
    all_or_none: bool = True
    reason: Note = ""


class SeriesBlocked(Conflict):
    """Not every visit can be had at its time, so nothing was done. `occurrences` says what is in the way of each, with the
    nearest free times: choose another time for those, leave them out, or take those that fit."""


class RecurringVisits(Contract):
    @post("/series/preview", allow=BOOKERS, refuses=[NotFound, DoctorNotAvailable, DeskAsksColleagues])
    async def preview_series(self, caller: Caller, body: BookSeries) -> Preview:
        """What a series would be, visit by visit, with all that is in the way. Nothing is booked."""

    @post("/series", status=201, allow=BOOKERS,
          refuses=[NotFound, DoctorNotAvailable, DeskAsksColleagues, SeriesBlocked, TimeIsTaken])
    async def book_series(self, caller: Caller, body: BookSeries) -> Series:
        """Book all of it or nothing, or (`all_or_none` false) all that fits, in one write; `not_done` says what did not."""

    @get("/series/{series_id}", allow=BOOKERS, refuses=[NotFound])
    async def series(self, caller: Caller, series_id: UUID) -> Series:
        """One series with its visits, as far as they are within reach."""

    @post("/series/{series_id}/cancel", allow=BOOKERS, refuses=[NotFound])
    async def cancel_series(self, caller: Caller, series_id: UUID, body: CancelSeries) -> Series:
        """Cancel what is still to come, from one visit on or all of it, in one write."""

    @post("/series/{series_id}/move", allow=BOOKERS, refuses=[NotFound, NotInThisState, SeriesBlocked, TimeIsTaken])
    async def move_series(self, caller: Caller, series_id: UUID, body: MoveSeries) -> Series:
        """Move one visit and those after it, in one write; what does not fit stays, or stops all."""

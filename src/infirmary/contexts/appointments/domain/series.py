"""When recurring visits are (RFC 5545), and what moving one of them means for the others."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment
from infirmary.contexts.appointments.contract.series import (
    Frequency,
    Missing,
    Occurrence,
    Recurrence,
    Series,
)
from infirmary.kernel.errors import FieldError, Malformed

MOST = 60
_FREQUENCIES = {Frequency.DAILY: DAILY, Frequency.WEEKLY: WEEKLY, Frequency.MONTHLY: MONTHLY}
_SHORTEST_MONTH = 28


class KeptSeries(Struct, frozen=True):
    id: UUID
    rule: str
    created_at: datetime
    created_by: UUID | None
    version: int


class Laid(Struct, frozen=True):
    """A recurrence laid over the calendar."""

    rule: str
    starts: list[datetime]
    moved_by_clocks: set[int]
    short_months: list[str]


def lay_out(first: datetime, wish: Recurrence, zone: ZoneInfo) -> Laid:
    """The first is the instant given; the others are at the same time of the clock on the wall.

    Where that time does not exist (clocks go forward) it is read with the offset from before; where it comes twice, it is
    the first of both (RFC 5545, 3.3.5). Both are what zoneinfo does with fold=0 (PEP 495).
    """
    if (wish.count is None) == (wish.until is None):
        raise Malformed(errors=[FieldError("recurrence", "Say how many times, or until which day; not both.")])
    local = first.astimezone(zone).replace(tzinfo=None, fold=0)
    rule = _rule(local, wish)
    walls = list(islice(rule, MOST + 1)) if wish.until is None or wish.until >= local.date() else []
    if not walls or len(walls) > MOST:
        raise Malformed(errors=[FieldError("recurrence", f"Choose a rule that makes 1 to {MOST} visits.")])
    starts = [first.astimezone(UTC), *(at_wall(wall, zone) for wall in walls[1:])]
    moved = {number for number, wall in enumerate(walls, 1) if not exists(wall, zone)}
    return Laid(str(rule).partition("RRULE:")[2], starts, moved, _short_months(walls, wish))


def at_wall(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether a clock on the wall ever shows it."""
    return at_wall(wall, zone).astimezone(zone).replace(tzinfo=None) == wall


def _rule(local: datetime, wish: Recurrence) -> rrule:
    end: dict[str, object] = {"count": wish.count} if wish.until is None else {"until": datetime.combine(wish.until, time.max)}
    if wish.frequency is Frequency.MONTHLY and wish.missing is Missing.LAST_DAY and local.day > _SHORTEST_MONTH:
        # The last of those days that the month has.
        end |= {"bymonthday": tuple(range(_SHORTEST_MONTH, local.day + 1)), "bysetpos": -1}
    return rrule(_FREQUENCIES[wish.frequency], dtstart=local, interval=wish.interval, **end)


def _short_months(walls: Sequence[datetime], wish: Recurrence) -> list[str]:
    """The months up to the last visit (or the end that was asked for) that have no such day."""
    first, last = walls[0], wish.until or walls[-1].date()
    if wish.frequency is not Frequency.MONTHLY or first.day <= _SHORTEST_MONTH:
        return []
    there = {(wall.year, wall.month) for wall in walls if wall.day == first.day}
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month, wish.interval)
    return [f"{month // 12}-{month % 12 + 1:02}" for month in months if (month // 12, month % 12 + 1) not in there]


def shifted(starts: datetime, pivot: datetime, to: datetime, zone: ZoneInfo) -> datetime:
    """Where a visit goes when another of its series goes from `pivot` to `to`: as many days on, at that time of day."""
    if starts == pivot:
        return to
    was, new, own = (at.astimezone(zone).replace(tzinfo=None, fold=0) for at in (pivot, to, starts))
    return at_wall(datetime.combine(own.date() + (new.date() - was.date()), new.time()), zone)


def shown(kept: KeptSeries, visits: Sequence[Appointment], not_done: Sequence[Occurrence] = ()) -> Series:
    return Series(id=kept.id, rule=kept.rule, visits=sorted(visits, key=lambda one: (one.starts_at, one.id)),
                  not_done=list(not_done), version=kept.version)

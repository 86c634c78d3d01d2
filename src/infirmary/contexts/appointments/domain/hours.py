"""When a doctor sees patients: hours of the wall clock laid over real time, and the free times that follow from them.

Reckoned in seconds since 1970, because a day of wall time may have 23 or 25 hours, and a visit always has its minutes.
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct

from infirmary.contexts.appointments.contract import Slot
from infirmary.contexts.staff.events import ScheduleChanged

DAY = 86_400
GRAIN = 300     # time is occupied in these; every offset of a living zone is a multiple, so visits never share one
PROBE = 2 * DAY   # no zone has changed its clocks twice within so short a time (a test looks at all of them)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORESEEN = timedelta(days=3660)   # hours are not reckoned for times further away than this, before or after
SHOWN = 5       # alternatives in a refusal


class Schedule(Struct, frozen=True):
    """A doctor's hours as staff last announced them: `weekly` of [ISO weekday, minutes of the day from, until,
    location], `away` of [seconds from, until]."""

    doctor_id: UUID
    doctor_name: str
    specialty: str
    room: str
    department_id: UUID
    department_name: str
    accepts_first: bool
    visit_minutes: int
    buffer_minutes: int
    weekly: list[tuple[int, int, int, str]]
    away: list[tuple[int, int]]
    active: bool
    version: int
    video: bool = True
    most_per_day: int | None = None
    overbook: int = 0


class Open(NamedTuple):
    """Real time within one opening of the week."""

    begins: int
    ends: int
    location: str


class Stretch(NamedTuple):
    """Real time in which a zone's clocks run evenly: wall time is the instant plus `offset`."""

    begins: int
    ends: int
    offset: int


def announced(event: ScheduleChanged) -> Schedule:
    return Schedule(
        event.aggregate, event.doctor_name, event.specialty, event.room, event.department_id, event.department_name,
        event.accepts_first, event.visit_minutes, event.buffer_minutes,
        [(one.weekday, _minutes(one.starts), _minutes(one.ends), one.location) for one in event.weekly],
        [(seconds(one.starts_at), -(-_micro(one.ends_at) // 1_000_000)) for one in event.away],
        event.active, event.version, event.video, event.most_per_day, event.overbook)


def seconds(instant: datetime) -> int:
    return _micro(instant) // 1_000_000


def instant(at: int) -> datetime:
    return EPOCH + timedelta(seconds=at)


def grains(begins: datetime, ends: datetime) -> range:
    """Every grain that this time touches."""
    return range(_micro(begins) // (GRAIN * 1_000_000), -(-_micro(ends) // (GRAIN * 1_000_000)))


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day. Midnight may not exist there, and the day may not either: then it is empty."""
    number = day.toordinal() - EPOCH.toordinal()
    return instant(next(at for begins, ends, offset in stretches(zone, number - 2, number + 3)
                        if (at := max(begins, number * DAY - offset)) < ends))


def day_of(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def wall_time(at: datetime, zone: ZoneInfo) -> str:
    """As agreed with people: with the offset, because in autumn an hour comes twice."""
    return at.astimezone(zone).isoformat(timespec="minutes")


@lru_cache(maxsize=512)
def stretches(zone: ZoneInfo, first: int, last: int) -> tuple[Stretch, ...]:
    """The zone from one day number (since 1970, UTC) up to another, cut where its clocks are changed."""
    found: list[Stretch] = []
    begins, at, end = first * DAY, first * DAY, last * DAY
    offset = _offset(zone, at)
    while at < end:
        probe = min(at + PROBE, end)
        if _offset(zone, probe) == offset:
            at = probe
            continue
        at = _clock_change(zone, at, probe)
        found.append(Stretch(begins, at, offset))
        begins, offset = at, _offset(zone, at)
    return (*found, Stretch(begins, end, offset))


def open_times(schedule: Schedule, since: int, until: int, zone: ZoneInfo) -> list[Open]:
    """All opening time that touches [since, until), in order: those instants whose wall time lies within the hours.

    So nothing lies in a gap, an hour that comes twice is there twice, and it is one piece where the clocks allow it.
    """
    if not schedule.active:
        return []
    week: dict[int, list[tuple[int, int, int, str]]] = {}
    for one in schedule.weekly:
        week.setdefault(one[0], []).append(one)
    even = stretches(zone, since // DAY - 3, until // DAY + 4)
    found: list[Open] = []
    for day in range(since // DAY - 1, until // DAY + 2):   # wall time is less than a day away from UTC
        for _, starts, ends, location in week.get((day + 3) % 7 + 1, ()):   # 1 January 1970 was a Thursday
            pieces: list[Open] = []
            for stretch in even:
                begins = max(stretch.begins, day * DAY + starts * 60 - stretch.offset)
                finish = min(stretch.ends, day * DAY + ends * 60 - stretch.offset)
                if begins < finish and pieces and pieces[-1].ends == begins:
                    pieces[-1] = Open(pieces[-1].begins, finish, location)
                elif begins < finish:
                    pieces.append(Open(begins, finish, location))
            found += [piece for piece in pieces if piece.ends > since and piece.begins < until]
    return sorted(found)


def free(schedule: Schedule, since: datetime, until: datetime, zone: ZoneInfo, busy: AbstractSet[int] = frozenset(),
         minutes: int | None = None, *, theirs: AbstractSet[int] = frozenset(), leave: bool = True) -> Iterator[Slot]:
    """The times that patients are offered and that begin in [since, until), without those that touch a busy grain, the
    break after them included; or, the break left aside, one of `theirs`, at which the patient is busy.

    They lie `visit_minutes` + `buffer_minutes` apart from the start of each opening. `minutes`: places on the same
    grid for a visit of another length. Without `leave`: as if the doctor were never away.
    """
    first, last = -(-_micro(since) // 1_000_000), -(-_micro(until) // 1_000_000)
    length, rest = (minutes or schedule.visit_minutes) * 60, schedule.buffer_minutes * 60
    step = schedule.visit_minutes * 60 + rest
    lasting = timedelta(seconds=length)
    for piece in open_times(schedule, first, last, zone):
        away = _touching(schedule.away, piece.begins, piece.ends) if leave else []
        skipped = max(0, -((piece.begins - first) // step))
        for begins in range(piece.begins + skipped * step, min(piece.ends - length + 1, last), step):
            if busy and not busy.isdisjoint(range(begins // GRAIN, -(-(begins + length + rest) // GRAIN))):
                continue
            if theirs and not theirs.isdisjoint(range(begins // GRAIN, -(-(begins + length) // GRAIN))):
                continue
            if not away or not _touching(away, begins, begins + length):
                starts_at = instant(begins)
                yield Slot(schedule.doctor_id, starts_at, starts_at + lasting)


def leave_at(schedule: Schedule, begins: datetime, ends: datetime) -> tuple[datetime, datetime] | None:
    """The first leave that this time touches."""
    away = _touching(schedule.away, seconds(begins), seconds(ends))
    return (instant(away[0][0]), instant(away[0][1])) if away else None


def opens(schedule: Schedule, begins: datetime, ends: datetime, zone: ZoneInfo) -> bool:
    """Whether all of this time lies within the hours. Openings that meet, as at midnight, count as one."""
    reached, until = seconds(begins), seconds(ends)
    for piece in open_times(schedule, reached, until, zone):
        if piece.begins <= reached:
            reached = piece.ends
    return reached >= until


def location(schedule: Schedule, at: datetime, zone: ZoneInfo) -> str | None:
    """Where the doctor is then: what the opening says, or else the doctor's room. None outside the hours."""
    moment = seconds(at)
    return next((one.location or schedule.room for one in open_times(schedule, moment, moment + 1, zone)), None)


def nearest(schedule: Schedule, wanted: datetime, minutes: int | None, now: datetime, zone: ZoneInfo,
            busy: AbstractSet[int], within: timedelta, theirs: AbstractSet[int] = frozenset(),
            fits: Callable[[datetime, datetime], bool] | None = None) -> list[Slot]:
    """The free times nearest to the one wanted that fit the others too, the nearest first."""
    found = free(schedule, max(now, wanted - within), wanted + within, zone, busy, minutes, theirs=theirs)
    fitting = (slot for slot in found if fits is None or fits(slot.starts_at, slot.ends_at))
    return sorted(fitting, key=lambda slot: abs(slot.starts_at - wanted))[:SHOWN]


def clashes(wanted: range, busy: AbstractSet[int]) -> list[tuple[datetime, datetime]]:
    """The busy stretches that touch the wanted time, each as long as it lasts; never who makes it busy."""
    found, reached = [], -1
    for grain in wanted:
        if grain not in busy or grain <= reached:
            continue
        begins = reached = grain
        while begins - 1 in busy:
            begins -= 1
        while reached + 1 in busy:
            reached += 1
        found.append((instant(begins * GRAIN), instant((reached + 1) * GRAIN)))
    return found


def _micro(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def _minutes(clock_time: str) -> int:
    return int(clock_time[:2]) * 60 + int(clock_time[3:])


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = instant(at).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def _clock_change(zone: ZoneInfo, since: int, until: int) -> int:
    before = _offset(zone, since)
    return since + bisect_left(range(since, until), 1, key=lambda at: _offset(zone, at) != before)


def _touching(times: Iterable[tuple[int, int]], begins: int, ends: int) -> list[tuple[int, int]]:
    return [(starts, until) for starts, until in times if starts < ends and until > begins]

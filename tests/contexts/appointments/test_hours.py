"""Hours of the wall clock over real time: against a naive oracle that looks at every minute, in all zones and years."""
from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones
from zoneinfo._zoneinfo import ZoneInfo as OpenZone  # the one in Python, whose transitions can be looked at

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infirmary.contexts.appointments.contract import Slot
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.staff.contract import Opening

from .builders import CASES, EVERY_DAY, MONDAY, a_schedule, at, opening

DUBLIN = ZoneInfo("Europe/Dublin")
ZONES = sorted(available_timezones())
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def clock_changes(key: str) -> list[datetime]:
    """Every change of a zone's clocks from 1973 to 2099; before, offsets had seconds."""
    zone = OpenZone(key)
    found = [datetime.fromtimestamp(moment, UTC) for moment in zone._trans_utc if moment > 94_694_400]
    last = max([one.year for one in found], default=1973)
    if hasattr(zone._tz_after, "transitions"):
        for year in range(last + 1, 2100):
            found += [datetime.fromtimestamp(moment, UTC) - timedelta(seconds=offset) for moment, offset in zip(
                zone._tz_after.transitions(year), (zone._tz_after.std.utcoff.total_seconds(),
                                                   zone._tz_after.dst.utcoff.total_seconds()), strict=True)]
    return sorted(found)


CHANGES = {key: clock_changes(key) for key in ZONES}


def times_of_day() -> st.SearchStrategy[int]:
    """Minutes of the day, on five; mostly at night, where clocks are changed."""
    return st.one_of(st.integers(0, 48), st.integers(264, 288), st.integers(0, 288)).map(lambda five: five * 5)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def weeks(draw: st.DrawFn) -> list[Opening]:
    found = []
    for weekday in range(1, 8):
        marks = sorted(draw(st.one_of(st.just([0, 1440]), st.lists(times_of_day(), unique=True, min_size=2, max_size=4),
                                      st.tuples(times_of_day()).map(lambda cut: [0, *cut, *cut, 1440]))))
        found += [opening(weekday, clock(starts), clock(ends), location=f"{weekday}.{starts}")
                  for starts, ends in zip(marks[::2], marks[1::2], strict=False) if starts < ends]
    return found


@st.composite
def moments(draw: st.DrawFn, key: str) -> datetime:
    """An instant near a change of this zone's clocks, or, where there is none, anywhere."""
    anywhere = st.datetimes(datetime(1973, 1, 3), datetime(2099, 12, 28)).map(lambda naive: naive.replace(tzinfo=UTC))
    base = draw(st.one_of(*[st.sampled_from(CHANGES[key])] * 4 * bool(CHANGES[key]), anywhere))
    return base.replace(second=0, microsecond=0) + draw(st.integers(-500, 100)) * MINUTE


@st.composite
def schedules(draw: st.DrawFn, near: datetime) -> Schedule:
    away = draw(st.lists(st.tuples(st.integers(-500, 1600), st.integers(1, 600)), max_size=2))
    return a_schedule(weekly=draw(weeks()), minutes=draw(st.integers(1, 24)) * 5, buffer=draw(st.integers(0, 4)) * 5,
                      away=[(near + start * MINUTE, near + (start + lasts) * MINUTE) for start, lasts in away])


def open_minutes(schedule: Schedule, since: datetime, until: datetime, zone: ZoneInfo) -> dict[str, list[datetime]]:
    """The oracle: ask the clock on the wall at every minute which opening it is."""
    found: dict[str, list[datetime]] = {}
    moment = since
    while moment < until:
        wall = moment.astimezone(zone)
        for weekday, starts, ends, location in schedule.weekly:
            if wall.isoweekday() == weekday and starts <= wall.hour * 60 + wall.minute < ends:
                found.setdefault(location, []).append(moment)
        moment += MINUTE
    return found


def runs(minutes: list[datetime]) -> Iterator[tuple[datetime, datetime]]:
    begins = before = minutes[0]
    for minute in [*minutes[1:], None]:
        if minute is None or minute - before > MINUTE:
            yield begins, before + MINUTE
            begins = minute or begins
        before = minute or before


def looked_up(schedule: Schedule, since: datetime, until: datetime, zone: ZoneInfo) -> list[Slot]:
    length, buffer = schedule.visit_minutes * MINUTE, schedule.buffer_minutes * MINUTE
    away = [(hours.instant(begins), hours.instant(ends)) for begins, ends in schedule.away]
    found = []
    for minutes in open_minutes(schedule, since - 27 * 60 * MINUTE, until + 27 * 60 * MINUTE, zone).values():
        for opens, closes in runs(minutes):
            begins = opens
            while begins + length <= closes:
                if since <= begins < until and not any(begins < end and begins + length > start for start, end in away):
                    found.append(Slot(schedule.doctor_id, begins, begins + length))
                begins += length + buffer
    return sorted(found, key=lambda slot: slot.starts_at)


@settings(deadline=None, max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(ZONES), data=st.data())
def test_what_is_offered_is_what_a_minute_by_minute_look_at_the_clock_finds(key, data):
    zone, since = ZoneInfo(key), data.draw(moments(key))
    until = since + data.draw(st.integers(600, 1600)) * MINUTE
    schedule = data.draw(schedules(since))
    assert list(hours.free(schedule, since, until, zone)) == looked_up(schedule, since, until, zone)


@settings(deadline=None, max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(ZONES), data=st.data())
def test_a_visit_lies_within_the_hours_when_every_minute_of_it_does(key, data):
    zone, begins = ZoneInfo(key), data.draw(moments(key))
    ends = begins + data.draw(st.integers(1, 96)) * 5 * MINUTE
    schedule = data.draw(schedules(begins))
    every = {minute for minutes in open_minutes(schedule, begins, ends, zone).values() for minute in minutes}
    away = any(hours.instant(start) < ends and hours.instant(end) > begins for start, end in schedule.away)
    wanted = len(every) == (ends - begins) // MINUTE and not away
    assert (hours.opens(schedule, begins, ends, zone) and not hours.leave_at(schedule, begins, ends)) is wanted


@settings(deadline=None, max_examples=CASES)
@given(key=st.sampled_from(ZONES), naive=st.datetimes(datetime(1850, 1, 2), datetime(2199, 12, 1)),
       minutes=st.integers(1, 24).map(lambda five: five * 5), buffer=st.integers(0, 4).map(lambda five: five * 5))
def test_in_any_year_slots_are_inside_the_hours_distinct_and_of_constant_length(key, naive, minutes, buffer):
    zone, since = ZoneInfo(key), naive.replace(tzinfo=UTC)
    schedule = a_schedule(weekly=[opening(weekday, "00:00", "06:00") for weekday in range(1, 8)], minutes=minutes,
                          buffer=buffer)
    found = list(hours.free(schedule, since, since + 3 * DAY, zone))
    for slot in found:
        wall = slot.starts_at.astimezone(zone)
        assert wall.hour < 6
        assert wall.astimezone(UTC) == slot.starts_at   # it exists: nothing in a gap, and fold tells the hours apart
        assert slot.ends_at - slot.starts_at == minutes * MINUTE
    assert all(second.starts_at - first.starts_at >= (minutes + buffer) * MINUTE for first, second in pairwise(found))


@settings(deadline=None, max_examples=CASES)
@given(key=st.sampled_from(ZONES), day=st.dates(date(1900, 1, 2), date(2199, 12, 30)), data=st.data())
def test_a_day_begins_at_its_first_second_and_days_follow_each_other(key, day, data):
    zone = ZoneInfo(key)
    if CHANGES[key] and data.draw(st.booleans()):
        day = data.draw(st.sampled_from(CHANGES[key])).date() + data.draw(st.integers(-1, 1)) * DAY
    begins = hours.start_of_day(day, zone)
    assert begins.astimezone(zone).date() >= day > (begins - timedelta(seconds=1)).astimezone(zone).date()
    assert begins <= hours.start_of_day(day + DAY, zone)


def test_no_zone_has_changed_its_clocks_twice_while_they_are_not_looked_at():
    for key in ZONES:
        zone = OpenZone(key)
        every = [*zone._trans_utc, *(moment.timestamp() for moment in CHANGES[key])]
        gaps = [later - earlier for earlier, later in pairwise(sorted(set(every)))]
        assert min(gaps, default=hours.PROBE) >= hours.PROBE, key


def test_wall_time_on_five_minutes_is_an_instant_on_five_minutes_so_visits_never_share_a_grain():
    for key in ZONES:
        for change in [datetime(1973, 1, 1, tzinfo=UTC), *CHANGES[key]]:
            assert change.astimezone(ZoneInfo(key)).utcoffset() % timedelta(seconds=hours.GRAIN) == timedelta(0), key


def walls(schedule: Schedule, day: date, zone: ZoneInfo) -> list[str]:
    since, until = hours.start_of_day(day, zone), hours.start_of_day(day + DAY, zone)
    return [f"{slot.starts_at.astimezone(zone):%H:%M%z}" for slot in hours.free(schedule, since, until, zone)]


def night(starts: str, ends: str, minutes: int = 30) -> Schedule:
    return a_schedule(weekly=[opening(weekday, starts, ends) for weekday in range(1, 8)], minutes=minutes)


SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)   # in Dublin 01:00 is 02:00, and 02:00 is 01:00 again


def test_in_spring_the_hour_that_is_left_out_is_not_offered():
    assert walls(night("00:00", "03:00"), SPRING, DUBLIN) == ["00:00+0000", "00:30+0000", "02:00+0100", "02:30+0100"]


def test_an_opening_that_begins_in_the_gap_begins_after_it():
    assert walls(night("01:30", "03:00"), SPRING, DUBLIN) == ["02:00+0100", "02:30+0100"]


def test_an_opening_within_the_gap_is_not_there_that_day():
    assert walls(night("01:00", "02:00"), SPRING, DUBLIN) == []


def test_in_autumn_the_hour_that_comes_twice_is_offered_twice():
    assert walls(night("00:30", "02:30"), AUTUMN, DUBLIN) == [
        "00:30+0100", "01:00+0100", "01:30+0100", "01:00+0000", "01:30+0000", "02:00+0000"]


def test_only_what_the_hours_cover_is_offered_twice():
    assert walls(night("01:30", "02:30"), AUTUMN, DUBLIN) == ["01:30+0100", "01:30+0000", "02:00+0000"]
    assert walls(night("00:30", "01:30"), AUTUMN, DUBLIN) == ["00:30+0100", "01:00+0100", "01:00+0000"]


def test_openings_that_meet_within_it_are_offered_as_the_clock_passes_them():
    weekly = [opening(7, "01:00", "01:30"), opening(7, "01:30", "02:00")]
    assert walls(a_schedule(weekly=weekly, minutes=30), AUTUMN, DUBLIN) == [
        "01:00+0100", "01:30+0100", "01:00+0000", "01:30+0000"]


def test_a_visit_over_the_change_lasts_as_long_as_any():
    [slot] = hours.free(night("00:45", "04:00", minutes=60), at(0, 45).replace(day=28), at(0, 46).replace(day=28), DUBLIN)
    assert slot.ends_at - slot.starts_at == timedelta(hours=1)
    assert f"{slot.ends_at.astimezone(DUBLIN):%H:%M}" == "02:45"


@pytest.mark.parametrize(("zone", "day", "length"), [
    ("Europe/Dublin", SPRING, 23), ("Europe/Dublin", AUTUMN, 25), ("Europe/Dublin", date(2028, 2, 29), 24),
    ("Australia/Lord_Howe", date(2027, 4, 4), 24.5), ("America/Havana", date(2027, 11, 7), 25),
    ("America/Sao_Paulo", date(2018, 11, 4), 23), ("Pacific/Apia", date(2011, 12, 30), 0)])
def test_a_day_is_as_long_as_it_is(zone, day, length):
    begins, ends = hours.start_of_day(day, ZoneInfo(zone)), hours.start_of_day(day + DAY, ZoneInfo(zone))
    assert ends - begins == timedelta(hours=length)
    assert len(walls(night("00:00", "24:00"), day, ZoneInfo(zone))) == 2 * length


def test_a_day_without_midnight_begins_at_one():
    zone = ZoneInfo("America/Sao_Paulo")
    assert hours.wall_time(hours.start_of_day(date(2018, 11, 4), zone), zone) == "2018-11-04T01:00-02:00"


def test_the_twenty_ninth_of_february_has_its_hours():
    weekday = a_schedule(weekly=[opening(2)], minutes=240)   # a Tuesday
    assert walls(weekday, date(2028, 2, 29), DUBLIN) == ["09:00+0000", "13:00+0000"]
    assert walls(weekday, date(2028, 3, 1), DUBLIN) == []


def test_a_day_may_end_at_midnight_and_a_visit_may_pass_it_where_the_next_day_opens():
    evening, morning = opening(1, "22:00", "24:00"), opening(2, "00:00", "02:00")
    assert walls(a_schedule(weekly=[evening], minutes=60), MONDAY.date(), DUBLIN) == ["22:00+0000", "23:00+0000"]
    over_midnight = at(23, 45), at(0, 15, day=1)
    assert hours.opens(a_schedule(weekly=[evening, morning]), *over_midnight, DUBLIN)
    assert not hours.opens(a_schedule(weekly=[evening]), *over_midnight, DUBLIN)


def test_slots_lie_apart_by_the_visit_and_the_buffer_from_the_start_of_each_opening():
    weekly = [opening(1, "09:00", "10:00"), opening(1, "13:10", "14:00")]
    assert walls(a_schedule(weekly=weekly, minutes=20, buffer=5), MONDAY.date(), DUBLIN) == [
        "09:00+0000", "09:25+0000", "13:10+0000", "13:35+0000"]


def test_leave_takes_every_slot_that_it_touches():
    schedule = a_schedule(away=[(at(10, 10), at(16, 40))])
    assert walls(schedule, MONDAY.date(), DUBLIN) == ["09:00+0000", "09:20+0000", "09:40+0000", "16:40+0000"]


def test_a_doctor_who_has_left_is_not_offered():
    assert list(hours.free(a_schedule(active=False), at(0), at(0, day=7), DUBLIN)) == []


def test_busy_time_is_left_out():
    busy = set(hours.grains(at(9, 35), at(10, 5)))
    found = [slot.starts_at for slot in hours.free(a_schedule(), at(9), at(11), DUBLIN, busy)]
    assert found == [at(9), at(10, 20), at(10, 40)]


def test_places_for_a_longer_visit_lie_on_the_same_grid():
    busy = set(hours.grains(at(10, 20), at(10, 40)))
    found = [slot.starts_at for slot in hours.free(a_schedule(), at(9), at(11), DUBLIN, busy, minutes=40)]
    assert found == [at(9), at(9, 20), at(9, 40), at(10, 40)]


def test_the_nearest_times_come_first_and_never_from_the_past():
    busy = set(hours.grains(at(10), at(10, 20)))
    found = hours.nearest(a_schedule(), at(10), None, at(9, 30), DUBLIN, busy, timedelta(days=2))
    assert [slot.starts_at for slot in found] == [at(9, 40), at(10, 20), at(10, 40), at(11), at(11, 20)]


def test_a_clash_lasts_as_long_as_the_time_is_taken_and_every_one_is_named():
    busy = {*hours.grains(at(8, 30), at(9, 10)), *hours.grains(at(9, 20), at(9, 25)), *hours.grains(at(10), at(11))}
    found = hours.clashes(hours.grains(at(9), at(9, 30)), busy)
    assert found == [(at(8, 30), at(9, 10)), (at(9, 20), at(9, 25))]


def test_where_the_doctor_is_depends_on_the_opening():
    schedule = a_schedule(weekly=[opening(1, "09:00", "12:00", "Harbour wing"), opening(1, "13:00", "17:00")])
    assert [hours.location(schedule, at(hour), DUBLIN) for hour in (10, 14, 12)] == ["Harbour wing", "Room 3", None]


@pytest.mark.parametrize("process_zone", ["UTC", "Etc/GMT-14", "Etc/GMT+11"])
def test_the_zone_of_the_process_plays_no_part(process_zone, monkeypatch):
    monkeypatch.setenv("TZ", process_zone)
    time.tzset()
    try:
        hours.stretches.cache_clear()
        assert hours.start_of_day(MONDAY.date(), ZoneInfo("Asia/Kolkata")) == datetime(2027, 2, 28, 18, 30, tzinfo=UTC)
        assert walls(a_schedule(weekly=EVERY_DAY, minutes=240), AUTUMN, DUBLIN) == ["09:00+0000", "13:00+0000"]
    finally:
        monkeypatch.undo()
        time.tzset()

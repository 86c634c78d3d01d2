"""Visits that recur: when they are, in any zone and year; booked, moved and cancelled together, each time in one write."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infirmary.contexts.appointments.contract import (
    DeskAsksColleagues,
    ObstacleCode,
    RescheduleAppointment,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.series import (
    BookSeries,
    CancelSeries,
    Elsewhen,
    Frequency,
    Missing,
    MoveSeries,
    Recurrence,
    Series,
    SeriesBlocked,
)
from infirmary.contexts.appointments.domain import series
from infirmary.contexts.appointments.events import (
    AppointmentBooked,
    AppointmentCancelled,
    PartOf,
    SeriesChange,
    SeriesChanged,
)
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound

from .builders import CASES, Clinic, as_doctor, as_patient, at, grains_of, opening, reception
from .test_races import overlaps

WEEKLY = Recurrence(frequency=Frequency.WEEKLY, count=4)
TUESDAY = at(9, day=1)
ZONES = ["Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia"]


async def book(clinic: Clinic, doctor: UUID, starts_at: datetime = TUESDAY, *, patient_id: UUID | None = None,
               recurrence: Recurrence = WEEKLY, caller: Caller = reception, **more: object) -> Series:
    return await clinic.ask.book_series(caller, BookSeries(
        patient_id=patient_id or new_id(), doctor_id=doctor, starts_at=starts_at, recurrence=recurrence, **more))   # type: ignore[arg-type]


def starts(made: Series) -> list[datetime]:
    return [one.starts_at for one in made.visits if one.status is Status.BOOKED]


# --- When they are ---------------------------------------------------------------------------------------------------


@st.composite
def wishes(draw: st.DrawFn) -> tuple[datetime, Recurrence, ZoneInfo]:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    first = draw(st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31))).replace(second=0, microsecond=0)
    recurrence = Recurrence(
        frequency=draw(st.sampled_from(Frequency)), interval=draw(st.integers(1, 13)), count=draw(st.integers(1, 30)),
        missing=draw(st.sampled_from(Missing)))
    return first.replace(tzinfo=zone).astimezone(UTC), recurrence, zone


@settings(max_examples=CASES, deadline=None)
@given(wishes())
def test_every_visit_keeps_its_time_on_the_wall_wherever_that_exists(wish: tuple[datetime, Recurrence, ZoneInfo]):
    first, recurrence, zone = wish
    laid = series.lay_out(first, recurrence, zone)
    assert laid.starts[0] == first
    assert laid.starts == sorted(set(laid.starts)), "one after the other, none twice"
    assert len(laid.starts) == recurrence.count
    agreed = first.astimezone(zone)
    for number, one in enumerate(laid.starts, 1):
        local = one.astimezone(zone)
        if number == 1:
            continue
        if number in laid.moved_by_clocks:
            assert local.time() != agreed.time()
            assert not series.exists(datetime.combine(local.date(), agreed.time()), zone) or local.time() < agreed.time()
        else:
            assert local.time() == agreed.time()
            assert local.fold == 0, "an hour that comes twice is the first of both"


def naive_days(first: date, recurrence: Recurrence) -> list[date]:
    """The oracle: look at day after day."""
    found, day, assert_by = [], first, recurrence.count or 0
    while len(found) < assert_by:
        months = (day.year - first.year) * 12 + day.month - first.month
        last = (day + timedelta(days=1)).day == 1
        match recurrence.frequency:
            case Frequency.DAILY:
                due = (day - first).days % recurrence.interval == 0
            case Frequency.WEEKLY:
                due = (day - first).days % (7 * recurrence.interval) == 0
            case Frequency.MONTHLY:
                due = months % recurrence.interval == 0 and (
                    day.day == first.day or (recurrence.missing is Missing.LAST_DAY and last and day.day < first.day))
        if due:
            found.append(day)
        day += timedelta(days=1)
    return found


@settings(max_examples=CASES // 3, deadline=None)
@given(st.dates(date(2023, 1, 1), date(2029, 12, 31)), st.sampled_from(Frequency), st.integers(1, 5), st.integers(1, 12),
       st.sampled_from(Missing))
def test_the_days_are_those_that_looking_at_every_day_finds(first: date, frequency: Frequency, interval: int, count: int,
                                                           missing: Missing):
    recurrence = Recurrence(frequency=frequency, interval=interval, count=count, missing=missing)
    laid = series.lay_out(datetime.combine(first, time(12), UTC), recurrence, ZoneInfo("UTC"))
    assert [one.date() for one in laid.starts] == naive_days(first, recurrence)


@pytest.mark.parametrize(("first", "missing", "days", "short"), [
    ("2027-01-31", Missing.SKIP, ["01-31", "03-31", "05-31", "07-31"], ["2027-02", "2027-04", "2027-06"]),
    ("2027-01-31", Missing.LAST_DAY, ["01-31", "02-28", "03-31", "04-30"], ["2027-02", "2027-04"]),
    ("2028-01-30", Missing.LAST_DAY, ["01-30", "02-29", "03-30", "04-30"], ["2028-02"]),
    ("2027-01-28", Missing.SKIP, ["01-28", "02-28", "03-28", "04-28"], [])])
def test_what_happens_to_the_31st_is_said_beforehand(first: str, missing: Missing, days: list[str], short: list[str]):
    laid = series.lay_out(datetime.fromisoformat(f"{first}T09:00Z"), Recurrence(
        frequency=Frequency.MONTHLY, count=4, missing=missing), ZoneInfo("UTC"))
    assert [f"{one:%m-%d}" for one in laid.starts] == days
    assert laid.short_months == short


def test_29_february_comes_every_four_years_or_on_the_28th():
    leap = datetime(2028, 2, 29, 9, tzinfo=UTC)
    every = [[one.date().isoformat() for one in series.lay_out(leap, Recurrence(
        frequency=Frequency.MONTHLY, interval=12, count=3, missing=missing), ZoneInfo("UTC")).starts] for missing in Missing]
    assert every == [["2028-02-29", "2032-02-29", "2036-02-29"], ["2028-02-29", "2029-02-28", "2030-02-28"]]


def test_clocks_that_go_forward_over_the_time_move_that_one_and_no_other():
    """Dublin has no 01:30 on 28 March 2027."""
    laid = series.lay_out(datetime(2027, 3, 21, 1, 30, tzinfo=UTC), Recurrence(frequency=Frequency.WEEKLY, count=3),
                          ZoneInfo("Europe/Dublin"))
    assert [one.astimezone(ZoneInfo("Europe/Dublin")).strftime("%H:%M") for one in laid.starts] == ["01:30", "02:30", "01:30"]
    assert laid.moved_by_clocks == {2}


@pytest.mark.parametrize("more", [{}, {"count": 2, "until": date(2027, 5, 1)}, {"until": date(2027, 2, 1)},
                                  {"until": date(2029, 1, 1)}])
def test_a_rule_that_makes_no_sense_is_malformed(more: dict[str, object]):
    with pytest.raises(Malformed):
        series.lay_out(at(9), Recurrence(frequency=Frequency.WEEKLY, **more), ZoneInfo("UTC"))   # type: ignore[arg-type]


# --- Booking ---------------------------------------------------------------------------------------------------------


async def test_a_series_is_booked_in_one_write_and_announced_once(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    made = await book(clinic, doctor, patient_id=patient)
    dst = timedelta(hours=1)   # Dublin's clocks go forward on 28 March, after the fourth
    assert starts(made) == [at(9, day=1 + 7 * n) for n in range(4)]
    assert {one.series_id for one in made.visits} == {made.id}
    assert made.rule == "FREQ=WEEKLY;COUNT=4"
    facts = await clinic.facts()
    assert [fact.part_of for fact in facts if isinstance(fact, AppointmentBooked)] == [PartOf.SERIES] * 4
    [whole] = [fact for fact in facts if isinstance(fact, SeriesChanged)]
    assert (whole.change, whole.starts_at) == (SeriesChange.BOOKED, starts(made))
    assert await clinic.ask.series(as_patient(patient), made.id) == made
    longer = await book(clinic, doctor, at(10, day=1), recurrence=Recurrence(frequency=Frequency.WEEKLY, count=5))
    assert starts(longer)[-1] == at(10, day=29) - dst, "10:00 on the wall"


async def test_every_visit_takes_its_company_and_says_when_that_is_not_free(every_clinic: Clinic):
    clinic = every_clinic
    doctor, second, room = await clinic.doctor(), await clinic.doctor(doctor_name="Dr Bo Lind"), await clinic.thing()
    other = await clinic.book(await clinic.doctor(), TUESDAY + timedelta(days=7), participants=[room])
    with pytest.raises(SeriesBlocked) as no:
        await book(clinic, doctor, participants=[second, room])
    [blocked] = no.value.extra["occurrences"]
    assert (blocked["number"], [one["code"] for one in blocked["obstacles"]]) == (2, ["resource_taken"])
    assert blocked["nearest"][0]["starts_at"] == (TUESDAY + timedelta(days=7, minutes=20)).isoformat().replace("+00:00", "Z")
    made = await book(clinic, doctor, participants=[second, room], all_or_none=False)
    assert [[one.name for one in visit.participants] for visit in made.visits] == [["Dr Bo Lind", "Room 1"]] * 3
    assert (await clinic.ask.appointments(reception, doctor_id=second)).items == made.visits
    assert await clinic.taken() == {key: visit.id for visit in (*made.visits, other) for key in grains_of(visit)}
    await clinic.ask.cancel_series(reception, made.id, CancelSeries())
    assert await clinic.taken() == dict.fromkeys(grains_of(other), other.id)
    patient = new_id()
    clinic.register.treated.add(patient)
    with pytest.raises(DeskAsksColleagues):
        await book(clinic, doctor, participants=[second], patient_id=patient, caller=as_doctor(doctor))
    with pytest.raises(Malformed):
        await book(clinic, doctor, participants=[room], patient_id=patient, caller=as_patient(patient))


async def test_nobody_sees_a_series_of_others(clinic: Clinic):
    made = await book(clinic, await clinic.doctor())
    for caller in (as_patient(new_id()), as_doctor(new_id())):
        for ask in (clinic.ask.series(caller, made.id), clinic.ask.cancel_series(caller, made.id, CancelSeries())):
            with pytest.raises(NotFound):
                await ask


async def test_the_preview_says_all_that_is_in_the_way_of_each_and_the_nearest_way_out(clinic: Clinic):
    doctor, patient = await clinic.doctor(away=[(at(0, day=8), at(0, day=9))]), new_id()
    await clinic.book(doctor, at(9, day=15))
    await clinic.book(await clinic.doctor(), at(9, 10, day=22), patient_id=patient)
    wish = BookSeries(patient_id=patient, doctor_id=doctor, starts_at=at(9, day=1), recurrence=WEEKLY)
    shown = await clinic.ask.preview_series(reception, wish)
    assert [[one.code for one in occurrence.obstacles] for occurrence in shown.occurrences] == [
        [], [ObstacleCode.DOCTOR_AWAY], [ObstacleCode.DOCTOR_TAKEN], [ObstacleCode.PATIENT_TAKEN]]
    assert [occurrence.nearest[0].starts_at if occurrence.nearest else None for occurrence in shown.occurrences] == [
        None, at(16, 40, day=7), at(9, 20, day=15), at(8, 40, day=22) + timedelta(hours=1)]
    assert len(await clinic.visits()) == 2, "nothing is booked"
    with pytest.raises(SeriesBlocked) as no:
        await clinic.ask.book_series(reception, wish)
    assert [one["number"] for one in no.value.extra["occurrences"]] == [2, 3, 4]
    assert len(await clinic.visits()) == 2, "all or none"
    some = await book(clinic, doctor, patient_id=patient, all_or_none=False, elsewhen=[
        Elsewhen(number=2), Elsewhen(number=3, starts_at=at(9, 20, day=15))])
    assert starts(some) == [at(9, day=1), at(9, 20, day=15)]
    assert [one.number for one in some.not_done] == [4], "left out is not asked for"
    await check_books(clinic)


async def test_a_patient_books_slots_as_they_are_offered_and_no_more_than_the_limit(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    most = clinic.service.live.value.booking.most_open_visits
    daily = Recurrence(frequency=Frequency.DAILY, count=most + 2)
    with pytest.raises(SeriesBlocked) as no:
        await book(clinic, doctor, patient_id=patient, caller=as_patient(patient), recurrence=daily)
    assert [one["obstacles"][0]["code"] for one in no.value.extra["occurrences"]] == [ObstacleCode.TOO_MANY_VISITS] * 2
    with pytest.raises(SeriesBlocked):
        await book(clinic, doctor, at(9, 5, day=1), patient_id=patient, caller=as_patient(patient))


async def check_books(clinic: Clinic) -> None:
    visits = [one for one in await clinic.visits() if one.status is Status.BOOKED]
    assert overlaps(visits) == []
    assert set((await clinic.taken()).values()) == {one.id for one in visits}


# --- Afterwards ------------------------------------------------------------------------------------------------------


async def test_this_and_those_after_it_are_cancelled_and_told_once(clinic: Clinic):
    doctor, patient = await clinic.doctor(), new_id()
    made = await book(clinic, doctor, patient_id=patient)
    left = await clinic.ask.cancel_series(as_patient(patient), made.id, CancelSeries(
        from_appointment_id=made.visits[2].id, reason="Moving away"))
    assert starts(left) == [at(9, day=1), at(9, day=8)]
    facts = await clinic.facts()
    assert [fact.part_of for fact in facts if isinstance(fact, AppointmentCancelled)] == [PartOf.SERIES] * 2
    again = await clinic.ask.cancel_series(as_patient(patient), made.id, CancelSeries(
        from_appointment_id=made.visits[2].id))
    assert (again.version, len(await clinic.facts())) == (left.version, len(facts)), "twice is once"
    assert starts(await clinic.ask.cancel_series(reception, made.id, CancelSeries())) == []
    await check_books(clinic)


async def test_one_moved_by_itself_stays_in_the_series(clinic: Clinic):
    made = await book(clinic, await clinic.doctor())
    await clinic.ask.reschedule(reception, made.visits[1].id, RescheduleAppointment(starts_at=at(11, day=9)))
    assert starts(await clinic.ask.series(reception, made.id))[1] == at(11, day=9)


async def test_this_and_those_after_it_move_by_as_many_days_to_that_time_of_day(clinic: Clinic):
    made = await book(clinic, await clinic.doctor(), recurrence=Recurrence(frequency=Frequency.WEEKLY, count=5))
    moved = await clinic.ask.move_series(reception, made.id, MoveSeries(
        appointment_id=made.visits[1].id, starts_at=at(14, day=9)))
    summer = timedelta(hours=1)
    assert starts(moved) == [at(9, day=1), at(14, day=9), at(14, day=16), at(14, day=23), at(14, day=30) - summer]
    whole = await clinic.ask.move_series(reception, made.id, MoveSeries(
        appointment_id=made.visits[1].id, starts_at=at(14, day=10), whole=True))
    assert starts(whole)[0] == at(14, day=2)
    await check_books(clinic)


async def test_daily_visits_may_move_into_one_anothers_places(clinic: Clinic):
    made = await book(clinic, await clinic.doctor(), recurrence=Recurrence(frequency=Frequency.DAILY, count=4))
    moved = await clinic.ask.move_series(reception, made.id, MoveSeries(
        appointment_id=made.visits[0].id, starts_at=at(9, day=2)))
    assert starts(moved) == [at(9, day=day) for day in (2, 3, 4, 5)]
    await check_books(clinic)


async def test_what_does_not_fit_stops_all_or_stays_and_nothing_overlaps(clinic: Clinic):
    doctor = await clinic.doctor()
    made = await book(clinic, doctor, recurrence=Recurrence(frequency=Frequency.DAILY, count=4))
    await clinic.book(doctor, at(9, day=5))
    wish = {"appointment_id": made.visits[0].id, "starts_at": at(9, day=2)}
    with pytest.raises(SeriesBlocked):
        await clinic.ask.move_series(reception, made.id, MoveSeries(**wish))   # type: ignore[arg-type]
    with pytest.raises(SeriesBlocked):   # the last cannot, so the one before it cannot, and so on
        await clinic.ask.move_series(reception, made.id, MoveSeries(**wish, all_or_none=False))   # type: ignore[arg-type]
    moved = await clinic.ask.move_series(reception, made.id, MoveSeries(
        appointment_id=made.visits[0].id, starts_at=at(9, 20, day=2), all_or_none=False))
    assert starts(moved) == [at(9, 20, day=day) for day in (2, 3, 4, 5)]
    await clinic.ask.cancel(reception, made.visits[1].id, Why())
    await check_books(clinic)


# --- Races -----------------------------------------------------------------------------------------------------------


async def test_of_many_series_for_the_same_times_one_is_booked_whole(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor(weekly=[opening(weekday, "09:00", "10:00") for weekday in range(1, 8)])
    outcomes = await asyncio.gather(*(book(clinic, doctor) for _ in range(8)), return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Series: 1, SeriesBlocked: 7}
    assert len(await clinic.visits()) == 4
    await check_books(clinic)


async def test_series_that_take_what_fits_against_single_bookings_lose_nothing(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor()
    outcomes = await asyncio.gather(
        *(book(clinic, doctor, all_or_none=False) for _ in range(3)),
        *(clinic.book(doctor, at(9, day=1 + 7 * n)) for n in range(3)), return_exceptions=True)
    assert {type(one) for one in outcomes[:3]} <= {Series, SeriesBlocked}
    for made in outcomes[:3]:
        if isinstance(made, Series):
            assert len(made.visits) + len(made.not_done) == 4
    assert {one.starts_at for one in await clinic.visits()} == {at(9, day=1 + 7 * n) for n in range(4)}
    assert {type(one) for one in outcomes[3:]} <= {TimeIsTaken, type(outcomes[3]), type(outcomes[4]), type(outcomes[5])}
    await check_books(clinic)


async def test_a_series_moved_and_cancelled_at_once_is_one_or_the_other_for_each_visit(every_clinic: Clinic):
    clinic = every_clinic
    made = await book(clinic, await clinic.doctor())
    await asyncio.gather(*(
        work for _ in range(3) for work in (
            clinic.ask.move_series(reception, made.id, MoveSeries(appointment_id=made.visits[0].id, starts_at=at(11, day=1))),
            clinic.ask.cancel_series(reception, made.id, CancelSeries(from_appointment_id=made.visits[2].id)))),
        return_exceptions=True)
    after = await clinic.ask.series(reception, made.id)
    assert [one.status for one in after.visits].count(Status.CANCELLED) == 2
    assert starts(after) == [at(11, day=1), at(11, day=8)]
    await check_books(clinic)


async def test_a_series_counts_among_the_visits_that_a_doctor_takes_on_a_day(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor(most_per_day=2)
    await clinic.book(doctor, at(12, day=1))
    outcomes = await asyncio.gather(*(book(clinic, doctor, at(hour, day=1)) for hour in (9, 10, 11)), return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Series: 1, SeriesBlocked: 2}
    assert {ObstacleCode(one["obstacles"][0]["code"]) for no in outcomes if isinstance(no, SeriesBlocked)
            for one in no.extra["occurrences"]} == {ObstacleCode.DAY_FULL}
    await check_books(clinic)

"""The hospital's figures, on each engine, against what a patient person with a pencil would count."""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import mean, median
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infirmary.contexts.appointments import events as visits
from infirmary.contexts.appointments.contract import Status
from infirmary.contexts.reports.contract import Day, DepartmentFigures, HospitalFigures, MonthFigures, Period
from infirmary.contexts.reports.tables import metadata
from infirmary.contexts.reports.wiring import REPORTS
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.migrate import check
from infirmary.kernel.errors import NotSignedIn, RoleMayNot
from infirmary.kernel.events import Fact
from infirmary.language import Role

from .builders import (
    DUBLIN,
    EARS,
    EYES,
    MONDAY,
    NAMES,
    SKIN,
    World,
    a_department_event,
    a_fact,
    a_registration_event,
    a_visit_event,
)

R, B, IN, GO, OK = Status.REQUESTED, Status.BOOKED, Status.CHECKED_IN, Status.IN_PROGRESS, Status.COMPLETED
NO, OFF, MISSED = Status.DECLINED, Status.CANCELLED, Status.NO_SHOW
PATHS = [[R], [R, NO], [R, B], [R, OFF], [B], [B, OFF], [B, MISSED], [B, IN], [B, IN, GO], [B, IN, GO, OK], [B, GO, OK],
         [R, B, IN, GO, OK], [B, IN, OFF], [R, B, MISSED]]
LENGTH = {Period.WEEK: 14, Period.MONTH: 30, Period.QUARTER: 91}
NOWS = [datetime(2027, 3, 1, 8, 0, tzinfo=UTC), datetime(2027, 3, 28, 23, 30, tzinfo=UTC),   # the day clocks go forward
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC), datetime(2027, 7, 1, 23, 30, tzinfo=UTC),   # tomorrow in Dublin
        datetime(2028, 2, 29, 12, 0, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, tzinfo=UTC)]


@dataclass
class Story:
    """One visit: where, when (in wall time, days from today), which way it went, and when the steps were taken."""

    department: UUID
    day: int
    hour: int
    minute: int
    path: list[Status]
    gaps: list[int]
    visit_id: UUID = field(default_factory=new_id)

    def starts_at(self, today: date) -> datetime:
        day = today + timedelta(days=self.day)
        return datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=DUBLIN).astimezone(UTC)

    def steps(self, today: date) -> list[tuple[Status, datetime]]:
        at = self.starts_at(today) - timedelta(hours=1)
        return [(status, at := at + timedelta(seconds=gap)) for status, gap in zip(self.path, self.gaps, strict=False)]

    def facts(self, today: date) -> list[Fact]:
        return [a_fact(a_visit_event(self.visit_id, version, status, self.starts_at(today),
                                     department_id=self.department), at)
                for version, (status, at) in enumerate(self.steps(today), 1)]


def counted(stories: list[Story], today: date, period: Period, registered: list[int]) -> HospitalFigures:
    """With a pencil: look at every visit for every figure."""
    def stood(one: Story) -> bool:
        return one.path[-1] in (B, IN, GO, OK, MISSED)

    def booked(day: int, department: UUID | None = None) -> int:
        return sum(stood(one) for one in stories if one.day == day and department in (None, one.department))

    def usual(department: UUID | None = None) -> float:
        numbers = [booked(-7 * week, department) for week in range(1, 9)]
        return mean(number for number in numbers if number) if any(numbers) else 0.0

    def share(first: int, last: int, department: UUID | None = None) -> float:
        ends = [one.path[-1] for one in stories if first <= one.day <= last and department in (None, one.department)]
        return ends.count(MISSED) / (ends.count(MISSED) + ends.count(OK)) if MISSED in ends else 0.0

    def how_many(status: Status, department: UUID | None = None, *, later: bool = False) -> int:
        return sum(one.path[-1] is status and (one.day == 0 or (later and one.day > 0))
                   for one in stories if department in (None, one.department))

    waits = []
    for one in stories:
        times = dict(one.steps(today))
        if one.day == 0 and IN in times and GO in times:
            waits.append((times[GO] - times[IN]).total_seconds())
    days = range(1 - LENGTH[period], 1)
    months, month = [], today.replace(day=1)
    for _ in range(6):
        months.insert(0, month)
        month = (month - timedelta(days=1)).replace(day=1)
    dated = [(today + timedelta(days=one.day), one) for one in stories if one.day <= 0]
    return HospitalFigures(
        today=today,
        days=[Day(day=today + timedelta(days=day), booked=booked(day),
                  completed=sum(one.path[-1] is OK for one in stories if one.day == day),
                  no_show=sum(one.path[-1] is MISSED for one in stories if one.day == day),
                  cancelled=sum(one.path[-1] is OFF for one in stories if one.day == day)) for day in days],
        departments=[DepartmentFigures(
            department_id=one, name=NAMES[one], per_day=[booked(day, one) for day in days], today=booked(0, one),
            usual=usual(one), waiting=how_many(IN, one), requested=how_many(R, one, later=True),
            no_show_share=share(-29, 0, one))
            for one in (EARS, EYES, SKIN)
            if any(story.department == one and ((story.day >= days[0] and stood(story)) or
                                                (story.day >= 0 and story.path[-1] is R)) for story in stories)],
        visits_today=booked(0), seen_today=how_many(GO) + how_many(OK), usual_today=usual(), waiting_now=how_many(IN),
        requested_now=how_many(R, later=True),
        median_wait_minutes=int(median(waits) / 60 + .5) if waits else None,
        no_show_share_30_days=share(-29, 0), no_show_share_before=share(-59, -30),
        no_shows_by_month=[MonthFigures(
            month=f"{first:%Y-%m}",
            booked=sum(stood(one) for day, one in dated if (day.year, day.month) == (first.year, first.month)),
            no_show=sum(one.path[-1] is MISSED for day, one in dated
                        if (day.year, day.month) == (first.year, first.month))) for first in months],
        new_patients_30_days=sum(-29 <= day <= 0 for day in registered))


days = st.sampled_from([0, 0, 0, 1, -1, -7, -13, -14, -29, -30, -56, -63, -59, -60, -90, -91]) | st.integers(-200, 20)
stories = st.lists(st.builds(
    Story, department=st.sampled_from([EYES, EARS, SKIN]), day=days, hour=st.integers(0, 23),
    minute=st.sampled_from([0, 30, 55]), path=st.sampled_from(PATHS),
    gaps=st.lists(st.integers(1, 7200), min_size=5, max_size=5)), min_size=3, max_size=20) | st.just([])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories, st.sampled_from(NOWS), st.sampled_from(Period), st.lists(days, max_size=5), st.randoms())
async def test_the_figures_are_what_a_count_by_hand_gives_whatever_is_delivered_again(
        world: World, told: list[Story], now: datetime, period: Period, registered: list[int],
        dice: random.Random) -> None:
    world.at(now)
    await world.empty()
    today = now.astimezone(DUBLIN).date()
    lines = [one.facts(today) for one in told]
    noon = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    lines += [[a_fact(a_registration_event(), noon + timedelta(days=day))] for day in registered]
    done: list[Fact] = []
    while lines:   # in order per aggregate, otherwise anyhow; now and then something from before comes again
        line = dice.choice(lines)
        done.append(await world.deliver(line.pop(0)))
        lines = [one for one in lines if one]
        if dice.random() < .4:
            again = dice.choice(done)
            stale = Fact(new_id(), again.kind, again.aggregate, again.version, again.body, "",
                         again.happened_at + timedelta(days=1))   # as if stored twice
            await world.deliver(dice.choice([again, stale]))
    assert await world.figures(period) == counted(told, today, period, registered)


async def test_the_migrations_make_the_tables_that_are_declared(database_url: Callable[[str], str]) -> None:
    assert await check(database_url("reports"), metadata, REPORTS.migrations) == []


async def test_a_hospital_of_which_nothing_is_known_has_figures_of_nothing(world: World) -> None:
    assert await world.figures() == counted([], date(2027, 3, 1), Period.WEEK, [])


async def test_a_visit_that_is_moved_counts_on_its_new_day_only_and_nobody_waits_for_it(world: World) -> None:
    visit_id = await world.a_visit(B, IN)
    assert (await world.figures()).waiting_now == 1
    yesterday = MONDAY - timedelta(days=1)
    await world.tell(a_visit_event(visit_id, 3, B, yesterday, kind=visits.AppointmentRescheduled, department_id=EARS,
                                   previous_starts_at=MONDAY, previous_doctor_id=new_id()))
    figures = await world.figures()
    assert [day.booked for day in figures.days][-3:] == [0, 1, 0]
    assert (figures.waiting_now, figures.visits_today) == (0, 0)
    assert [(one.name, one.per_day[-2]) for one in figures.departments] == [("Ears", 1)]
    await world.tell(a_visit_event(visit_id, 4, GO, MONDAY, department_id=EARS), MONDAY + timedelta(hours=2))
    assert (await world.figures()).median_wait_minutes is None


async def test_waiting_is_measured_from_the_instants_of_the_facts(world: World) -> None:
    visit_id = new_id()
    for version, (status, minute) in enumerate([(B, -9000), (IN, 3), (GO, 22), (OK, 50)], 1):
        await world.tell(a_visit_event(visit_id, version, status, MONDAY), MONDAY + timedelta(minutes=minute))
    assert (await world.figures()).median_wait_minutes == 19


async def test_an_arrival_that_is_told_again_later_changes_nothing(world: World) -> None:
    visit_id = await world.a_visit(B)
    await world.tell(a_visit_event(visit_id, 2, IN, MONDAY), MONDAY)
    await world.tell(a_visit_event(visit_id, 2, IN, MONDAY), MONDAY + timedelta(minutes=10))
    await world.tell(a_visit_event(visit_id, 3, GO, MONDAY), MONDAY + timedelta(minutes=15))
    await world.tell(a_visit_event(visit_id, 3, GO, MONDAY), MONDAY + timedelta(minutes=20))
    await world.tell(a_visit_event(visit_id, 1, OFF, MONDAY), MONDAY + timedelta(minutes=30))
    figures = await world.figures()
    assert (figures.median_wait_minutes, figures.seen_today) == (15, 1)


async def test_a_fact_that_is_delivered_twice_counts_once(world: World) -> None:
    fact = a_fact(a_visit_event(new_id(), 1, B, MONDAY))
    await world.deliver(fact)
    await world.deliver(fact)
    assert (await world.figures()).visits_today == 1


async def test_departments_are_shown_by_their_present_names_while_they_are_open_or_had_visits(world: World) -> None:
    await world.a_visit(B, department_id=EYES)
    await world.a_visit(B, department_id=EARS)
    await world.tell(a_department_event(EYES, 1, "Eyes"))
    await world.tell(a_department_event(SKIN, 1, "skin"))
    await world.tell(a_department_event(new_id(), 2, "Long gone", active=False))
    await world.tell(a_department_event(EYES, 3, "Zyes"))
    await world.tell(a_department_event(EYES, 2, "Wyes"))   # late
    departments = (await world.figures()).departments
    assert [(one.name, one.today) for one in departments] == [("Ears", 1), ("skin", 0), ("Zyes", 1)]
    await world.tell(a_department_event(EYES, 4, "Zyes", active=False))
    await world.tell(a_department_event(SKIN, 2, "skin", active=False))
    assert [one.name for one in (await world.figures()).departments] == ["Ears", "Zyes"]


async def test_a_patient_who_is_told_of_twice_is_new_once(world: World) -> None:
    patient = new_id()
    await world.tell(a_registration_event(patient))
    await world.tell(a_registration_event(patient), MONDAY + timedelta(hours=1))
    await world.tell(a_registration_event())
    assert (await world.figures()).new_patients_30_days == 2


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_only_admin_reads_the_dashboard(world: World) -> None:
    for role in Role:
        caller = Caller(account_id=new_id(), roles=frozenset({role}), subjects={"doctor_id": new_id()})
        if role is Role.ADMIN:
            await world.reports.hospital(caller)
        else:
            with pytest.raises(RoleMayNot):
                await world.reports.hospital(caller)
    with pytest.raises(NotSignedIn):
        await world.reports.hospital(NOBODY)


async def test_what_patients_say_is_a_mean_of_whole_groups_of_the_last_thirteen_weeks(world: World):
    await world.tell(a_department_event(EYES, 1, "Eyes"))
    await world.tell(a_department_event(EARS, 1, "Ears"))

    def group(*distribution: int) -> visits.FeedbackGathered:
        return visits.FeedbackGathered(aggregate=new_id(), version=1, department_id=EYES, department_name="Eyes",
                                       distribution=list(distribution))
    fact = await world.tell(group(1, 0, 0, 0, 4))
    await world.deliver(fact)   # again
    await world.tell(group(0, 0, 5, 0, 0), MONDAY - timedelta(days=91))
    await world.tell(group(5, 0, 0, 0, 0), MONDAY - timedelta(days=92))
    found = {one.name: (one.rating, one.answers) for one in (await world.figures()).departments}
    assert found == {"Eyes": (3.6, 10), "Ears": (None, 0)}

"""Free times, and lists of visits: what is in them, in which order, and for whom."""
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import Status, Why
from infirmary.contexts.appointments.domain.hours import start_of_day
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, RoleMayNot
from infirmary.settings import Hospital

from .builders import (
    MONDAY,
    Clinic,
    a_clinic,
    another_context,
    as_doctor,
    as_patient,
    at,
    hours,
    opening,
    reception,
)

DUBLIN = Hospital().tz


class TestSlots:
    async def test_are_there_for_everybody_without_what_is_past_taken_or_leave(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor(weekly=[opening(1, "07:00", "10:00")], away=[(at(9), at(9, 10))])
        await clinic.book(doctor, at(8, 35), minutes=10)
        found = await clinic.ask.slots(NOBODY, at(0), at(23), doctor_id=doctor)
        assert [(slot.doctor_id, slot.starts_at, slot.ends_at) for slot in found.items] == [
            (doctor, at(8), at(8, 20)), (doctor, at(9, 20), at(9, 40)), (doctor, at(9, 40), at(10))]

    async def test_of_a_department_come_in_the_order_of_time(self, every_clinic: Clinic):
        clinic = every_clinic
        here, elsewhere = UUID(int=1), UUID(int=2)
        first = await clinic.doctor(weekly=[opening(1, "09:00", "10:00")], minutes=30, department_id=here)
        second = await clinic.doctor(weekly=[opening(1, "09:10", "10:00")], minutes=20, department_id=here)
        await clinic.doctor(department_id=elsewhere)
        await clinic.doctor(department_id=here, active=False)
        await clinic.book(second, at(9, 30))
        found = await clinic.ask.slots(NOBODY, at(9), at(10), department_id=here)
        assert [(slot.doctor_id, slot.starts_at) for slot in found.items] == [
            (first, at(9)), (second, at(9, 10)), (first, at(9, 30))]
        assert (await clinic.ask.slots(NOBODY, at(9), at(10), department_id=new_id())).items == []

    async def test_begin_within_the_time_asked_for(self, clinic: Clinic):
        doctor = await clinic.doctor()
        found = await clinic.ask.slots(NOBODY, at(9, 20), at(10), doctor_id=doctor)
        assert [slot.starts_at for slot in found.items] == [at(9, 20), at(9, 40)]

    async def test_what_begins_before_the_end_may_be_taken_by_what_ends_after_it(self, clinic: Clinic):
        doctor = await clinic.doctor(minutes=240)
        await clinic.book(doctor, at(12, 55), minutes=5)
        found = await clinic.ask.slots(NOBODY, at(9), at(9, 1), doctor_id=doctor)
        assert found.items == []

    @pytest.mark.parametrize(("given", "field"), [
        ({}, "doctor_id"), ({"doctor_id": UUID(int=1), "department_id": UUID(int=2)}, "doctor_id"),
        ({"doctor_id": UUID(int=1), "to": at(0, day=63)}, "to"), ({"doctor_id": UUID(int=1), "to": at(0, day=-1)}, "to")])
    async def test_a_question_too_wide_or_unclear_is_refused(self, clinic: Clinic, given, field):
        with pytest.raises(Malformed) as refused:
            await clinic.ask.slots(NOBODY, at(0), **{"to": at(0, day=1), **given})
        assert [error.field for error in refused.value.errors] == [field]

    async def test_sixty_two_days_may_be_asked_for_over_a_change_of_the_clocks(self, clinic: Clinic):
        doctor, day = await clinic.doctor(), date(2027, 10, 1)
        since, until = start_of_day(day, DUBLIN), start_of_day(day + timedelta(days=62), DUBLIN)
        assert until - since > timedelta(days=62)
        assert len((await clinic.ask.slots(NOBODY, since, until, doctor_id=doctor)).items) == 62 * 24

    async def test_of_a_doctor_nobody_knows_are_not_found(self, clinic: Clinic):
        with pytest.raises(NotFound):
            await clinic.ask.slots(NOBODY, at(9), at(10), doctor_id=new_id())

    async def test_of_a_doctor_who_has_left_are_none(self, clinic: Clinic):
        doctor = await clinic.doctor(active=False)
        assert (await clinic.ask.slots(NOBODY, at(9), at(10), doctor_id=doctor)).items == []


class TestEarliest:
    async def test_is_every_doctor_with_the_next_free_time_soonest_first(self, every_clinic: Clinic):
        clinic = every_clinic
        only_thursdays = await clinic.doctor(doctor_name="Dr Thu", weekly=[opening(4, "09:00", "09:40")])
        in_three_weeks = await clinic.doctor(doctor_name="Dr Later", away=[(at(0), at(12, day=21))])
        never = await clinic.doctor(doctor_name="Dr Never", weekly=[])
        today = await clinic.doctor(doctor_name="Dr Now", minutes=30, accepts_first=True)
        full = await clinic.doctor(doctor_name="Dr Full", weekly=[opening(1, "09:00", "09:20")])
        await clinic.doctor(active=False)
        await clinic.book(today, at(9))
        await clinic.book(only_thursdays, at(9, day=3))
        await clinic.book(full, at(9))
        found = await clinic.ask.earliest(NOBODY)
        assert [(one.doctor_id, one.next and one.next.starts_at) for one in found] == [
            (today, at(9, 30)), (only_thursdays, at(9, 20, day=3)), (full, at(9, day=7)),
            (in_three_weeks, at(12, day=21)), (never, None)]
        assert (found[0].doctor_name, found[0].visit_minutes, found[0].accepts_first) == ("Dr Now", 30, True)

    async def test_of_a_department(self, clinic: Clinic):
        here = await clinic.doctor(department_id=UUID(int=1))
        await clinic.doctor(department_id=UUID(int=2))
        assert [one.doctor_id for one in await clinic.ask.earliest(NOBODY, department_id=UUID(int=1))] == [here]

    async def test_looks_a_month_ahead(self, clinic: Clinic):
        doctor = await clinic.doctor(away=[(at(0), at(0, day=31))])
        assert (await clinic.ask.earliest(NOBODY))[0].next is None
        await clinic.hear(hours(doctor, away=[(at(0), at(0, day=30))], version=2))
        assert (await clinic.ask.earliest(NOBODY))[0].next is not None

    async def test_of_an_empty_hospital_is_nobody(self, clinic: Clinic):
        assert await clinic.ask.earliest(NOBODY) == []


class TestVisits:
    async def test_are_filtered_by_all_that_is_asked(self, every_clinic: Clinic):
        clinic = every_clinic
        heart = await clinic.doctor(department_id=UUID(int=1))
        eyes = await clinic.doctor(department_id=UUID(int=2))
        patient = new_id()
        visits = [await clinic.book(doctor, at(hour, day=day), patient_id=whom) for doctor, hour, day, whom in (
            (heart, 9, 0, patient), (eyes, 10, 0, patient), (heart, 9, 1, new_id()), (eyes, 11, 2, patient))]
        await clinic.ask.cancel(reception, visits[3].id, Why())

        async def found(**filters: object) -> list[int]:
            page = await clinic.ask.appointments(reception, **filters)
            return [[visit.id for visit in visits].index(one.id) for one in page.items]

        assert await found() == [0, 1, 2, 3]
        assert await found(newest_first=True) == [3, 2, 1, 0]
        assert await found(patient_id=patient) == [0, 1, 3]
        assert await found(doctor_id=heart) == [0, 2]
        assert await found(department_id=UUID(int=2)) == [1, 3]
        assert await found(status=Status.CANCELLED) == [3]
        assert await found(day=MONDAY.date()) == [0, 1]
        assert await found(from_=at(10), to=at(11, day=2)) == [1, 2]
        assert await found(day=MONDAY.date(), from_=at(10)) == [1]
        assert await found(day=MONDAY.date(), to=at(10)) == [0]
        assert await found(patient_id=patient, doctor_id=eyes, department_id=UUID(int=2), status=Status.BOOKED,
                           day=MONDAY.date(), from_=at(0), to=at(23)) == [1]

    @pytest.mark.parametrize("newest_first", [False, True])
    async def test_come_in_pages_without_gap_or_repetition(self, every_clinic: Clinic, newest_first):
        clinic = every_clinic
        doctors = [await clinic.doctor() for _ in range(3)]
        visits = [await clinic.book(doctor, at(9, minute)) for minute in (0, 20, 40) for doctor in doctors]
        cursor, seen = None, []
        for expected in (4, 4, 1):
            page = await clinic.ask.appointments(reception, limit=4, cursor=cursor, newest_first=newest_first)
            assert (len(page.items), page.next_cursor is None) == (expected, expected == 1)
            seen, cursor = [*seen, *page.items], page.next_cursor
        assert seen == sorted(visits, key=lambda one: (one.starts_at, one.id), reverse=newest_first)

    @pytest.mark.parametrize("newest_first", [False, True])
    async def test_of_a_diary_are_ones_own_and_those_with_colleagues_in_one_order(self, every_clinic: Clinic, newest_first):
        clinic = every_clinic
        doctor, colleague = await clinic.doctor(), await clinic.doctor()
        made = [await (clinic.book(colleague, at(9 + n), participants=[doctor]) if n in (1, 2, 5) else
                       clinic.book(doctor, at(9 + n))) for n in range(7)]
        await clinic.book(colleague, at(9))
        cursor, seen = None, []
        for _ in range(4):
            page = await clinic.ask.appointments(reception, doctor_id=doctor, limit=2, cursor=cursor,
                                                 newest_first=newest_first)
            seen, cursor = [*seen, *page.items], page.next_cursor
        assert cursor is None
        assert seen == (made[::-1] if newest_first else made)

    async def test_of_a_diary_are_read_along_an_index(self, clinic: Clinic):
        """On SQLite, where the plan can be read as text."""
        pages, driver = tables.pages(frozenset({"doctor_id"}), newest_first=False), clinic.db.driver
        compiled, args = pages._first(driver.dialect, {"doctor_id": new_id(), "limit": 26})
        plan = str(driver.reader.execute("EXPLAIN QUERY PLAN " + compiled.sql, args).fetchall())
        assert "appointment USING INDEX appointment_of_doctor" in plan
        assert "SCAN appointment" not in plan

    async def test_are_for_each_only_what_they_reach(self, clinic: Clinic):
        mine, other, me = await clinic.doctor(), await clinic.doctor(), new_id()
        with_me = await clinic.book(mine, at(9), patient_id=me)
        with_other = await clinic.book(other, at(10), patient_id=me)
        of_other = await clinic.book(mine, at(11))

        async def found(caller, **filters) -> list[UUID]:
            return [one.id for one in (await clinic.ask.appointments(caller, **filters)).items]

        assert await found(as_patient(me)) == [with_me.id, with_other.id]
        assert await found(as_patient(me), doctor_id=mine) == [with_me.id]
        assert await found(as_doctor(mine)) == [with_me.id, of_other.id]
        assert await found(as_doctor(mine), patient_id=me) == [with_me.id]
        for caller, asked in ((as_patient(me), {"patient_id": of_other.patient_id}),
                              (as_doctor(mine), {"doctor_id": other})):
            with pytest.raises(NotFound):
                await found(caller, **asked)

    @pytest.mark.parametrize(("zone", "now", "day", "hours_long"), [
        ("Pacific/Auckland", datetime(2027, 9, 25, 0, 0, tzinfo=UTC), date(2027, 9, 26), 23),
        ("America/Havana", datetime(2027, 11, 6, 0, 0, tzinfo=UTC), date(2027, 11, 7), 25),
        ("Asia/Kathmandu", datetime(2027, 2, 27, 0, 0, tzinfo=UTC), date(2027, 3, 1), 24)])
    async def test_of_a_day_are_those_of_the_hospitals_day(self, tmp_path, zone, now, day, hours_long):
        weekly = [opening(weekday, "00:00", "24:00") for weekday in range(1, 8)]
        async with a_clinic(f"sqlite://{tmp_path}/zone.db", now=now, zone=zone) as clinic:
            doctor = await clinic.doctor(weekly=weekly, minutes=30)
            slots = await clinic.ask.slots(NOBODY, now, now + timedelta(days=4), doctor_id=doctor)
            for slot in slots.items:
                await clinic.book(doctor, slot.starts_at)
            of_day = (await clinic.ask.appointments(reception, day=day, limit=100)).items
            assert {visit.local_start[:10] for visit in of_day} == {str(day)}
            assert len(of_day) == 2 * hours_long
            assert len({visit.local_start for visit in of_day}) == 2 * hours_long


class TestOpenVisits:
    async def test_are_those_still_to_come_or_under_way(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor, patient = await clinic.doctor(), new_id()
        first, second, _ = [await clinic.book(doctor, at(hour), patient_id=patient) for hour in (9, 10, 11)]
        await clinic.book(doctor, at(12))

        async def count() -> int:
            return (await clinic.ask.open_visits(another_context, patient)).count

        assert await count() == 3
        await clinic.ask.cancel(reception, second.id, Why())
        clinic.clock.advance(timedelta(minutes=65))
        await clinic.ask.start(reception, first.id)
        assert await count() == 2
        clinic.clock.advance(timedelta(minutes=20))
        assert await count() == 1, "what has ended is not to come, whoever forgot to complete it"

    async def test_are_asked_by_other_contexts_only(self, clinic: Clinic):
        with pytest.raises(RoleMayNot):
            await clinic.ask.open_visits(reception, new_id())


async def test_the_calendar_file_is_named_after_the_day(clinic: Clinic):
    visit = await clinic.book(await clinic.doctor(), at(9), reason="Chest pain")
    file = await clinic.ask.calendar_file(as_patient(visit.patient_id), visit.id)
    assert file.name == "visit-2027-03-01.ics"
    assert f"UID:{visit.id}@127.0.0.1".encode() in file.content
    assert b"Chest" not in file.content

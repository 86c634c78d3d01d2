"""No double booking, ever: many at once, on each engine, and a checker that is shown to see it when it does happen."""
from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    Held,
    NotInThisState,
    ParticipantNotAvailable,
    RescheduleAppointment,
    SlotNotOffered,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.resources import ResourceKind, SetParticipants
from infirmary.contexts.appointments.domain.visits import Visit
from infirmary.contexts.appointments.events import AppointmentCancelled, AppointmentRescheduled
from infirmary.contexts.appointments.service import AppointmentsService
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import Refusal, StaleVersion

from .builders import Clinic, a_clinic, as_patient, at, grains_of, opening, reception, those_of

T = TypeVar("T")
GONE = (Status.CANCELLED, Status.DECLINED)


def overlaps(visits: Iterable[Visit]) -> list[tuple[Visit, Visit]]:
    """Pairs of visits that take the same time of the same doctor, patient, room or device."""
    of_whom: dict[UUID, list[Visit]] = {}
    for visit in visits:
        if visit.status not in GONE:
            for whose in those_of(visit):
                of_whom.setdefault(whose, []).append(visit)
    return [(first, second) for diary in of_whom.values()
            for first, second in pairwise(sorted(diary, key=lambda one: one.starts_at))
            if second.starts_at < first.ends_at]


async def all_at_once(attempts: Iterable[Awaitable[T]]) -> list[T | Refusal]:
    """Their outcomes; whatever is neither a visit, a hold nor a refusal is a fault."""
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    for outcome in outcomes:
        if not isinstance(outcome, Appointment | Held | Refusal):
            raise outcome
    return outcomes


async def check(clinic: Clinic) -> list[Visit]:
    """Nobody is booked twice; what is taken is what the visits take; every version has its step, fact and entry."""
    visits = await clinic.visits()
    assert overlaps(visits) == []
    live = [visit for visit in visits if visit.status not in GONE]
    assert await clinic.taken() == {grain: visit.id for visit in live for grain in grains_of(visit)}
    versions = sorted((visit.id, version) for visit in visits for version in range(1, visit.version + 1))
    async with clinic.db.reading() as reading:
        steps = await reading.all(tables.STEPS.find())
    assert sorted((step.appointment_id, step.version) for step in steps) == versions
    assert sorted((fact.aggregate, fact.version) for fact in await clinic.facts()) == versions
    assert len([one for one in await clinic.audited() if one.entity.startswith("appointment/")]) == len(versions)
    return visits


DAY = [opening(weekday, "09:00", "17:20") for weekday in range(1, 8)]   # 25 slots of 20 minutes


async def test_five_hundred_claims_on_a_hundred_slots_make_a_hundred_visits(every_clinic: Clinic):
    clinic = every_clinic
    doctors = [await clinic.doctor(weekly=DAY) for _ in range(4)]
    slots = [(doctor, at(9) + timedelta(minutes=20 * place)) for doctor in doctors for place in range(25)]

    def claim(doctor: UUID, starts_at: object) -> Awaitable[Appointment]:
        patient = new_id()
        return clinic.book(doctor, starts_at, patient_id=patient, caller=as_patient(patient))
    claims = slots * 5
    random.Random(1).shuffle(claims)
    outcomes = await all_at_once(claim(*one) for one in claims)
    assert Counter(map(type, outcomes)) == {Appointment: 100, TimeIsTaken: 400}
    assert {(visit.doctor_id, visit.starts_at) for visit in await check(clinic)} == set(slots)
    refused = [one for one in outcomes if isinstance(one, TimeIsTaken)]
    assert {one.extra["conflicts"][0]["whose"] for one in refused} == {"doctor"}, "also while the winner is committing"


def at_random(chance: random.Random, *, day: int) -> dict[str, object]:
    return {"starts_at": at(9, day=day) + timedelta(minutes=5 * chance.randrange(90)),
            "minutes": 5 * chance.randint(1, 18)}


async def test_five_hundred_visits_of_any_length_never_overlap(every_clinic: Clinic):
    clinic, chance = every_clinic, random.Random(2)
    doctors, patients = [await clinic.doctor() for _ in range(6)], [new_id() for _ in range(12)]
    outcomes = await all_at_once(
        clinic.book(chance.choice(doctors), patient_id=chance.choice(patients), **at_random(chance, day=chance.randrange(2)))
        for _ in range(500))
    found = Counter(map(type, outcomes))
    assert set(found) <= {Appointment, TimeIsTaken, SlotNotOffered}
    assert len(await check(clinic)) == found[Appointment] > 50


async def test_of_a_hundred_cancellations_one_frees_the_time(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor()
    visit = await clinic.book(doctor, at(9))
    outcomes = await all_at_once(clinic.ask.cancel(reception, visit.id, Why()) for _ in range(100))
    assert Counter(map(type, outcomes)) == {Appointment: 1, NotInThisState: 99}
    assert [fact.version for fact in await clinic.facts() if isinstance(fact, AppointmentCancelled)] == [2]
    again = await all_at_once(clinic.book(doctor, at(9)) for _ in range(20))
    assert Counter(map(type, again)) == {Appointment: 1, TimeIsTaken: 19}, "it is free once, not a hundred times"
    await check(clinic)


async def test_of_fifty_who_move_to_one_time_one_gets_it_and_the_others_keep_theirs(every_clinic: Clinic):
    clinic = every_clinic
    doctors = [await clinic.doctor(weekly=DAY) for _ in range(2)]
    visits = [await clinic.book(doctor, at(9) + timedelta(minutes=20 * place)) for doctor in doctors for place in range(25)]
    wanted = RescheduleAppointment(starts_at=at(12, day=1), doctor_id=doctors[0])
    outcomes = await all_at_once(clinic.ask.reschedule(reception, visit.id, wanted) for visit in visits)
    assert Counter(map(type, outcomes)) == {Appointment: 1, TimeIsTaken: 49}
    [winner] = [one for one in outcomes if isinstance(one, Appointment)]
    kept = {visit.id: (visit.doctor_id, visit.starts_at) for visit in visits}
    assert {visit.id: (visit.doctor_id, visit.starts_at) for visit in await check(clinic)} == {
        **kept, winner.id: (doctors[0], at(12, day=1))}


async def test_a_visit_moved_by_many_at_once_ends_up_at_one_time(every_clinic: Clinic):
    clinic = every_clinic
    visit = await clinic.book(await clinic.doctor(), at(9))
    outcomes = await all_at_once(
        clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(9, 5 * place, day=1), minutes=40))
        for place in range(12))
    assert {type(one) for one in outcomes} == {Appointment}
    assert sorted(one.version for one in outcomes) == list(range(2, 14))
    assert len([fact for fact in await clinic.facts() if isinstance(fact, AppointmentRescheduled)]) == 12
    await check(clinic)


async def test_two_who_exchange_their_times_do_not_end_in_one(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor()
    for hour in range(9, 17):
        one, other = await clinic.book(doctor, at(hour)), await clinic.book(doctor, at(hour, 30))
        await all_at_once([clinic.ask.reschedule(reception, one.id, RescheduleAppointment(starts_at=other.starts_at)),
                           clinic.ask.reschedule(reception, other.id, RescheduleAppointment(starts_at=one.starts_at))])
    await check(clinic)


async def test_whatever_many_do_at_once_the_books_agree(every_clinic: Clinic):
    clinic, chance = every_clinic, random.Random(3)
    doctors, patients = [await clinic.doctor() for _ in range(4)], [new_id() for _ in range(10)]
    visits = [one for one in await all_at_once(
        clinic.book(chance.choice(doctors), patient_id=chance.choice(patients), **at_random(chance, day=day))
        for day in range(3) for _ in range(40)) if isinstance(one, Appointment)]

    def something() -> Awaitable[Appointment]:
        visit, when = chance.choice(visits), at_random(chance, day=chance.randrange(3))
        match chance.randrange(4):
            case 0:
                return clinic.ask.cancel(reception, visit.id, Why())
            case 1:
                return clinic.book(chance.choice(doctors), patient_id=chance.choice(patients), **when)
        return clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(doctor_id=chance.choice(doctors), **when))
    outcomes = await all_at_once(something() for _ in range(600))
    found = Counter(map(type, outcomes))
    assert set(found) <= {Appointment, TimeIsTaken, SlotNotOffered, NotInThisState}
    assert found[Appointment] > 30
    await check(clinic)


async def test_two_who_want_the_same_device_are_not_both_given_it(every_clinic: Clinic):
    clinic = every_clinic
    doctors, device = [await clinic.doctor() for _ in range(8)], await clinic.thing("Ultrasound 1", ResourceKind.EQUIPMENT)
    outcomes = await all_at_once(clinic.book(doctor, at(9, 5 * place), participants=[device], minutes=30)
                                 for place in range(6) for doctor in doctors)
    assert Counter(map(type, outcomes)) == {Appointment: 1, TimeIsTaken: 47}
    assert {one["code"] for refused in outcomes if isinstance(refused, TimeIsTaken)
            for one in refused.extra["conflicts"]} <= {"resource_taken", "doctor_taken"}
    [winner] = await check(clinic)
    await clinic.ask.cancel(reception, winner.id, Why())
    assert await clinic.taken() == {}


async def test_who_is_asked_to_a_visit_and_booked_at_once_is_at_one_of_them(every_clinic: Clinic):
    clinic = every_clinic
    doctor, second = await clinic.doctor(), await clinic.doctor()
    for hour in range(9, 15):
        visit = await clinic.book(doctor, at(hour))
        ask = clinic.ask.set_participants(reception, visit.id, SetParticipants(participants=[second]), if_match=1)
        found = await all_at_once([ask, clinic.book(second, at(hour)), clinic.book(second, at(hour, 10))])
        assert Counter(map(type, found)) == {Appointment: 1, TimeIsTaken: 2}
    await check(clinic)


async def test_whatever_many_do_with_people_and_things_the_books_agree(every_clinic: Clinic):
    clinic, chance = every_clinic, random.Random(4)
    doctors, patients = [await clinic.doctor() for _ in range(3)], [new_id() for _ in range(8)]
    others = [*doctors, *[await clinic.thing(f"Room {n}") for n in range(3)]]

    def wish() -> dict[str, Any]:
        return {"participants": chance.sample(others, chance.randrange(4)), **at_random(chance, day=chance.randrange(2))}
    visits = [one for one in await all_at_once(
        clinic.book(chance.choice(doctors), patient_id=chance.choice(patients), **wish())
        for _ in range(60)) if isinstance(one, Appointment)]

    def something() -> Awaitable[Appointment]:
        visit = chance.choice(visits)
        match chance.randrange(4):
            case 0:
                return clinic.ask.cancel(reception, visit.id, Why())
            case 1:
                return clinic.ask.set_participants(reception, visit.id, SetParticipants(
                    participants=wish()["participants"]), if_match=chance.choice((1, 1, 2, 3)))
        return clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(doctor_id=chance.choice(doctors), **wish()))
    outcomes = await all_at_once(something() for _ in range(200))
    found = Counter(map(type, outcomes))
    assert set(found) <= {Appointment, TimeIsTaken, SlotNotOffered, NotInThisState, ParticipantNotAvailable, StaleVersion}
    assert found[Appointment] > 20
    left = [one for one in await check(clinic) if one.status is Status.BOOKED]
    assert any(one.participants for one in left)
    for visit in left:
        await clinic.ask.cancel(reception, visit.id, Why())
    assert await clinic.taken() == {}


class LooksFirst(AppointmentsService):
    """BROKEN ON PURPOSE: looks whether the time is free and then takes it, without the unique rows."""

    async def _book(self, caller: Caller, visit: Visit, giving_way: object) -> Appointment:
        async with self.db.reading() as reading:
            kept = await reading.all(tables.VISITS.find())
        if overlaps([*kept, visit]):
            raise UniqueViolation(tables.taken.occupancy.name)
        async with self.db.transaction() as tx:
            tables.VISITS.add(tx, visit)
        return await self.appointment(caller, visit.id)


async def test_the_checker_sees_double_bookings_when_there_are_any(database_url: Callable[[str], str]):
    """The races above prove something only because this one fails as it must."""
    async with a_clinic(database_url("appointments"), kind=LooksFirst) as clinic:
        doctor = await clinic.doctor(weekly=DAY)
        outcomes = await all_at_once(clinic.book(doctor, at(9) + timedelta(minutes=20 * place))
                                     for place in range(10) for _ in range(20))
        booked = [one for one in outcomes if isinstance(one, Appointment)]
        assert len(booked) > 10, "looking first has let more in than there are places"
        assert overlaps(await clinic.visits()) != []

"""Who waits for a time is offered one that came free, has it kept for a while, and makes room for the next."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import (
    Appointment,
    Because,
    DoctorNotAvailable,
    HoldSlot,
    PatientNotActive,
    RescheduleAppointment,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.waitlist import (
    AlreadyWaiting,
    JoinWaitlist,
    OfferIsGone,
    Waiting,
    WaitIsOver,
)
from infirmary.contexts.appointments.events import AppointmentBooked, TimeOffered, WaitLapsed
from infirmary.contexts.appointments.tables.waitlist import PLACES
from infirmary.contexts.patients.events import PatientAmended, PatientWasRetired
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound
from infirmary.kernel.request import changed

from .builders import EVERY_DAY, Clinic, as_doctor, as_patient, at, hours, opening, reception
from .test_holds import holds, nothing_overlaps

TINY = [opening(1, "09:00", "09:20")]   # one visit a week
HALF_AN_HOUR = timedelta(minutes=30)


async def join(clinic: Clinic, doctor: UUID | None = None, *, patient: UUID | None = None, caller: Caller = reception,
               **more: Any) -> Waiting:
    known = {"patient_id": patient or new_id(), "doctor_id": doctor, "earliest": at(0), "latest": at(23), **more}
    return await clinic.ask.join_waitlist(caller, JoinWaitlist(**known))


async def a_full_diary(clinic: Clinic, waiting: int = 1, **given: Any) -> tuple[UUID, Appointment, list[Waiting]]:
    """A doctor with one visit on that Monday, it is booked, and so many wait for it."""
    doctor = await clinic.doctor(weekly=TINY, **given)
    visit = await clinic.book(doctor, at(9))
    places = []
    for _ in range(waiting):
        places.append(await join(clinic, doctor))
        clinic.clock.advance(timedelta(seconds=1))
    return doctor, visit, places


async def standing(clinic: Clinic, *places: Waiting) -> list[str]:
    return [(await clinic.ask.waiting(reception, place.id)).status for place in places]


async def freed(clinic: Clinic, visit: Appointment) -> None:
    await clinic.ask.cancel(reception, visit.id, Why())
    await clinic.service.offer_freed()


class TestJoining:
    async def test_who_waits_sees_how_many_are_ahead(self, every_clinic: Clinic):
        clinic = every_clinic
        _, _, places = await a_full_diary(clinic, 3)
        assert [(await clinic.ask.waiting(as_patient(place.patient_id), place.id)).ahead for place in places] == [0, 1, 2]
        assert (places[0].about_name, places[0].offer) == ("Dr Amara Okafor", None)

    async def test_one_wish_has_one_place(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await clinic.doctor()
        attempts = await asyncio.gather(*(join(clinic, doctor, patient=patient) for _ in range(5)), return_exceptions=True)
        assert Counter(map(type, attempts)) == {Waiting: 1, AlreadyWaiting: 4}
        [place] = [one for one in attempts if isinstance(one, Waiting)]
        assert {one.extra["waiting_id"] for one in attempts if isinstance(one, AlreadyWaiting)} == {str(place.id)}
        await join(clinic, await clinic.doctor(), patient=patient)
        await clinic.ask.leave_waitlist(reception, place.id)
        assert (await join(clinic, doctor, patient=patient)).id != place.id

    async def test_wishes_that_make_no_sense_are_refused(self, clinic: Clinic):
        doctor, patient = await clinic.doctor(), new_id()
        for wrong in ({}, {"doctor_id": doctor, "department_id": UUID(int=7)},
                      {"doctor_id": doctor, "earliest": at(10), "latest": at(9)},
                      {"doctor_id": doctor, "latest": at(0, day=63)},
                      {"doctor_id": doctor, "earliest": at(0, day=-2), "latest": at(0, day=-1)},
                      {"doctor_id": doctor, "earliest": at(0, day=400), "latest": at(0, day=401)}):
            with pytest.raises(Malformed):
                await join(clinic, **{"doctor_id": None, **wrong})
        with pytest.raises(DoctorNotAvailable):
            await join(clinic, new_id())
        with pytest.raises(NotFound):
            await join(clinic, department_id=new_id())
        clinic.register.retired.add(patient)
        with pytest.raises(PatientNotActive):
            await join(clinic, doctor, patient=patient)

    async def test_anothers_place_is_not_there(self, clinic: Clinic):
        doctor, _, [place] = await a_full_diary(clinic)
        stranger = as_patient(new_id())
        for attempt in (clinic.ask.waiting, clinic.ask.accept_offer, clinic.ask.leave_waitlist):
            with pytest.raises(NotFound):
                await attempt(stranger, place.id)
        with pytest.raises(NotFound):
            await join(clinic, doctor, patient=place.patient_id, caller=stranger)
        assert (await clinic.ask.waitlist(stranger)).items == []
        assert [one.id for one in (await clinic.ask.waitlist(as_doctor(doctor))).items] == [place.id]


class TestOffering:
    async def test_what_comes_free_goes_to_who_has_waited_longest(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor, visit, places = await a_full_diary(clinic, 2)
        await clinic.service.offer_freed()
        assert await standing(clinic, *places) == ["waiting", "waiting"], "nothing is free yet"
        await freed(clinic, visit)
        assert await standing(clinic, *places) == ["offered", "waiting"]
        offer = (await clinic.ask.waiting(reception, places[0].id)).offer
        assert offer
        assert (offer.doctor_id, offer.starts_at) == (doctor, at(9))
        assert offer.expires_at == clinic.clock.now() + (at(9) - clinic.clock.now()) / 2, "half of what is left"
        with pytest.raises(TimeIsTaken):   # it is kept
            await clinic.book(doctor, at(9))
        await nothing_overlaps(clinic)
        [told] = [fact for fact in await clinic.facts() if isinstance(fact, TimeOffered)]
        assert (told.aggregate, told.patient_id, told.starts_at) == (places[0].id, places[0].patient_id, at(9))

    async def test_whatever_frees_a_time_makes_an_offer(self, clinic: Clinic):
        """Cancelled, declined, moved, let go of, lapsed, leave taken back: each time somebody looks, and finds it."""
        clinic.clock.advance(-timedelta(days=1))
        doctor = await clinic.doctor(weekly=TINY, accepts_first=True)

        async def declined() -> None:
            patient = new_id()
            asked = await clinic.book(doctor, at(9), patient_id=patient, caller=as_patient(patient))
            await clinic.ask.decline(reception, asked.id, Because("Ill"))

        async def moved() -> None:
            visit = await clinic.book(doctor, at(9))
            await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(9, day=7)))

        async def let_go() -> None:
            patient = new_id()
            kept = await clinic.ask.hold(as_patient(patient), HoldSlot(patient_id=patient, doctor_id=doctor,
                                                                        starts_at=at(9)))
            clinic.service.freed.clear()
            await clinic.ask.let_go(reception, kept.hold_id)

        async def leave_taken_back() -> None:
            await clinic.hear(hours(doctor, weekly=TINY, away=[(at(0), at(23))], version=2))
            clinic.service.freed.clear()
            await clinic.hear(hours(doctor, weekly=TINY, version=3))

        for free in (declined, moved, let_go, leave_taken_back):
            clinic.service.freed.clear()
            await free()
            assert clinic.service.freed.is_set(), free
            place = await join(clinic, doctor)
            await clinic.service.tend_waitlist()   # awake, so it does not wait
            assert await standing(clinic, place) == ["offered"], free
            await clinic.ask.leave_waitlist(reception, place.id)

    async def test_a_hold_that_lapsed_unheard_is_found_and_taken_over(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await clinic.doctor(weekly=TINY)
        await clinic.ask.hold(as_patient(patient), HoldSlot(patient_id=patient, doctor_id=doctor, starts_at=at(9)))
        place = await join(clinic, doctor)
        await clinic.service.offer_freed()
        assert await standing(clinic, place) == ["waiting"]
        clinic.clock.advance(timedelta(minutes=5))
        await clinic.service.offer_freed()
        assert await standing(clinic, place) == ["offered"]
        await nothing_overlaps(clinic)

    async def test_anybody_of_a_department_will_do_and_the_wish_is_kept_to(self, clinic: Clinic):
        first, second = await clinic.doctor(weekly=TINY), await clinic.doctor(weekly=[opening(1, "10:00", "10:20")])
        morning = await clinic.book(first, at(9))
        later = await join(clinic, department_id=UUID(int=7), earliest=at(10), latest=at(11))
        await clinic.service.offer_freed()
        offer = (await clinic.ask.waiting(reception, later.id)).offer
        assert (offer and (offer.doctor_id, offer.starts_at)) == (second, at(10))
        third = await join(clinic, department_id=UUID(int=7), earliest=at(10), latest=at(11))
        await freed(clinic, morning)
        assert await standing(clinic, third) == ["waiting"], "nine is not from ten to eleven"

    async def test_a_time_that_the_patient_cannot_keep_goes_to_the_next(self, every_clinic: Clinic):
        clinic = every_clinic
        _, visit, places = await a_full_diary(clinic, 2)
        await clinic.book(await clinic.doctor(), at(9), patient_id=places[0].patient_id)
        await freed(clinic, visit)
        assert await standing(clinic, *places) == ["waiting", "offered"]

    async def test_what_begins_at_once_is_offered_to_nobody(self, clinic: Clinic):
        _, visit, [place] = await a_full_diary(clinic)
        clinic.clock.advance(timedelta(minutes=45))
        await freed(clinic, visit)
        assert await standing(clinic, place) == ["waiting"]

    async def test_the_deadline_is_the_setting_when_there_is_time(self, clinic: Clinic):
        doctor = await clinic.doctor(weekly=EVERY_DAY)
        place = await join(clinic, doctor, earliest=at(9, day=3), latest=at(12, day=3))
        await clinic.service.offer_freed()
        offer = (await clinic.ask.waiting(reception, place.id)).offer
        assert (offer and offer.expires_at) == clinic.clock.now() + HALF_AN_HOUR


class TestAnswering:
    async def test_accepted_it_is_a_visit_and_accepted_twice_it_is_one(self, every_clinic: Clinic):
        clinic = every_clinic
        _, visit, [place] = await a_full_diary(clinic)
        await freed(clinic, visit)
        me = as_patient(place.patient_id)
        with changed(key="yes"):
            booked = await clinic.ask.accept_offer(me, place.id)
            assert await clinic.ask.accept_offer(me, place.id) == booked
        assert (await clinic.ask.accept_offer(me, place.id)).appointment_id == booked.appointment_id
        assert booked.appointment_id
        made = await clinic.ask.appointment(me, booked.appointment_id)
        assert (made.status, made.starts_at, booked.status) == (Status.BOOKED, at(9), "booked")
        await nothing_overlaps(clinic)
        assert sum(isinstance(fact, AppointmentBooked) for fact in await clinic.facts()) == 2
        with pytest.raises(WaitIsOver):
            await clinic.ask.leave_waitlist(me, place.id)

    async def test_left_it_goes_to_the_next_at_once(self, every_clinic: Clinic):
        clinic = every_clinic
        _, visit, places = await a_full_diary(clinic, 2)
        await freed(clinic, visit)
        await clinic.ask.leave_waitlist(reception, places[0].id)
        await clinic.service.tend_waitlist()
        assert await standing(clinic, *places) == ["left", "offered"]
        assert (await clinic.ask.leave_waitlist(reception, places[0].id)).status == "left", "as often as one likes"

    async def test_not_answered_it_lapses_and_goes_to_the_next(self, every_clinic: Clinic):
        clinic = every_clinic
        clinic.clock.advance(-timedelta(days=1))
        _, visit, places = await a_full_diary(clinic, 2)
        await freed(clinic, visit)
        clinic.clock.advance(HALF_AN_HOUR)
        with pytest.raises(OfferIsGone):
            await clinic.ask.accept_offer(as_patient(places[0].patient_id), places[0].id)
        await clinic.service.offer_freed()
        assert await standing(clinic, *places) == ["lapsed", "offered"]
        [lapsed] = [fact for fact in await clinic.facts() if isinstance(fact, WaitLapsed)]
        assert (lapsed.aggregate, lapsed.offered_at) == (places[0].id, at(9))
        await nothing_overlaps(clinic)

    async def test_a_wait_ends_when_its_time_has_come(self, clinic: Clinic):
        _, _, [place] = await a_full_diary(clinic)
        clinic.clock.advance(timedelta(hours=16))
        await clinic.service.offer_freed()
        assert await standing(clinic, place) == ["lapsed"]
        [lapsed] = [fact for fact in await clinic.facts() if isinstance(fact, WaitLapsed)]
        assert lapsed.offered_at is None

    async def test_the_hold_of_an_offer_is_not_to_be_had_by_another_door(self, clinic: Clinic):
        _, visit, [place] = await a_full_diary(clinic)
        await freed(clinic, visit)
        [hold] = await holds(clinic)
        for attempt in (clinic.ask.held, clinic.ask.let_go):
            with pytest.raises(NotFound):
                await attempt(as_patient(place.patient_id), hold.id)


async def test_a_closed_record_waits_for_nothing_and_a_new_name_is_shown(every_clinic: Clinic):
    clinic = every_clinic
    _, visit, places = await a_full_diary(clinic, 2)
    await clinic.hear(PatientAmended(aggregate=places[1].patient_id, version=2, name="Pat New", number=1))
    await freed(clinic, visit)
    await clinic.hear(PatientWasRetired(aggregate=places[0].patient_id, version=2, name="Pat Ient", number=1))
    await clinic.service.tend_waitlist()
    assert await standing(clinic, *places) == ["left", "offered"]
    assert (await clinic.ask.waiting(reception, places[1].id)).patient_name == "Pat New"
    await nothing_overlaps(clinic)


class TestRaces:
    async def test_two_accept_at_once_and_make_one_visit(self, every_clinic: Clinic):
        clinic = every_clinic
        _, visit, [place] = await a_full_diary(clinic)
        await freed(clinic, visit)
        done = await asyncio.gather(*(clinic.ask.accept_offer(reception, place.id) for _ in range(5)))
        assert len({one.appointment_id for one in done}) == 1
        assert sum(one.status is Status.BOOKED for one in await clinic.visits()) == 1

    async def test_an_offer_and_walk_ins_want_one_time_and_one_has_it(self, every_clinic: Clinic):
        clinic = every_clinic
        clinic.clock.advance(-timedelta(days=1))
        doctor = await clinic.doctor()
        for minutes in range(0, 160, 20):
            starts_at = at(9) + timedelta(minutes=minutes)
            place = await join(clinic, doctor, earliest=starts_at, latest=starts_at)
            outcomes = await asyncio.gather(
                clinic.service.offer_freed(), clinic.book(doctor, starts_at), clinic.service.offer_freed(),
                return_exceptions=True)
            walked_in = isinstance(outcomes[1], Appointment)
            assert walked_in or isinstance(outcomes[1], TimeIsTaken)
            assert await standing(clinic, place) == ["waiting" if walked_in else "offered"]
            await nothing_overlaps(clinic)
            await clinic.ask.leave_waitlist(reception, place.id)

    async def test_several_offering_at_once_offer_each_time_once(self, every_clinic: Clinic):
        clinic = every_clinic
        clinic.clock.advance(-timedelta(days=1))
        doctor = await clinic.doctor(weekly=[opening(1, "09:00", "10:00")])   # three
        places = []
        for _ in range(5):
            places.append(await join(clinic, doctor))
            clinic.clock.advance(timedelta(seconds=1))
        await asyncio.gather(*(clinic.service.offer_freed() for _ in range(4)))
        await clinic.service.offer_freed()
        assert Counter(await standing(clinic, *places)) == {"offered": 3, "waiting": 2}
        await nothing_overlaps(clinic)
        assert sum(isinstance(fact, TimeOffered) for fact in await clinic.facts()) == 3

    async def test_accepting_against_lapse_is_either_a_visit_or_the_next_ones_offer(self, every_clinic: Clinic):
        clinic = every_clinic
        clinic.clock.advance(-timedelta(days=1))
        _, visit, places = await a_full_diary(clinic, 2)
        await freed(clinic, visit)
        async with clinic.db.reading() as reading:
            place = await PLACES.get(reading, places[0].id)
        lapses = clinic.service._lapse(place)
        outcomes = await asyncio.gather(clinic.ask.accept_offer(reception, places[0].id), lapses, return_exceptions=True)
        await clinic.service.offer_freed()
        now = await standing(clinic, *places)
        assert now in (["booked", "waiting"], ["lapsed", "offered"]), outcomes

"""A chosen time is kept for minutes: as good as booked for everybody else, and as good as free once it has lapsed."""
from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    Held,
    HoldIsGone,
    HoldSlot,
    PatientNotActive,
    RescheduleAppointment,
    SlotNotOffered,
    TimeIsPast,
    TimeIsTaken,
    TooManyVisits,
)
from infirmary.contexts.appointments.domain.holds import Hold
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound
from infirmary.kernel.request import changed

from .builders import MONDAY, Clinic, as_doctor, as_patient, at, grains_of, reception
from .test_races import GONE, all_at_once, overlaps

FIVE = timedelta(minutes=5)


async def hold(clinic: Clinic, doctor: UUID, starts_at: datetime, patient: UUID | None = None,
               caller: Caller | None = None) -> Held:
    patient = patient or new_id()
    return await clinic.ask.hold(caller or as_patient(patient), HoldSlot(
        patient_id=patient, doctor_id=doctor, starts_at=starts_at))


async def holds(clinic: Clinic) -> list[Hold]:
    async with clinic.db.reading() as reading:
        return await reading.all(tables.holds.HOLDS.find())


async def nothing_overlaps(clinic: Clinic) -> None:
    """What is taken is what visits and holds take, each grain by one of them."""
    visits, kept = [one for one in await clinic.visits() if one.status not in GONE], await holds(clinic)
    assert overlaps(visits) == []
    assert await clinic.taken() == {grain: one.id for one in (*visits, *kept) for grain in grains_of(one)}


async def offered(clinic: Clinic, doctor: UUID, caller: Caller = NOBODY) -> list[datetime]:
    return [slot.starts_at for slot in (await clinic.ask.slots(caller, at(9), at(10), doctor_id=doctor)).items]


class TestHolding:
    async def test_a_held_time_is_not_offered_to_others_but_stays_open_to_its_holder(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9), patient)
        assert kept.expires_at == MONDAY + FIVE
        assert await offered(clinic, doctor) == [at(9, 20), at(9, 40)]
        assert await offered(clinic, doctor, as_patient(patient)) == [at(9), at(9, 20), at(9, 40)]
        with pytest.raises(TimeIsTaken) as refused:
            await clinic.book(doctor, at(9), caller=reception)
        assert refused.value.extra["alternatives"][0]["starts_at"] == "2027-03-01T09:20:00Z"
        with pytest.raises(TimeIsTaken):
            await hold(clinic, doctor, at(9))
        await nothing_overlaps(clinic)

    async def test_the_holder_books_it(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9), patient)
        me = as_patient(patient)
        with changed(key="confirm"):
            visit = await clinic.book(doctor, at(9), patient_id=patient, caller=me, hold_id=kept.hold_id)
            again = await clinic.book(doctor, at(9), patient_id=patient, caller=me, hold_id=kept.hold_id)
        assert again == visit
        assert (visit.starts_at, await holds(clinic)) == (at(9), [])
        await nothing_overlaps(clinic)
        with pytest.raises(NotFound):
            await clinic.ask.held(as_patient(patient), kept.hold_id)

    async def test_a_lapsed_hold_is_in_nobodys_way(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9))
        late = await hold(clinic, doctor, at(9, 20))
        clinic.clock.advance(FIVE)
        assert await offered(clinic, doctor) == [at(9), at(9, 20), at(9, 40)]
        with pytest.raises(NotFound):
            await clinic.ask.held(reception, kept.hold_id)
        await clinic.book(doctor, at(9), minutes=40)   # both give way at once
        assert await holds(clinic) == []
        await nothing_overlaps(clinic)
        with pytest.raises(HoldIsGone, match="not held any more"):
            await clinic.book(doctor, at(9, 20), patient_id=late.patient_id, caller=as_patient(late.patient_id),
                              hold_id=late.hold_id)

    async def test_who_confirms_late_still_gets_what_nobody_took(self, clinic: Clinic):
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9))
        clinic.clock.advance(FIVE * 3)
        await clinic.service.tidy_holds()
        visit = await clinic.book(doctor, at(9), patient_id=kept.patient_id, caller=as_patient(kept.patient_id),
                                  hold_id=kept.hold_id)
        assert visit.starts_at == at(9)

    async def test_what_lapsed_long_ago_is_tidied_away_and_the_time_is_offered_again(self, clinic: Clinic):
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9))
        clinic.clock.advance(FIVE * 4)
        await clinic.service.tidy_holds()
        assert (await holds(clinic), await clinic.taken()) == ([], {})
        with pytest.raises(HoldIsGone) as refused:
            await clinic.book(doctor, at(9), patient_id=kept.patient_id, caller=as_patient(kept.patient_id),
                              hold_id=kept.hold_id)
        assert refused.value.extra["alternatives"][0]["starts_at"] == "2027-03-01T09:00:00Z"

    async def test_a_refused_booking_leaves_a_lapsed_hold_as_it_was(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9))
        await clinic.book(doctor, at(9, 20))
        clinic.clock.advance(FIVE)
        with pytest.raises(TimeIsTaken):
            await clinic.book(doctor, at(9), minutes=30)   # half of it is free, half is a visit
        assert [one.id for one in await holds(clinic)] == [kept.hold_id]
        await nothing_overlaps(clinic)

    async def test_a_visit_is_moved_to_a_time_that_was_held(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        visit = await clinic.book(doctor, at(11))
        await hold(clinic, doctor, at(9))
        move = RescheduleAppointment(starts_at=at(9))
        with pytest.raises(TimeIsTaken):
            await clinic.ask.reschedule(reception, visit.id, move)
        clinic.clock.advance(FIVE)
        await clinic.ask.reschedule(reception, visit.id, move)
        await nothing_overlaps(clinic)

    async def test_a_patient_has_one_and_another_lets_go_of_it(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor, other = await clinic.doctor(), await clinic.doctor()
        await hold(clinic, doctor, at(9), patient)
        second = await hold(clinic, other, at(9), patient)   # the patient's own time is no obstacle either
        assert [one.id for one in await holds(clinic)] == [second.hold_id]
        assert at(9) in await offered(clinic, doctor)
        await nothing_overlaps(clinic)

    async def test_the_same_again_is_the_same_hold_with_its_time_anew_once(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await clinic.doctor()
        first = await hold(clinic, doctor, at(9), patient)
        clinic.clock.advance(timedelta(minutes=4))
        second = await hold(clinic, doctor, at(9), patient)
        clinic.clock.advance(timedelta(minutes=4))
        third = await hold(clinic, doctor, at(9), patient)
        assert (second.hold_id, third) == (first.hold_id, second)
        assert second.expires_at == MONDAY + timedelta(minutes=9)
        clinic.clock.advance(timedelta(minutes=1))
        assert (await hold(clinic, doctor, at(9), patient)).hold_id != first.hold_id, "lapsed: like anybody's"

    async def test_it_never_lasts_beyond_the_beginning_of_the_visit(self, clinic: Clinic):
        doctor = await clinic.doctor()
        clinic.clock.advance(timedelta(minutes=58))
        assert (await hold(clinic, doctor, at(9))).expires_at == at(9)

    async def test_the_rules_of_booking_are_those_of_holding(self, clinic: Clinic):
        doctor, patient = await clinic.doctor(), new_id()
        for starts_at, no in ((at(7), TimeIsPast), (at(8), SlotNotOffered), (at(9, 5), SlotNotOffered)):
            with pytest.raises(no):
                await hold(clinic, doctor, starts_at)
        clinic.register.retired.add(patient)
        with pytest.raises(PatientNotActive):
            await hold(clinic, doctor, at(9), patient)
        for day in range(20):
            await clinic.book(doctor, at(9, day=day), patient_id=(busy := UUID(int=1)))
        with pytest.raises(TooManyVisits):
            await hold(clinic, doctor, at(10), busy)

    async def test_letting_go_frees_the_time_once(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9))
        me = as_patient(kept.patient_id)
        outcomes = await asyncio.gather(*(clinic.ask.let_go(me, kept.hold_id) for _ in range(5)), return_exceptions=True)
        assert Counter(isinstance(one, NotFound) for one in outcomes) == {True: 4, False: 1}
        assert await clinic.taken() == {}

    async def test_anothers_hold_is_not_there(self, clinic: Clinic):
        doctor = await clinic.doctor()
        kept = await hold(clinic, doctor, at(9))
        stranger = as_patient(new_id())
        for attempt in (clinic.ask.held, clinic.ask.let_go):
            with pytest.raises(NotFound):
                await attempt(stranger, kept.hold_id)
        with pytest.raises(NotFound):
            await hold(clinic, doctor, at(9, 20), kept.patient_id, caller=stranger)
        with pytest.raises(HoldIsGone):   # nor does its number open it
            await clinic.book(doctor, at(9), patient_id=stranger.subjects["patient_id"], caller=stranger,
                              hold_id=kept.hold_id)
        assert (await clinic.ask.held(as_doctor(doctor), kept.hold_id)) == kept


class TestRaces:
    async def test_of_twenty_who_hold_one_time_one_has_it(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        outcomes = await all_at_once(hold(clinic, doctor, at(9)) for _ in range(20))
        assert Counter(map(type, outcomes)) == {Held: 1, TimeIsTaken: 19}
        await nothing_overlaps(clinic)

    async def test_one_patient_holding_many_times_at_once_has_one_in_the_end(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctors = [await clinic.doctor() for _ in range(8)]
        outcomes = await all_at_once(hold(clinic, doctor, at(9), patient) for doctor in doctors)
        assert set(map(type, outcomes)) == {Held}
        assert len(await holds(clinic)) == 1
        await nothing_overlaps(clinic)

    async def test_a_lapsed_hold_is_taken_over_by_one_also_when_its_holder_confirms(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        for minutes in range(0, 200, 20):
            starts_at = at(9) + timedelta(minutes=minutes)
            kept = await hold(clinic, doctor, starts_at)
            clinic.clock.advance(FIVE)
            confirm = clinic.book(doctor, starts_at, patient_id=kept.patient_id, caller=as_patient(kept.patient_id),
                                  hold_id=kept.hold_id)
            others = [clinic.book(doctor, starts_at), hold(clinic, doctor, starts_at)]
            outcomes = await asyncio.gather(*random.Random(minutes).sample([confirm, *others], 3), return_exceptions=True)
            found = Counter(map(type, outcomes))
            assert found.pop(TimeIsTaken, 0) + found.pop(HoldIsGone, 0) == 2, outcomes
            assert found in ({Appointment: 1}, {Held: 1})
            await nothing_overlaps(clinic)

    async def test_holds_bookings_and_lapses_in_any_order_never_overlap(self, every_clinic: Clinic):
        clinic, chance = every_clinic, random.Random(4)
        doctors, patients = [await clinic.doctor() for _ in range(2)], [new_id() for _ in range(8)]

        async def attempt() -> object:
            doctor, patient = chance.choice(doctors), chance.choice(patients)
            starts_at = at(9) + timedelta(minutes=20 * chance.randrange(12))
            if chance.random() < .1:
                clinic.clock.advance(FIVE)
            if chance.random() < .5:
                return await hold(clinic, doctor, starts_at, patient)
            kept = next((one.id for one in await holds(clinic) if one.patient_id == patient), None)
            return await clinic.book(doctor, starts_at, patient_id=patient, caller=as_patient(patient), hold_id=kept)
        for _ in range(8):
            await all_at_once(attempt() for _ in range(20))
            await nothing_overlaps(clinic)
        assert len(await clinic.visits()) > 5

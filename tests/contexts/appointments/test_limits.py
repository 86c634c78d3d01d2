"""How much fits into a doctor's day: breaks between visits, no more than so many of them, and what is booked over others."""
from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import (
    Appointment,
    BookAppointment,
    DayIsFull,
    Held,
    HoldSlot,
    ObstacleCode,
    Overbooking,
    RescheduleAppointment,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.waitlist import JoinWaitlist
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed

from .builders import Clinic, as_patient, at, reception
from .test_races import all_at_once

URGENT = Overbooking.URGENT
TWENTY = timedelta(minutes=20)


def codes(no: pytest.ExceptionInfo[TimeIsTaken] | pytest.ExceptionInfo[DayIsFull]) -> list[str]:
    return [one["code"] for one in no.value.extra["conflicts"]]


async def test_the_break_after_a_visit_is_taken_too_for_the_doctor_alone(every_clinic: Clinic):
    clinic = every_clinic
    doctor, other, patient = await clinic.doctor(buffer=10), await clinic.doctor(), new_id()
    visit = await clinic.book(doctor, at(9, 30), patient_id=patient)
    assert (visit.ends_at, visit.buffer_minutes) == (at(9, 50), 10)
    for starts_at, minutes in ((at(9, 55), 5), (at(9, 15), 15)):   # in the break, and without room for one of its own
        with pytest.raises(TimeIsTaken):
            await clinic.book(doctor, starts_at, minutes=minutes)
    await clinic.book(other, at(9, 50), patient_id=patient)   # who is seen may go on at once
    offered = (await clinic.ask.slots(reception, doctor_id=doctor, from_=at(8), to=at(11))).items
    assert [slot.starts_at for slot in offered] == [at(9), at(10), at(10, 30)]
    await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(9, 20)))
    grains = sorted(grain for (whose, grain) in await clinic.taken() if whose == doctor)
    assert (grains[0], len(grains)) == (int(at(9, 20).timestamp()) // 300, 6)
    await clinic.ask.cancel(reception, visit.id, Why())
    assert doctor not in {whose for whose, _ in await clinic.taken()}, "it goes with the visit"


async def test_a_hold_keeps_the_break_too(clinic: Clinic):
    doctor, patient = await clinic.doctor(buffer=10), new_id()
    held = await clinic.ask.hold(reception, HoldSlot(patient_id=patient, doctor_id=doctor, starts_at=at(9)))
    with pytest.raises(TimeIsTaken):
        await clinic.book(doctor, at(9, 20), minutes=5)
    assert (await clinic.book(doctor, at(9), patient_id=patient, hold_id=held.hold_id)).buffer_minutes == 10


async def test_of_many_for_the_last_place_of_a_day_one_gets_it(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor(most_per_day=3)
    await clinic.book(doctor, at(9))
    await clinic.book(doctor, at(9, 20))
    times = [at(10) + place * TWENTY for place in range(20)]
    outcomes = await all_at_once(
        [clinic.book(doctor, when, patient_id=patient, caller=as_patient(patient)) if n % 2 else
         clinic.ask.hold(as_patient(patient), HoldSlot(patient_id=patient, doctor_id=doctor, starts_at=when))
         for n, (when, patient) in enumerate((when, new_id()) for when in times)])
    found = Counter(map(type, outcomes))
    assert (found[Appointment] + found[Held], found[DayIsFull]) == (1, 19)


async def test_a_full_day_is_offered_to_nobody_and_the_refusal_leads_to_the_next(clinic: Clinic):
    doctor, patient = await clinic.doctor(most_per_day=1), new_id()
    visit = await clinic.book(doctor, at(9))
    offered = (await clinic.ask.slots(as_patient(patient), doctor_id=doctor, from_=at(8), to=at(9, 40, day=1))).items
    assert [slot.starts_at for slot in offered] == [at(9, day=1), at(9, 20, day=1)]
    assert [one.next and one.next.starts_at for one in await clinic.ask.earliest(reception)] == [at(9, day=1)]
    with pytest.raises(DayIsFull) as no:
        await clinic.book(doctor, at(10), patient_id=patient, caller=as_patient(patient))
    assert codes(no) == [ObstacleCode.DAY_FULL]
    assert {one["starts_at"][:10] for one in no.value.extra["alternatives"]} == {"2027-03-02"}
    await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(11)))   # within the day
    await clinic.ask.cancel(reception, visit.id, Why())
    await clinic.book(doctor, at(10), patient_id=patient, caller=as_patient(patient))
    other = await clinic.book(doctor, at(9, day=1))
    with pytest.raises(DayIsFull):
        await clinic.ask.reschedule(reception, other.id, RescheduleAppointment(starts_at=at(15)))


async def test_what_a_patient_holds_of_a_full_day_is_open_to_them_alone(clinic: Clinic):
    doctor, patient, other = await clinic.doctor(most_per_day=1), new_id(), new_id()
    held = await clinic.ask.hold(as_patient(patient), HoldSlot(patient_id=patient, doctor_id=doctor, starts_at=at(9)))

    async def offered(whom: UUID) -> list[datetime]:
        found = await clinic.ask.slots_for(as_patient(whom), whom, doctor_id=doctor, from_=at(8), to=at(9, 40))
        return [slot.starts_at for slot in found.items]

    assert await offered(patient) == [at(9), at(9, 20)]
    assert await offered(other) == []
    await clinic.book(doctor, at(9), patient_id=patient, caller=as_patient(patient), hold_id=held.hold_id)
    assert await offered(patient) == []


async def test_what_is_booked_over_others_leaves_the_day_as_full_as_it_was(clinic: Clinic):
    doctor = await clinic.doctor(most_per_day=2, overbook=1)
    await clinic.book(doctor, at(9))
    assert (await clinic.book(doctor, at(9), overbook=URGENT)).lane == 1
    assert (await clinic.book(doctor, at(10))).lane == 0
    with pytest.raises(DayIsFull):
        await clinic.book(doctor, at(11))


async def test_the_waitlist_offers_nothing_of_a_full_day(clinic: Clinic):
    doctor, patient = await clinic.doctor(most_per_day=1), new_id()
    await clinic.book(doctor, at(9))
    place = await clinic.ask.join_waitlist(reception, JoinWaitlist(
        patient_id=patient, doctor_id=doctor, earliest=at(9), latest=at(16)))
    await clinic.service.offer_freed()
    assert (await clinic.ask.waiting(reception, place.id)).offer is None


async def test_a_visit_is_booked_over_another_with_a_reason_as_often_as_the_doctor_allows(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor(overbook=2, most_per_day=1)
    outcomes = await all_at_once(clinic.book(doctor, at(9), overbook=URGENT) for _ in range(12))
    booked = [one for one in outcomes if isinstance(one, Appointment)]
    assert sorted((one.lane, one.overbooked) for one in booked) == [(0, None), (1, URGENT), (2, URGENT)]
    assert Counter(map(type, outcomes)) == {Appointment: 3, TimeIsTaken: 9}
    assert sorted(one.detail.get("overbooked", "") for one in await clinic.audited()) == ["", "urgent", "urgent"]
    with pytest.raises(TimeIsTaken) as no:
        await clinic.book(doctor, at(9), overbook=URGENT)
    assert {ObstacleCode.DOCTOR_TAKEN, ObstacleCode.NO_OVERBOOKING} <= set(codes(no))
    [over] = [one for one in booked if one.lane == 1]
    await clinic.ask.cancel(reception, over.id, Why())
    assert (await clinic.book(doctor, at(9), overbook=URGENT)).lane == 1, "what is given up is free again"


async def test_the_time_of_a_patient_is_never_doubled(clinic: Clinic):
    doctor, other, patient = await clinic.doctor(overbook=2), await clinic.doctor(), new_id()
    await clinic.book(other, at(9), patient_id=patient)
    await clinic.book(doctor, at(9))
    with pytest.raises(TimeIsTaken) as no:
        await clinic.book(doctor, at(9), patient_id=patient, overbook=URGENT)
    assert ObstacleCode.PATIENT_TAKEN in codes(no)
    assert {whose for (whose, _), visit in (await clinic.taken()).items() if whose == patient} == {patient}


async def test_nobody_but_staff_books_over_others_and_nobody_is_offered_it(clinic: Clinic):
    doctor, patient = await clinic.doctor(overbook=1), new_id()
    await clinic.book(doctor, at(9))
    with pytest.raises(Malformed):
        await clinic.ask.book(as_patient(patient), BookAppointment(
            patient_id=patient, doctor_id=doctor, starts_at=at(9), overbook=URGENT))
    offered = (await clinic.ask.slots(as_patient(patient), doctor_id=doctor, from_=at(8), to=at(9, 21))).items
    assert [slot.starts_at for slot in offered] == [at(9, 20)]
    with pytest.raises(TimeIsTaken):
        await clinic.book(await clinic.doctor(), at(9), patient_id=(await clinic.visits())[0].patient_id, overbook=URGENT)


async def test_what_was_booked_over_others_is_an_ordinary_visit_where_there_is_room(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor(overbook=1, buffer=10)
    await clinic.book(doctor, at(9))
    over = await clinic.book(doctor, at(9), overbook=URGENT, minutes=30)
    assert (over.lane, over.buffer_minutes) == (1, 0)
    with pytest.raises(TimeIsTaken):
        await clinic.ask.reschedule(reception, over.id, RescheduleAppointment(starts_at=at(9, 15)))
    moved = await clinic.ask.reschedule(reception, over.id, RescheduleAppointment(starts_at=at(9, 10), overbook=URGENT))
    assert moved.lane == 1
    moved = await clinic.ask.reschedule(reception, over.id, RescheduleAppointment(starts_at=at(9, 30), minutes=30))
    assert (moved.lane, moved.overbooked, moved.buffer_minutes) == (0, None, 10)
    rows = [grain for (whose, grain), visit in (await clinic.taken()).items() if whose == doctor and visit == over.id]
    assert len(rows) == 8
    await clinic.ask.cancel(reception, over.id, Why())
    assert set((await clinic.taken()).values()) == {(await clinic.visits())[0].id}

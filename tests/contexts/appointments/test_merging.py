"""Visits follow their people when two records are made one, and go back when they are two again."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import Appointment, RescheduleAppointment, Status, Why
from infirmary.contexts.appointments.domain.hours import grains
from infirmary.contexts.appointments.events import VisitHandedOver
from infirmary.contexts.appointments.service import merging
from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.kernel.database.columns import new_id

from .builders import Clinic, another_context, at, reception

AUDITED = "appointment.handed_over"


def merged(duplicate: UUID, survivor: UUID, version: int = 2) -> PatientsMerged:
    return PatientsMerged(aggregate=duplicate, version=version, survivor_id=survivor, merge_id=new_id())


def unmerged(duplicate: UUID, survivor: UUID, version: int = 3) -> PatientsUnmerged:
    return PatientsUnmerged(aggregate=duplicate, version=version, survivor_id=survivor, merge_id=new_id())


async def whose(clinic: Clinic) -> dict[UUID, UUID]:
    return {one.id: one.patient_id for one in await clinic.visits()}


async def must_not_overlap(clinic: Clinic, patient_id: UUID) -> None:
    """Every five minutes of every live visit are that visit's, and nobody else's."""
    taken = await clinic.taken()
    for one in await clinic.visits():
        if one.status is Status.BOOKED and one.patient_id == patient_id:
            for grain in grains(one.starts_at, one.ends_at):
                assert taken[patient_id, grain] == taken[one.doctor_id, grain] == one.id


async def test_visits_of_a_merged_record_move_and_go_back_exactly(every_clinic: Clinic) -> None:
    clinic, survivor, duplicate = every_clinic, new_id(), new_id()
    doctor = await clinic.doctor()
    own = await clinic.book(doctor, at(9), patient_id=survivor)
    moving = [await clinic.book(doctor, at(10 + n), patient_id=duplicate) for n in range(3)]
    await clinic.ask.cancel(reception, moving[2].id, Why(reason="Well again."))
    before, taken = await whose(clinic), await clinic.taken()

    await clinic.hear(merged(duplicate, survivor))
    assert set((await whose(clinic)).values()) == {survivor}
    assert {key for key in await clinic.taken() if key[0] == duplicate} == set()
    await must_not_overlap(clinic, survivor)
    later = await clinic.book(doctor, at(15), patient_id=survivor)   # booked for the one record there is
    handed = [fact for fact in await clinic.facts() if isinstance(fact, VisitHandedOver)]
    assert {(one.aggregate, one.patient_id, one.previous_patient_id) for one in handed} == {
        (one.id, survivor, duplicate) for one in moving}
    assert [entry.subject_id for entry in await clinic.audited() if entry.action == AUDITED] == [survivor] * 3

    await clinic.hear(unmerged(duplicate, survivor))
    assert await whose(clinic) == {**before, later.id: survivor}
    assert {key: visit for key, visit in (await clinic.taken()).items() if visit != later.id} == taken
    assert own.patient_id == survivor
    await clinic.hear(merged(duplicate, survivor, version=4))   # and again
    assert set((await whose(clinic)).values()) == {survivor}


async def test_what_changed_meanwhile_stays_changed(every_clinic: Clinic) -> None:
    clinic, survivor, duplicate = every_clinic, new_id(), new_id()
    doctor = await clinic.doctor()
    one, other = [await clinic.book(doctor, at(10 + n), patient_id=duplicate) for n in range(2)]
    await clinic.hear(merged(duplicate, survivor))
    await clinic.ask.cancel(reception, one.id, Why(reason="Well again."))
    await clinic.hear(unmerged(duplicate, survivor))
    after = {visit.id: visit for visit in await clinic.visits()}
    assert (after[one.id].status, after[one.id].patient_id) == (Status.CANCELLED, duplicate)
    assert (after[other.id].status, after[other.id].patient_id) == (Status.BOOKED, duplicate)
    await must_not_overlap(clinic, duplicate)


async def test_facts_in_the_wrong_order_or_twice_end_the_same(every_clinic: Clinic) -> None:
    clinic, survivor, duplicate = every_clinic, new_id(), new_id()
    visit = await clinic.book(await clinic.doctor(), at(10), patient_id=duplicate)
    joined, fact_id = merged(duplicate, survivor), new_id()
    await clinic.hear(unmerged(duplicate, survivor))
    await clinic.hear(joined, fact_id)
    assert await whose(clinic) == {visit.id: duplicate}
    await clinic.hear(merged(duplicate, survivor, version=4), fact_id := new_id())
    await clinic.hear(merged(duplicate, survivor, version=4), fact_id)
    assert await whose(clinic) == {visit.id: survivor}


async def test_bookings_while_records_are_merged_are_neither_lost_nor_doubled(every_clinic: Clinic) -> None:
    """Merge against booking: for both records, at the same times with different doctors."""
    clinic, survivor, duplicate = every_clinic, new_id(), new_id()
    doctors = [await clinic.doctor() for _ in range(2)]
    times = [at(9) + timedelta(minutes=20 * n) for n in range(8)]

    async def book(doctor: UUID, patient: UUID, time: int) -> Appointment:
        return await clinic.book(doctor, times[time], patient_id=patient)

    made = await asyncio.gather(
        *(book(doctors[0], duplicate, n) for n in range(4)), clinic.hear(merged(duplicate, survivor)),
        *(book(doctors[1], survivor, n) for n in range(8)), *(book(doctors[0], duplicate, n) for n in range(4, 8)),
        return_exceptions=True)
    booked = [one for one in made if isinstance(one, Appointment)]
    await clinic.service.follow_records()
    now = {one.id: one for one in await clinic.visits()}
    assert now.keys() == {one.id for one in booked}
    await must_not_overlap(clinic, survivor)
    await must_not_overlap(clinic, duplicate)
    # What stayed did so because the one person cannot be in two places. The desk sees both, and calls one of them off.
    to_sort_out = await clinic.ask.overlapping(reception)
    assert [(pair.visit.patient_id, pair.other.patient_id, pair.visit.starts_at) for pair in to_sort_out] == [
        (duplicate, survivor, one.starts_at) for one in now.values() if one.patient_id == duplicate]
    assert all(pair.visit.starts_at == pair.other.starts_at for pair in to_sort_out)
    for pair in to_sort_out:
        await clinic.ask.cancel(reception, pair.other.id, Why(reason="Twice at once."))
    assert await clinic.ask.overlapping(reception) == []
    await clinic.service.follow_records()
    assert {one.patient_id for one in await clinic.visits()} == {survivor}
    await must_not_overlap(clinic, survivor)


async def test_visits_to_sort_out_go_on_when_one_is_moved_or_over(every_clinic: Clinic) -> None:
    clinic, survivor, duplicate = every_clinic, new_id(), new_id()
    first, second = await clinic.doctor(), await clinic.doctor()
    own = [await clinic.book(first, at(9 + n), patient_id=survivor) for n in range(3)]
    late = await clinic.book(first, at(13), patient_id=survivor)
    await clinic.hear(merged(duplicate, survivor))
    twice = [await clinic.book(second, at(9 + n, 10), patient_id=duplicate) for n in range(3)]   # in that very moment
    await clinic.book(second, at(13), patient_id=duplicate, minutes=5)
    await clinic.ask.cancel(reception, late.id, Why())
    await clinic.service.follow_records()
    assert [(pair.visit.id, pair.other.id) for pair in await clinic.ask.overlapping(reception)] == [
        (one.id, other.id) for one, other in zip(twice, own, strict=True)]
    await clinic.ask.reschedule(reception, twice[0].id, RescheduleAppointment(starts_at=at(12)))
    await clinic.ask.reschedule(reception, own[1].id, RescheduleAppointment(starts_at=at(12, 20)))
    clinic.clock.advance(at(12) - clinic.clock.now())
    await clinic.ask.no_show(reception, twice[2].id)   # over: there is nothing to sort out any more
    assert await clinic.ask.overlapping(reception) == []
    await clinic.service.follow_records()
    assert set((await whose(clinic)).values()) == {survivor}
    await must_not_overlap(clinic, survivor)


async def test_visits_at_the_same_time_are_named_before_a_merge(every_clinic: Clinic) -> None:
    clinic, one, other = every_clinic, new_id(), new_id()
    first, second = await clinic.doctor(), await clinic.doctor()
    mine = await clinic.book(first, at(9), patient_id=one)
    await clinic.book(second, at(9), patient_id=other)
    await clinic.book(second, at(11), patient_id=one)
    found = await clinic.ask.collisions(another_context, one, other)
    assert [visit.id for visit in found] == [mine.id]
    await clinic.ask.cancel(reception, mine.id, Why(reason="Twice at once."))
    assert await clinic.ask.collisions(another_context, one, other) == []


async def test_of_many_merged_records_some_are_looked_at_each_time_and_all_in_the_end(
        clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "BATCH", 3)
    pairs = [(new_id(), new_id()) for _ in range(8)]
    doctor = await clinic.doctor()
    for duplicate, survivor in pairs:
        await clinic.hear(merged(duplicate, survivor))
    for n, (duplicate, _) in enumerate(pairs):   # being booked while the records were merged
        await clinic.book(doctor, at(9 + n % 8, 20 * (n // 8)), patient_id=duplicate)
    still = []
    for _ in range(3):
        await clinic.service.follow_records()
        still.append(len({*(await whose(clinic)).values()} & {duplicate for duplicate, _ in pairs}))
    assert still == [5, 2, 0]


async def test_all_visits_of_a_record_follow_at_once_however_many(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "BATCH", 3)
    survivor, duplicate, doctor = new_id(), new_id(), await clinic.doctor()
    for n in range(7):
        await clinic.book(doctor, at(9 + n), patient_id=duplicate)
    await clinic.hear(merged(duplicate, survivor))
    assert set((await whose(clinic)).values()) == {survivor}
    await clinic.hear(unmerged(duplicate, survivor))
    assert set((await whose(clinic)).values()) == {duplicate}

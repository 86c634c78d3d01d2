"""Places in line and held times follow their people when two records are made one, and go back when they are two again."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import (
    Appointment,
    BookAppointment,
    Held,
    HoldIsGone,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.queue import Delay, Token, TokenStatus
from infirmary.contexts.appointments.contract.waitlist import Standing, Waiting
from infirmary.contexts.appointments.domain.waitlist import Place
from infirmary.contexts.appointments.events import TimeOffered
from infirmary.contexts.appointments.service import following
from infirmary.contexts.appointments.tables.moved import MOVED_PLACES
from infirmary.contexts.appointments.tables.queue import TOKENS
from infirmary.contexts.appointments.tables.waitlist import PLACES
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Refusal

from .builders import Clinic, a_caller, as_patient, at, reception
from .test_holds import hold, holds, nothing_overlaps
from .test_merging import merged, unmerged
from .test_queue import at_nine, call, checks_in, line, walks_in
from .test_waitlist import TINY, a_full_diary, freed, join

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def places(clinic: Clinic) -> dict[UUID, Place]:
    async with clinic.db.reading() as reading:
        return {one.id: replace(one, version=0, changed_at=one.created_at) for one in await reading.all(PLACES.find())}


async def whose(clinic: Clinic) -> dict[UUID, tuple[UUID, Standing]]:
    return {one.id: (one.patient_id, one.status) for one in (await places(clinic)).values()}


async def numbers(clinic: Clinic) -> dict[UUID, tuple[UUID, TokenStatus]]:
    async with clinic.db.reading() as reading:
        return {one.id: (one.patient_id, one.status) for one in await reading.all(TOKENS.find())}


async def noted(clinic: Clinic) -> int:
    async with clinic.db.reading() as reading:
        return len(await reading.all(MOVED_PLACES.find()))


class TestTheWaitlist:
    async def test_places_move_and_go_back_exactly(self, every_clinic: Clinic):
        clinic, survivor, duplicate = every_clinic, new_id(), new_id()
        mine = await join(clinic, await clinic.doctor(), patient=survivor)
        theirs = [await join(clinic, await clinic.doctor(), patient=duplicate) for _ in range(2)]
        await clinic.ask.leave_waitlist(reception, theirs[1].id)
        before = await places(clinic)
        await clinic.hear(merged(duplicate, survivor))
        assert {one.patient_id for one in (await places(clinic)).values()} == {survivor}
        assert [one.id for one in (await clinic.ask.waitlist(as_patient(survivor))).items] == [
            mine.id, *(one.id for one in theirs)]
        assert (await clinic.ask.waitlist(as_patient(duplicate))).items == []
        await clinic.hear(unmerged(duplicate, survivor))
        assert (await places(clinic), await noted(clinic)) == (before, 0)

    @pytest.mark.parametrize("survivor_first", [True, False])
    async def test_two_places_for_the_same_become_the_earlier_and_come_back_as_two(
            self, every_clinic: Clinic, survivor_first: bool):
        clinic, survivor, duplicate = every_clinic, new_id(), new_id()
        doctor, visit, [someone] = await a_full_diary(clinic)
        first = await join(clinic, doctor, patient=survivor if survivor_first else duplicate)
        clinic.clock.advance(SECOND)
        second = await join(clinic, doctor, patient=duplicate if survivor_first else survivor)
        before = await places(clinic)
        await clinic.hear(merged(duplicate, survivor))
        assert await whose(clinic) == {someone.id: (someone.patient_id, Standing.WAITING),
                                       first.id: (survivor, Standing.WAITING), second.id: (survivor, Standing.MERGED)}
        await clinic.service.follow_records()   # and nothing moves twice
        assert (await whose(clinic))[second.id] == (survivor, Standing.MERGED)
        await clinic.hear(unmerged(duplicate, survivor))
        assert (await places(clinic), await noted(clinic)) == (before, 0)
        await clinic.ask.leave_waitlist(reception, someone.id)
        await freed(clinic, visit)
        assert (await whose(clinic))[first.id][1] is Standing.OFFERED

    async def test_of_three_the_one_that_stands_for_another_goes_and_the_other_waits_again(self, clinic: Clinic):
        survivor, one, other, doctor = new_id(), new_id(), new_id(), await clinic.doctor()
        made = []
        for patient in (one, other, survivor):
            made.append((await join(clinic, doctor, patient=patient)).id)
            clinic.clock.advance(SECOND)
        before = await places(clinic)
        await clinic.hear(merged(other, survivor))
        await clinic.hear(merged(one, survivor))
        assert [(await whose(clinic))[each] for each in made] == [
            (survivor, Standing.WAITING), (survivor, Standing.MERGED), (survivor, Standing.MERGED)]
        await clinic.hear(unmerged(other, survivor))   # whose place stood for the survivor's own
        assert [(await whose(clinic))[each] for each in made] == [
            (survivor, Standing.WAITING), (other, Standing.WAITING), (survivor, Standing.MERGED)]
        await clinic.hear(unmerged(one, survivor))
        assert (await places(clinic), await noted(clinic)) == (before, 0)

    async def test_a_fulfilled_wish_stays_fulfilled_while_they_are_one_person(self, clinic: Clinic):
        survivor, duplicate, other = new_id(), new_id(), new_id()
        doctor, visit, [someone] = await a_full_diary(clinic)
        await clinic.ask.leave_waitlist(reception, someone.id)
        made = []
        for patient in (survivor, duplicate, other):
            made.append((await join(clinic, doctor, patient=patient)).id)
            clinic.clock.advance(SECOND)
        for record in (duplicate, other):
            await clinic.hear(merged(record, survivor))
        await freed(clinic, visit)
        await clinic.ask.accept_offer(as_patient(survivor), made[0])
        await clinic.hear(unmerged(duplicate, survivor))
        assert [(await whose(clinic))[each] for each in made] == [
            (survivor, Standing.BOOKED), (duplicate, Standing.WAITING), (survivor, Standing.MERGED)]

    async def test_an_offer_goes_on_with_its_deadline_and_can_be_accepted(self, every_clinic: Clinic):
        clinic, survivor = every_clinic, new_id()
        doctor = await clinic.doctor(weekly=TINY)
        visit = await clinic.book(doctor, at(9))
        own = await join(clinic, doctor, patient=survivor, latest=at(8, 30))   # has waited longer, for another time
        clinic.clock.advance(SECOND)
        place = await join(clinic, doctor)
        await freed(clinic, visit)
        earlier = await clinic.ask.waiting(reception, place.id)
        await clinic.hear(merged(place.patient_id, survivor))
        assert await whose(clinic) == {place.id: (survivor, Standing.OFFERED), own.id: (survivor, Standing.MERGED)}
        moved = await clinic.ask.waiting(as_patient(survivor), place.id)
        assert moved.offer == earlier.offer
        await nothing_overlaps(clinic)
        await clinic.ask.accept_offer(as_patient(survivor), place.id)
        assert [(one.patient_id, one.status) for one in await clinic.visits()][1:] == [(survivor, Status.BOOKED)]
        await nothing_overlaps(clinic)

    async def test_an_offer_goes_back_with_its_place(self, clinic: Clinic):
        survivor = new_id()
        _, visit, [place] = await a_full_diary(clinic)
        await clinic.hear(merged(place.patient_id, survivor))
        await freed(clinic, visit)
        assert (await clinic.facts())[-1].patient_id == survivor
        await clinic.hear(unmerged(place.patient_id, survivor))
        assert [(one.holder_id, one.patient_id) for one in await holds(clinic)] == [(place.id, place.patient_id)]
        await nothing_overlaps(clinic)
        await clinic.ask.accept_offer(as_patient(place.patient_id), place.id)
        await nothing_overlaps(clinic)

    async def test_an_offer_for_when_the_person_has_a_visit_is_taken_back_and_they_wait_on(self, every_clinic: Clinic):
        clinic, survivor = every_clinic, new_id()
        _, visit, [place] = await a_full_diary(clinic)
        await freed(clinic, visit)
        await clinic.book(await clinic.doctor(), at(9), patient_id=survivor)
        await clinic.hear(merged(place.patient_id, survivor))
        assert await whose(clinic) == {place.id: (survivor, Standing.WAITING)}
        assert (await clinic.ask.waiting(reception, place.id)).offer is None and await holds(clinic) == []
        await nothing_overlaps(clinic)

    async def test_two_offers_for_the_same_become_one_and_the_other_time_is_free(self, every_clinic: Clinic):
        clinic, survivor, duplicate = every_clinic, new_id(), new_id()
        doctor = await clinic.doctor()
        first = await join(clinic, doctor, patient=duplicate)
        clinic.clock.advance(SECOND)
        second = await join(clinic, doctor, patient=survivor)
        await clinic.service.offer_freed()
        assert len(await holds(clinic)) == 2
        await clinic.hear(merged(duplicate, survivor))
        assert await whose(clinic) == {first.id: (survivor, Standing.OFFERED), second.id: (survivor, Standing.MERGED)}
        assert [one.holder_id for one in await holds(clinic)] == [first.id]
        await nothing_overlaps(clinic)

    async def test_offer_against_merge_ends_in_one_place_with_what_it_keeps(self, every_clinic: Clinic):
        """Offers, answers and a merge at once, back and forth: no time is kept for nobody, and no wish is there twice."""
        clinic, pairs = every_clinic, [(new_id(), new_id()) for _ in range(3)]
        doctor = await clinic.doctor()
        made = [await join(clinic, doctor, patient=one) for pair in pairs for one in pair]

        async def answer(place: Waiting) -> Waiting:
            return await clinic.ask.accept_offer(reception, place.id)

        for version in (2, 4):
            done = await asyncio.gather(
                clinic.service.offer_freed(), *(clinic.hear(merged(one, other, version=version)) for one, other in pairs),
                clinic.service.offer_freed(), *(answer(place) for place in made[:2]),
                *(clinic.service.follow_records() for _ in range(2)), return_exceptions=True)
            assert all(one is None or isinstance(one, Waiting | Refusal) for one in done), done
            await clinic.service.follow_records()
            now = await places(clinic)
            assert {one.patient_id for one in now.values()} == {other for _, other in pairs}
            for _, other in pairs:
                assert sum(one.open_about is not None for one in now.values() if one.patient_id == other) <= 1
            assert {one.holder_id for one in await holds(clinic)} == {
                one.id for one in now.values() if one.status is Standing.OFFERED}
            await nothing_overlaps(clinic)
            await asyncio.gather(*(clinic.hear(unmerged(one, other, version=version + 1)) for one, other in pairs),
                                 clinic.service.offer_freed())
            await clinic.service.follow_records()
            assert {one.id: one.patient_id for one in (await places(clinic)).values()} == {
                one.id: one.patient_id for one in made}
            await nothing_overlaps(clinic)


class TestHolds:
    async def test_a_held_time_goes_with_the_person_who_then_books_it(self, every_clinic: Clinic):
        clinic, survivor, duplicate, doctor = every_clinic, new_id(), new_id(), await every_clinic.doctor()
        kept = await hold(clinic, doctor, at(9), duplicate)
        await clinic.hear(merged(duplicate, survivor))
        assert (await clinic.ask.held(as_patient(survivor), kept.hold_id)).expires_at == kept.expires_at
        await nothing_overlaps(clinic)
        await clinic.hear(unmerged(duplicate, survivor))
        assert (await clinic.ask.held(as_patient(duplicate), kept.hold_id)) == kept
        await clinic.hear(merged(duplicate, survivor, version=4))
        await clinic.book(doctor, at(9), patient_id=survivor, caller=as_patient(survivor), hold_id=kept.hold_id)
        await nothing_overlaps(clinic)
        await clinic.hear(unmerged(duplicate, survivor, version=5))
        assert await noted(clinic) == 0

    async def test_a_second_one_stays_behind_and_lapses(self, clinic: Clinic):
        survivor, duplicate, doctor = new_id(), new_id(), await clinic.doctor()
        await hold(clinic, doctor, at(9), duplicate)
        own = await hold(clinic, doctor, at(10), survivor)
        await clinic.hear(merged(duplicate, survivor))
        assert {(one.patient_id, one.starts_at) for one in await holds(clinic)} == {(duplicate, at(9)), (survivor, at(10))}
        assert await clinic.ask.held(as_patient(survivor), own.hold_id) == own
        await nothing_overlaps(clinic)

    async def test_confirming_against_a_merge_leaves_no_time_taken_by_nobody(self, every_clinic: Clinic):
        clinic, pairs, doctor = every_clinic, [(new_id(), new_id()) for _ in range(5)], await every_clinic.doctor()
        kept = [await hold(clinic, doctor, at(9 + n), one) for n, (one, _) in enumerate(pairs)]

        async def confirm(held: Held) -> Appointment:
            return await clinic.ask.book(reception, BookAppointment(
                patient_id=held.patient_id, doctor_id=doctor, starts_at=held.starts_at, hold_id=held.hold_id))

        done = await asyncio.gather(*(act for (one, other), held in zip(pairs, kept, strict=True) for act in (
            clinic.hear(merged(one, other)), confirm(held))), return_exceptions=True)
        assert all(one is None or isinstance(one, Appointment | HoldIsGone | TimeIsTaken) for one in done), done
        await clinic.service.follow_records()
        assert len(await clinic.visits()) + len(await holds(clinic)) == 5
        await nothing_overlaps(clinic)


class TestQueues:
    async def test_numbers_of_today_move_and_go_back(self, every_clinic: Clinic):
        clinic, survivor, duplicate = every_clinic, new_id(), new_id()
        doctor = await at_nine(clinic)
        number = await walks_in(clinic, duplicate)
        visit = await checks_in(clinic, doctor, at(9, 20), duplicate)
        before = await numbers(clinic)
        await clinic.hear(merged(duplicate, survivor))
        assert {one.patient_id for one in await line(clinic)} == {survivor}
        assert (await walks_in(clinic, duplicate)).number == 3   # with a record that is closed: it follows
        await clinic.service.follow_records()
        seen = await line(clinic)
        assert [(one.number, one.patient_id, one.appointment_id) for one in seen] == [
            (1, survivor, None), (2, survivor, visit)]
        await clinic.hear(unmerged(duplicate, survivor))
        assert {key: value for key, value in (await numbers(clinic)).items() if key in before} == before
        assert (await call(clinic, doctor)).id == number.id

    async def test_two_numbers_become_the_one_called_first_and_come_back_as_two(self, every_clinic: Clinic):
        clinic, survivor, duplicate = every_clinic, new_id(), new_id()
        await at_nine(clinic)
        first = await walks_in(clinic, duplicate)
        clinic.clock.advance(MINUTE)
        second = await walks_in(clinic, survivor)
        third = await walks_in(clinic)
        link = (await clinic.ask.link(reception, second.id)).secret
        await clinic.hear(merged(duplicate, survivor))
        assert [one.number for one in await line(clinic)] == [first.number, third.number]
        assert (await clinic.ask.my_place(a_caller(), link)).status is TokenStatus.MERGED
        await clinic.hear(unmerged(duplicate, survivor))
        seen = await line(clinic)
        assert [(one.number, one.patient_id) for one in seen][:2] == [(1, duplicate), (2, survivor)]
        assert seen[2].delay is Delay.REORDERED, "put back by one, and told why"
        assert await noted(clinic) == 0

    async def test_who_is_called_is_called_though_the_other_number_came_first(self, clinic: Clinic):
        survivor, duplicate = new_id(), new_id()
        doctor, other = await at_nine(clinic), await clinic.doctor()
        first = await walks_in(clinic, survivor, doctor_id=other)
        second = await walks_in(clinic, duplicate)
        called = await call(clinic, doctor)
        assert called.id == second.id
        await clinic.hear(merged(duplicate, survivor))
        assert await numbers(clinic) == {first.id: (survivor, TokenStatus.MERGED), second.id: (survivor, TokenStatus.CALLED)}
        await clinic.hear(unmerged(duplicate, survivor))
        assert await numbers(clinic) == {first.id: (survivor, TokenStatus.WAITING), second.id: (duplicate, TokenStatus.CALLED)}

    async def test_calls_against_a_merge_call_nobody_twice(self, every_clinic: Clinic):
        clinic, pairs = every_clinic, [(new_id(), new_id()) for _ in range(3)]
        doctors = [await at_nine(clinic), *[await clinic.doctor() for _ in range(3)]]
        for pair in pairs:
            for one in pair:
                await walks_in(clinic, one)
        done = await asyncio.gather(
            *(clinic.hear(merged(one, other)) for one, other in pairs), *(call(clinic, doctor) for doctor in doctors),
            clinic.service.follow_records(), return_exceptions=True)
        assert all(one is None or isinstance(one, Token | Refusal) for one in done), done
        await clinic.service.follow_records()
        seen = await line(clinic)
        called = [one for one in seen if one.status is TokenStatus.CALLED]
        visits = [one for one in await clinic.visits() if one.status is Status.IN_PROGRESS]
        assert sorted(str(one.appointment_id) for one in called) == sorted(str(one.id) for one in visits)
        waiting = [one.patient_id for one in seen if one.status is TokenStatus.WAITING]
        assert len(set(waiting)) == len(waiting)
        taken = await clinic.taken()
        assert len(set(taken.values())) == len(visits)


async def test_places_beyond_a_batch_follow_too(clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "BATCH", 3)
    survivor, duplicate = new_id(), new_id()
    for _ in range(7):
        await join(clinic, await clinic.doctor(weekly=TINY), patient=duplicate)
    await clinic.hear(merged(duplicate, survivor))
    assert {one.patient_id for one in (await places(clinic)).values()} == {survivor}
    await clinic.hear(unmerged(duplicate, survivor))
    assert {one.patient_id for one in (await places(clinic)).values()} == {duplicate}


async def test_what_is_told_after_a_merge_is_told_to_the_one_person(clinic: Clinic):
    survivor = new_id()
    _, visit, [place] = await a_full_diary(clinic)
    await clinic.hear(merged(place.patient_id, survivor))
    await freed(clinic, visit)
    [offer] = [one for one in await clinic.facts() if isinstance(one, TimeOffered)]
    assert offer.patient_id == survivor
    await clinic.ask.cancel(reception, (await clinic.ask.accept_offer(as_patient(survivor), place.id)).appointment_id, Why())

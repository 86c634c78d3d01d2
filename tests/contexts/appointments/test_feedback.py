"""How a visit was is said once, by the patient, and seen in groups that tell nobody's answer."""
from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import Appointment, NotInThisState
from infirmary.contexts.appointments.contract.feedback import (
    AlreadyAnswered,
    Feedback,
    FeedbackSummary,
    GiveFeedback,
    NotToBeChanged,
    Remark,
)
from infirmary.contexts.appointments.domain import feedback
from infirmary.contexts.appointments.events import FeedbackGathered
from infirmary.contexts.appointments.service.feedback import TooFewError
from infirmary.contexts.appointments.tables.feedback import BY_DOCTOR
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, Refusal, RoleMayNot, StaleVersion

from .builders import Clinic, admin, as_doctor, as_patient, at, reception

HEART = UUID(int=7)
DAY = feedback.EDITABLE_FOR


async def seen(clinic: Clinic, doctor: UUID, *, hour: int = 9, minute: int = 0) -> Appointment:
    """A visit that is over."""
    visit = await clinic.book(doctor, at(hour, minute, day=(clinic.clock.now() - at(8)).days + 1))
    clinic.clock.advance(visit.starts_at - clinic.clock.now())
    await clinic.ask.start(reception, visit.id)
    return await clinic.ask.complete(reception, visit.id)


async def say(clinic: Clinic, visit: Appointment, rating: int = 5, comment: str = "") -> Feedback:
    return await clinic.ask.give_feedback(as_patient(visit.patient_id), visit.id,
                                          GiveFeedback(rating=rating, comment=comment))


async def answers(clinic: Clinic, doctor: UUID, *ratings: int) -> list[Appointment]:
    """One visit each, and what was said of it."""
    visits = []
    for rating in ratings:
        visits.append(await seen(clinic, doctor))
        await say(clinic, visits[-1], rating, f"That was a {rating}")
    return visits


async def for_doctor(clinic: Clinic, doctor: UUID) -> FeedbackSummary:
    return await clinic.ask.feedback_for_doctor(as_doctor(doctor), doctor)


class TestSaying:
    async def test_it_is_said_once_by_the_patient_when_the_visit_is_over(self, clinic: Clinic):
        doctor = await clinic.doctor()
        booked = await clinic.book(doctor, at(9))
        with pytest.raises(NotInThisState):
            await say(clinic, booked)
        visit = await seen(clinic, doctor)
        given = await say(clinic, visit, 4, "  Friendly  ")
        assert (given.rating, given.comment, given.editable_until) == (4, "Friendly", clinic.clock.now() + DAY)
        assert await clinic.ask.feedback(as_patient(visit.patient_id), visit.id) == given
        with pytest.raises(AlreadyAnswered):
            await say(clinic, visit, 1)

    async def test_of_many_at_once_one_is_kept(self, every_clinic: Clinic):
        clinic = every_clinic
        visit = await seen(clinic, await clinic.doctor())
        outcomes = await asyncio.gather(*(say(clinic, visit, 1 + n % 5) for n in range(20)), return_exceptions=True)
        assert Counter(map(type, outcomes)) == {Feedback: 1, AlreadyAnswered: 19}

    async def test_it_can_be_changed_for_a_day_by_who_knows_the_version(self, clinic: Clinic):
        visit = await seen(clinic, await clinic.doctor())
        patient, first = as_patient(visit.patient_id), await say(clinic, visit, 2)
        changed = await clinic.ask.change_feedback(patient, visit.id, GiveFeedback(rating=3), if_match=first.version)
        assert (changed.rating, changed.given_at) == (3, first.given_at)
        with pytest.raises(StaleVersion):
            await clinic.ask.change_feedback(patient, visit.id, GiveFeedback(rating=1), if_match=first.version)
        clinic.clock.advance(DAY)
        with pytest.raises(NotToBeChanged):
            await clinic.ask.change_feedback(patient, visit.id, GiveFeedback(rating=1), if_match=changed.version)

    async def test_nobody_else_reads_or_says_it(self, clinic: Clinic):
        visit = await seen(clinic, await clinic.doctor())
        await say(clinic, visit)
        stranger = as_patient(new_id())
        for ask in (clinic.ask.feedback(stranger, visit.id),
                    clinic.ask.give_feedback(stranger, visit.id, GiveFeedback(rating=1))):
            with pytest.raises(NotFound):
                await ask
        for colleague in (as_doctor(visit.doctor_id), reception, admin):
            with pytest.raises(RoleMayNot):
                await clinic.ask.feedback(colleague, visit.id)

    async def test_what_was_said_is_on_no_record_and_no_bus(self, clinic: Clinic):
        doctor = await clinic.doctor()
        await answers(clinic, doctor, 1, 2, 3, 4, 5)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        told = str(await clinic.audited()) + str(await clinic.facts())
        assert "That was a" not in told
        assert "feedback.given" in told


class TestSeeing:
    async def test_four_answers_are_too_few_and_five_are_seen_together(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        await answers(clinic, doctor, 5, 5, 4, 1)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        nothing = FeedbackSummary(count=0, mean=None, distribution=[0] * 5, comments=[], waiting=4)
        assert await for_doctor(clinic, doctor) == nothing
        await answers(clinic, doctor, 3)
        await clinic.service.release_feedback()
        assert await for_doctor(clinic, doctor) == FeedbackSummary(
            count=0, mean=None, distribution=[0] * 5, comments=[], waiting=5), "the fifth may still change"
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        found = await for_doctor(clinic, doctor)
        assert (found.count, found.mean, found.distribution, found.waiting) == (5, 3.6, [1, 0, 1, 1, 2], 0)
        assert found.comments == [Remark(n, f"That was a {n}") for n in (1, 3, 4, 5, 5)], "in no order of time"
        there = await clinic.ask.feedback_for_department(admin, HEART)
        assert (there.count, there.mean) == (5, 3.6)

    async def test_the_sixth_is_not_told_by_comparing_with_yesterday(self, clinic: Clinic):
        doctor = await clinic.doctor()
        await answers(clinic, doctor, 5, 5, 5, 5, 5)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        before = await for_doctor(clinic, doctor)
        await answers(clinic, doctor, 1)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        after = await for_doctor(clinic, doctor)
        assert (after.count, after.distribution, after.waiting) == (5, before.distribution, 1)

    async def test_of_several_processes_that_let_answers_be_seen_none_lets_one_be_seen_alone(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        await answers(clinic, doctor, *[4] * 5)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        await answers(clinic, doctor, 1)
        clinic.clock.advance(DAY)
        with pytest.raises(TooFewError):   # it had counted the first five, and comes to find the sixth
            await clinic.service._release(BY_DOCTOR, doctor, clinic.clock.now() - DAY)
        assert (await for_doctor(clinic, doctor)).count == 5

    async def test_the_others_hear_of_a_group_by_its_department(self, clinic: Clinic):
        one, other = await clinic.doctor(), await clinic.doctor()
        await answers(clinic, one, 5, 4)
        await answers(clinic, other, 5, 5, 1)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        [fact] = [one for one in await clinic.facts() if isinstance(one, FeedbackGathered)]
        assert (fact.department_id, fact.department_name, fact.distribution) == (HEART, "Heart", [1, 0, 0, 1, 3])
        assert (await for_doctor(clinic, one)).waiting == 2, "each doctor has too few"

    async def test_a_doctor_sees_only_their_own_and_the_administration_no_doctor(self, clinic: Clinic):
        doctor = await clinic.doctor()
        with pytest.raises(NotFound):
            await clinic.ask.feedback_for_doctor(as_doctor(new_id()), doctor)
        for who in (admin, reception):
            with pytest.raises(Refusal):
                await clinic.ask.feedback_for_doctor(who, doctor)
        with pytest.raises(RoleMayNot):
            await clinic.ask.feedback_for_department(as_doctor(doctor), HEART)

    async def test_a_period_is_of_when_answers_came_to_be_seen(self, clinic: Clinic):
        doctor = await clinic.doctor()
        await answers(clinic, doctor, *[5] * 5)
        clinic.clock.advance(DAY)
        await clinic.service.release_feedback()
        shown_at = clinic.clock.now()
        ask = clinic.ask.feedback_for_doctor
        assert (await ask(as_doctor(doctor), doctor, from_=shown_at)).count == 5
        assert (await ask(as_doctor(doctor), doctor, to=shown_at - timedelta(seconds=1))).count == 0

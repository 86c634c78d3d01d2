"""A guardian has the visits of their ward as the ward has them: at once, and not a moment longer."""
from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import (
    BookAppointment,
    HoldSlot,
    RescheduleAppointment,
    SlotNotOffered,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.waitlist import JoinWaitlist, Standing
from infirmary.contexts.appointments.events import AppointmentBooked
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound
from infirmary.language import DOCTOR, PATIENT

from .builders import Clinic, a_caller, as_patient, at, hours


def a_mother(clinic: Clinic) -> tuple[Caller, UUID, UUID]:
    own, ward = new_id(), new_id()
    clinic.register.guardians[ward] = own
    return as_patient(own), own, ward


async def test_a_guardian_books_moves_and_cancels_and_it_is_written_down_as_theirs(clinic: Clinic) -> None:
    mother, own, ward = a_mother(clinic)
    doctor = await clinic.doctor()
    held = await clinic.ask.hold(mother, HoldSlot(patient_id=ward, doctor_id=doctor, starts_at=at(9)))
    assert await clinic.ask.held(mother, held.hold_id) == held
    booked = await clinic.ask.book(mother, BookAppointment(
        patient_id=ward, doctor_id=doctor, starts_at=at(9), hold_id=held.hold_id))
    moved = await clinic.ask.reschedule(mother, booked.id, RescheduleAppointment(starts_at=at(10)))
    assert (await clinic.ask.appointment(mother, booked.id)).starts_at == at(10)
    assert (await clinic.ask.calendar_file(mother, booked.id)).content
    cancelled = await clinic.ask.cancel(mother, booked.id, Why(reason="Has a cold."))
    assert (moved.patient_id, cancelled.status) == (ward, Status.CANCELLED)
    assert [step.by for step in await clinic.ask.steps(mother, booked.id)] == ["Pat Ient"] * 3
    assert [(one.action, one.actor_id, one.subject_id, one.detail["on_behalf"]) for one in await clinic.audited()] == [
        (action, mother.account_id, ward, "parent") for action in (
            "appointment.held", "appointment.booked", "appointment.rescheduled", "appointment.cancelled")]
    assert [fact.by_account for fact in await clinic.facts() if isinstance(fact, AppointmentBooked)] == [mother.account_id]
    assert [one.id for one in (await clinic.ask.appointments(mother, patient_id=ward)).items] == [booked.id]
    assert (await clinic.ask.appointments(mother)).items == (await clinic.ask.appointments(mother, patient_id=own)).items == []


async def test_it_is_the_wards_time_that_counts_and_not_the_guardians(clinic: Clinic) -> None:
    mother, own, ward = a_mother(clinic)
    one, other = await clinic.doctor(), await clinic.doctor()
    await clinic.book(one, at(9), patient_id=own)
    await clinic.book(other, at(9), patient_id=ward, caller=mother)   # who comes along sits beside
    with pytest.raises(TimeIsTaken):
        await clinic.book(await clinic.doctor(), at(9), patient_id=ward, caller=mother)
    with pytest.raises(SlotNotOffered):   # as the ward could, and no more
        await clinic.book(one, at(12, 5), patient_id=ward, caller=mother)


async def test_a_guardian_waits_for_a_ward(clinic: Clinic) -> None:
    mother, _, ward = a_mother(clinic)
    doctor = await clinic.doctor(weekly=hours().weekly[:1])
    wish = JoinWaitlist(patient_id=ward, doctor_id=doctor, earliest=at(9), latest=at(17, day=2))
    waiting = await clinic.ask.join_waitlist(mother, wish)
    await clinic.service.offer_freed()
    assert (await clinic.ask.waiting(mother, waiting.id)).status is Standing.OFFERED
    assert [one.id for one in (await clinic.ask.waitlist(mother, patient_id=ward)).items] == [waiting.id]
    accepted = await clinic.ask.accept_offer(mother, waiting.id)
    assert (accepted.status, accepted.patient_id) == (Standing.BOOKED, ward)
    second = await clinic.ask.join_waitlist(mother, wish)
    assert (await clinic.ask.leave_waitlist(mother, second.id)).status is Standing.LEFT


async def test_once_it_is_over_nothing_of_it_is_within_reach(clinic: Clinic) -> None:
    mother, _, ward = a_mother(clinic)
    doctor = await clinic.doctor()
    booked = await clinic.book(doctor, at(9), patient_id=ward, caller=mother)
    held = await clinic.ask.hold(mother, HoldSlot(patient_id=ward, doctor_id=doctor, starts_at=at(11)))
    wish = JoinWaitlist(patient_id=ward, doctor_id=doctor, earliest=at(9), latest=at(9) + timedelta(days=1))
    waiting = await clinic.ask.join_waitlist(mother, wish)
    clinic.register.guardians.clear()
    for ask in (lambda: clinic.ask.appointment(mother, booked.id), lambda: clinic.ask.steps(mother, booked.id),
                lambda: clinic.ask.calendar_file(mother, booked.id),
                lambda: clinic.ask.reschedule(mother, booked.id, RescheduleAppointment(starts_at=at(10))),
                lambda: clinic.ask.cancel(mother, booked.id, Why()),
                lambda: clinic.book(doctor, at(13), patient_id=ward, caller=mother),
                lambda: clinic.ask.hold(mother, HoldSlot(patient_id=ward, doctor_id=doctor, starts_at=at(14))),
                lambda: clinic.ask.held(mother, held.hold_id), lambda: clinic.ask.let_go(mother, held.hold_id),
                lambda: clinic.ask.appointments(mother, patient_id=ward),
                lambda: clinic.ask.waitlist(mother, patient_id=ward),
                lambda: clinic.ask.waiting(mother, waiting.id), lambda: clinic.ask.accept_offer(mother, waiting.id),
                lambda: clinic.ask.leave_waitlist(mother, waiting.id), lambda: clinic.ask.join_waitlist(mother, wish)):
        with pytest.raises(NotFound):
            await ask()


async def test_a_doctor_who_is_a_mother_has_both(clinic: Clinic) -> None:
    """And as a mother she books as patients do, also with herself out of the question."""
    own, ward = new_id(), new_id()
    clinic.register.guardians[ward] = own
    doctor, other = await clinic.doctor(), await clinic.doctor()
    mother = a_caller(DOCTOR, PATIENT, doctor_id=doctor, patient_id=own)
    clinic.register.treated |= {ward}
    visit = await clinic.book(other, at(9), patient_id=ward)
    assert [one.id for one in (await clinic.ask.appointments(mother, patient_id=ward)).items] == [visit.id]
    assert (await clinic.ask.cancel(mother, visit.id, Why())).status is Status.CANCELLED
    stranger = await clinic.book(doctor, at(9))
    assert [one.id for one in (await clinic.ask.appointments(mother, patient_id=stranger.patient_id)).items] == [stranger.id]

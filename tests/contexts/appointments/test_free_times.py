"""Who looks at free times for a patient sees those that the patient can take; whose the others are, nobody learns."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import HoldSlot, Slots
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound
from infirmary.language import PATIENT, RECEPTION

from .builders import Clinic, a_caller, as_patient, at, reception
from .test_guardians import a_mother


def starts(found: Slots) -> list[datetime]:
    return [slot.starts_at for slot in found.items]


async def look(clinic: Clinic, caller: Caller, doctor: UUID, patient: UUID | None = None) -> list[datetime]:
    """Between nine and ten: as anybody, or for this patient."""
    if patient is None:
        return starts(await clinic.ask.slots(caller, at(9), at(10), doctor_id=doctor))
    return starts(await clinic.ask.slots_for(caller, patient, at(9), at(10), doctor_id=doctor))


async def test_patients_are_not_offered_times_at_which_they_have_another_visit(every_clinic: Clinic) -> None:
    clinic, patient = every_clinic, new_id()
    doctor, other = await clinic.doctor(), await clinic.doctor()
    await clinic.book(other, at(9, 20), patient_id=patient)
    left, every = [at(9), at(9, 40)], [at(9), at(9, 20), at(9, 40)]
    assert await look(clinic, as_patient(patient), doctor) == left
    assert await look(clinic, as_patient(patient), doctor, patient) == left
    assert await look(clinic, reception, doctor, patient) == left
    assert await look(clinic, as_patient(new_id()), doctor) == every
    assert await look(clinic, NOBODY, doctor) == await look(clinic, reception, doctor) == every
    works_here = a_caller(RECEPTION, PATIENT, patient_id=patient)
    assert await look(clinic, works_here, doctor) == every   # looks for others
    assert starts(await clinic.ask.slots_for(reception, patient, at(9), at(10), department_id=UUID(int=1))) == []


async def test_the_next_free_time_is_one_that_the_patient_can_take(clinic: Clinic) -> None:
    patient, doctor, other = new_id(), await clinic.doctor(), await clinic.doctor()
    await clinic.book(other, at(9), patient_id=patient)
    await clinic.book(other, at(9, 20), patient_id=patient)
    for found in (await clinic.ask.earliest(as_patient(patient)), await clinic.ask.earliest_for(reception, patient)):
        assert {one.doctor_id: one.next and one.next.starts_at for one in found} == {
            doctor: at(9, 40), other: at(9, 40)}
    assert next(one.next and one.next.starts_at for one in await clinic.ask.earliest(NOBODY)
                if one.doctor_id == doctor) == at(9)


async def test_in_the_doctors_break_the_patient_may_be_elsewhere(clinic: Clinic) -> None:
    patient, doctor, other = new_id(), await clinic.doctor(buffer=10), await clinic.doctor(minutes=10)
    await clinic.book(other, at(9, 20), patient_id=patient)
    assert await look(clinic, as_patient(patient), doctor) == [at(9), at(9, 30)]


async def test_what_a_guardian_holds_for_a_ward_is_free_for_that_ward_alone(every_clinic: Clinic) -> None:
    clinic = every_clinic
    mother, own, ward = a_mother(clinic)
    doctor, other = await clinic.doctor(), await clinic.doctor()
    await clinic.ask.hold(mother, HoldSlot(patient_id=ward, doctor_id=doctor, starts_at=at(9)))
    await clinic.book(other, at(9, 40), patient_id=ward)
    assert await look(clinic, mother, doctor, ward) == [at(9), at(9, 20)]
    assert await look(clinic, mother, doctor, own) == await look(clinic, mother, doctor) == [at(9, 20), at(9, 40)]
    clinic.register.guardians.clear()
    with pytest.raises(NotFound):
        await look(clinic, mother, doctor, ward)


async def test_when_somebody_can_come_is_for_them_their_guardians_and_the_desk(clinic: Clinic) -> None:
    doctor, patient = await clinic.doctor(), new_id()
    with pytest.raises(NotFound):
        await look(clinic, as_patient(new_id()), doctor, patient)
    with pytest.raises(NotFound):
        await clinic.ask.earliest_for(as_patient(new_id()), patient)
    with pytest.raises(NotFound):
        await look(clinic, reception, new_id(), patient)

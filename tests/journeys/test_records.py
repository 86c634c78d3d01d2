"""Somebody stands for somebody else; two records turn out to be one person's."""
from __future__ import annotations

from datetime import date

import pytest

from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.patients.contract import (
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    MergeForm,
    Patients,
    UnmergeForm,
)
from infirmary.kernel.errors import NotFound

from .clinic import Clinic
from .world import World


async def test_a_parent_books_for_a_child_until_it_ends(world: World) -> None:
    clinic = await Clinic(world).open()
    rosa = await clinic.sign_up()
    patients, appointments = world.ask(Patients), world.ask(Appointments)
    emma = await clinic.registered("Emma", birth_date=date(2024, 5, 7))
    wish = BookAppointment(patient_id=emma, doctor_id=clinic.doctor.id, starts_at=(await clinic.free())[0])
    with pytest.raises(NotFound):
        await appointments.book(rosa, wish)
    bond = await patients.name_guardian(clinic.reception, emma, GuardianForm(
        guardian_id=rosa.subjects["patient_id"], kind=GuardianKind.PARENT, reason="Her mother", document="Birth certificate"))
    visit = await appointments.book(rosa, wish)
    assert (await clinic.titles(rosa))[-1]   # she is told what Emma would be
    await patients.end_guardianship(clinic.reception, emma, bond.id, EndGuardianship(reason="A court's order"),
                                    if_match=bond.version)
    for refused in (appointments.appointment(rosa, visit.id), patients.patient(rosa, emma)):
        with pytest.raises(NotFound):
            await refused


async def test_visits_follow_a_record_that_is_merged_and_go_back(world: World) -> None:
    clinic = await Clinic(world).open()
    rosa = await clinic.sign_up()
    patients, appointments = world.ask(Patients), world.ask(Appointments)
    survivor, double = rosa.subjects["patient_id"], await clinic.registered("Rosita")
    visit = await appointments.book(clinic.reception, BookAppointment(
        patient_id=double, doctor_id=clinic.doctor.id, starts_at=(await clinic.free())[0]))
    await patients.merge(clinic.reception, survivor, MergeForm(duplicate_id=double, reason="Registered twice"))

    def look() -> object:
        return appointments.appointment(clinic.reception, visit.id)

    await world.until(look, lambda one: one.patient_id == survivor)
    assert [one.id for one in (await appointments.appointments(rosa)).items] == [visit.id]
    await patients.unmerge(clinic.reception, survivor, UnmergeForm(duplicate_id=double))
    await world.until(look, lambda one: one.patient_id == double)
    assert (await appointments.appointments(rosa)).items == []

"""A patient signs up, finds a doctor, books; the doctor accepts; both are told; the visit moves and is cancelled; the
day is lived; reception and the auditor see it all."""
from __future__ import annotations

from datetime import date, timedelta

import pytest

from infirmary.contexts.appointments.contract import (
    Appointments,
    Because,
    BookAppointment,
    NotInThisState,
    RescheduleAppointment,
    Status,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.audit.contract import Audit
from infirmary.contexts.patients.contract import Demographics, Patients, VisitsStillOpen
from infirmary.contexts.reports.contract import Reports
from infirmary.contexts.staff.contract import LeaveForm, Staff
from infirmary.kernel.access import Caller
from infirmary.kernel.errors import NotFound
from infirmary.kernel.request import changed
from tests.house import admin, auditor

from .clinic import Clinic
from .world import World


async def test_a_visit_from_sign_up_to_completion(world: World) -> None:
    clinic = await Clinic(world).open(accepts_first=True)
    rosa = await clinic.sign_up()
    appointments = world.ask(Appointments)
    before = await world.ask(Reports).hospital(clinic.admin)
    free = await clinic.free()
    assert len(free) == 12

    asked = await appointments.book(rosa, BookAppointment(
        patient_id=rosa.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=free[3], reason="Breathless"))
    assert asked.status is Status.REQUESTED
    assert free[3] not in await clinic.free()
    assert len(await clinic.titles(clinic.as_doctor)) == 1

    accepted = await appointments.accept(clinic.as_doctor, asked.id)
    assert accepted.status is Status.BOOKED
    assert len(await clinic.titles(rosa)) == 2   # asked, accepted

    moved = await appointments.reschedule(clinic.reception, asked.id, RescheduleAppointment(starts_at=free[5]))
    assert (moved.starts_at, moved.status) == (free[5], Status.BOOKED)
    assert free[3] in await clinic.free()
    assert free[5] not in await clinic.free()
    assert len(await clinic.titles(rosa)) == 3
    assert len(await clinic.titles(clinic.as_doctor)) == 2   # asked, moved; not of what she did herself

    patient = await world.ask(Patients).patient(clinic.reception, rosa.subjects["patient_id"])
    with pytest.raises(VisitsStillOpen):
        await world.ask(Patients).retire(clinic.reception, patient.id, if_match=patient.version)

    world.day_comes(moved.starts_at - timedelta(minutes=10))
    refreshed = world.signed_in   # tokens last ten minutes; the journey lasts a day
    desk, doctor = refreshed(clinic.reception), refreshed(clinic.as_doctor)
    await appointments.check_in(desk, asked.id)
    await appointments.start(doctor, asked.id)
    done = await appointments.complete(doctor, asked.id)
    assert done.status is Status.COMPLETED
    steps = await appointments.steps(refreshed(rosa), asked.id)
    assert [step.status.value for step in steps] == [
        "requested", "booked", "booked", "checked_in", "in_progress", "completed"]
    await world.facts_arrive()

    trail = await world.ask(Audit).audit_events(refreshed(auditor), patient_id=rosa.subjects["patient_id"],
                                                action="appointment.", limit=100)
    assert [one.action for one in trail.items][::-1] == [
        "appointment.requested", "appointment.accepted", "appointment.rescheduled", "appointment.checked_in",
        "appointment.started", "appointment.completed"]
    assert trail.items[-1].actor_id == rosa.account_id
    figures = await world.ask(Reports).hospital(refreshed(admin))
    assert [one.today for one in figures.departments if one.department_id == clinic.doctor.department_id] == [1]
    assert figures.days[-1].completed == before.days[-1].completed + 1


async def test_a_cancelled_visit_frees_its_time_for_somebody_else(world: World) -> None:
    clinic = await Clinic(world).open(accepts_first=False)
    rosa, ali = await clinic.sign_up("Rosa"), await clinic.sign_up("Ali")
    appointments = world.ask(Appointments)
    first = (await clinic.free())[0]

    def wish(caller: Caller) -> BookAppointment:
        return BookAppointment(patient_id=caller.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=first)

    booked = await appointments.book(rosa, wish(rosa))
    assert booked.status is Status.BOOKED
    with pytest.raises(TimeIsTaken) as taken:
        await appointments.book(ali, wish(ali))
    assert taken.value.extra["conflicts"]
    assert len(taken.value.extra["alternatives"]) == 5
    await appointments.cancel(rosa, booked.id, Why("Feeling well"))
    with pytest.raises(NotInThisState):
        await appointments.cancel(rosa, booked.id, Why())
    assert (await appointments.book(ali, wish(ali))).status is Status.BOOKED
    assert len(await clinic.titles(clinic.as_doctor)) == 3   # booked, cancelled, booked


async def test_a_declined_request_frees_its_time_and_says_why(world: World) -> None:
    clinic = await Clinic(world).open(accepts_first=True)
    rosa = await clinic.sign_up()
    appointments = world.ask(Appointments)
    first = (await clinic.free())[0]
    asked = await appointments.book(rosa, BookAppointment(
        patient_id=rosa.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=first))
    declined = await appointments.decline(clinic.as_doctor, asked.id, Because("Better with your family doctor."))
    assert (declined.status, declined.status_reason) == (Status.DECLINED, "Better with your family doctor.")
    assert first in await clinic.free()
    assert len(await clinic.titles(rosa)) == 2   # asked, declined


async def test_what_belongs_to_somebody_else_is_not_there(world: World) -> None:
    clinic = await Clinic(world).open(accepts_first=False)
    rosa, ali = await clinic.sign_up("Rosa"), await clinic.sign_up("Ali")
    appointments = world.ask(Appointments)
    slot = (await clinic.free())[0]
    hers = await appointments.book(rosa, BookAppointment(
        patient_id=rosa.subjects["patient_id"], doctor_id=clinic.doctor.id, starts_at=slot, reason="Private"))
    for refused in (
            appointments.appointment(ali, hers.id), appointments.steps(ali, hers.id),
            appointments.calendar_file(ali, hers.id), appointments.cancel(ali, hers.id, Why()),
            appointments.reschedule(ali, hers.id, RescheduleAppointment(starts_at=slot)),
            appointments.appointments(ali, patient_id=rosa.subjects["patient_id"]),
            appointments.book(ali, BookAppointment(patient_id=rosa.subjects["patient_id"], doctor_id=clinic.doctor.id,
                                                   starts_at=slot)),
            world.ask(Patients).patient(ali, rosa.subjects["patient_id"]),
            world.ask(Patients).card(ali, rosa.subjects["patient_id"])):
        with pytest.raises(NotFound):
            await refused
    assert (await appointments.appointments(ali)).items == []
    assert [one.id for one in (await appointments.appointments(rosa)).items] == [hers.id]


async def test_leave_takes_its_slots_away_and_gives_them_back(world: World) -> None:
    clinic = await Clinic(world).open(accepts_first=False)
    staff = world.ask(Staff)
    leave = await staff.take_leave(clinic.as_doctor, clinic.doctor.id, LeaveForm(
        starts_at=world.day + timedelta(hours=8), ends_at=world.day + timedelta(hours=10), reason="Course"))
    await world.facts_arrive()
    assert len(await clinic.free()) == 6
    await staff.end_leave(clinic.as_doctor, clinic.doctor.id, leave.id)
    await world.facts_arrive()
    assert len(await clinic.free()) == 12


async def test_reception_registers_finds_books_and_the_same_form_twice_is_one_visit(world: World) -> None:
    clinic = await Clinic(world).open(accepts_first=True)
    register = world.ask(Patients)
    lan = await register.register(clinic.reception, Demographics(
        given_name="Thị Lan", family_name=f"Nguyễn{world.mark}", birth_date=date(1991, 5, 7), phone="0600 555 630"))
    assert [one.id for one in (await register.search(clinic.reception, q=f"nguyen{world.mark} lan 91")).items] == [lan.id]
    slots = await clinic.free()
    body = BookAppointment(patient_id=lan.id, doctor_id=clinic.doctor.id, starts_at=slots[0], reason="Palpitations")
    with changed(key="one-form"):
        first = await world.ask(Appointments).book(clinic.reception, body)
    with changed(key="one-form"):
        second = await world.ask(Appointments).book(clinic.reception, body)
    assert first == second
    assert first.status is Status.BOOKED   # the desk has spoken to the patient: no acceptance needed
    day = await world.ask(Appointments).appointments(clinic.reception, day=world.day.date(),
                                                      doctor_id=clinic.doctor.id)
    assert [one.patient_name for one in day.items] == [f"Thị Lan Nguyễn{world.mark}"]

"""What becomes of a booked visit: the steps of its day, another time, another doctor."""
from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import (
    Because,
    DoctorNotAvailable,
    NotInThisState,
    RescheduleAppointment,
    SlotNotOffered,
    Status,
    TimeIsPast,
    TimeIsTaken,
    TooEarly,
    Why,
)
from infirmary.contexts.appointments.events import (
    AppointmentAccepted,
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRescheduled,
    PatientCheckedIn,
    PatientDidNotCome,
    VisitCompleted,
    VisitStarted,
)
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, RoleMayNot, StaleVersion
from infirmary.language import DOCTOR, PATIENT

from .builders import Clinic, a_caller, admin, as_doctor, as_patient, at, grains_of, nurse, reception


async def test_a_visit_passes_through_its_day(every_clinic: Clinic):
    clinic = every_clinic
    doctor, patient = await clinic.doctor(accepts_first=True), new_id()
    me, theirs = as_patient(patient), as_doctor(doctor)
    visit = await clinic.book(doctor, at(9), patient_id=patient, caller=me)
    clinic.clock.advance(timedelta(hours=1))
    await clinic.ask.accept(theirs, visit.id)
    await clinic.ask.check_in(nurse, visit.id)
    await clinic.ask.start(theirs, visit.id)
    clinic.clock.advance(timedelta(minutes=12))
    done = await clinic.ask.complete(theirs, visit.id)
    assert (done.status, done.version, done.changed_at, done.created_at) == (Status.COMPLETED, 5, at(9, 12), at(8))
    assert [type(fact) for fact in await clinic.facts()][1:] == [
        AppointmentAccepted, PatientCheckedIn, VisitStarted, VisitCompleted]
    assert [entry.action for entry in await clinic.audited()][1:] == [
        "appointment.accepted", "appointment.checked_in", "appointment.started", "appointment.completed"]
    assert set(await clinic.taken()) == grains_of(replace(done, ends_at=at(9, 15))), "what is left of it is free"


async def test_what_is_declined_or_cancelled_gives_its_time_back(every_clinic: Clinic):
    clinic = every_clinic
    doctor, patient = await clinic.doctor(accepts_first=True), new_id()
    asked = await clinic.book(doctor, at(9), patient_id=patient, caller=as_patient(patient))
    told = await clinic.book(doctor, at(10))
    declined = await clinic.ask.decline(as_doctor(doctor), asked.id, Because(" Come to the clinic instead "))
    cancelled = await clinic.ask.cancel(reception, told.id, Why())
    assert (declined.status, declined.status_reason) == (Status.DECLINED, "Come to the clinic instead")
    assert (cancelled.status, cancelled.status_reason) == (Status.CANCELLED, "")
    assert await clinic.taken() == {}
    assert [type(fact) for fact in await clinic.facts()][2:] == [AppointmentDeclined, AppointmentCancelled]
    assert (await clinic.book(doctor, at(9), patient_id=patient)).status is Status.BOOKED


async def test_who_does_not_come_gives_back_what_is_left_of_the_time(every_clinic: Clinic):
    clinic = every_clinic
    doctor = await clinic.doctor()
    visit = await clinic.book(doctor, at(9), minutes=60)
    with pytest.raises(TooEarly):
        await clinic.ask.no_show(reception, visit.id)
    clinic.clock.advance(timedelta(hours=1, minutes=18))
    await clinic.ask.no_show(reception, visit.id)
    assert isinstance((await clinic.facts())[-1], PatientDidNotCome)
    with pytest.raises(TimeIsPast):
        await clinic.book(doctor, at(9, 15))
    other = await clinic.book(doctor, at(9, 20), minutes=40)
    assert set(await clinic.taken()) == {
        key for key in grains_of(visit) if key[1] * 300 < at(9, 20).timestamp()} | grains_of(other)


async def test_nobody_checks_in_the_day_before(clinic: Clinic):
    visit = await clinic.book(await clinic.doctor(), at(9, day=1))
    for move in (clinic.ask.check_in, clinic.ask.start):
        with pytest.raises(TooEarly):
            await move(nurse, visit.id)
    clinic.clock.advance(timedelta(hours=16))   # midnight
    assert (await clinic.ask.check_in(nurse, visit.id)).status is Status.CHECKED_IN


async def test_what_has_happened_does_not_happen_again(clinic: Clinic):
    visit = await clinic.book(await clinic.doctor(), at(9))
    await clinic.ask.cancel(reception, visit.id, Why())
    with pytest.raises(NotInThisState, match="“cancelled”") as refused:
        await clinic.ask.cancel(reception, visit.id, Why())
    assert refused.value.extra == {"visit_status": "cancelled"}


async def test_a_step_is_only_for_the_version_that_was_seen(clinic: Clinic):
    visit = await clinic.book(await clinic.doctor(), at(9))
    await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(10)), if_match=1)
    for stale in (clinic.ask.cancel(reception, visit.id, Why(), if_match=1),
                  clinic.ask.check_in(reception, visit.id, if_match=3),
                  clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(11)), if_match=1)):
        with pytest.raises(StaleVersion):
            await stale
    assert (await clinic.ask.cancel(reception, visit.id, Why(), if_match=2)).version == 3


class TestWhoMay:
    async def test_patients_reach_only_what_is_theirs(self, clinic: Clinic):
        visit = await clinic.book(await clinic.doctor(), at(9))
        somebody = as_patient(new_id())
        for asked in (clinic.ask.appointment(somebody, visit.id), clinic.ask.steps(somebody, visit.id),
                      clinic.ask.calendar_file(somebody, visit.id), clinic.ask.cancel(somebody, visit.id, Why()),
                      clinic.ask.reschedule(somebody, visit.id, RescheduleAppointment(starts_at=at(10))),
                      clinic.ask.cancel(as_patient(visit.patient_id), new_id(), Why())):
            with pytest.raises(NotFound):
                await asked

    async def test_patients_take_no_step_of_the_staff(self, clinic: Clinic):
        visit = await clinic.book(await clinic.doctor(), at(9))
        me = as_patient(visit.patient_id)
        for asked in (clinic.ask.accept(me, visit.id), clinic.ask.decline(me, visit.id, Because("no")),
                      clinic.ask.check_in(me, visit.id), clinic.ask.start(me, visit.id),
                      clinic.ask.complete(me, visit.id), clinic.ask.no_show(me, visit.id)):
            with pytest.raises(RoleMayNot):
                await asked

    async def test_doctors_only_in_their_own_diary(self, clinic: Clinic):
        visit = await clinic.book(await clinic.doctor(accepts_first=True), at(9))
        colleague = as_doctor(await clinic.doctor())
        for asked in (clinic.ask.appointment(colleague, visit.id), clinic.ask.accept(colleague, visit.id),
                      clinic.ask.start(colleague, visit.id), clinic.ask.no_show(colleague, visit.id),
                      clinic.ask.cancel(colleague, visit.id, Why())):
            with pytest.raises(NotFound):
                await asked
        with pytest.raises(RoleMayNot):
            await clinic.ask.check_in(as_doctor(visit.doctor_id), visit.id)


class TestAnotherTime:
    async def test_takes_the_new_time_and_gives_the_old_one_back(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        visit = await clinic.book(doctor, at(9), minutes=40)
        for wanted, minutes in ((at(9, 20), None), (at(9), 60), (at(9, 20), 20), (at(9), 80), (at(14), 5)):
            moved = await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(
                starts_at=wanted, minutes=minutes, reason="The doctor is late"))
            assert moved.ends_at - moved.starts_at == timedelta(minutes=minutes or 40)
            assert await clinic.taken() == dict.fromkeys(grains_of(moved), visit.id)
        assert (moved.version, moved.local_start, moved.status_reason) == (
            6, "2027-03-01T14:00+00:00", "The doctor is late")
        fact = (await clinic.facts())[-1]
        assert isinstance(fact, AppointmentRescheduled)
        assert (fact.starts_at, fact.previous_starts_at, fact.previous_doctor_id) == (at(14), at(9), doctor)

    async def test_may_be_with_another_doctor(self, every_clinic: Clinic):
        clinic = every_clinic
        first = await clinic.doctor()
        second = await clinic.doctor(doctor_name="Dr Bo Lindqvist", department_name="Eyes", room="Room 9")
        visit = await clinic.book(first, at(9))
        moved = await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(9), doctor_id=second))
        assert (moved.doctor_id, moved.doctor_name, moved.department_name, moved.location) == (
            second, "Dr Bo Lindqvist", "Eyes", "Room 9")
        assert await clinic.taken() == dict.fromkeys(grains_of(moved), visit.id)

    async def test_that_is_taken_leaves_the_old_one_untouched(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor, other = await clinic.doctor(), await clinic.doctor()
        visit, blocking = await clinic.book(doctor, at(9)), await clinic.book(doctor, at(10))
        elsewhere = await clinic.book(other, at(11), patient_id=visit.patient_id)
        before, facts = await clinic.taken(), await clinic.facts()
        for wanted, whose, until in ((at(9, 50), "doctor", blocking.ends_at), (at(11, 10), "patient", elsewhere.ends_at)):
            with pytest.raises(TimeIsTaken) as refused:
                await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=wanted))
            [conflict] = refused.value.extra["conflicts"]
            assert (conflict["whose"], conflict["ends_at"]) == (whose, f"{until:%Y-%m-%dT%H:%M:%SZ}")
        assert (await clinic.taken(), await clinic.facts()) == (before, facts)
        assert await clinic.ask.appointment(reception, visit.id) == visit

    async def test_its_own_old_time_does_not_block_it(self, clinic: Clinic):
        doctor = await clinic.doctor()
        visit = await clinic.book(doctor, at(9), minutes=60)
        await clinic.book(doctor, at(10))
        with pytest.raises(TimeIsTaken) as refused:
            await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(9, 30)))
        assert [conflict["starts_at"] for conflict in refused.value.extra["conflicts"]] == ["2027-03-01T10:00:00Z"]

    async def test_is_for_patients_a_slot_as_it_is_offered(self, clinic: Clinic):
        doctor = await clinic.doctor()
        visit = await clinic.book(doctor, at(9, 5), minutes=60)
        me = as_patient(visit.patient_id)
        with pytest.raises(SlotNotOffered):
            await clinic.ask.reschedule(me, visit.id, RescheduleAppointment(starts_at=at(12, 5)))
        with pytest.raises(Malformed):
            await clinic.ask.reschedule(me, visit.id, RescheduleAppointment(starts_at=at(12), minutes=60))
        moved = await clinic.ask.reschedule(me, visit.id, RescheduleAppointment(starts_at=at(12)))
        assert (moved.ends_at, moved.status) == (at(12, 20), Status.BOOKED)

    async def test_is_a_request_again_where_the_department_accepts_first(self, clinic: Clinic):
        doctor, patient = await clinic.doctor(accepts_first=True), new_id()
        me = as_patient(patient)
        visit = await clinic.book(doctor, at(9), patient_id=patient)
        by_staff = await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(10)))
        by_patient = await clinic.ask.reschedule(me, visit.id, RescheduleAppointment(starts_at=at(11)))
        by_doctor = await clinic.ask.reschedule(as_doctor(doctor), visit.id, RescheduleAppointment(starts_at=at(11, 5)))
        assert [one.status for one in (visit, by_staff, by_patient, by_doctor)] == [
            Status.BOOKED, Status.BOOKED, Status.REQUESTED, Status.REQUESTED]
        elsewhere = await clinic.doctor()
        moved = await clinic.ask.reschedule(me, visit.id, RescheduleAppointment(starts_at=at(11), doctor_id=elsewhere))
        assert moved.status is Status.BOOKED

    async def test_a_doctor_does_not_fill_a_colleagues_diary(self, clinic: Clinic):
        own, other = await clinic.doctor(), await clinic.doctor()
        visit = await clinic.book(own, at(9))
        with pytest.raises(NotFound):
            await clinic.ask.reschedule(as_doctor(own), visit.id, RescheduleAppointment(starts_at=at(9), doctor_id=other))
        assert (await clinic.ask.reschedule(admin, visit.id, RescheduleAppointment(
            starts_at=at(9), doctor_id=other))).doctor_id == other

    async def test_of_a_doctor_who_is_the_patient_is_as_a_patient_when_a_colleague_is_concerned(self, clinic: Clinic):
        own, other, patient = await clinic.doctor(), await clinic.doctor(accepts_first=True), new_id()
        both = a_caller(PATIENT, DOCTOR, patient_id=patient, doctor_id=own)
        visit = await clinic.book(own, at(9), patient_id=patient)
        with pytest.raises(SlotNotOffered):
            await clinic.ask.reschedule(both, visit.id, RescheduleAppointment(starts_at=at(9, 5), doctor_id=other))
        moved = await clinic.ask.reschedule(both, visit.id, RescheduleAppointment(starts_at=at(9), doctor_id=other))
        assert moved.status is Status.REQUESTED

    async def test_is_refused_for_the_same_reasons_as_a_booking(self, clinic: Clinic):
        visit = await clinic.book(await clinic.doctor(), at(9))
        for wanted, doctor, refusal in ((at(7), None, TimeIsPast), (at(18), None, SlotNotOffered),
                                        (at(9), new_id(), DoctorNotAvailable)):
            with pytest.raises(refusal):
                await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=wanted, doctor_id=doctor))

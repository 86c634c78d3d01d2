"""Several people and things on one visit: a further doctor, a room, a device are taken as its doctor is, or nothing is."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Appointment,
    DeskAsksColleagues,
    DoctorOfVisitDecides,
    HoldSlot,
    ParticipantNotAvailable,
    RescheduleAppointment,
    SlotNotOffered,
    TimeIsTaken,
    Why,
)
from infirmary.contexts.appointments.contract.resources import (
    AmendResource,
    DepartmentSeesNobody,
    ResourceKind,
    ResourceNameTaken,
    SetParticipants,
)
from infirmary.contexts.appointments.events import AppointmentRescheduled, ParticipantsChanged
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound, Refusal, StaleVersion

from .builders import Clinic, a_clinic, admin, as_doctor, as_patient, at, grains_of, hours, opening, reception

ULTRASOUND = ResourceKind.EQUIPMENT


def said(refusal: Refusal) -> list[tuple[str, str]]:
    return [(one["code"], one.get("name", "")) for one in refusal.extra["conflicts"]]


async def those(clinic: Clinic, visit: Appointment, *ids: UUID, caller: Any = reception) -> Appointment:
    return await clinic.ask.set_participants(caller, visit.id, SetParticipants(participants=list(ids)), if_match=visit.version)


async def test_a_visit_takes_its_company_and_gives_it_back(every_clinic: Clinic):
    clinic = every_clinic
    doctor, second = await clinic.doctor(), await clinic.doctor(doctor_name="Dr Bo Lind")
    room, device = await clinic.thing(), await clinic.thing("Ultrasound 1", ULTRASOUND)
    visit = await clinic.book(doctor, at(9), participants=[second, device, room, device])
    assert [(one.name, one.kind.value) for one in visit.participants] == [
        ("Dr Bo Lind", "doctor"), ("Ultrasound 1", "equipment"), ("Room 1", "room")], "each once"
    assert await clinic.taken() == dict.fromkeys(grains_of(visit), visit.id)
    assert (await clinic.ask.appointments(reception, doctor_id=second)).items == [visit]
    assert [one.id for one in await clinic.ask.resource_day(reception, room, day=at(9).date())] == [visit.id]
    moved = await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(9, 10)))
    assert moved.participants == visit.participants
    assert await clinic.taken() == dict.fromkeys(grains_of(moved), visit.id)
    alone = await those(clinic, moved, room)
    await clinic.ask.amend_resource(admin, room, AmendResource(name="Room A"), if_match=1)
    assert [one.name for one in (await clinic.ask.appointment(reception, visit.id)).participants] == ["Room A"]
    assert await clinic.taken() == dict.fromkeys(grains_of(alone), visit.id)
    await clinic.ask.cancel(reception, visit.id, Why())
    assert await clinic.taken() == {}
    facts = await clinic.facts()
    assert [fact.previous_participants for fact in facts if isinstance(fact, ParticipantsChanged | AppointmentRescheduled)
            ] == [visit.participants] * 2


async def test_a_move_may_change_the_company_and_it_is_found_where_it_is_now(clinic: Clinic):
    doctor, second, third = [await clinic.doctor() for _ in range(3)]
    visit = await clinic.book(doctor, at(9), participants=[second])
    moved = await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(10), participants=[third]))
    assert (await clinic.ask.appointments(reception, doctor_id=second)).items == []
    assert (await clinic.ask.appointments(reception, doctor_id=third)).items == [moved]


async def test_a_hold_that_has_lapsed_is_not_in_the_way_of_a_second_doctor(clinic: Clinic):
    doctor, second, patient = await clinic.doctor(), await clinic.doctor(), new_id()
    await clinic.ask.hold(as_patient(patient), HoldSlot(patient_id=patient, doctor_id=second, starts_at=at(9)))
    with pytest.raises(TimeIsTaken) as no:
        await clinic.book(doctor, at(9), participants=[second])
    assert said(no.value) == [("time_held", "Dr Amara Okafor")]
    clinic.clock.advance(timedelta(minutes=6))
    await clinic.book(doctor, at(9), participants=[second])


async def test_the_break_after_a_visit_is_its_doctors_alone(clinic: Clinic):
    doctor, room = await clinic.doctor(buffer=10), await clinic.thing()
    await clinic.book(doctor, at(9), participants=[room])
    await clinic.book(await clinic.doctor(), at(9, 20), participants=[room])


async def test_who_is_second_on_one_visit_is_first_on_no_other_at_that_time(clinic: Clinic):
    first, second = await clinic.doctor(), await clinic.doctor(doctor_name="Dr Bo Lind")
    await clinic.book(first, at(9), participants=[second])
    with pytest.raises(TimeIsTaken):
        await clinic.book(second, at(9))
    own = await clinic.book(second, at(10))
    with pytest.raises(TimeIsTaken) as no:
        await clinic.book(first, at(10), participants=[second])
    assert said(no.value) == [("doctor_taken", "Dr Bo Lind")]
    assert no.value.extra["alternatives"][0]["starts_at"] == "2027-03-01T09:40:00Z", "when both are free"
    with pytest.raises(ParticipantNotAvailable):
        await clinic.book(first, at(11), participants=[first])
    with pytest.raises(ParticipantNotAvailable):
        await clinic.ask.reschedule(reception, own.id, RescheduleAppointment(starts_at=at(11), participants=[second]))


async def test_everything_in_the_way_is_said_with_what_is_free_instead(clinic: Clinic):
    doctor = await clinic.doctor()
    colleague = await clinic.doctor(doctor_name="Dr Bo Lind", weekly=[opening(1, "13:00", "17:00")],
                                    away=[(at(8), at(12))])
    room, device = await clinic.thing(department_id=UUID(int=7)), await clinic.thing("Ultrasound 1", ULTRASOUND)
    await clinic.thing("Room 2"), await clinic.thing("Room 3", department_id=UUID(int=7))
    busy = await clinic.thing("Room 4")
    await clinic.book(await clinic.doctor(), at(9), participants=[room, device], minutes=40)
    await clinic.book(await clinic.doctor(), at(9), participants=[busy])
    with pytest.raises(SlotNotOffered) as no:
        await clinic.book(doctor, at(9, 20), participants=[colleague, room, device])
    assert said(no.value) == [("doctor_away", "Dr Bo Lind"), ("outside_hours", "Dr Bo Lind"),
                              ("resource_taken", "Room 1"), ("resource_taken", "Ultrasound 1")]
    of_room, of_device = no.value.extra["conflicts"][2:]
    assert (of_room["starts_at"], of_room["ends_at"]) == ("2027-03-01T09:00:00Z", "2027-03-01T09:40:00Z")
    assert [one["name"] for one in of_room["others"]] == ["Room 2", "Room 3", "Room 4"], "Room 4 is free again at 9:20"
    assert "others" not in of_device
    assert "Room 1 is taken at that time." in no.value.detail
    assert no.value.extra["alternatives"][0]["starts_at"] == "2027-03-01T13:00:00Z"


async def test_free_times_with_others_are_times_at_which_all_are_free(clinic: Clinic):
    doctor, room = await clinic.doctor(), await clinic.thing()
    second = await clinic.doctor(weekly=[opening(1, "09:20", "12:00")], away=[(at(11), at(12))])
    await clinic.book(await clinic.doctor(), at(10), participants=[room])
    await clinic.book(doctor, at(10, 20))
    slots = await clinic.ask.slots(reception, from_=at(8), to=at(18), doctor_id=doctor, with_=f"{second},{room}")
    assert [f"{one.starts_at:%H:%M}" for one in slots.items] == ["09:20", "09:40", "10:40"]
    with pytest.raises(NotFound):
        await clinic.ask.slots(reception, from_=at(8), to=at(18), doctor_id=doctor, with_=str(new_id()))


async def test_candidates_are_named_with_whether_they_are_free(clinic: Clinic):
    doctor, room = await clinic.doctor(), await clinic.thing()
    gone = await clinic.thing("Room 2")
    await clinic.ask.amend_resource(admin, gone, AmendResource(active=False), if_match=1)
    await clinic.book(doctor, at(9), participants=[room])
    for hour, free in ((9, False), (10, True), (18, None)):
        found = await clinic.ask.candidates(reception, from_=at(hour), to=at(hour, 20))
        assert [(one.id, one.free) for one in found] == [(doctor, bool(free)), (room, free is not False)]
    with pytest.raises(Malformed):
        await clinic.ask.candidates(reception, from_=at(9), to=at(9))


async def test_patients_leave_it_to_the_hospital_and_keep_what_it_chose(clinic: Clinic):
    doctor, room, patient = await clinic.doctor(), await clinic.thing(), new_id()
    with pytest.raises(Malformed) as no:
        await clinic.book(doctor, at(9), patient_id=patient, caller=as_patient(patient), participants=[room])
    assert [one.field for one in no.value.errors] == ["participants"]
    visit = await clinic.book(doctor, at(9), patient_id=patient, participants=[room])
    await clinic.book(await clinic.doctor(), at(9, 20), participants=[room])
    with pytest.raises(TimeIsTaken) as taken:
        await clinic.ask.reschedule(as_patient(patient), visit.id, RescheduleAppointment(starts_at=at(9, 20)))
    assert "others" not in taken.value.extra["conflicts"][0], "it is not theirs to choose"
    moved = await clinic.ask.reschedule(as_patient(patient), visit.id, RescheduleAppointment(starts_at=at(9, 40)))
    assert moved.participants == visit.participants


async def test_doctors_choose_things_and_the_desk_asks_colleagues(clinic: Clinic):
    doctor, second, room, patient = await clinic.doctor(), await clinic.doctor(), await clinic.thing(), new_id()
    clinic.register.treated.add(patient)
    with pytest.raises(DeskAsksColleagues):
        await clinic.book(doctor, at(9), patient_id=patient, caller=as_doctor(doctor), participants=[second])
    visit = await clinic.book(doctor, at(9), patient_id=patient, caller=as_doctor(doctor), participants=[room])
    with pytest.raises(DeskAsksColleagues):
        await those(clinic, visit, second, caller=as_doctor(doctor))
    both = await those(clinic, visit, second, room)
    assert len((await those(clinic, both, second, caller=as_doctor(doctor))).participants) == 1


async def test_a_second_doctor_sees_the_visit_and_its_first_decides(clinic: Clinic):
    doctor, second, patient = await clinic.doctor(), await clinic.doctor(), new_id()
    visit = await clinic.book(doctor, at(9), patient_id=patient, participants=[second])
    caller, stranger = as_doctor(second), as_doctor(await clinic.doctor())
    assert await clinic.ask.appointment(caller, visit.id) == visit
    assert len(await clinic.ask.steps(caller, visit.id)) == 1
    assert (await clinic.ask.calendar_file(caller, visit.id)).name
    for asked in ({}, {"doctor_id": second}, {"patient_id": patient}):
        assert (await clinic.ask.appointments(caller, **asked)).items == [visit]
    assert (await clinic.ask.appointments(reception, doctor_id=second, from_=at(9), to=at(10))).items == [visit]
    for deed in (clinic.ask.start, clinic.ask.complete, clinic.ask.no_show):
        with pytest.raises(DoctorOfVisitDecides):
            await deed(caller, visit.id)
        with pytest.raises(NotFound):
            await deed(stranger, visit.id)
    with pytest.raises(DoctorOfVisitDecides):
        await clinic.ask.reschedule(caller, visit.id, RescheduleAppointment(starts_at=at(10)))
    with pytest.raises(NotFound):
        await clinic.ask.appointment(stranger, visit.id)
    await those(clinic, visit)
    with pytest.raises(NotFound):
        await clinic.ask.appointment(caller, visit.id)


async def test_changes_are_refused_whole_and_never_on_an_old_version(clinic: Clinic):
    doctor, room, device = await clinic.doctor(), await clinic.thing(), await clinic.thing("Ultrasound 1", ULTRASOUND)
    visit = await clinic.book(doctor, at(9))
    await clinic.book(await clinic.doctor(), at(9, 10), participants=[device])
    before = await clinic.taken()
    with pytest.raises(TimeIsTaken) as no:
        await those(clinic, visit, room, device)
    assert said(no.value) == [("resource_taken", "Ultrasound 1")]
    assert await clinic.taken() == before
    with_room = await those(clinic, visit, room)
    with pytest.raises(StaleVersion):
        await those(clinic, visit)
    for unknown in (new_id(), doctor):
        with pytest.raises(ParticipantNotAvailable):
            await those(clinic, with_room, unknown)


async def test_what_is_retired_is_not_booked_any_more_and_stays_where_it_is(clinic: Clinic):
    doctor, room = await clinic.doctor(), await clinic.thing()
    visit = await clinic.book(doctor, at(9), participants=[room])
    retired = await clinic.ask.amend_resource(admin, room, AmendResource(active=False), if_match=1)
    assert not retired.active
    with pytest.raises(ParticipantNotAvailable) as no:
        await clinic.book(doctor, at(10), participants=[room])
    assert said(no.value) == [("participant_gone", "Room 1")]
    assert (await those(clinic, visit, room)).participants == visit.participants
    await clinic.ask.amend_resource(admin, room, AmendResource(active=True), if_match=2)
    await clinic.book(doctor, at(10), participants=[room])


async def test_a_name_is_given_once_of_a_kind_and_shown_on_visits_ahead(clinic: Clinic):
    doctor, room = await clinic.doctor(), await clinic.thing("Séance room")
    second = await clinic.doctor(doctor_name="Dr Bo Lind")
    visit = await clinic.book(doctor, at(9), participants=[room, second])
    with pytest.raises(ResourceNameTaken):
        await clinic.thing("seance  ROOM")
    await clinic.thing("Seance room", ULTRASOUND)
    other = await clinic.thing("Room 9")
    with pytest.raises(ResourceNameTaken):
        await clinic.ask.amend_resource(admin, other, AmendResource(name="SEANCE ROOM"), if_match=1)
    with pytest.raises(StaleVersion):
        await clinic.ask.amend_resource(admin, room, AmendResource(name="Quiet room"), if_match=7)
    with pytest.raises(DepartmentSeesNobody):
        await clinic.thing("Room 10", department_id=new_id())
    await clinic.ask.amend_resource(admin, room, AmendResource(name="Quiet room"), if_match=1)
    await clinic.hear(hours(second, version=2, doctor_name="Dr Bo Lind-Berg"))
    shown = await clinic.ask.appointment(reception, visit.id)
    assert [one.name for one in shown.participants] == ["Dr Bo Lind-Berg", "Quiet room"]
    assert shown.version == visit.version


async def test_a_rooms_day_says_who_has_it_and_never_why(clinic: Clinic):
    doctor, room = await clinic.doctor(), await clinic.thing()
    visit = await clinic.book(doctor, at(9), participants=[room], reason="Palpitations")
    gone = await clinic.book(doctor, at(10), participants=[room])
    await clinic.ask.cancel(reception, gone.id, Why())
    await clinic.book(doctor, at(9, day=1), participants=[room])
    [one] = await clinic.ask.resource_day(reception, room, day=at(9).date())
    assert (one.id, one.patient_name, one.starts_at) == (visit.id, "Pat Ient", at(9))
    assert "Palpitations" not in repr(one)
    with pytest.raises(NotFound):
        await clinic.ask.resource_day(reception, new_id(), day=at(9).date())


async def test_lists_of_rooms_and_equipment_are_narrowed_and_paged(clinic: Clinic):
    await clinic.doctor()
    for name in ("Room 2", "Room 1"):
        await clinic.thing(name)
    await clinic.thing("Ultrasound 1", ULTRASOUND, department_id=UUID(int=7))
    page = await clinic.ask.resources(reception, limit=2)
    rest = await clinic.ask.resources(reception, limit=2, cursor=page.next_cursor)
    assert [one.name for one in (*page.items, *rest.items)] == ["Ultrasound 1", "Room 1", "Room 2"]
    assert [one.name for one in (await clinic.ask.resources(reception, kind=ResourceKind.ROOM)).items] == ["Room 1", "Room 2"]
    assert (await clinic.ask.resources(reception, active=False)).items == []
    assert [one.name for one in (await clinic.ask.resources(reception, department_id=UUID(int=7))).items] == ["Ultrasound 1"]


DEEDS = st.lists(st.tuples(st.sampled_from(["book", "move", "change", "cancel"]), st.integers(0, 9), st.integers(0, 8),
                           st.integers(1, 4), st.sets(st.integers(0, 4), max_size=3)), min_size=3, max_size=14)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
async def test_what_is_taken_is_always_what_the_visits_say(tmp_path_factory: pytest.TempPathFactory, deeds: Any):
    async with a_clinic(f"sqlite://{tmp_path_factory.mktemp('company')}/appointments.db") as clinic:
        doctors = [await clinic.doctor() for _ in range(2)]
        others = [*doctors, *[await clinic.thing(f"Room {n}") for n in range(3)]]
        for deed, which, when, length, chosen in deeds:
            company, starts_at, standing = [others[n] for n in chosen], at(9) + timedelta(minutes=10 * when), [
                one for one in await clinic.visits() if one.status == "booked"]
            try:
                if deed == "book" or not standing:
                    await clinic.book(doctors[which % 2], starts_at, minutes=5 * length, participants=company)
                elif deed == "move":
                    visit = standing[which % len(standing)]
                    await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(
                        starts_at=starts_at, doctor_id=doctors[when % 2], participants=company if length > 2 else None))
                elif deed == "change":
                    visit = standing[which % len(standing)]
                    await clinic.ask.set_participants(reception, visit.id, SetParticipants(participants=company),
                                                      if_match=visit.version)
                else:
                    await clinic.ask.cancel(reception, standing[which % len(standing)].id, Why())
            except (TimeIsTaken, ParticipantNotAvailable):
                pass
            live = [one for one in await clinic.visits() if one.status == "booked"]
            assert await clinic.taken() == {grain: one.id for one in live for grain in grains_of(one)}
            async with clinic.db.reading() as reading:
                kept = await reading.all(tables.participants.PARTICIPATIONS.find())
            assert {(one.participant_id, one.appointment_id) for one in kept} == {
                (one.id, visit.id) for visit in await clinic.visits() for one in visit.participants}

"""Visits that recur are laid out with every obstacle before anything is booked, at the desk and by patients."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.appointments.contract.resources import ResourceForm, ResourceKind
from infirmary.contexts.patients.contract import Demographics, Patients
from infirmary.contexts.patients.contract.guardians import GuardianForm, GuardianKind
from infirmary.language import PATIENT
from infirmary.web.shown import slot_value
from tests.house import MONDAY, admin, reception

from .conftest import Hospital
from .visitor import Answer, Form, Visitor

TUESDAY = MONDAY + timedelta(days=1, hours=1)   # at 9:00
WEEK = timedelta(days=7)


async def laid_out(hospital: Hospital, desk: Visitor, **changed: str) -> Answer:
    people = hospital.people
    asked = {"patient_id": people.rosa.id, "doctor_id": people.brennan.id, "day": "2027-03-02", "time": "9",
             "frequency": "weekly", "count": "3", **changed}
    return await desk.open("/desk/series/new?" + urlencode(asked))


async def test_the_desk_sees_each_visit_chooses_what_to_do_and_books(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    await hospital.book(people.samuel, people.brennan, TUESDAY + timedelta(days=7))
    page = await laid_out(hospital, desk)
    assert "3 visits, 1 cannot be had so" in page.words
    assert "The doctor has a visit from 09:00 to 09:20." in page.words
    form = booking(page)
    refused = await desk.submit(form)
    assert refused.status == 409
    assert "Not every visit can be had at its time Tue 9 Mar, 09:00: The doctor has a visit" in refused.words
    made = await desk.submit(form, **{"at-2": (TUESDAY + timedelta(days=7, minutes=20)).isoformat()})
    page = await desk.open(made.location)
    assert "Tue 9 Mar 09:20" in page.words
    visits = (await hospital.ask(Appointments).appointments(reception, patient_id=people.rosa.id,
                                                            doctor_id=people.brennan.id)).items
    assert [one.starts_at - TUESDAY for one in visits] == [
        timedelta(0), timedelta(days=7, minutes=20), timedelta(days=14)]
    assert f"/desk/series/{visits[0].series_id}" in (await desk.open(f"/desk/visits/{visits[0].id}")).links.values()


async def test_every_visit_takes_what_was_ticked(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    room = await hospital.ask(Appointments).add_resource(admin, ResourceForm(kind=ResourceKind.ROOM, name="Gym"))
    page = await laid_out(hospital, desk, also=str(room.id))
    ticked = next(one for one in page.forms if one.method == "get" and "series" in one.action)
    assert ticked.values["also"] == str(room.id)
    await desk.submit(booking(page))
    assert [[one.name for one in visit.participants] for visit in await of(hospital, people.rosa.id)] == [["Gym"]] * 3


@pytest.mark.parametrize(("fields", "says"), [
    ({"time": "soon"}, "Write a time such as 9:20."), ({"count": "99"}, "Say how many visits, at most 60"),
    ({"until": "2027-04-01"}, "Say how many visits, at most 60"), ({"interval": "0"}, "Between 1 and 52.")])
async def test_a_rule_that_makes_no_sense_says_how_to_mend_it(hospital: Hospital, fields: dict[str, str], says: str) -> None:
    answer = await laid_out(hospital, hospital.desk, **fields)
    assert answer.status == 400
    assert says in answer.words


async def test_short_months_are_said_beforehand(hospital: Hospital) -> None:
    page = await laid_out(hospital, hospital.desk, day="2027-03-31", frequency="monthly", missing="last_day")
    assert "No such day, so the last one is taken: April 2027." in page.words


async def test_what_was_left_out_stays_out_while_others_are_mended(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    for weeks in (1, 2):
        await hospital.book(people.samuel, people.brennan, TUESDAY + weeks * WEEK)
    form = booking(await laid_out(hospital, desk))
    refused = await desk.submit(form, **{"at-2": "out"})
    again = booking(refused)
    made = await desk.submit(again, **{"at-3": "out"})
    assert [one.starts_at for one in await of(hospital, people.rosa.id)] == [TUESDAY]
    assert made.location.startswith("/desk/series/")


def booking(page: Answer) -> Form:
    """That books what is shown."""
    return next(one for one in page.forms if one.method == "post" and "series" in one.action)


async def of(hospital: Hospital, patient_id: UUID) -> list[Any]:
    return (await hospital.ask(Appointments).appointments(
        reception, patient_id=patient_id, doctor_id=hospital.people.brennan.id)).items


async def repeated(hospital: Hospital, rosa: Visitor, doctor: str = "brennan", **rule: str) -> Answer:
    """From the times, by the time chosen, to what would be booked."""
    who = getattr(hospital.people, doctor)
    page = await rosa.open(f"/book/when?doctor={who.id}&day=2027-03-02")
    went = await rosa.submit(page.form("/book/hold"), press="Repeat the time chosen", slot=slot_value(who.id, TUESDAY))
    assert went.location == "/book/series?" + urlencode({"slot": slot_value(who.id, TUESDAY)})
    page = await rosa.open(went.location)
    asked = page.form("/book/series").values | {"frequency": "weekly", "count": "3"} | rule
    return await rosa.open("/book/series?" + urlencode(asked))


async def test_a_patient_repeats_a_time_sees_each_visit_and_books_those_that_fit(hospital: Hospital) -> None:
    rosa, people = hospital.visitor(PATIENT), hospital.people
    await hospital.book(people.samuel, people.brennan, TUESDAY + WEEK)
    page = await repeated(hospital, rosa)
    assert "3 visits, 1 cannot be had so" in page.words
    assert "Samuel" not in page.text
    form = booking(page)
    refused = await rosa.submit(form)
    assert refused.status == 409
    assert "Not every visit can be had at its time" in refused.words
    form = booking(refused)
    made = await rosa.submit(form, press="Book those that fit")
    assert made.location.startswith("/series/")
    assert "2 visits are booked." in (await rosa.open(made.location)).words
    assert [one.starts_at for one in await of(hospital, people.rosa.id)] == [TUESDAY, TUESDAY + 2 * WEEK]
    assert (await rosa.submit(form, press="Book those that fit")).location == made.location   # the form sent twice


async def test_where_the_department_answers_first_they_are_asked_for(hospital: Hospital) -> None:
    rosa = hospital.visitor(PATIENT)
    page = await repeated(hospital, rosa, "okafor")
    assert "looks at every wish first" in page.words
    made = await rosa.submit(booking(page))
    assert "Asked for 3 visits." in (await rosa.open(made.location)).words


async def test_a_rule_without_an_end_says_how_to_mend_it_to_a_patient_too(hospital: Hospital) -> None:
    page = await repeated(hospital, hospital.visitor(PATIENT), count="")
    assert page.status == 400
    assert "Say how many visits, at most 60, or until which day." in page.words


async def test_a_guardian_books_for_their_ward_whose_name_stands_in_what_is_in_the_way(hospital: Hospital) -> None:
    people, rosa = hospital.people, hospital.visitor(PATIENT)
    record = hospital.ask(Patients)
    emma = await record.register(reception, Demographics(
        given_name="Emma", family_name="Delgado", birth_date=MONDAY.date() - 12 * timedelta(days=365)))
    await record.name_guardian(reception, emma.id, GuardianForm(
        guardian_id=people.rosa.id, kind=GuardianKind.PARENT, document="Birth certificate", reason="Lives with her."))
    await hospital.house.deliver_facts()
    await hospital.ask(Appointments).book(reception, BookAppointment(
        patient_id=emma.id, doctor_id=people.okafor.id, starts_at=TUESDAY + WEEK))
    await rosa.open(f"/home?for={emma.id}")
    page = await repeated(hospital, rosa)
    assert "For Emma Delgado" in page.words
    assert "Emma Delgado has another visit from 09:00 to 09:20." in page.words
    made = await rosa.submit(booking(page), press="Book those that fit")
    assert [one.starts_at for one in await of(hospital, emma.id)] == [TUESDAY, TUESDAY + 2 * WEEK]
    assert await of(hospital, people.rosa.id) == []
    assert "For Emma Delgado" in (await rosa.open(made.location)).words


@pytest.mark.parametrize("asked", ["", "?slot=nonsense", "?slot=00000000-0000-0000-0000-000000000000|2027-03-02T09:00:00%2B00:00"])
async def test_from_no_time_there_is_nothing_to_repeat(hospital: Hospital, asked: str) -> None:
    assert (await hospital.visitor(PATIENT).open("/book/series" + asked)).status == 404

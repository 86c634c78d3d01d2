"""Visits that recur: every obstacle before anything is booked, and moved and cancelled together, by desk and patient."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from infirmary.contexts.appointments.contract import Appointments, Status
from infirmary.contexts.appointments.contract.series import BookSeries, Frequency, Recurrence, Series
from infirmary.language import PATIENT
from tests.house import MONDAY, reception

from .conftest import Hospital
from .visitor import Answer, Visitor

TUESDAY = MONDAY + timedelta(days=1, hours=1)   # at 9:00


async def laid_out(hospital: Hospital, desk: Visitor, **changed: str) -> Answer:
    people = hospital.people
    asked = {"patient_id": people.rosa.id, "doctor_id": people.brennan.id, "day": "2027-03-02", "time": "9",
             "frequency": "weekly", "count": "3", **changed}
    return await desk.open("/desk/series/new?" + urlencode(asked))


async def booked(hospital: Hospital, **more: Any) -> Series:
    return await hospital.ask(Appointments).book_series(reception, BookSeries(
        patient_id=hospital.people.rosa.id, doctor_id=hospital.people.brennan.id, starts_at=TUESDAY,
        recurrence=Recurrence(frequency=Frequency.WEEKLY, count=3), **more))


async def test_the_desk_sees_each_visit_chooses_what_to_do_and_books(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    await hospital.book(people.samuel, people.brennan, TUESDAY + timedelta(days=7))
    page = await laid_out(hospital, desk)
    assert "3 visits, 1 cannot be had so" in page.words
    assert "The doctor has a visit from 09:00 to 09:20." in page.words
    form = next(one for one in page.forms if one.action == "/desk/series/new" and one.method == "post")
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


@pytest.mark.parametrize(("fields", "says"), [
    ({"time": "soon"}, "Write a time such as 9:20."), ({"count": "99"}, "Say how many visits, at most 60"),
    ({"until": "2027-04-01"}, "Say how many visits, at most 60"), ({"interval": "0"}, "Between 1 and 52.")])
async def test_a_rule_that_makes_no_sense_says_how_to_mend_it(hospital: Hospital, fields: dict[str, str], says: str) -> None:
    answer = await laid_out(hospital, hospital.desk, **fields)
    assert answer.status == 400
    assert says in answer.words


async def test_short_months_are_said_beforehand(hospital: Hospital) -> None:
    page = await laid_out(hospital, hospital.desk, day="2027-03-31", frequency="monthly", missing="last_day")
    assert "No such day, so the last one is taken: 2027-04." in page.words


async def test_a_patient_sees_their_series_moves_it_and_cancels_the_rest(hospital: Hospital) -> None:
    made, rosa = await booked(hospital), hospital.visitor(PATIENT)
    first, second, _ = made.visits
    page = await rosa.open((await rosa.open(f"/visits/{first.id}")).links["One of several visits booked together"])
    moved = await rosa.submit(page.form("/move"), day="2027-03-03", time="10:00", **{"from": str(first.id)})
    assert moved.status == 303
    assert (await hospital.visit(second)).starts_at == TUESDAY + timedelta(days=8, hours=1)
    page = await rosa.open(moved.location)
    await rosa.submit(page.form("/cancel"), **{"from": str(second.id)})
    assert [(await hospital.visit(one)).status for one in made.visits] == [
        Status.BOOKED, Status.CANCELLED, Status.CANCELLED]
    stranger = hospital.visitor(PATIENT, patient_id=hospital.people.lan.id)
    assert (await stranger.open(moved.location)).status == 404


async def test_what_cannot_be_moved_is_said_and_nothing_is_changed(hospital: Hospital) -> None:
    made, desk, people = await booked(hospital), hospital.desk, hospital.people
    await hospital.book(people.samuel, people.brennan, TUESDAY + timedelta(days=8))
    page = await desk.open(f"/desk/series/{made.id}")
    wish = {"day": "2027-03-03", "time": "9:00", "from": str(made.visits[0].id)}
    refused = await desk.submit(page.form("/move"), **wish)
    assert refused.status == 409
    assert "Wed 10 Mar, 09:00: The doctor has a visit" in refused.words
    assert (await hospital.visit(made.visits[0])).starts_at == TUESDAY
    await desk.submit(page.form("/move"), **wish, fits="yes")
    assert [(await hospital.visit(one)).starts_at - TUESDAY for one in made.visits] == [
        timedelta(days=1), timedelta(days=7), timedelta(days=15)]
    assert (await desk.submit(page.form("/move"), **{**wish, "time": "never"})).status == 400

"""Visits that were booked together are moved and cancelled, one by one or together, by desk and patient."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from infirmary.contexts.appointments.contract import Appointments, Status
from infirmary.contexts.appointments.contract.series import BookSeries, Frequency, Recurrence, Series
from infirmary.language import PATIENT
from tests.house import MONDAY, reception

from .conftest import Hospital

TUESDAY = MONDAY + timedelta(days=1, hours=1)   # at 9:00


async def booked(hospital: Hospital, **more: Any) -> Series:
    return await hospital.ask(Appointments).book_series(reception, BookSeries(
        patient_id=hospital.people.rosa.id, doctor_id=hospital.people.brennan.id, starts_at=TUESDAY,
        recurrence=Recurrence(frequency=Frequency.WEEKLY, count=3), **more))


def starts(made: Series) -> list[timedelta]:
    """How long after the first time agreed each is."""
    return [one.starts_at - TUESDAY for one in made.visits]


async def now(hospital: Hospital, made: Series) -> Series:
    return await hospital.ask(Appointments).series(reception, made.id)


async def test_a_patient_sees_their_series_moves_it_and_cancels_the_rest(hospital: Hospital) -> None:
    made, rosa = await booked(hospital), hospital.visitor(PATIENT)
    first, second, _ = made.visits
    page = await rosa.open((await rosa.open(f"/visits/{first.id}")).links["One of several visits booked together"])
    moved = await rosa.submit(page.form("/move"), day="2027-03-03", time="10:00", **{"from": str(first.id)})
    assert moved.status == 303
    assert starts(await now(hospital, made)) == [timedelta(days=at, hours=1) for at in (1, 8, 15)]
    page = await rosa.open(moved.location)
    await rosa.submit(page.form("/cancel"), **{"from": str(second.id)})
    assert [one.status for one in (await now(hospital, made)).visits] == [
        Status.BOOKED, Status.CANCELLED, Status.CANCELLED]
    stranger = hospital.visitor(PATIENT, patient_id=hospital.people.lan.id)
    assert (await stranger.open(moved.location)).status == 404


@pytest.mark.parametrize(("which", "days"), [("one", (0, 8, 14)), ("following", (0, 8, 15)), ("all", (1, 8, 15))])
async def test_one_those_after_it_or_all_are_moved_and_back_again(hospital: Hospital, which: str, days: tuple[int, ...],
                                                                  ) -> None:
    made, rosa = await booked(hospital), hospital.visitor(PATIENT)
    page = await rosa.open(f"/series/{made.id}")
    moved = await rosa.submit(page.form("/move"), day="2027-03-10", time="9:00", which=which,
                              **{"from": str(made.visits[1].id)})
    assert starts(await now(hospital, made)) == [timedelta(days=at) for at in days]
    await rosa.submit(next(one for one in (await rosa.open(moved.location)).forms if "/move?" in one.action))
    assert starts(await now(hospital, made)) == starts(made)


async def test_a_move_past_others_cannot_be_undone_by_the_same_wish_and_offers_it_not(hospital: Hospital) -> None:
    made, rosa = await booked(hospital), hospital.visitor(PATIENT)
    page = await rosa.open(f"/series/{made.id}")
    moved = await rosa.submit(page.form("/move"), day="2027-03-01", time="9:40", **{"from": str(made.visits[1].id)})
    assert starts(await now(hospital, made)) == [timedelta(days=-1, minutes=40), timedelta(), timedelta(days=6, minutes=40)]
    assert not [one for one in (await rosa.open(moved.location)).forms if "/move?" in one.action]


@pytest.mark.parametrize(("which", "left"), [("one", [0, 2]), ("following", [0]), ("all", [])])
async def test_one_those_after_it_or_all_are_cancelled(hospital: Hospital, which: str, left: list[int]) -> None:
    made, rosa = await booked(hospital), hospital.visitor(PATIENT)
    page = await rosa.open(f"/series/{made.id}")
    await rosa.submit(page.form("/cancel"), which=which, **{"from": str(made.visits[1].id)})
    assert [number for number, one in enumerate((await now(hospital, made)).visits) if one.status is Status.BOOKED] == left


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

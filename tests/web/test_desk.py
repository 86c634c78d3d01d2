"""The front desk: finding somebody while typing, and what the desk shows of them."""
from __future__ import annotations

from datetime import timedelta

from infirmary.contexts.appointments.contract import Appointments, Status, Why
from infirmary.contexts.patients.contract import Patients
from infirmary.language import ADMIN, NURSE
from tests.house import reception

from .conftest import Hospital


async def test_fragments_find_and_are_marked_and_today_stands_beside(hospital: Hospital) -> None:
    part = await hospital.desk.ask("GET", "/desk/find?q=del+68", htmx=True)
    assert "<mark>Del</mark>gado Vega, Rosa" in part.text
    assert "14 Mar 19<mark>68</mark>" in part.text
    assert "09:00 Booked" in part.words
    assert "<html" not in part.text


async def test_accents_do_not_matter_and_numbers_are_found(hospital: Hospital) -> None:
    assert "<mark>Nguyễn</mark>" in (await hospital.desk.open("/desk?q=nguyen")).text
    assert "Osei, Samuel" in (await hospital.desk.open(f"/desk?q={hospital.people.samuel.number}")).words


async def test_who_is_not_found_can_be_registered_at_once(hospital: Hospital) -> None:
    page = await hospital.desk.open("/desk?q=okafr+ann")
    assert "Nobody found for “okafr ann”" in page.words
    form = await hospital.desk.open(page.links["Register “okafr ann” Alt R"])
    assert form.form("/desk/register").values["given_name"] == "Okafr"
    assert form.form("/desk/register").values["family_name"] == "Ann"


async def test_a_search_for_marks_of_html_shows_them(hospital: Hospital) -> None:
    page = await hospital.desk.open("/desk?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


async def test_the_chosen_patient_shows_the_band_and_todays_visit(hospital: Hospital) -> None:
    page = await hospital.desk.open(f"/desk?q=rosa&patient={hospital.people.rosa.id}")
    assert "Rosa Delgado Vega Born 14 Mar 1968, 58 y Sex female" in page.words
    assert "09:00 today, Dr Amara Okafor Booked Where Cardiology, Room 3.02 Waiting there 1 person" in page.words
    assert "for name and birth date, and whether the phone is still 0600 555 114" in page.words
    assert 'data-key="c"' in page.text


async def test_a_patient_is_checked_in_and_the_desk_stays_where_it_was(hospital: Hospital) -> None:
    desk, people = hospital.desk, hospital.people
    page = await desk.open(f"/desk?patient={people.rosa.id}")
    answer = await desk.submit(page.form("/check-in"))
    assert answer.location == f"/desk?patient={people.rosa.id}"
    assert (await hospital.visit(people.booked)).status is Status.CHECKED_IN
    assert "Rosa Delgado Vega is checked in." in (await desk.open(answer.location)).words


async def test_other_visits_stand_in_a_rail_coming_and_past(hospital: Hospital) -> None:
    people = hospital.people
    await hospital.book(people.rosa, people.brennan, people.booked.starts_at + timedelta(days=3))
    page = await hospital.desk.open(f"/desk?patient={people.rosa.id}")
    assert "Other visits Take a number Alt T Book Alt B Thu 4 Mar 09:00 Dr Niamh Brennan, General medicine Booked" in page.words


async def test_who_is_expected_and_who_waits_are_the_next_arrivals(hospital: Hospital) -> None:
    await hospital.ask(Appointments).start(reception, hospital.people.waiting.id)
    page = await hospital.desk.open("/desk")
    assert "Next arrivals" in page.words
    assert "09:00 Rosa Delgado Vega Dr Amara Okafor Dr Amara Okafor Booked" in page.words
    assert "Samuel" not in page.words   # with the doctor

    await hospital.wait(70)
    part = await hospital.desk.ask("GET", "/desk/arrivals", htmx=True)
    assert "10 min late" in part.words


async def test_somebody_chosen_who_is_not_there_is_nobody(hospital: Hospital) -> None:
    for patient in ("x", "018f0000-0000-7000-8000-000000000000"):
        page = await hospital.desk.open(f"/desk?patient={patient}")
        assert page.status == 200
        assert "Nobody is chosen" in page.words


async def test_a_nurse_may_welcome_but_not_answer_for_a_department(hospital: Hospital) -> None:
    asked = hospital.people.requested
    page = await hospital.visitor(NURSE).open(f"/desk/visits/{asked.id}")
    assert not [form for form in page.forms if form.action.endswith(("/accept", "/decline"))]
    page = await hospital.visitor(ADMIN).open(f"/desk/visits/{asked.id}")
    assert [form for form in page.forms if form.action.endswith("/accept")]


async def test_a_closed_record_is_shown_as_such_and_takes_no_visits(hospital: Hospital) -> None:
    people = hospital.people
    await hospital.ask(Appointments).cancel(reception, people.booked.id, Why())
    await hospital.ask(Patients).retire(reception, people.rosa.id, 1)
    page = await hospital.desk.open(f"/desk?patient={people.rosa.id}")
    assert "This record is closed since Mon 1 Mar." in page.words
    assert "Book" not in page.links

"""Registering: nobody twice, dates as people write them, and nothing lost when somebody else was quicker."""
from __future__ import annotations

from datetime import date

import pytest

from infirmary.contexts.patients.contract import AmendPatient, Patient, Patients
from infirmary.language import NURSE
from tests.house import reception

from .conftest import Hospital

EMEKA = {"given_name": "Emeka", "family_name": "Obi", "birth_date": "7.5.91", "gender": "male", "phone": "0600 555 999",
         "email": "", "address": "", "language": "yo"}


async def patients(hospital: Hospital) -> list[Patient]:
    return (await hospital.ask(Patients).search(reception, limit=50)).items


async def test_somebody_is_registered_and_booking_comes_next(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/register")
    answer = await desk.submit(page.form("/desk/register"), **EMEKA)
    assert answer.status == 303
    made = next(one for one in await patients(hospital) if one.family_name == "Obi")
    assert (made.birth_date, made.language, made.email) == (date(1991, 5, 7), "yo", None)
    assert answer.location == f"/desk/book?patient_id={made.id}"
    assert "Emeka Obi is registered, number 100" in (await desk.open(answer.location)).words


async def test_everything_to_mend_is_said_at_once_and_what_was_typed_stays(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/register")
    answer = await desk.submit(page.form("/desk/register"), **{
        **EMEKA, "given_name": "  ", "birth_date": "31.2.91", "phone": "call me", "email": "emeka@",
        "address": "Harbour Lane 5"})
    assert answer.status == 400
    for says in ("Write the given name.", "Write a date such as 7.5.91 or 7 May 1991.",
                 "Digits, spaces and a + in front are fine", "Add what comes after the @, or leave it empty."):
        assert says in answer.words
    assert "Write the family name." not in answer.words
    kept = answer.form("/desk/register").values
    assert [kept[name] for name in ("birth_date", "phone", "address", "gender")] == [
        "31.2.91", "call me", "Harbour Lane 5", "male"]
    assert len(await patients(hospital)) == 3


async def test_a_birth_to_come_is_refused_in_place(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/register")
    answer = await desk.submit(page.form("/desk/register"), **{**EMEKA, "birth_date": "1.1.2031"})
    assert answer.status == 422
    assert "Enter a day that is not to come." in answer.words


async def test_somebody_alike_is_shown_field_by_field_before_anything_is_made(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/register")
    typed = {**EMEKA, "given_name": "Thi Lan", "family_name": "Nguyen", "phone": "0600 555 630"}
    answer = await desk.submit(page.form("/desk/register"), **typed)
    assert answer.status == 409
    assert "This may be somebody we know" in answer.words
    assert "Thị Lan Nguyễn the same" in answer.words
    assert "7 May 1991 the same" in answer.words
    [use_it] = [href for words, href in answer.links.items() if words.startswith("Use this one") and "Lan" in words]
    assert use_it == f"/desk?patient={hospital.people.lan.id}"
    assert len(await patients(hospital)) == 3

    unsettled = await desk.submit(answer.form("/desk/register"))
    assert unsettled.status == 409
    settled = await desk.submit(unsettled.form("/desk/register"), different="yes")
    assert settled.status == 303
    assert len(await patients(hospital)) == 4


async def test_saying_different_counts_only_for_those_who_were_looked_at(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/register")
    answer = await desk.submit(page.form("/desk/register"), **{
        **EMEKA, "given_name": "Rosa", "family_name": "Delgado Vega", "birth_date": "14.3.68", "different": "yes",
        "looked_at": str(hospital.people.samuel.id)})
    assert answer.status == 409
    assert "Rosa Delgado Vega" in answer.words


async def test_the_warning_comes_while_typing_with_the_date_as_it_was_read(hospital: Hospital) -> None:
    desk = hospital.desk
    await desk.open("/desk/register")
    part = await desk.send("/desk/register/matches", {
        "given_name": "Rosa", "family_name": "Delgado", "birth_date": "14 mar 68"}, htmx=True)
    assert "Rosa Delgado Vega" in part.words
    assert "14 Mar 1968, 58 years" in part.words
    assert "<html" not in part.text
    nobody = await desk.send("/desk/register/matches", {
        "given_name": "Rosa", "family_name": "", "birth_date": "1.1.2031"}, htmx=True)
    assert "1 Jan 2031 is still to come" in nobody.words
    assert "somebody we know" not in nobody.words


async def test_slips_of_the_keys_are_pointed_out_and_answered_by_key(hospital: Hospital) -> None:
    desk = hospital.desk
    await desk.open("/desk/register")
    part = await desk.send("/desk/register/matches", {
        "given_name": "Rsoa", "family_name": "Delgado Vega", "birth_date": "14.3.86", "phone": "0600 555 114"}, htmx=True)
    assert "Rosa Delgado Vega nearly the same" in part.words and "14 Mar 1968 nearly the same" in part.words
    assert "0600 555 114 the same" in part.words and "Very likely the same person" in part.words
    assert 'data-key="u"' in part.text and 'data-key="n"' in part.text
    other = await desk.send("/desk/register/matches", {
        "given_name": "Rsoa", "family_name": "Delgado Vega", "birth_date": "14.3.86", "phone": "0600 555 999", "email": ""},
        htmx=True)
    assert "somebody we know" not in other.words   # two slips and another telephone are chance


async def test_a_record_is_changed(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    page = await desk.open(f"/desk/patients/{rosa.id}/edit")
    assert page.form("/edit").values["birth_date"] == "14 Mar 1968"
    answer = await desk.submit(page.form("/edit"), phone="0600 555 115", email="rosa@example.org")
    assert answer.location == f"/desk/patients/{rosa.id}"
    now = await hospital.ask(Patients).patient(reception, rosa.id)
    assert (now.phone, now.email, now.birth_date, now.version) == (
        "0600 555 115", "rosa@example.org", date(1968, 3, 14), 2)


async def test_saving_what_is_there_already_changes_nothing(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    page = await desk.open(f"/desk/patients/{rosa.id}/edit")
    assert (await desk.submit(page.form("/edit"))).status == 303
    assert (await hospital.ask(Patients).patient(reception, rosa.id)).version == 1


async def test_a_record_that_somebody_changed_meanwhile_shows_both(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    page = await desk.open(f"/desk/patients/{rosa.id}/edit")
    await hospital.ask(Patients).amend(reception, rosa.id, AmendPatient(phone="0600 555 777"), if_match=1)
    answer = await desk.submit(page.form("/edit"), phone="0600 555 115")
    assert answer.status == 412
    assert "Somebody changed this while you wrote" in answer.words
    assert "Phone 0600 555 777 0600 555 115" in answer.words
    assert answer.form("/edit").values["phone"] == "0600 555 115"

    assert (await desk.submit(answer.form("/edit"))).status == 303
    assert (await hospital.ask(Patients).patient(reception, rosa.id)).phone == "0600 555 115"


async def test_a_record_with_visits_to_come_stays_open_and_shows_them(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    question = await desk.open(f"/desk/patients/{rosa.id}?ask=close")
    answer = await desk.submit(question.form("/close"))
    assert answer.status == 409
    assert "There are visits to come" in answer.words
    assert answer.links["Mon 1 Mar, 09:00"] == f"/desk/visits/{hospital.people.booked.id}"


async def test_a_record_is_closed_and_says_so(hospital: Hospital) -> None:
    desk = hospital.desk
    page = await desk.open("/desk/register")
    await desk.submit(page.form("/desk/register"), **EMEKA)
    emeka = next(one for one in await patients(hospital) if one.family_name == "Obi")
    question = await desk.open(f"/desk/patients/{emeka.id}?ask=close")
    assert (await desk.submit(question.form("/close"))).location == "/desk"
    record = await desk.open(f"/desk/patients/{emeka.id}")
    assert "This record is closed" in record.words
    assert "Close the record" not in record.words


@pytest.mark.parametrize("path", ["", "?ask=close"])
async def test_a_nurse_is_not_offered_to_close_a_record(hospital: Hospital, path: str) -> None:
    page = await hospital.visitor(NURSE).open(f"/desk/patients/{hospital.people.rosa.id}{path}")
    assert "Close the record" not in page.words

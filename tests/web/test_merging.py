"""One person with two records: found, compared, made one and taken apart, at the desk."""
from __future__ import annotations

from datetime import date

import pytest

from infirmary.contexts.appointments.contract import Appointments, Why
from infirmary.contexts.patients.contract import CoverageForm, Demographics, Patient, Patients
from infirmary.language import ADMIN, NURSE
from tests.house import reception

from .conftest import MINUTE, MONDAY, Hospital


@pytest.fixture
async def twin(hospital: Hospital) -> Patient:
    """Rosa, entered again with a slip of the keys, and booked."""
    made = await hospital.ask(Patients).register(reception, Demographics(
        given_name="Rsoa", family_name="Delgado Vega", birth_date=date(1968, 3, 14), email="rosa@example.org"))
    await hospital.book(made, hospital.people.brennan, MONDAY + 120 * MINUTE)
    return made


async def test_two_records_are_compared_made_one_and_taken_apart(hospital: Hospital, twin: Patient) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    base = f"/desk/patients/{rosa.id}"
    page = await desk.open((await desk.open(base)).links["Same person twice? Alt S"])
    assert "Rsoa Delgado Vega nearly the same" in page.words and "Very likely the same person" in page.words
    page = await desk.open(f"{base}/merge?other={twin.id}")
    assert "Phone 0600 555 114 –" in page.words and "E-mail – rosa@example.org" in page.words
    unsaid = await desk.submit(page.form("/merge"), reason=" ")
    assert (unsaid.status, "Write why they are the same person." in unsaid.words) == (400, True)
    done = await desk.submit(unsaid.form("/merge"), keep=str(rosa.id), reason="Same passport.")
    assert (done.status, done.location) == (303, base)
    await hospital.house.deliver_facts()
    page = await desk.open(base)
    assert "The two records are one now" in page.words and "Dr Niamh Brennan" in page.words
    assert "Part of this record since" in page.words and "Same passport." in page.words
    assert "formerly Rsoa Delgado Vega, 100004" in (await desk.open("/desk?q=rsoa")).words
    merged = await desk.open(page.links["Rsoa Delgado Vega, 100 004"])
    assert "This record is part of another one" in merged.words
    assert merged.links["Open that record"] == base and "Book Alt B" not in merged.links

    asked = await desk.open(f"/desk/patients/{twin.id}?ask=apart")
    back = await desk.submit(asked.form(f"/unmerge/{twin.id}"))
    assert back.location == f"/desk/patients/{twin.id}"
    await hospital.house.deliver_facts()
    assert "Dr Niamh Brennan" in (await desk.open(back.location)).words
    assert "Dr Niamh Brennan" not in (await desk.open(base)).words
    again = await desk.submit(asked.form(f"/unmerge/{twin.id}"))
    assert "They are two records already." in (await desk.open(again.location)).words


async def test_the_other_record_may_be_the_one_that_stays(hospital: Hospital, twin: Patient) -> None:
    desk, rosa = hospital.visitor(ADMIN), hospital.people.rosa
    page = await desk.open(f"/desk/patients/{rosa.id}/merge?other={twin.number}")   # found by its number
    done = await desk.submit(page.form("/merge"), keep=str(twin.id), reason="Same passport.")
    assert done.location == f"/desk/patients/{twin.id}"
    assert (await hospital.ask(Patients).patient(reception, rosa.id)).merged_into == twin.id
    await hospital.house.deliver_facts()
    visits = await hospital.ask(Appointments).appointments(reception, patient_id=twin.id)
    assert {one.patient_name for one in visits.items} == {"Rsoa Delgado Vega"} and len(visits.items) == 2


async def test_what_is_in_the_way_is_said_with_a_way_to_it(hospital: Hospital, twin: Patient) -> None:
    desk, rosa, ask = hospital.desk, hospital.people.rosa, hospital.ask(Patients)
    twice = await hospital.book(twin, hospital.people.brennan, MONDAY + 60 * MINUTE)   # when Rosa is with Okafor
    path = f"/desk/patients/{rosa.id}/merge?other={twin.id}"
    refused = await desk.submit((await desk.open(path)).form("/merge"), keep=str(twin.id), reason="Same passport.")
    assert refused.status == 409
    assert "Both have a visit at the same time" in refused.words
    assert refused.links["Visit of this person"] == f"/desk/visits/{twice.id}"
    assert refused.form("/merge").values["keep"] == str(twin.id)
    await hospital.ask(Appointments).cancel(reception, twice.id, Why(reason="Twice at once."))
    for one in (rosa, twin):
        await ask.add_coverage(reception, one.id, CoverageForm(payer="Aurora", member_number="1",
                                                               valid_from=date(2027, 1, 1)))
    refused = await desk.submit(refused.form("/merge"))
    assert "Both have an insurance for the same days" in refused.words
    assert refused.links["The other record"] == f"/desk/patients/{rosa.id}"
    unknown = await desk.open(f"/desk/patients/{rosa.id}/merge?other=999999")
    assert (unknown.status, "No record has this number" in unknown.words) == (422, True)
    assert (await hospital.visitor(NURSE).open(path)).status == 403


async def test_who_is_booked_twice_just_then_is_shown_until_one_of_the_two_is_moved_or_cancelled(
        hospital: Hospital, twin: Patient) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    assert "booked twice" not in (await desk.open("/desk")).words
    form = (await desk.open(f"/desk/patients/{rosa.id}/merge?other={twin.id}")).form("/merge")
    await desk.submit(form, keep=str(rosa.id), reason="Same passport.")
    await hospital.book(rosa, hospital.people.okafor, MONDAY + 120 * MINUTE)   # before the merge is heard of there
    await hospital.house.deliver_facts()
    front = await desk.open("/desk")
    assert "1 person is booked twice at the same time" in front.words
    page = await desk.open(front.links["Sort it out"])
    assert "Dr Niamh Brennan" in page.words and "Dr Amara Okafor" in page.words
    asked = await desk.open(page.links["Cancel the visit"])
    done = await desk.submit(asked.form("/cancel"))
    assert done.location == "/desk/visits/overlapping"
    assert "Nobody is booked twice" in (await desk.open(done.location)).words

"""What hangs on a record, at the desk and on the patient's own page."""
from __future__ import annotations

from datetime import date

from infirmary.contexts.patients.contract import ContactForm, CoverageForm, Decision, Patients
from infirmary.language import CASHIER, NURSE, PATIENT
from tests.house import a_patient_caller, reception

from .conftest import Hospital

IGNACIO = {"name": "Ignacio Vega", "relationship": "son", "phone": "0600 555 777", "emergency": "true"}


async def test_the_desk_notes_somebody_to_call_changes_and_takes_them_out(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    base = f"/desk/patients/{rosa.id}"
    assert "Nobody is noted." in (await desk.open(base)).words
    page = await desk.open(f"{base}/contacts/new")
    nobody = await desk.submit(page.form("/contacts/new"), **{**IGNACIO, "name": " ", "phone": "call me"})
    assert nobody.status == 400
    assert "Write a name." in nobody.words and "Digits, spaces and a +" in nobody.words
    silent = await desk.submit(page.form("/contacts/new"), **{**IGNACIO, "phone": ""})
    assert (silent.status, silent.form("/contacts/new").values["name"]) == (422, "Ignacio Vega")
    assert "Add a phone number." in silent.words
    done = await desk.submit(silent.form("/contacts/new"), phone="0600 555 777")
    assert (done.status, done.location) == (303, base)
    page = await desk.open(base)
    assert "Ignacio Vega In an emergency son · 0600 555 777" in page.words
    one = page.links["Ignacio Vega"]
    changed = await desk.submit((await desk.open(one)).form(one), relationship="eldest son")
    assert changed.status == 303
    asked = await desk.open(f"{one}?ask=remove")
    assert "Take Ignacio Vega out?" in asked.words
    assert (await desk.submit(asked.form("/remove"))).location == base
    assert "Nobody is noted." in (await desk.open(base)).words


async def test_two_at_once_are_shown_what_the_other_wrote(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    ask = hospital.ask(Patients)
    made = await ask.add_contact(reception, rosa.id, ContactForm(name="Ignacio"))
    page = await desk.open(f"/desk/patients/{rosa.id}/contacts/{made.id}")
    await ask.replace_contact(reception, rosa.id, made.id, ContactForm(name="Iggy"), if_match=1)
    answer = await desk.submit(page.form(f"/contacts/{made.id}"), name="Ignatius")
    assert answer.status == 412
    assert "Name Iggy Ignatius" in answer.words
    assert (await desk.submit(answer.form(f"/contacts/{made.id}"))).status == 303
    assert [one.name for one in await ask.contacts(reception, rosa.id)] == ["Ignatius"]


async def test_an_insurance_is_noted_as_its_card_says_and_never_twice(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    base = f"/desk/patients/{rosa.id}"
    page = await desk.open(f"{base}/coverages/new")
    typed = {"payer": "Aurora Health", "plan": "Gold", "member_number": "A-77", "valid_from": "1.1.27",
             "valid_until": "", "priority": "1"}
    wrong = await desk.submit(page.form("/coverages/new"), **{**typed, "valid_from": "soon", "payer": ""})
    assert wrong.status == 400
    assert "Write a date such as" in wrong.words and "Write who pays." in wrong.words
    assert (await desk.submit(page.form("/coverages/new"), **typed)).location == base
    again = await desk.submit(page.form("/coverages/new"), **typed)
    assert again.status == 409
    assert "another insurance is asked to pay" in again.words and "Priority 2 is free in these days." in again.words
    assert (await desk.submit(again.form("/coverages/new"), priority="2", payer="Second")).location == base
    page = await desk.open(base)
    assert "Aurora Health Holds Gold · A-77 from 1 Jan 2027" in page.words
    one = page.links["Second"]
    ended = await desk.submit((await desk.open(one)).form(one), valid_until="31.1.27")
    assert ended.status == 303
    assert "Second Ended" in (await desk.open(base)).words
    gone = await desk.submit((await desk.open(f"{one}?ask=withdraw")).form("/withdraw"))
    assert gone.location == base
    assert "Second" not in (await desk.open(base)).words
    assert (await desk.open(one)).status == 404


async def test_patients_see_their_record_and_decide_what_they_agree_to(hospital: Hospital) -> None:
    rosa, ask = hospital.people.rosa, hospital.ask(Patients)
    await ask.add_coverage(reception, rosa.id, CoverageForm(payer="Aurora Health", member_number="A-77",
                                                             valid_from=date(2028, 1, 1)))
    me = hospital.visitor(PATIENT)
    page = await me.open("/record")
    assert "Aurora Health To come" in page.words and "Research Not asked" in page.words
    assert (await me.submit((await me.open("/record/contacts/new")).form("/contacts/new"), **IGNACIO)).location == "/record"
    page = await me.open("/record/consents")
    asked = next(form for form in page.forms if form.values.get("purpose") == "research")
    assert (await me.submit(asked, decision="given")).location == "/record/consents"
    page = await me.open("/record/consents")
    assert "Research: agreed (text 1)" in page.words and "Mirela Popescu" in page.words
    asked = next(form for form in page.forms if form.values.get("purpose") == "research")
    await me.submit(asked, decision="withdrawn")
    assert "Research: withdrawn" in (await me.open("/record/consents")).words
    standing = (await ask.consents(a_patient_caller(rosa.id), rosa.id, standing=True)).items
    assert [one.decision for one in standing] == [Decision.WITHDRAWN]
    stale = await me.submit(asked, decision="given", text_version="0")
    assert stale.status == 409
    assert "not the wording in force" in stale.words


async def test_what_hangs_on_the_record_of_another_is_not_there(hospital: Hospital) -> None:
    rosa, lan, ask = hospital.people.rosa, hospital.people.lan, hospital.ask(Patients)
    made = await ask.add_contact(reception, lan.id, ContactForm(name="Minh"))
    for visitor, path in ((hospital.visitor(PATIENT), f"/record/contacts/{made.id}"),
                          (hospital.visitor(NURSE), f"/desk/patients/{rosa.id}/contacts/{made.id}")):
        assert (await visitor.open(path)).status == 404
    assert (await hospital.visitor(CASHIER).open(f"/desk/patients/{lan.id}/coverages/new")).status == 403

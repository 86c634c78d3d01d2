"""Whoever acts for somebody chooses for whom; the desk says who does. A page never books for another than it shows."""
from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.patients.contract import (
    Demographics,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    Guardianship,
    Patient,
    Patients,
)
from infirmary.language import ADMIN, NURSE, PATIENT
from tests.house import reception

from .conftest import Hospital
from .visitor import Visitor


@pytest.fixture
async def emma(hospital: Hospital) -> Patient:
    return await hospital.ask(Patients).register(reception, Demographics(
        given_name="Emma", family_name="Delgado", birth_date=date(2017, 5, 5)))


async def named(hospital: Hospital, emma: Patient, kind: GuardianKind = GuardianKind.PARENT) -> Guardianship:
    return await hospital.ask(Patients).name_guardian(reception, emma.id, GuardianForm(
        guardian_id=hospital.people.rosa.id, kind=kind, reason="Mother.", document="Birth certificate"))


async def chosen(visitor: Visitor, hospital: Hospital) -> UUID:
    """Books what is shown first; answers the visit."""
    page = await visitor.open(f"/book/when?doctor={hospital.people.brennan.id}&day=2027-03-03")
    held = await visitor.open((await visitor.submit(page.form("/book/hold"))).location)
    assert "For Emma Delgado" in held.words
    return UUID((await visitor.submit(held.form("/book"))).location.rpartition("/")[2])


async def test_a_guardian_chooses_for_whom_and_stays_there(hospital: Hospital, emma: Patient) -> None:
    rosa = hospital.visitor(PATIENT)
    assert "Emma" not in (await rosa.open("/home")).words
    await named(hospital, emma)
    home = await rosa.open("/home")
    assert home.links["Emma Delgado"] == f"/home?for={emma.id}" and "Good morning, Rosa" in home.words
    hers = await rosa.open(home.links["Emma Delgado"])
    assert "No visits planned" in hers.words and "Good morning" not in hers.words
    visit_id = await chosen(rosa, hospital)
    visit = await hospital.ask(Appointments).appointment(reception, visit_id)
    assert visit.patient_id == emma.id
    assert "Dr Niamh Brennan" in (await rosa.open("/visits")).words
    record = await rosa.open("/record")
    assert "Emma Delgado" in record.words and "Rosa Delgado Vega Parent" in record.words
    mine = await rosa.open(f"/visits?for={hospital.people.rosa.id}")
    assert "Dr Amara Okafor" in mine.words and "Dr Niamh Brennan" not in mine.words
    opened = await rosa.open(f"/visits/{visit_id}")   # from a mail: the page says for whom it is
    assert opened.text.count('aria-current="true"') == 1 and f'{emma.id}" aria-current="true"' in opened.text


async def test_a_form_counts_for_whom_it_was_shown_for_whatever_another_tab_is_about(hospital: Hospital, emma: Patient) -> None:
    await named(hospital, emma)
    rosa = hospital.visitor(PATIENT)
    await rosa.open(f"/home?for={emma.id}")
    page = await rosa.open(f"/book/when?doctor={hospital.people.brennan.id}&day=2027-03-03")
    await rosa.open(f"/home?for={hospital.people.rosa.id}")   # the other tab
    held = await rosa.open((await rosa.submit(page.form("/book/hold"))).location)
    await rosa.open(f"/home?for={hospital.people.rosa.id}")
    done = await rosa.submit(held.form("/book"))
    visit = await hospital.ask(Appointments).appointment(reception, UUID(done.location.rpartition("/")[2]))
    assert visit.patient_id == emma.id


async def test_once_it_is_over_the_pages_are_ones_own_again_and_old_forms_do_nothing(hospital: Hospital, emma: Patient) -> None:
    made = await named(hospital, emma)
    rosa = hospital.visitor(PATIENT)
    await rosa.open(f"/home?for={emma.id}")
    page = await rosa.open(f"/book/when?doctor={hospital.people.brennan.id}&day=2027-03-03")
    visit_id = await chosen(rosa, hospital)
    await hospital.ask(Patients).end_guardianship(reception, emma.id, made.id, EndGuardianship(reason="Court."), if_match=1)
    assert (await rosa.submit(page.form("/book/hold"))).status == 404
    for path in (f"/visits/{visit_id}", f"/home?for={emma.id}", "/home?for=nonsense", f"/visits/{visit_id}/calendar.ics"):
        assert (await rosa.open(path)).status == 404
    home = await rosa.open("/home")
    assert (home.status, "Good morning, Rosa" in home.words, "Emma" in home.words) == (200, True, False)


async def test_a_carer_is_told_that_consents_are_not_theirs_to_give(hospital: Hospital, emma: Patient) -> None:
    await named(hospital, emma, GuardianKind.CARER)
    rosa = hospital.visitor(PATIENT)
    page = await rosa.open(f"/record/consents?for={emma.id}")
    answer = await rosa.submit(page.form("/record/consents"), decision="given")
    assert (answer.status, "A carer cannot decide this for the patient." in answer.words) == (403, True)


async def test_the_desk_names_a_guardian_with_papers_and_ends_it_with_a_reason(hospital: Hospital, emma: Patient) -> None:
    desk, rosa, base = hospital.visitor(ADMIN), hospital.people.rosa, f"/desk/patients/{emma.id}"
    page = await desk.open((await desk.open(base)).links["Add somebody who acts for the patient"])
    found = await desk.open(f"{base}/guardians/new?q=delgado")
    assert f"?guardian={emma.id}" not in found.links.values() and found.links["Rosa Delgado Vega"] == f"?guardian={rosa.id}"
    page = await desk.open(f"{base}/guardians/new?guardian={rosa.id}")
    wrong = await desk.submit(page.form("/guardians/new"), kind="parent", valid_until="someday")
    assert wrong.status == 400
    for said in ("Write what you have seen.", "Write why.", "Write a date such as"):
        assert said in wrong.words
    past = await desk.submit(page.form("/guardians/new"), kind="parent", valid_until="1.1.26", document="x", reason="x")
    assert (past.status, "Enter today or a later day" in past.words) == (422, True)
    form = {"kind": "parent", "document": "Birth certificate 5/2017", "reason": "Mother."}
    done = await desk.submit(page.form("/guardians/new"), **form)
    assert done.location == base
    twice = await desk.submit(page.form("/guardians/new"), **form)
    assert (twice.status, "stands for the patient already" in twice.words) == (409, True)
    record = await desk.open(base)
    assert "Birth certificate 5/2017: Mother." in record.words and "to 4 May 2035" in record.words
    assert "Acts for Emma Delgado" in (await desk.open(f"/desk/patients/{rosa.id}")).words
    assert "Add somebody who acts for the patient" not in (await hospital.visitor(NURSE).open(base)).links

    asked = await desk.open(record.links["End Rosa Delgado Vega"])
    unsaid = await desk.open((await desk.submit(asked.form("/end"), reason=" ")).location)
    assert "Write why it ends." in unsaid.words
    over = await desk.submit(asked.form("/end"), reason="The court has decided.")
    assert "Ended: The court has decided." in (await desk.open(over.location)).words


async def test_a_patient_ends_what_a_carer_may_do_for_them(hospital: Hospital, emma: Patient) -> None:
    ask, rosa = hospital.ask(Patients), hospital.people.rosa
    lan = hospital.people.lan
    await ask.name_guardian(reception, rosa.id, GuardianForm(
        guardian_id=lan.id, kind=GuardianKind.CARER, reason="Sees to her.", document="A signed consent"))
    await named(hospital, emma)
    visitor = hospital.visitor(PATIENT)
    hers = await visitor.open(f"/record?for={emma.id}")
    assert "End Rosa Delgado Vega" not in hers.links   # nor what one does for somebody else
    record = await visitor.open(f"/record?for={rosa.id}")
    asked = await visitor.open(record.links[f"End {lan.name}"])
    done = await visitor.submit(asked.form("/end"))
    assert done.location == "/record"
    after = await visitor.open("/record")
    assert f"{lan.name} does not act for you any more." in after.words and f"End {lan.name}" not in after.links
    again = await visitor.submit(asked.form("/end"))   # from another tab
    assert again.location == "/record"
    [one] = (await ask.guardians(reception, rosa.id)).items
    assert one.end_reason == "The patient's own wish."

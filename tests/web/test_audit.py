"""The audit explorer: who did what to whose record, for those who may know."""
from __future__ import annotations

from infirmary.contexts.patients.contract import Patients
from infirmary.language import ADMIN, AUDITOR
from tests.house import nurse

from .conftest import Hospital


async def test_events_stand_by_day_in_words_newest_first(hospital: Hospital) -> None:
    page = await hospital.visitor(AUDITOR).open("/audit")
    assert page.words.count("Monday 1 March") == 1
    assert page.words.index("asked for Visit") < page.words.index("checked in Visit")
    assert "08:00:00 Re Ception reception checked in Visit" in page.words


async def test_an_administrator_reads_names_an_auditor_only_signs(hospital: Hospital) -> None:
    sign = str(hospital.people.rosa.id)[-6:].upper()
    auditor, boss = await hospital.visitor(AUDITOR).open("/audit"), await hospital.visitor(ADMIN).open("/audit")
    assert "Rosa Delgado Vega" not in auditor.words
    assert sign in auditor.words
    assert "Rosa Delgado Vega" in boss.words


async def test_filters_narrow_and_stay_filled_in(hospital: Hospital) -> None:
    people = hospital.people
    page = await hospital.visitor(ADMIN).open(
        f"/audit?actor=ception&action=appointment.&patient={people.samuel.number}&from=2027-03-01&to=2027-03-01")
    assert "Samuel Osei, 100" in page.words
    assert "checked in Visit" in page.words
    assert "registered" not in page.words
    assert page.form("/audit").values["patient"] == str(people.samuel.number)
    assert "No events here" in (await hospital.visitor(ADMIN).open("/audit?to=2027-02-28")).words


async def test_a_name_of_several_asks_whom_one_means(hospital: Hospital) -> None:
    page = await hospital.visitor(ADMIN).open("/audit?patient=0600")
    assert "Several people fit “0600”" in page.words
    assert any("Rosa Delgado Vega" in words for words in page.links)
    assert "Nobody found for “xyzzy”" in (await hospital.visitor(ADMIN).open("/audit?patient=xyzzy")).words


async def test_an_auditor_chooses_a_record_by_its_sign(hospital: Hospital) -> None:
    auditor = hospital.visitor(AUDITOR)
    page = await auditor.open("/audit")
    sign = str(hospital.people.rosa.id)[-6:].upper()
    one = await auditor.open(page.links[sign])
    assert f"Record {sign}" in one.words
    told = await auditor.open("/audit?patient=rosa")
    assert "The register is not open to you" in told.words


async def test_everything_about_one_thing_is_a_click_away(hospital: Hospital) -> None:
    auditor, visit = hospital.visitor(AUDITOR), hospital.people.waiting
    page = await auditor.open(f"/audit?entity=appointment/{visit.id}")
    assert "One thing" in page.words
    assert "checked in Visit" in page.words
    assert page.words.count(" Visit ") == 2


async def test_more_is_shown_by_cursor_and_a_day_is_named_once(hospital: Hospital) -> None:
    for _ in range(60):
        await hospital.ask(Patients).patient(nurse, hospital.people.rosa.id)
    await hospital.house.deliver_facts()
    auditor = hospital.visitor(AUDITOR)
    page = await auditor.open("/audit")
    assert page.words.count("Nur Se") <= 50
    more = await auditor.open("/audit" + page.links["Show more"])
    assert more.status == 200
    assert "Nur Se" in more.words
    assert more.words.count("Monday 1 March") == 0   # it stands above already


async def test_a_refusal_is_marked(hospital: Hospital) -> None:
    stranger = hospital.visitor()
    await stranger.open("/sign-in")
    await stranger.send("/sign-in", {"email": "boss@example.org", "password": "not this one"})
    await hospital.house.deliver_facts()
    page = await hospital.visitor(AUDITOR).open("/audit?action=session.")
    assert "refused" in page.words
    assert "#ban" in page.text

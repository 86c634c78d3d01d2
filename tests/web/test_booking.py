"""A patient books: the chosen time is held while they read, and whatever goes wrong leads on to another time."""
from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from infirmary.contexts.appointments.contract import Appointments, HoldSlot
from infirmary.language import PATIENT
from infirmary.web.shown import slot_value
from tests.house import MONDAY, reception

from .conftest import MINUTE, Hospital
from .visitor import Answer, Visitor

WEDNESDAY = MONDAY + timedelta(days=2)


async def times(visitor: Visitor, hospital: Hospital, day: str = "2027-03-03") -> Answer:
    return await visitor.open(f"/book/when?doctor={hospital.people.brennan.id}&day={day}")


async def chosen(visitor: Visitor, hospital: Hospital) -> Answer:
    """The page that asks for confirmation of Wednesday at eight."""
    page = await times(visitor, hospital)
    answer = await visitor.submit(page.form("/book/hold"))
    assert answer.location.startswith("/book/confirm?")
    return await visitor.open(answer.location)


def somebody_else(hospital: Hospital) -> Visitor:
    return hospital.visitor(PATIENT, patient_id=hospital.people.lan.id)


async def test_choosing_a_time_holds_it_and_says_until_when(hospital: Hospital) -> None:
    page = await chosen(hospital.visitor(PATIENT), hospital)
    assert "This time is held for you until 08:05" in page.words
    assert 'data-hold="300"' in page.text
    others = await times(somebody_else(hospital), hospital)
    assert others.form("/book/hold").values["slot"] == slot_value(hospital.people.brennan.id, WEDNESDAY + 20 * MINUTE)


async def test_what_is_held_is_booked(hospital: Hospital) -> None:
    visitor = hospital.visitor(PATIENT)
    page = await chosen(visitor, hospital)
    answer = await visitor.submit(page.form("/book"), reason="A cough")
    assert answer.location.startswith("/visits/")
    visit = await hospital.ask(Appointments).appointment(reception, UUID(answer.location.rpartition("/")[2]))
    assert (visit.starts_at, visit.reason) == (WEDNESDAY, "A cough")


async def test_when_the_hold_is_over_it_can_be_held_again_and_what_was_typed_stays(hospital: Hospital) -> None:
    visitor = hospital.visitor(PATIENT)
    page = await chosen(visitor, hospital)
    await hospital.wait(6)
    old = await visitor.open("/book/confirm?" + "&".join(
        f"{name}={page.form('/book').values[field]}" for name, field in (("slot", "slot"), ("hold", "hold"))).replace(
            "+", "%2B"))
    assert "The time is not held for you any more" in old.words
    again = await visitor.submit(page.form("/book"), press="Hold it again", reason="A cough")
    assert (again.status, "This time is held for you until 08:11" in again.words) == (200, True)
    assert again.form("/book").values["reason"] == "A cough"
    assert (await visitor.submit(again.form("/book"))).location.startswith("/visits/")


async def test_who_comes_second_is_offered_the_next_times_as_buttons(hospital: Hospital) -> None:
    visitor, other = hospital.visitor(PATIENT), somebody_else(hospital)
    page, seen = await times(visitor, hospital), await times(other, hospital)
    await visitor.submit(page.form("/book/hold"))
    refused = await other.submit(seen.form("/book/hold"))
    assert refused.status == 409
    assert "Wednesday 3 March" in refused.words
    held = await other.submit(refused.form("/book/hold"), press="08:20")
    assert "held for you until" in (await other.open(held.location)).words


async def test_who_confirms_too_late_may_hold_another_time_from_there(hospital: Hospital) -> None:
    visitor, people = hospital.visitor(PATIENT), hospital.people
    page = await chosen(visitor, hospital)
    await hospital.wait(5)
    await hospital.book(people.lan, people.brennan, WEDNESDAY)
    refused = await visitor.submit(page.form("/book"), reason="A cough")
    assert (refused.status, refused.form("/book").values["reason"]) == (409, "A cough")
    held = await visitor.submit(refused.form("/book"), press="Wed 3 Mar, 08:20")
    assert "held for you until" in held.words


async def test_anothers_hold_is_not_shown(hospital: Hospital) -> None:
    people = hospital.people
    held = await hospital.ask(Appointments).hold(reception, HoldSlot(
        patient_id=people.lan.id, doctor_id=people.brennan.id, starts_at=WEDNESDAY))
    slot = slot_value(people.brennan.id, WEDNESDAY).replace("+", "%2B")
    page = await hospital.visitor(PATIENT).open(f"/book/confirm?slot={slot}&hold={held.hold_id}")
    assert "held for you until" not in page.words
    assert "not held for you any more" in page.words


async def test_a_visit_is_moved_to_a_time_offered_instead(hospital: Hospital) -> None:
    people, visitor = hospital.people, hospital.visitor(PATIENT)
    visit = await hospital.book(people.rosa, people.brennan, WEDNESDAY)
    page = await visitor.open(f"/visits/{visit.id}/move?day=2027-03-03")
    await hospital.book(people.lan, people.brennan, WEDNESDAY + 20 * MINUTE)
    refused = await visitor.submit(page.form("/move"), slot=slot_value(people.brennan.id, WEDNESDAY + 20 * MINUTE))
    assert refused.status == 409
    await visitor.submit(refused.form("/move"), press="08:40")
    assert (await hospital.visit(visit)).starts_at == WEDNESDAY + 40 * MINUTE


async def test_all_that_is_in_the_way_is_listed_and_leads_to_ones_own_other_visit(hospital: Hospital) -> None:
    people, visitor = hospital.people, hospital.visitor(PATIENT)
    page = await times(visitor, hospital)
    await hospital.book(people.lan, people.brennan, WEDNESDAY)
    theirs = await hospital.book(people.rosa, people.okafor, WEDNESDAY)
    refused = await visitor.submit(page.form("/book/hold"))
    assert "This time has just gone The doctor has a visit from 08:00 to 08:20." in refused.words
    assert "You have another visit from 08:00 to 08:20." in refused.words
    assert refused.links["Open it"] == f"/visits/{theirs.id}"
    assert "Nothing was booked. These are the nearest free times:" in refused.words


async def test_times_at_which_the_patient_has_another_visit_are_not_offered(hospital: Hospital) -> None:
    people, rosa = hospital.people, hospital.visitor(PATIENT)
    await hospital.book(people.rosa, people.okafor, WEDNESDAY)
    value = slot_value(people.brennan.id, WEDNESDAY)
    assert value not in (await times(rosa, hospital)).text
    assert value in (await times(somebody_else(hospital), hospital)).text

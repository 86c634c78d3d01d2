"""Searching, and pointing out who may be the same person, on each engine."""
from __future__ import annotations

from datetime import date

import pytest

from infirmary.contexts.appointments.events import AppointmentBooked
from infirmary.contexts.patients.tables import people as tables
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, RoleMayNot

from .builders import (
    Register,
    a_doctor_caller,
    a_patient_caller,
    a_visit,
    admin,
    auditor,
    cashier,
    identity,
    nurse,
    pharmacist,
    reception,
)

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
async def people(register: Register) -> Register:
    await register.a_patient("Delia", "Vega", date(1968, 3, 14), phone="085 123 4567")
    await register.a_patient("Adela", "Vega", date(1990, 3, 14), phone="+353 86 765 4321")
    await register.a_patient("Łukasz", "Ørsted-Núñez", date(2003, 2, 1))
    await register.a_patient("Irmak", "Weiß", date(1968, 12, 1), email="irmak@example.org")
    await register.a_patient("100%", "Snow_White!", date(1937, 12, 21))
    await register.a_patient("Ann", "Egan", date(1985, 5, 5))
    return register


FINDS = [
    ("vega", ["Adela", "Delia"]), ("VEG", ["Adela", "Delia"]), ("del", ["Delia"]), ("del veg 68", ["Delia"]),
    ("68 del", ["Delia"]), ("1968", ["Delia", "Irmak"]), ("68", ["Delia", "Irmak"]), ("14.3.68", ["Delia"]),
    ("14 march 1968", ["Delia"]), ("1968-03-14 vega", ["Delia"]), ("03", ["Łukasz"]), ("lukasz", ["Łukasz"]),
    ("nunez orsted", ["Łukasz"]), ("Ørs", ["Łukasz"]), ("weiss", ["Irmak"]), ("WEIẞ ırm", ["Irmak"]),
    ("irmak@", ["Irmak"]), ("085 123 4567", ["Delia"]), ("+353851234567", ["Delia"]), ("4567", ["Delia"]),
    ("0867654321", ["Adela"]), ("123 45", ["Delia"]), ("100 004", ["Irmak"]), ("100004", ["Irmak"]),
    ("ega", ["Ann"]), ("del ega", ["Adela", "Delia"]), ("dela", ["Adela"]), ("rsted", ["Łukasz"]), ("3 45", ["Delia"]),
    ("100%", ["100%"]), ("%", ["100%"]), ("_", ["100%"]), ("w_w", ["100%"]), ("snow_white!", ["100%"]), ("!", ["100%"]),
    ("e_an", []), ("v%a", []), ("nobody", []), ("vega 69", []), ("delia 4321", []), ("14.4.68", []), ("\\", []),
    ("'; DROP TABLE patient; --", [])]


async def test_fragments_find(people: Register) -> None:
    assert [(typed, sorted(await people.found(typed))) for typed, _ in FINDS] == FINDS


async def test_birth_date_and_phone_may_be_asked_for_by_name(people: Register) -> None:
    assert await people.found(birth_date=date(1968, 3, 14)) == ["Delia"]
    assert await people.found("veg", birth_date=date(1990, 3, 14)) == ["Adela"]
    assert await people.found("irmak", birth_date=date(1990, 3, 14)) == []
    assert await people.found(phone="0851234567") == ["Delia"]
    assert await people.found(phone="+353 85 123-4567", birth_date=date(1968, 3, 14)) == ["Delia"]
    assert await people.found("adela", phone="4321") == ["Adela"]
    assert await people.found(phone="100004") == []   # a hospital number is no phone number
    assert await people.found(phone="34567") == await people.found(phone="2345") == ["Delia"]
    assert await people.found(phone="432158") == []   # nor is one read backwards


async def test_everybody_is_listed_by_name_and_page_by_page(register: Register) -> None:
    for family, given in (("zola", "Émile"), ("Ångström", "Anders"), ("Ängel", "Bo"), ("Zola", "Adam"), ("Öz", "Can")):
        await register.a_patient(given, family)
    listed, cursor = [], None
    while page := await register.ask.search(reception, limit=2, cursor=cursor):
        listed += [one.given_name for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert listed == ["Bo", "Anders", "Can", "Adam", "Émile"]


async def test_the_pages_of_a_search_hold_everybody_once(register: Register) -> None:
    for n in range(13):
        await register.a_patient(f"Patient {n % 3}", f"Family {n % 2}")
    for typed in ("patient", "atient", "family 68", "amily", "68"):
        seen, cursor = [], None
        while page := await register.ask.search(reception, typed, limit=5, cursor=cursor):
            seen += [one.id for one in page.items]
            assert len(page.items) <= 5
            if (cursor := page.next_cursor) is None:
                break
        assert len(seen) == len({*seen}) == 13


@pytest.mark.parametrize("typed", ["mur", "murr mur"])
async def test_whoever_has_two_such_words_is_on_the_pages_of_many_once(
        register: Register, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(tables, "FEW", 0)
    monkeypatch.setattr(tables, "MANY", 0)
    for n in range(9):
        await register.a_patient(f"Muriel {n % 2}", f"Murphy-Murray {n}")
    seen, cursor = [], None
    while page := await register.ask.search(reception, typed, limit=4, cursor=cursor):
        seen += [one.id for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert len(seen) == len({*seen}) == 9


async def test_rare_and_common_words_are_searched_alike(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search finds must not depend on which way was quicker."""
    for n in range(12):
        await register.a_patient(f"Patient {n}", "Smith" if n % 3 else "Smythe", date(1960 + n, 1, 1))
    typed = ["", "smi", "smy", "patient smi", "smi 61", "p 1 sm", "1961", "sm 1963", "zzz", "mith"]
    before = {one: await register.found(one) for one in typed}
    for few, many in ((0, 0), (0, 1), (0, 5), (0, 1000), (1, 1000)):
        monkeypatch.setattr(tables, "FEW", few)
        monkeypatch.setattr(tables, "MANY", many)
        assert {one: sorted(await register.found(one)) for one in typed} == {
            one: sorted(found) for one, found in before.items()}
    assert len(before["smi"]) == 8 and len(before[""]) == 12 and before["zzz"] == []


@on_sqlite
async def test_a_cursor_that_nobody_gave_is_refused(people: Register) -> None:
    for forged in ("x", "9.", "0.x", "-1.", "²."):
        with pytest.raises(Malformed) as refused:
            await people.ask.search(reception, "vega", cursor=forged)
        assert [error.field for error in refused.value.errors] == ["cursor"]


@on_sqlite
async def test_a_cursor_fits_where_it_is_sent_whatever_the_names(register: Register) -> None:
    for _ in range(2):
        await register.a_patient("\U0001e922" * 100, "\U00020000" * 100)
    cursor = (await register.ask.search(reception, limit=1)).next_cursor
    assert cursor is not None and len(cursor) <= 400
    assert len((await register.ask.search(reception, limit=1, cursor=cursor)).items) == 1


@on_sqlite
async def test_a_search_is_audited_without_what_was_typed(people: Register) -> None:
    await people.found("vega 68")
    await people.ask.matches(nurse, "Delia", "Vega", date(1968, 3, 14))
    searched, matched = [*await people.entries("patient.searched"), *await people.entries("patient.matched")]
    assert (searched.detail, searched.subject_id, searched.actor_id) == ({"found": "1"}, None, reception.account_id)
    assert (matched.detail, matched.actor_id) == ({"found": "1"}, nurse.account_id)


@on_sqlite
async def test_who_may_search(people: Register) -> None:
    for caller in (reception, admin, nurse, cashier, pharmacist):
        assert await people.found("delia", caller) == ["Delia"]
    delia = (await people.ask.search(reception, "delia")).items[0]
    for caller in (a_patient_caller(delia), auditor, identity):
        with pytest.raises(RoleMayNot):
            await people.found("delia", caller)
        with pytest.raises(RoleMayNot):
            await people.ask.matches(caller, "Delia", "Vega", delia.birth_date)


async def test_a_doctor_finds_the_patients_of_their_visits_and_no_others(people: Register) -> None:
    doctor_id, colleague_id = new_id(), new_id()
    delia, adela = (await people.ask.search(reception, "vega")).items[::-1]
    await people.hear(a_visit(AppointmentBooked, delia, doctor_id))
    await people.hear(a_visit(AppointmentBooked, delia, doctor_id))
    await people.hear(a_visit(AppointmentBooked, adela, colleague_id))
    for typed in ("", "vega", "ega", "68", "del veg", "085 123 4567", str(delia.number)):
        assert await people.found(typed, a_doctor_caller(doctor_id)) == ["Delia"]
        assert await people.found(typed, a_doctor_caller(new_id())) == []
    assert await people.found("", a_doctor_caller(doctor_id), phone="4321") == []


# Who may be the same person

async def test_who_may_be_the_same_is_pointed_out_the_likeliest_first(register: Register) -> None:
    born = date(1968, 3, 4)
    same = await register.a_patient("Delia", "Véga", born, phone="+353 85 123 4567", email="delia@example.org")
    swapped = await register.a_patient("Vega", "Delia", date(1968, 4, 3))
    sister = await register.a_patient("Adela", "Vega", date(1970, 1, 1), phone="085 123 4567", email="DELIA@example.org")
    await register.a_patient("Delia", "Vega", date(1970, 1, 1))
    await register.a_patient("Other", "Person", born)
    typo = await register.a_patient("Dleia", "Vegga", born)
    found = await register.ask.matches(reception, "DELIA", "vega", born, "085 1234567", "Delia@Example.org")
    assert [(match.patient, match.alike_in, match.near_in) for match in found] == [
        (same, ["name", "birth_date", "phone", "email"], []), (typo, ["birth_date"], ["name"]),
        (swapped, ["name"], ["birth_date"])]
    assert [match.patient for match in await register.ask.duplicates(nurse, same.id)] == [typo, swapped]
    assert [(match.patient, match.near_in) for match in await register.ask.duplicates(reception, typo.id)] == [
        (same, ["name"])]
    assert [match.patient for match in await register.ask.matches(reception, "Delia", "Vega", date(1968, 4, 3))] == [
        swapped, same]
    assert await register.ask.matches(reception, "Delia", "Vega") == []
    assert await register.ask.matches(reception, birth_date=born) == await register.ask.matches(reception) == []
    assert [match.patient for match in await register.ask.matches(reception, phone="(085) 123-4567",
                                                                  email="delia@example.org")] == [same, sister]

"""People entered from a table: checked before anybody is registered, each registered once, and taken back; on each engine."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from infirmary.contexts.appointments.events import AppointmentBooked
from infirmary.contexts.patients.contract import AmendPatient, ContactForm, MergeForm, Patient
from infirmary.contexts.patients.contract.imports import (
    Choice,
    ColumnsMissing,
    ImportIsOver,
    ImportRow,
    ImportStatus,
    Kept,
    NotATable,
    PatientImport,
    RowChoice,
    RowIsSettled,
    RowStatus,
    UploadedBefore,
)
from infirmary.contexts.patients.events import PatientRegistered, PatientWasRetired
from infirmary.contexts.patients.service import importing as work
from infirmary.contexts.patients.tables.imports import ROWS
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Upload
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, StaleVersion, TooLarge

from .builders import Register, a_visit, admin, reception

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
THREE = "given_name,family_name,birth_date,phone\nAda,Moe,1980-01-02,+353 1 555 001\nBo,Lee,1981-02-03,\nCy,Ray,1982-03-04,\n"


def uploaded(content: str | bytes, piece: int = 7) -> Upload:
    raw = content.encode() if isinstance(content, str) else content

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), piece):
            yield raw[at:at + piece]
    return Upload(chunks())


def people(count: int, *, first: int = 0) -> str:
    """As many who are not alike."""
    rows = (f"{name * 3},{name[::-1] * 4},{1930 + at % 90}-{at % 12 + 1:02}-{at % 28 + 1:02}" for at in range(first, first + count)
            for name in ["".join("abcdefghij"[int(digit)] for digit in f"{at * 7919 + 10007:06}")])
    return "given_name,family_name,birth_date\n" + "\n".join(rows)


async def begun(register: Register, content: str | bytes, caller: Caller = reception) -> PatientImport:
    made = await register.ask.begin_import(caller, uploaded(content))
    await register.service.carry_out_imports()
    return await register.ask.patient_import(caller, made.id)


async def applied(register: Register, whole: PatientImport) -> PatientImport:
    await register.ask.apply_import(reception, whole.id)
    await register.service.carry_out_imports()
    return await register.ask.patient_import(reception, whole.id)


async def undone(register: Register, whole: PatientImport) -> PatientImport:
    await register.ask.undo_import(reception, whole.id)
    await register.service.carry_out_imports()
    return await register.ask.patient_import(reception, whole.id)


async def rows(register: Register, whole: PatientImport, status: RowStatus | None = None) -> list[ImportRow]:
    return (await register.ask.import_rows(reception, whole.id, status, 100)).items


async def patient_of(register: Register, whole: PatientImport, line: int) -> Patient:
    patient_id = next(row.patient_id for row in await rows(register, whole) if row.line == line)
    assert patient_id is not None
    return await register.ask.patient(reception, patient_id)


async def test_a_table_is_checked_applied_and_taken_back(register: Register) -> None:
    made = await register.ask.begin_import(reception, uploaded("\ufeff" + THREE))
    assert (made.status, made.rows, made.counts) == (ImportStatus.CHECKING, 3, {RowStatus.UNCHECKED: 3})
    await register.service.carry_out_imports()
    checked = await register.ask.patient_import(admin, made.id)
    assert (checked.status, checked.counts) == (ImportStatus.CHECKED, {RowStatus.READY: 3})
    assert await register.facts(PatientRegistered) == []

    done = await applied(register, checked)
    assert (done.status, done.counts) == (ImportStatus.APPLIED, {RowStatus.REGISTERED: 3})
    assert sorted(await register.found()) == ["Ada", "Bo", "Cy"]
    assert (await patient_of(register, done, 2)).phone == "+353 1 555 001"
    assert len(await register.facts(PatientRegistered)) == 3
    assert {entry.actor_id for entry in await register.entries("patient.registered")} == {reception.account_id}
    assert [entry.detail for entry in await register.entries("import.applied")] == [{"counts": "registered 3"}]

    back = await undone(register, done)
    assert (back.status, back.counts) == (ImportStatus.UNDONE, {RowStatus.TAKEN_BACK: 3})
    assert await register.found() == []
    assert (await patient_of(register, back, 3)).retired_at == register.clock.now()
    assert len(await register.facts(PatientWasRetired)) == 3
    with pytest.raises(ImportIsOver):
        await register.ask.apply_import(reception, back.id)
    assert "Ada" not in str(await register.entries("import"))


@on_sqlite
async def test_all_that_is_wrong_with_a_row_is_said_at_once(register: Register, engine: str) -> None:
    whole = await begun(register, "Vorname;Nachname;Geburtsdatum;Sex;E-Mail;Telefon;Blood type\n"
                        "Ada;Moe;14.3.1968;F;;;0\n"
                        ";;1968-02-30;x;nobody;12;\n"
                        "Bo;Lee;2099-01-01;;;;;;\n"
                        "Cy;Ray;1980-01-01;;;;;more\n")
    assert [(column.header, column.field) for column in whole.columns] == [
        ("Vorname", "given_name"), ("Nachname", "family_name"), ("Geburtsdatum", "birth_date"), ("Sex", "gender"),
        ("E-Mail", "email"), ("Telefon", "phone"), ("Blood type", None)]
    good, bad, future, more = await rows(register, whole)
    assert (good.status, good.errors, good.said) == (RowStatus.READY, [], {
        "given_name": "Ada", "family_name": "Moe", "birth_date": "14.3.1968", "gender": "F"})
    assert (bad.line, bad.status, [error.field for error in bad.errors]) == (
        3, RowStatus.FAULTY, ["given_name", "family_name", "birth_date", "gender", "phone", "email"])
    assert [error.message for error in future.errors] == ["Enter a day that is not to come."]
    assert [error.field for error in more.errors] == [""]
    assert await rows(register, whole, RowStatus.FAULTY) == [bad, future, more]
    download = await register.ask.faulty_rows(reception, whole.id)
    table = b"".join([chunk async for chunk in download.chunks]).decode("utf-8-sig").splitlines()
    assert table[0] == "given_name,family_name,birth_date,gender,email,phone,what_to_mend"
    assert table[2] == "Bo,Lee,2099-01-01,,,,birth_date: Enter a day that is not to come."
    assert (await applied(register, whole)).counts == {RowStatus.REGISTERED: 1, RowStatus.FAULTY: 3}
    assert (await patient_of(register, whole, 2)).birth_date.isoformat() == "1968-03-14"
    with pytest.raises(RowIsSettled):
        await register.ask.choose_for_row(reception, whole.id, 3, RowChoice(Choice.REGISTER), bad.version)


@on_sqlite
@pytest.mark.parametrize(("content", "refusal", "said"), [
    (b"", ColumnsMissing, "must name"), (b"given_name,family_name\nA,B", ColumnsMissing, "must name"),
    (b"given_name,family_name,birth_date\n\n , ,\n", NotATable, "no rows"),
    (b'given_name,family_name,birth_date\n"A,B,1980-01-01\nC,D,1980-01-01\n', NotATable, "Line 2"),
    (b"given_name,family_name,birth_date\nJos\xe9,B,1980-01-01", NotATable, "UTF-8"),
    ("given_name,family_name,birth_date\nA,B,1980-01-01".encode("utf-16"), NotATable, "UTF-8"),
    (b"given_name,family_name,birth_date\nA\0,B,1980-01-01", NotATable, "character U"),
    (b"," * 200, NotATable, "columns"),
    (THREE.encode() * 100_000, TooLarge, "5,000,000"), (b"given_name,family_name,birth_date\n" + b"A,B,C\n" * 20_001,
                                                        TooLarge, "20,000")])
async def test_what_is_no_table_leaves_nothing_behind(register: Register, engine: str, content: bytes,
                                                      refusal: type[Exception], said: str) -> None:
    with pytest.raises(refusal, match=said):
        await register.ask.begin_import(reception, uploaded(content, 1 << 16))
    assert (await register.ask.imports(reception)).items == []
    async with register.db.reading() as reading:
        assert await reading.all(ROWS.find()) == []


async def test_who_may_be_registered_already_waits_for_a_choice(register: Register) -> None:
    ada = await register.a_patient("Ada", "Moe", birth_date=(await register.a_patient("X", "Y")).birth_date)
    whole = await begun(register, f"given_name,family_name,birth_date\nAda,Moe,{ada.birth_date}\nBo,Lee,1981-02-03\n"
                        "Lee,Bó,1981-02-03\nCy,Ray,1982-03-04\n")
    assert whole.counts == {RowStatus.ALIKE: 2, RowStatus.READY: 2}
    known, _, twice, cy = await rows(register, whole)
    assert [one.patient_id for one in known.alike] == [ada.id]
    assert known.alike[0].score > .9
    assert (twice.status, twice.same_as_line) == (RowStatus.ALIKE, 3)
    with pytest.raises(StaleVersion):
        await register.ask.choose_for_row(reception, whole.id, twice.line, RowChoice(Choice.REGISTER), if_match=99)
    with pytest.raises(NotFound):
        await register.ask.choose_for_row(reception, whole.id, 99, RowChoice(Choice.REGISTER), if_match=1)
    await register.ask.choose_for_row(reception, whole.id, twice.line, RowChoice(Choice.REGISTER), twice.version)
    left = await register.ask.choose_for_row(reception, whole.id, cy.line, RowChoice(Choice.SKIP), cy.version)
    assert left.status is RowStatus.SKIPPED
    done = await applied(register, whole)
    assert done.counts == {RowStatus.REGISTERED: 2, RowStatus.ALIKE: 1, RowStatus.SKIPPED: 1}
    await register.ask.choose_for_row(reception, whole.id, known.line, RowChoice(Choice.REGISTER), known.version)
    assert (await applied(register, done)).counts == {RowStatus.REGISTERED: 3, RowStatus.SKIPPED: 1}


async def test_who_was_registered_after_the_check_is_not_registered_twice(register: Register) -> None:
    mine = await begun(register, THREE)
    theirs = await begun(register, THREE, caller=admin)
    assert (mine.counts, theirs.counts) == ({RowStatus.READY: 3}, {RowStatus.READY: 3})
    await applied(register, mine)
    assert (await applied(register, theirs)).counts == {RowStatus.ALIKE: 3}
    assert sorted(await register.found()) == ["Ada", "Bo", "Cy"]


async def test_the_same_file_is_known_again_until_it_is_undone(register: Register) -> None:
    tried = await asyncio.gather(*(register.ask.begin_import(reception, uploaded(THREE)) for _ in range(4)),
                                 return_exceptions=True)
    [first] = [one for one in tried if isinstance(one, PatientImport)]
    refused = [one for one in tried if isinstance(one, UploadedBefore)]
    assert [one.extra["import_id"] for one in refused] == [str(first.id)] * 3
    await register.service.carry_out_imports()
    await undone(register, first)
    assert (await begun(register, THREE)).counts == {RowStatus.READY: 3}


async def test_several_who_apply_at_once_register_each_once(register: Register) -> None:
    whole = await begun(register, people(24))
    assert whole.counts == {RowStatus.READY: 24}
    await asyncio.gather(*(register.ask.apply_import(reception, whole.id) for _ in range(3)))
    await asyncio.gather(*(register.service.carry_out_imports() for _ in range(4)))
    done = await register.ask.patient_import(reception, whole.id)
    assert (done.status, done.counts) == (ImportStatus.APPLIED, {RowStatus.REGISTERED: 24})
    made = await register.facts(PatientRegistered)
    assert len({fact.aggregate for fact in made}) == len(made) == 24
    assert {row.patient_id for row in await rows(register, done)} == {fact.aggregate for fact in made}
    await register.ask.undo_import(reception, whole.id)
    await asyncio.gather(*(register.service.carry_out_imports() for _ in range(4)))
    assert (await register.ask.patient_import(reception, whole.id)).counts == {RowStatus.TAKEN_BACK: 24}
    assert len(await register.facts(PatientWasRetired)) == 24


class Killed(BaseException):
    """As a process is: nothing is tidied up."""


async def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(register: Register,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    save, countdown = ROWS.save, [0]

    async def dying(tx: Any, row: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise Killed
        return await save(tx, row)

    async def carried_on(*moments: int) -> None:
        for moment in moments:
            countdown[0] = moment
            with pytest.raises(Killed):
                await register.service.carry_out_imports()
        countdown[0] = 0
        await register.service.carry_out_imports()

    monkeypatch.setattr(work.ROWS, "save", dying)
    made = await register.ask.begin_import(reception, uploaded(people(9)))
    await carried_on(1, 5)
    await register.ask.apply_import(reception, made.id)
    await carried_on(1, 3, 1)
    done = await register.ask.patient_import(reception, made.id)
    assert (done.status, done.counts) == (ImportStatus.APPLIED, {RowStatus.REGISTERED: 9})
    assert len(await register.facts(PatientRegistered)) == len(await register.found("", limit=100)) == 9
    await register.ask.undo_import(reception, made.id)
    await carried_on(2, 1)
    assert (await register.ask.patient_import(reception, made.id)).counts == {RowStatus.TAKEN_BACK: 9}
    assert len(await register.facts(PatientWasRetired)) == 9


async def test_who_stops_it_finds_nobody_registered_afterwards(register: Register) -> None:
    whole = await begun(register, people(12))
    await register.ask.apply_import(reception, whole.id)
    working = asyncio.create_task(register.service.carry_out_imports())
    while not await register.facts(PatientRegistered):
        await asyncio.sleep(0)
    stopped = await register.ask.stop_import(admin, whole.id)
    then = len(await register.facts(PatientRegistered))
    await working
    assert stopped.status is ImportStatus.STOPPED
    assert stopped.counts[RowStatus.REGISTERED] == then == len(await register.facts(PatientRegistered)) < 12
    assert await register.ask.stop_import(admin, whole.id) == stopped
    assert (await applied(register, stopped)).counts == {RowStatus.REGISTERED: 12}


async def test_a_record_in_use_is_not_taken_back_and_its_row_says_why(register: Register) -> None:
    whole = await applied(register, await begun(register, people(8)))
    made = [await patient_of(register, whole, line) for line in range(2, 10)]
    await register.ask.amend(reception, made[0].id, AmendPatient(address="Here 1"), made[0].version)
    await register.ask.add_contact(reception, made[1].id, ContactForm(name="Ignacio"))
    register.visits.open[made[2].id] = 1
    await register.hear(a_visit(AppointmentBooked, made[3], new_id()))
    register.accounts.of.add(made[4].id)
    await register.ask.merge(reception, made[5].id, MergeForm(duplicate_id=(await register.a_patient()).id, reason="One."))
    await register.ask.retire(reception, made[6].id, made[6].version)
    back = await undone(register, whole)
    assert [(row.line, row.kept) for row in await rows(register, back, RowStatus.KEPT)] == [
        (2, Kept.CHANGED), (3, Kept.ATTACHED), (4, Kept.VISITS), (5, Kept.VISITS), (6, Kept.ACCOUNT), (7, Kept.CHANGED),
        (8, Kept.CHANGED)]
    assert back.counts == {RowStatus.KEPT: 7, RowStatus.TAKEN_BACK: 1}


async def test_undo_against_booking_leaves_no_visit_with_a_closed_record(register: Register) -> None:
    """The visit is booked and not heard of yet when the record is asked about: it is heard of before, while or after."""
    whole = await applied(register, await begun(register, people(10)))
    made = [await patient_of(register, whole, line) for line in range(2, 12)]
    await register.ask.undo_import(reception, whole.id)
    await asyncio.gather(register.service.carry_out_imports(),
                         *(register.hear(a_visit(AppointmentBooked, one, new_id())) for one in made[:8]))
    await register.hear(a_visit(AppointmentBooked, made[8], new_id()))   # long after
    back = await register.ask.patient_import(reception, whole.id)
    assert (back.status, back.counts) == (ImportStatus.UNDONE, {RowStatus.KEPT: 9, RowStatus.TAKEN_BACK: 1})
    assert [(await register.ask.patient(reception, one.id)).retired_at is None for one in made] == [True] * 9 + [False]
    assert sorted(await register.found("", limit=100)) == sorted(one.given_name for one in made[:9])


@on_sqlite
async def test_what_rows_said_is_forgotten_and_the_import_can_still_be_undone(register: Register, engine: str) -> None:
    whole = await applied(register, await begun(register, THREE + "Ada,Moe,1980-01-02,\n"))
    register.clock.advance(timedelta(days=30))
    await register.service.forget_imports()
    assert (await rows(register, whole))[0].said
    register.clock.advance(timedelta(seconds=1))
    await register.service.forget_imports()
    old = await register.ask.patient_import(reception, whole.id)
    assert old.forgotten_at == register.clock.now()
    assert all((row.said, row.alike) == (None, []) for row in await rows(register, old))
    async with register.db.reading() as reading:
        assert {row.person_key for row in await reading.all(ROWS.find())} == {None}
    with pytest.raises(ImportIsOver):
        await register.ask.choose_for_row(reception, whole.id, 5, RowChoice(Choice.REGISTER), if_match=2)
    assert (await undone(register, old)).counts == {RowStatus.TAKEN_BACK: 3, RowStatus.ALIKE: 1}


async def test_nobody_else_finds_what_is_not_there(register: Register) -> None:
    nowhere = UUID(int=7)
    for asked in (register.ask.patient_import(admin, nowhere), register.ask.apply_import(admin, nowhere),
                  register.ask.undo_import(admin, nowhere), register.ask.stop_import(admin, nowhere),
                  register.ask.import_rows(admin, nowhere), register.ask.faulty_rows(admin, nowhere)):
        with pytest.raises(NotFound):
            await asked

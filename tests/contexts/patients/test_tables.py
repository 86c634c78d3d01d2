"""The register as a table: what is written is harmless to a spreadsheet, and read as it was."""
from __future__ import annotations

import contextlib
import csv
import io
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infirmary.contexts.patients.contract import Demographics, Gender, MergeForm
from infirmary.contexts.patients.contract.imports import ExportForm, ImportStatus, RowStatus
from infirmary.contexts.patients.domain import sheets
from infirmary.kernel.access import Caller
from infirmary.language import StepUpRequired

from .builders import Register, admin, demographics, reception
from .test_importing import begun, uploaded

ON = date(2027, 3, 1)
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_AWKWARD = st.sampled_from(["O'Brien", "'=1+1", "''@SUM(A1)", "=cmd|' /C calc'!A0", "+353", "-", "@", "\tTab", 'Q"uote', "a,b;c",
                            "two\r\nlines", "\ufeffmark", "مريم", "עברית", "李", "＝1", "'"])
_NAMES = (_AWKWARD | st.text(_LETTERS, min_size=1, max_size=100)).map(str.strip).filter(bool)
_LINES = (_AWKWARD | st.text(_LETTERS, max_size=200)).map(str.strip)
PEOPLE = st.builds(
    Demographics, given_name=_NAMES, family_name=_NAMES, birth_date=st.dates(date(1900, 1, 1), ON),
    gender=st.sampled_from(Gender), address=_LINES, language=st.sampled_from(["", "en", "pt-BR"]),
    phone=st.none() | st.from_regex(r"\A\+?[0-9][0-9 ()/.\-]{3,20}[0-9]\Z"),
    email=st.none() | st.from_regex(r"\A[^@\s\0]{1,20}@[a-z]{1,9}\.[a-z]{2,3}\Z").filter(lambda one: one == one.strip()))


def as_table(*people: Demographics) -> bytes:
    return sheets.BEGINS + sheets.written([sheets.HEAD, *(
        ["1", *msgspec.structs.astuple(one)] for one in people)])


def as_read(table: bytes) -> list[tuple[Demographics | None, list[Any]]]:
    with sheets.opened(io.BytesIO(table)) as sheet:
        return [sheets.understood(said, today=ON) for _, said, _ in sheet]


@given(st.lists(PEOPLE, min_size=1, max_size=5))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_as_it_was(people: list[Demographics]) -> None:
    table = as_table(*people)
    assert as_read(table) == [(one, []) for one in people]
    cells = [cell for row in csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r\n＝＋－＠" and cell]


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_a_refusal(raw: bytes) -> None:
    with contextlib.suppress(sheets.NotATable):
        as_read(b"given_name,family_name,birth_date\n" + raw)


@on_sqlite
async def test_an_import_of_our_own_export_gives_the_same_people(register: Register, engine: str) -> None:
    wanted = [demographics("=1+1", 'O"Brien, Jr', phone="+353 1 555 001", address="Line 1\nLine 2", gender=Gender.MALE),
              demographics("مريم", "Núñez", date(1990, 1, 31), email="m@home.test", language="ar")]
    made = [await register.ask.register(reception, one) for one in wanted]
    table = await exported(register)
    for one in made:
        await register.ask.retire(reception, one.id, one.version)
    assert (await exported(register)).splitlines() == table.splitlines()[:1]
    whole = await begun(register, table)
    assert (whole.status, whole.counts) == (ImportStatus.CHECKED, {RowStatus.READY: 2})
    await register.ask.apply_import(reception, whole.id)
    await register.service.carry_out_imports()
    found = (await register.ask.search(reception)).items
    assert {structured(one) for one in found} == {structured(one) for one in made}


def structured(one: Any) -> tuple[Any, ...]:
    return tuple(getattr(one, name) for name in sheets.FIELDS)


async def exported(register: Register, caller: Caller = admin, **asked: Any) -> str:
    download = await register.ask.export(caller, ExportForm(reason="For the yearly count.", **asked))
    return b"".join([chunk async for chunk in download.chunks]).decode()


async def test_the_register_is_exported_page_by_page_each_person_once(register: Register, monkeypatch: pytest.MonkeyPatch,
                                                                      ) -> None:
    monkeypatch.setattr("infirmary.contexts.patients.service.finding.EXPORTED_AT_ONCE", 2)
    people = [await register.a_patient(name, "Vega") for name in ("Ada", "Bo", "Cy", "Di")]
    other = await register.a_patient("Zed", "Moe")
    twice = await register.a_patient("Aida", "Vega")
    await register.ask.merge(reception, people[2].id, MergeForm(duplicate_id=twice.id, reason="One."))
    def names(table: str) -> list[str]:
        return sorted(line.split(",")[1] for line in table.splitlines()[1:])
    assert names(await exported(register)) == ["Ada", "Bo", "Cy", "Di", "Zed"]
    assert names(await exported(register, q="vega")) == ["Ada", "Bo", "Cy", "Di"]
    assert names(await exported(register, q="aida")) == ["Cy"]
    assert names(await exported(register, birth_date=other.birth_date, q="zed")) == ["Zed"]
    assert names(await exported(register, q="nobody")) == []
    begun_, done = await register.entries("register.export_begun"), await register.entries("register.exported")
    assert [entry.detail for entry in begun_][:2] == [{"reason": "For the yearly count.", "whole": "yes"},
                                                      {"reason": "For the yearly count.", "whole": "no"}]
    assert [entry.detail for entry in done][:2] == [{"rows": "5", "broken_off": "no"}, {"rows": "4", "broken_off": "no"}]


@on_sqlite
async def test_an_export_that_breaks_off_is_on_record_with_what_was_given(register: Register, engine: str,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infirmary.contexts.patients.service.finding.EXPORTED_AT_ONCE", 1)
    for name in ("Ada", "Bo", "Cy"):
        await register.a_patient(name)
    chunks = (await register.ask.export(admin, ExportForm(reason="To see."))).chunks
    assert [await anext(chunks) for _ in range(2)]
    await chunks.aclose()   # type: ignore[attr-defined]
    assert [entry.detail for entry in await register.entries("register.exported")] == [{"rows": "1", "broken_off": "yes"}]


@on_sqlite
async def test_an_export_asks_for_the_password(register: Register, engine: str) -> None:
    register.accounts.fresh = False
    with pytest.raises(StepUpRequired):
        await exported(register)
    assert await register.entries("register") == []


@on_sqlite
async def test_formulas_are_names_like_others(register: Register, engine: str) -> None:
    made = await register.ask.begin_import(reception, uploaded("given_name,family_name,birth_date\n=HYPERLINK(A1),@b,1980-01-01"))
    await register.service.carry_out_imports()
    [row] = (await register.ask.import_rows(reception, made.id)).items
    assert (row.status, row.said) == (RowStatus.READY, {"given_name": "=HYPERLINK(A1)", "family_name": "@b",
                                                        "birth_date": "1980-01-01"})

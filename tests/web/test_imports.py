"""People entered from a table at the desk: file, check, done; taken back; the register as a table, and a record as a file."""
from __future__ import annotations

import json
from typing import Any

from sqlalchemy import update

from infirmary.contexts.identity.tables import session as sessions
from infirmary.kernel.database.statement import Statement
from infirmary.language import NURSE, PATIENT

from .conftest import Hospital
from .test_clients import PASSWORD, boss
from .visitor import Answer, Visitor

TABLE = ("First name;Last name;Date of birth;Phone\nAda;Moe;14.3.1968;+353 1 555 001\n;Nobody;2099-01-01;12\n"
         "Bo;Lee;1981-02-03;\nBo;Lee;1981-02-03;\n")


async def worked(hospital: Hospital) -> None:
    service: Any = hospital.house.rooms["patients"].service
    await service.carry_out_imports()


async def sent(desk: Visitor, table: str | bytes = TABLE, name: str = "people.csv") -> Answer:
    page = await desk.open("/desk/imports")
    return await desk.send_file(page.form("/desk/imports").action, "file", name, table if isinstance(table, bytes) else table.encode())


async def test_a_table_is_checked_registered_and_taken_back(hospital: Hospital) -> None:
    desk = hospital.desk
    made = await sent(desk)
    waiting = await desk.open(made.location)
    assert "4 of 4 are still to be seen to" in waiting.words
    await worked(hospital)
    checked = await desk.open(made.location)
    assert "2 rows can be registered. 1 may be of somebody who is here already" in checked.words
    assert "Given name : Write the given name" in checked.words
    assert "Phone “12” : Write digits" in checked.words
    assert "The same person as in line 4" in checked.words
    mend = await desk.open(checked.links["Rows to mend, as a table"])
    assert (mend.headers["content-type"], mend.text.splitlines()[1].split(",")[:2]) == ("text/csv; charset=utf-8", ["", "Nobody"])
    assert "Bo Lee" not in (await desk.open(f"{made.location}?status=faulty")).words

    chosen = await desk.submit(checked.form("/rows/5"), press="Register anyway")
    assert "3 rows can be registered" in (await desk.open(chosen.location.partition("#")[0])).words
    left = await desk.submit((await desk.open(made.location)).form("/rows/5"), press="Leave out")
    assert left.status == 303
    stale = await desk.submit(checked.form("/rows/5"), press="Register anyway")
    assert (stale.status, "Somebody changed this" in stale.words) == (412, True)
    assert (await desk.submit((await desk.open(made.location)).form("/apply"))).status == 303
    assert "Stop here" in (await desk.open(made.location)).words
    await worked(hospital)
    done = await desk.open(made.location)
    assert "2 are registered" in done.words
    record = await desk.open(done.links["Ada Moe"])
    assert "14 Mar 1968" in record.words
    asked = await desk.open(f"{made.location}?ask=undo")
    await desk.submit(asked.form("/undo"))
    await worked(hospital)
    back = await desk.open(made.location)
    assert "2 are taken back" in back.words
    assert "/apply" not in back.text
    assert "Undone" in (await desk.open("/desk/imports")).words


async def test_what_is_no_table_is_said_on_the_same_page(hospital: Hospital) -> None:
    desk = hospital.desk
    for table, said in ((b"name\nX", "must name the columns"), (b"\xff\xfe", "not in UTF-8"), (b"", "must name")):
        refused = await sent(desk, table)
        assert (refused.status, said in refused.words) == (422, True)
    none = await sent(desk, b"", name="")
    assert (none.status, "Choose a file." in none.words) == (422, True)
    page = await desk.open("/desk/imports")
    plain = await desk.submit(page.form("/desk/imports"))   # a browser that sends no files
    assert (plain.status, "Choose a file." in plain.words) == (422, True)
    large = await sent(desk, b"x" * 6_000_000)
    assert large.status == 413
    assert (await desk.send("/desk/imports", [("x", "\0")])).status == 400


async def test_the_same_file_leads_to_the_import_that_it_became(hospital: Hospital) -> None:
    desk = hospital.desk
    first, again = await sent(desk), await sent(desk)
    assert first.location == again.location
    assert "You have uploaded this file before" in (await desk.open(again.location)).text


async def test_the_register_is_exported_with_a_reason_and_a_password(hospital: Hospital) -> None:
    desk = await boss(hospital)
    form = (await desk.open("/desk/export")).form("/desk/export")
    missing = await desk.submit(form, reason=" ")
    assert (missing.status, "the audit trail keeps it" in missing.words) == (400, True)
    table = await desk.submit(form, reason="The yearly count", q="rosa")
    assert 'attachment; filename="patients-2027-03-01.csv"' in table.headers["content-disposition"]
    assert [line.split(",")[1] for line in table.text.splitlines()] == ["given_name", "Rosa"]
    async with hospital.house.rooms["identity"].db.transaction() as tx:   # the password was given long ago
        await tx.run(Statement(update(sessions).values(proved_at=None)))
    shut = await desk.open("/desk/export")
    asked = await desk.submit(shut.form("/desk/export/open"))
    assert "Is it you?" in asked.words
    assert (await desk.submit(asked.form("/security/prove"), proof="wrong")).status == 422
    assert (await desk.submit(asked.form("/security/prove"), proof=PASSWORD)).location == "/desk/export"
    assert "Download the table" in (await desk.open("/desk/export")).words


async def test_what_is_held_is_a_file_for_the_patient_and_the_desk(hospital: Hospital) -> None:
    patient = hospital.visitor(PATIENT, patient_id=hospital.people.rosa.id)
    own = await patient.open("/record/export")
    assert own.headers["content-disposition"].startswith('attachment; filename="record-')
    assert json.loads(own.body)["format"] == "infirmary/held-record/1"
    theirs = await hospital.visitor(NURSE).open(f"/desk/patients/{hospital.people.rosa.id}/export")
    assert json.loads(theirs.body)["patient"]["id"] == str(hospital.people.rosa.id)

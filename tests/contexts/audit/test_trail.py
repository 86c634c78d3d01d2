"""The audit trail: it keeps every entry once, never lets go of one, and says who has looked."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from infirmary.contexts.audit import tables
from infirmary.contexts.audit.contract import AuditEvent
from infirmary.contexts.audit.wiring import AUDIT
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import DatabaseError
from infirmary.kernel.database.migrate import check
from infirmary.kernel.database.statement import Statement
from infirmary.kernel.errors import Malformed, NotSignedIn, RoleMayNot
from infirmary.kernel.outbox import INBOX, inbox
from infirmary.language import AUDITOR, CASHIER, DOCTOR, NURSE, PATIENT, PHARMACIST, RECEPTION, SERVICE

from .builders import MONDAY, Trail, a_caller, admin, an_entry, as_delivered, auditor

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
MINUTE = timedelta(minutes=1)


async def test_the_migrations_make_the_tables_that_are_declared(database_url: Callable[[str], str]) -> None:
    assert await check(database_url("audit"), tables.metadata, AUDIT.migrations) == []


async def test_an_entry_is_kept_as_it_was_written(trail: Trail) -> None:
    entry = an_entry(subject_id=new_id(), detail={"fields": "phone"}, actor_roles=["admin", "doctor"])
    [fact] = await trail.keep(entry)
    assert await trail.found() == [AuditEvent(
        id=fact.id, at=MONDAY, context="patients", action="patient.read", outcome="done", actor_id=entry.actor_id,
        actor_name="Amara Okafor", actor_roles=["admin", "doctor"], patient_id=entry.subject_id, entity="patient/1",
        detail={"fields": "phone"}, request_id="r-1", address="10.0.0.7")]


async def test_an_entry_delivered_again_is_kept_once_even_when_the_inbox_has_forgotten_it(trail: Trail) -> None:
    [fact] = await trail.keep(an_entry())
    await trail.hears.handle(fact, last=False)
    async with trail.db.transaction() as tx:
        await tx.run(Statement(delete(inbox)))
    await trail.hears.handle(fact, last=False)
    assert len(await trail.found()) == 1
    assert await trail.hears.parked() == []


async def test_fifty_first_entries_of_one_person_at_once_are_all_kept(trail: Trail) -> None:
    facts = [as_delivered(an_entry(at=MONDAY + MINUTE * n)) for n in range(50)]
    await asyncio.gather(*(trail.hears.handle(fact, last=False) for fact in (*facts, *facts[:10])))
    assert [one.id for one in await trail.found(actor="okafor", limit=100)] == [fact.id for fact in reversed(facts)]


@pytest.mark.parametrize("statement", [
    update(tables.audit_event).values(action="nothing"), delete(tables.audit_event),
    update(tables.audit_event).where(tables.audit_event.c.action == "patient.read").values(actor_name="Somebody else"),
    delete(tables.audit_event).where(tables.audit_event.c.entity == "patient/1")])
async def test_no_entry_is_ever_changed_or_removed(trail: Trail, statement: Any) -> None:
    await trail.keep(an_entry())
    before = await trail.found()
    with pytest.raises(DatabaseError, match="the audit trail only grows"):
        async with trail.db.transaction() as tx:
            await tx.run(Statement(statement))
    assert await trail.found() == before


# SQLite has no TRUNCATE; MySQL grants it with DROP, which the application's user needs not have.
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_postgresql_does_not_empty_the_trail_either(trail: Trail) -> None:
    await trail.keep(an_entry())
    with pytest.raises(Exception, match="the audit trail only grows"):
        await trail.db.driver.run_ddl("TRUNCATE audit_event")
    assert len(await trail.found()) == 1


async def test_entries_are_listed_newest_first_and_page_by_page(trail: Trail) -> None:
    """Also those of the same instant, which only their ids tell apart."""
    facts = await trail.keep(*(an_entry(at=MONDAY + MINUTE * (n // 3)) for n in range(11)))
    seen, cursor = [], None
    while page := await trail.ask.audit_events(auditor, limit=4, cursor=cursor):
        seen += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert [one.id for one in seen] == [fact.id for fact in reversed(facts)]
    assert [one.at for one in seen] == sorted((one.at for one in seen), reverse=True)


async def test_new_entries_do_not_disturb_who_is_turning_pages(trail: Trail) -> None:
    facts = await trail.keep(*(an_entry(at=MONDAY + MINUTE * n) for n in range(4)))
    first = await trail.ask.audit_events(auditor, limit=2)
    await trail.keep(an_entry(at=MONDAY + MINUTE * 9))
    second = await trail.ask.audit_events(auditor, limit=2, cursor=first.next_cursor)
    assert [one.id for one in (*first.items, *second.items)] == [fact.id for fact in reversed(facts)]


async def test_entries_are_found_by_who_did_it(trail: Trail) -> None:
    account_id = new_id()
    await trail.keep(an_entry("a", actor_name="Łucja Ní Bhriain-Ørsted"), an_entry("b", actor_name="Amara OKAFOR"),
                     an_entry("c", actor_name="100% _me_"), an_entry("d", actor_name="", actor_id=None),
                     an_entry("e", actor_id=account_id, actor_name="Bo"))
    for typed, found in {"okafor": "b", "AMARA": "b", "ama oka": "b", "lucja": "a", "orsted": "a", "Bhriáin": "a",
                         "%": "c", "_": "c", "% _m": "c", "nobody": "", "amara_okafor": "", "!": "",
                         str(account_id): "e", str(account_id).upper(): "e", f" {account_id} ": "e", str(new_id()): "",
                         "": "edcba", "  ": "edcba"}.items():
        assert (typed, "".join(await trail.actions(actor=typed))) == (typed, found)


async def test_entries_are_found_by_what_was_done(trail: Trail) -> None:
    await trail.keep(*(an_entry(action, entity=entity) for action, entity in (
        ("appointment.booked", "appointment/1"), ("appointment.checked_in", "appointment/1"),
        ("appointment.cancelled", "appointment/10"), ("appointments.listed", ""), ("access.denied", "patients.patient"))))
    assert await trail.actions(action="appointment.") == [
        "appointment.cancelled", "appointment.checked_in", "appointment.booked"]
    assert await trail.actions(action="appointment.booked") == ["appointment.booked"]
    for nothing in ("appointment", "appointment.book", "%.", "a_cess.", "."):
        assert await trail.actions(action=nothing) == []
    assert await trail.actions(entity="appointment/1") == ["appointment.checked_in", "appointment.booked"]
    assert await trail.actions(entity="appointment/%") == []
    assert await trail.actions(entity="appointment/1", action="appointment.booked") == ["appointment.booked"]


async def test_rare_and_common_names_and_actions_are_searched_alike(trail: Trail,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search finds must not depend on which way was quicker."""
    await trail.keep(*(an_entry(f"visit.step{n % 3}" if n % 5 else "doctor.amended", at=MONDAY + MINUTE * n,
                                actor_name=("Amara Okafor", "Bo Ek", "Ann Okafor")[n % 3]) for n in range(20)))
    asked: list[dict[str, Any]] = [{"actor": "okafor"}, {"action": "visit."}, {"actor": "a", "action": "visit."},
                                   {"actor": "bo", "action": "doctor.amended"}, {"actor": "ann", "to": MONDAY + 9 * MINUTE}]
    looked_up = [await trail.found(**filters) for filters in asked]
    monkeypatch.setattr(tables, "MANY_ENTRIES", 0)
    assert [await trail.found(**filters) for filters in asked] == looked_up
    assert [len(found) for found in looked_up] == [13, 16, 10, 1, 3]


async def test_entries_are_found_by_patient_and_time(trail: Trail) -> None:
    patient_id = new_id()
    await trail.keep(*(an_entry(f"{n}", at=MONDAY + MINUTE * n, subject_id=patient_id if n % 2 else None)
                       for n in range(6)))
    assert await trail.actions(patient_id=patient_id) == ["5", "3", "1"]
    assert await trail.actions(patient_id=new_id()) == []
    assert await trail.actions(from_=MONDAY + MINUTE * 4) == ["5", "4"]
    assert await trail.actions(to=MONDAY + MINUTE * 2) == ["1", "0"]
    assert await trail.actions(from_=MONDAY + MINUTE, to=MONDAY + MINUTE * 4, patient_id=patient_id) == ["3", "1"]
    assert await trail.actions(from_=MONDAY, to=MONDAY) == []
    page = await trail.ask.audit_events(auditor, patient_id=patient_id, limit=2)
    assert [one.action for one in page.items] == ["5", "3"]
    assert await trail.actions(patient_id=patient_id, limit=2, cursor=page.next_cursor) == ["1"]


@on_sqlite
async def test_whoever_looks_at_the_trail_is_on_it(trail: Trail) -> None:
    """By which filters, but not for whom: a name that somebody typed is no business of the trail's."""
    patient_id = new_id()
    await trail.ask.audit_events(auditor, actor="canary", patient_id=patient_id, from_=MONDAY)
    await trail.ask.audit_events(admin)
    by_name, by_nothing = await trail.searches()
    assert (by_name.action, by_name.actor_id, by_name.entity) == ("audit.searched", auditor.account_id, "audit-events")
    assert (by_name.detail, by_name.subject_id) == ({"filters": "actor,patient_id,from"}, patient_id)
    assert (by_nothing.actor_id, by_nothing.detail, by_nothing.subject_id) == (admin.account_id, {"filters": ""}, None)
    await trail.keep(by_name)
    assert await trail.actions(action="audit.") == ["audit.searched"]


@on_sqlite
async def test_only_admin_and_auditors_look_at_the_trail(trail: Trail) -> None:
    for role in (PATIENT, DOCTOR, NURSE, RECEPTION, PHARMACIST, CASHIER, SERVICE):
        with pytest.raises(RoleMayNot):
            await trail.ask.audit_events(a_caller(role))
    with pytest.raises(NotSignedIn):
        await trail.ask.audit_events(NOBODY)
    assert await trail.searches() == []
    await trail.ask.audit_events(a_caller(AUDITOR))


@on_sqlite
async def test_a_cursor_that_nobody_gave_is_refused(trail: Trail) -> None:
    with pytest.raises(Malformed):
        await trail.ask.audit_events(auditor, cursor="forged")


async def test_an_entry_that_would_not_fit_is_cut_and_not_refused(trail: Trail) -> None:
    await trail.keep(an_entry("a" * 200, actor_name="ﷺ" * 300, entity="e" * 300, context="c" * 90, outcome="o" * 90,
                              request_id="r" * 90, address="4" * 90))
    [kept] = await trail.found()
    assert (kept.action, kept.entity, kept.actor_name) == ("a" * 80, "e" * 191, "ﷺ" * 250)
    assert len(await trail.found(actor="ﷺ")) == 1


async def test_what_cannot_be_kept_is_not_marked_as_handled(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    fact = as_delivered(an_entry())
    with monkeypatch.context() as broken:
        broken.setattr(tables, "folded", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await trail.hears.handle(fact, last=False)
    async with trail.db.reading() as reading:
        assert await INBOX.get(reading, fact.id) is None
    await trail.hears.handle(fact, last=False)
    assert [one.id for one in await trail.found()] == [fact.id]

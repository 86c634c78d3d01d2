"""Accounts follow their people when two records are made one, and go back when they are two again."""
from __future__ import annotations

from uuid import UUID

import msgspec

from infirmary.contexts.identity.reactions import reactions
from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.kernel.bus import Consumer
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.events import Event, Fact
from infirmary.language import PATIENT

from .builders import Door


async def hear(door: Door, event: Event, fact_id: UUID | None = None) -> None:
    fact = Fact(fact_id or new_id(), event.kind, event.aggregate, event.version, msgspec.to_builtins(event), "",
                door.clock.now())
    await Consumer(door.db, reactions(door.service)).handle(fact, last=False)


def merged(duplicate: UUID, survivor: UUID, version: int = 2) -> PatientsMerged:
    return PatientsMerged(aggregate=duplicate, version=version, survivor_id=survivor, merge_id=new_id())


def unmerged(duplicate: UUID, survivor: UUID, version: int = 3) -> PatientsUnmerged:
    return PatientsUnmerged(aggregate=duplicate, version=version, survivor_id=survivor, merge_id=new_id())


async def test_an_account_goes_with_its_record_and_comes_back(any_door: Door) -> None:
    door, survivor = any_door, new_id()
    ada = await door.registers()
    tokens = await door.signs_in()
    door.wait(seconds=2)
    await hear(door, merged(ada.patient_id, survivor))
    assert not await door.lets_in(tokens)   # it names the record that holds no more
    door.wait(seconds=1)
    tokens = await door.refreshes(tokens)
    assert (await door.caller(tokens)).subjects["patient_id"] == survivor
    door.wait(seconds=2)
    await hear(door, unmerged(ada.patient_id, survivor))
    assert not await door.lets_in(tokens)
    door.wait(seconds=1)
    assert (await door.caller(await door.refreshes(tokens))).subjects["patient_id"] == ada.patient_id
    assert [entry.subject_id for entry in await door.audited("account.linked")] == [survivor, ada.patient_id]


async def test_whoever_has_an_account_with_each_record_keeps_both(any_door: Door) -> None:
    door = any_door
    ada, again = await door.registers(), await door.registers("ada.again@example.test")
    await hear(door, merged(ada.patient_id, again.patient_id))
    await hear(door, unmerged(ada.patient_id, again.patient_id))
    for email, patient_id in (("ada@example.test", ada.patient_id), ("ada.again@example.test", again.patient_id)):
        assert (await door.caller(await door.signs_in(email))).subjects["patient_id"] == patient_id


async def test_older_facts_and_repeated_ones_change_nothing(any_door: Door) -> None:
    door, survivor, fact_id = any_door, new_id(), new_id()
    account = await door.opens("bo@example.test", PATIENT, patient_id=(own := new_id()), password="three grey otters")
    await hear(door, merged(own, survivor, version=4), fact_id)
    await hear(door, merged(own, survivor, version=4), fact_id)
    await hear(door, unmerged(own, survivor, version=3))
    door.wait(seconds=1)
    caller = await door.caller(await door.signs_in("bo@example.test", "three grey otters"))
    assert (caller.account_id, caller.subjects["patient_id"]) == (account.id, survivor)

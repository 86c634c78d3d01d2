"""The judge is seen to go red: a sound history passes, and each way of breaking it is named."""
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from .history import Final, FinalVisit, Line
from .judge import recoveries, violations

DOCTOR, PATIENT, OTHER = uuid4(), uuid4(), uuid4()
NINE = datetime(2027, 3, 1, 9, tzinfo=UTC)
TWENTY = timedelta(minutes=20)
Spoil = Callable[[list[Line], Final], tuple[list[Line], Final]]


def visit(at: datetime = NINE, *, patient: UUID = PATIENT, status: str = "booked", version: int = 1) -> FinalVisit:
    return FinalVisit(uuid4(), DOCTOR, patient, at, at + TWENTY, status, version)


def told(one: FinalVisit, what: str = "book", key: str = "") -> list[Line]:
    key = key or uuid4().hex
    asked = {"doctor": str(one.doctor_id), "patient": str(one.patient_id), "starts_at": one.starts_at.isoformat()}
    return [Line(p=1, f=what, k=key, type="invoke", t=1, v=asked if what == "book" else {"visit": str(one.id)}),
            Line(p=1, f=what, k=key, type="ok", t=2, v={"visit": str(one.id), "starts_at": one.starts_at.isoformat()})]


def held(*visits: FinalVisit) -> Final:
    """What a sound system holds after these visits."""
    facts, audits = [], []
    for one in visits:
        kinds = ["AppointmentBooked", "AppointmentCancelled"] if one.status == "cancelled" else ["AppointmentBooked"]
        facts += [(uuid4(), one.id, n, f"appointments.{kind}") for n, kind in enumerate(kinds, 1)]
        audits += [(uuid4(), uuid4(), 1, "kernel.Audited") for _ in kinds]
    grains = [(resource, grain, one.id) for one in visits if one.status != "cancelled"
              for resource in (one.doctor_id, one.patient_id)
              for grain in range(int(one.starts_at.timestamp()) // 300, int(one.ends_at.timestamp()) // 300)]
    handled = [fact for fact, _, _, _ in facts]
    return Final(
        visits=list(visits), occupied=grains, facts={"appointments": [*facts, *audits]},
        handled={"reports": handled, "patients": handled, "notifications": handled, "audit": [fact for fact, _, _, _ in audits]},
        unpublished={"appointments": 0}, parked={"reports": 0}, reported={one.id: (one.version, one.status) for one in visits},
        steps={one.id: list(range(1, one.version + 1)) for one in visits}, audited=[fact for fact, _, _, _ in audits])


def sound() -> tuple[list[Line], Final]:
    first, second = visit(), visit(NINE + TWENTY, patient=OTHER)
    gone = visit(NINE + 2 * TWENTY, status="cancelled", version=2)
    return [*told(first), *told(second), *told(gone), *told(gone, "cancel")], held(first, second, gone)


def test_a_sound_history_passes() -> None:
    assert violations(*sound()) == []


def without_the_first(history: list[Line], final: Final) -> tuple[list[Line], Final]:
    return history, held(*final.visits[1:])


def changed(**fields: Callable[[Final], Any]) -> Spoil:
    return lambda history, final: (history, msgspec.structs.replace(final, **{name: make(final) for name, make in fields.items()}))


def overlapping(history: list[Line], final: Final) -> tuple[list[Line], Final]:
    extra = visit(NINE + timedelta(minutes=10), patient=OTHER)
    return [*history, *told(extra)], held(*final.visits, extra)


def twice(history: list[Line], final: Final) -> tuple[list[Line], Final]:
    again = visit(NINE + 5 * TWENTY)
    first = told(again, key="k")
    other = msgspec.structs.replace(again, id=uuid4(), starts_at=again.starts_at)
    return [*history, *first, *told(other, key="k")[1:]], held(*final.visits, again)


def cancelled_for_nothing(history: list[Line], final: Final) -> tuple[list[Line], Final]:
    return [*history, *told(final.visits[0], "cancel")], final


SPOILT: dict[str, tuple[Spoil, str]] = {
    "an answer that says nothing": (lambda history, final: (
        [*history, Line(p=1, f="fault", k="", type="info", t=1, v={"status": 500})], final), "fault:"),
    "a lost visit": (without_the_first, "lost:"),
    "a lost cancellation": (cancelled_for_nothing, "lost: the cancellation"),
    "one intent, two visits": (twice, "doubled:"),
    "a visit nobody asked for": (lambda history, final: (history, held(*final.visits, visit(NINE + 9 * TWENTY))), "doubled:"),
    "two at one time": (overlapping, "double booking:"),
    "a grain not taken": (changed(occupied=lambda final: final.occupied[1:]), "occupancy:"),
    "a grain not given back": (changed(occupied=lambda final: [*final.occupied, (DOCTOR, 1, uuid4())]), "occupancy:"),
    "a fact that never left": (changed(unpublished=lambda _: {"appointments": 1}), "undelivered:"),
    "a fact set aside": (changed(parked=lambda _: {"reports": 1}), "parked:"),
    "a fact that did not arrive": (changed(handled=lambda final: {**final.handled, "reports": []}), "undelivered:"),
    "an entry missing": (changed(audited=lambda final: final.audited[1:]), "audit:"),
    "an entry twice": (changed(audited=lambda final: [*final.audited, final.audited[0]]), "audit:"),
    "an older end": (changed(reported=lambda final: dict.fromkeys(final.reported, (1, "booked"))), "order:"),
    "a step missing": (changed(steps=lambda _: {}), "order:"),
    "a version missing": (changed(facts=lambda final: {"appointments": final.facts["appointments"][1:]}), "order:"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_the_judge_sees(what: str) -> None:
    spoil, complaint = SPOILT[what]
    found = violations(*spoil(*sound()))
    assert any(one.startswith(complaint) for one in found), found


def test_a_recovery_is_the_longest_silence_before_the_next_fault() -> None:
    ok = [Line(p=1, f="book", k=str(n), type="ok", t=t) for n, t in enumerate((1.0, 2.0, 5.0, 5.5, 11.0, 20.0))]
    hits = [Line(p=-1, f="kill", k="a", type="info", t=2.5), Line(p=-1, f="freeze", k="b", type="info", t=6.0)]
    assert recoveries([*ok, *hits]) == [2.5, 9.0]

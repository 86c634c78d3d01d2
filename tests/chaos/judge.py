"""Reads a history and what was left at the end, and says what is wrong. Knows nothing of how either came about.

    python -m tests.chaos.judge FOLDER
"""
from __future__ import annotations

import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import msgspec

from .history import Final, FinalVisit, Line, faults, read

GRAIN = 300   # seconds
GONE = {"cancelled", "declined"}
REACTS = {   # which context must have handled which facts; the whole of the bus as these visits use it
    "reports": "appointments.", "audit": "kernel.Audited", "patients": "appointments.",
    "notifications": "appointments."}
REPORTS_ALL = {"appointments.AppointmentBooked", "appointments.AppointmentRescheduled", "appointments.AppointmentCancelled"}


def violations(history: Sequence[Line], final: Final) -> list[str]:
    return [*_rude(history), *_lost(history, final), *_doubled(history, final), *_overlaps(final), *_grains(final), *_undelivered(final),
            *_disorder(final)]


def _rude(history: Sequence[Line]) -> Iterator[str]:
    """Who cannot answer says so, and when to come again."""
    said = Counter(line.v["status"] for line in history if line.f == "fault")
    yield from (f"fault: {count} answers {status} without a word of when to come again" for status, count in said.items())


def _acknowledged(history: Sequence[Line], what: str) -> dict[str, Line]:
    return {line.k: line for line in history if line.f == what and line.type == "ok"}


def _lost(history: Sequence[Line], final: Final) -> Iterator[str]:
    """Every acknowledged write is there, or what was acknowledged after it."""
    kept = {one.id: one for one in final.visits}
    touched = defaultdict(list)   # later changes that were asked for, answered or not
    for line in history:
        if line.f in ("cancel", "move") and line.type == "invoke":
            touched[UUID(line.v["visit"])].append(line)
    for line in _acknowledged(history, "book").values():
        visit = kept.get(UUID(line.v["visit"]))
        if visit is None:
            yield f"lost: {line.v['visit']} was acknowledged and is not there"
        elif not touched[visit.id] and (visit.status != "booked" or visit.starts_at.isoformat() != line.v["starts_at"]):
            yield f"changed: nobody touched {visit.id}, and it is {visit.status} at {visit.starts_at.isoformat()}"
    for line in _acknowledged(history, "cancel").values():
        visit = kept.get(UUID(line.v["visit"]))
        if visit is None or visit.status != "cancelled":
            yield f"lost: the cancellation of {line.v['visit']} was acknowledged and is not there"


def _doubled(history: Sequence[Line], final: Final) -> Iterator[str]:
    """One intent, one visit: every answer to a key names the same one, and none is there that nobody asked for."""
    answers = defaultdict(set)
    for line in history:
        if line.f == "book" and line.type == "ok":
            answers[line.k].add(line.v["visit"])
    yield from (f"doubled: {key} was answered with {sorted(visits)}" for key, visits in answers.items() if len(visits) > 1)
    asked = Counter((line.v["doctor"], line.v["patient"], line.v["starts_at"]) for line in {
        line.k: line for line in history if line.f == "book" and line.type == "invoke"}.values())
    moved = {line.v["visit"] for line in history if line.f == "move" and line.type == "invoke"}
    made = Counter((str(one.doctor_id), str(one.patient_id), one.starts_at.isoformat())
                   for one in final.visits if str(one.id) not in moved)
    yield from (f"doubled: {count} visits of {what}, asked for {asked[what]} times"
                for what, count in made.items() if count > asked[what])


def _overlaps(final: Final) -> Iterator[str]:
    diaries: dict[tuple[str, UUID], list[FinalVisit]] = defaultdict(list)
    for one in final.visits:
        if one.status not in GONE:
            diaries["doctor", one.doctor_id].append(one)
            diaries["patient", one.patient_id].append(one)
    for (whose, _), visits in diaries.items():
        for before, after in pairwise(sorted(visits, key=lambda one: one.starts_at)):
            if after.starts_at < before.ends_at:
                yield f"double booking: {before.id} and {after.id} of one {whose}"


def _grains(final: Final) -> Iterator[str]:
    """What is taken is exactly what the living visits need."""
    needed = {(resource, grain, one.id) for one in final.visits if one.status not in GONE
              for resource in (one.doctor_id, one.patient_id)
              for grain in range(int(one.starts_at.timestamp()) // GRAIN, int(one.ends_at.timestamp()) // GRAIN)}
    held = set(final.occupied)
    if missing := len(needed - held):
        yield f"occupancy: {missing} grains of living visits are not taken"
    if stray := len(held - needed):
        yield f"occupancy: {stray} grains are taken by nothing that lives"


def _undelivered(final: Final) -> Iterator[str]:
    """Everything announced was handled by everybody it concerns, and set aside by nobody."""
    for context, count in final.unpublished.items():
        if count:
            yield f"undelivered: {count} facts of {context} never left"
    for context, count in final.parked.items():
        if count:
            yield f"parked: {count} facts at {context}"
    for consumer, prefix in REACTS.items():
        handled = set(final.handled[consumer])
        for producer, facts in final.facts.items():
            concerned = {fact for fact, _, _, kind in facts if kind.startswith(prefix)
                         and (prefix == "kernel.Audited" or kind in REPORTS_ALL)}
            if missing := len(concerned - handled):
                yield f"undelivered: {missing} facts of {producer} did not reach {consumer}"
    entries = Counter(final.audited)
    written = {fact for facts in final.facts.values() for fact, _, _, kind in facts if kind == "kernel.Audited"}
    if missing := len(written - entries.keys()):
        yield f"audit: {missing} entries are not on the trail"
    yield from (f"audit: entry {entry} is there {count} times" for entry, count in entries.items() if count > 1)


def _disorder(final: Final) -> Iterator[str]:
    """Facts of one visit are numbered without a gap, and who follows them has come to the same end."""
    versions = defaultdict(list)
    for fact, visit, version, kind in final.facts["appointments"]:
        del fact
        if kind.startswith("appointments."):
            versions[visit].append(version)
    for one in final.visits:
        expected = list(range(1, one.version + 1))
        if sorted(versions[one.id]) != expected:
            yield f"order: {one.id} is at version {one.version}, its facts are {sorted(versions[one.id])}"
        if sorted(final.steps.get(one.id, [])) != expected:
            yield f"order: {one.id} is at version {one.version}, its steps are {final.steps.get(one.id)}"
        if final.reported.get(one.id) != (one.version, one.status):
            yield f"order: {one.id} is {(one.version, one.status)}, reports say {final.reported.get(one.id)}"


def recoveries(history: Sequence[Line]) -> list[float]:
    """After each fault: how long nobody's write was acknowledged (seconds), as long as load was running."""
    good = sorted(line.t for line in history if line.type == "ok" and line.f in ("book", "cancel", "move"))
    begun = [fault.t for fault in faults(history) if fault.f != "thaw"]
    found = []
    for at, until in pairwise([*begun, good[-1] if good else 0.0]):   # the next fault's silence is not this one's
        heard = [at, *(t for t in good if at <= t < until), until]
        found.append(max(later - earlier for earlier, later in pairwise(heard)))
    return found


def summary(history: Sequence[Line]) -> str:
    kinds = Counter((line.f, line.type) for line in history)
    took = recoveries(history)
    p95 = statistics.quantiles(took, n=20)[18] if len(took) > 1 else (took or [0.0])[0]
    return (f"{sum(n for (f, kind), n in kinds.items() if kind == 'ok' and f != 'read')} writes acknowledged, "
            f"{sum(n for (_, kind), n in kinds.items() if kind == 'info')} without an answer, "
            f"{kinds['kill', 'info']} kills, {kinds['freeze', 'info']} freezes, {kinds['outage', 'info']} outages, "
            f"longest silence after a fault: median {statistics.median(took or [0.0]):.2f} s, p95 {p95:.2f} s")


def main(folder: Path) -> int:
    history = read(folder / "history.jsonl")
    final = msgspec.json.decode((folder / "final.json").read_bytes(), type=Final)
    wrong = violations(history, final)
    print(summary(history))
    print("\n".join(wrong) if wrong else "nothing lost, nothing twice, nothing overlaps")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

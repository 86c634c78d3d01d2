"""What clients asked and heard, one JSON line each, in the manner of Jepsen.

`type` is invoke, ok, fail (refused: it did not happen) or info (nobody knows: it may have happened).
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, TextIO
from uuid import UUID

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`p` who, `f` what, `k` the key of the intent (the same for every try), `v` what was asked or answered, `t` seconds."""

    p: int
    f: str
    k: str
    type: str
    t: float
    v: dict[str, Any] = {}


class FinalVisit(msgspec.Struct, frozen=True):
    id: UUID
    doctor_id: UUID
    patient_id: UUID
    starts_at: datetime
    ends_at: datetime
    status: str
    version: int


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """What the databases hold at the end, when everything has come to rest.

    `facts`: by context, (fact, aggregate, version, kind) of everything it announced. `handled`: by context, what its
    inbox holds. `reported` and `steps`: by visit. `audited`: ids of the entries that the trail holds. `occupied`:
    (resource, grain, visit).
    """

    visits: list[FinalVisit]
    occupied: list[tuple[UUID, int, UUID]]
    facts: dict[str, list[tuple[UUID, UUID, int, str]]]
    handled: dict[str, list[UUID]]
    unpublished: dict[str, int]
    parked: dict[str, int]
    reported: dict[UUID, tuple[int, str]]
    steps: dict[UUID, list[int]]
    audited: list[UUID]


class History:
    def __init__(self, file: Path) -> None:
        self._out: TextIO = file.open("w")
        self._began = monotonic()

    @property
    def now(self) -> float:
        return monotonic() - self._began

    def write(self, p: int, f: str, k: str, kind: str, **v: Any) -> None:
        line = Line(p=p, f=f, k=k, type=kind, t=round(self.now, 4), v=v)
        self._out.write(msgspec.json.encode(line).decode() + "\n")

    def close(self) -> None:
        self._out.close()


def read(file: Path) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in file.read_bytes().splitlines()]


def faults(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.f in ("kill", "freeze", "thaw", "outage")]

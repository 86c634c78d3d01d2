"""What staff announces."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.events import Event

from .contract import Opening


class Away(Struct, frozen=True):
    starts_at: datetime
    ends_at: datetime


class ScheduleChanged(Event, frozen=True, kw_only=True):
    """All that is needed to offer a doctor's slots. Aggregate: the doctor; each one replaces the one before."""

    doctor_name: str
    specialty: str
    room: str
    department_id: UUID
    department_name: str
    accepts_first: bool
    visit_minutes: int
    buffer_minutes: int
    weekly: list[Opening]
    away: list[Away]
    active: bool
    video: bool = True
    most_per_day: int | None = None
    overbook: int = 0


class DepartmentChanged(Event, frozen=True, kw_only=True):
    """Aggregate: the department."""

    name: str
    active: bool

"""A time that is kept for somebody for a while."""
from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Held

from .visits import Visit

KEPT = timedelta(minutes=15)   # after it has lapsed, for who confirms late


class Hold(Struct, frozen=True):
    """`holder_id` has one hold at a time: the patient who makes up their mind. Version 2 has had its time anew."""

    id: UUID
    holder_id: UUID
    patient_id: UUID
    doctor_id: UUID
    starts_at: datetime
    ends_at: datetime
    expires_at: datetime
    version: int
    buffer_minutes: int = 0

    @property
    def doctors(self) -> list[UUID]:
        return [self.doctor_id]

    @property
    def busy_until(self) -> datetime:
        """When the doctor would be free again."""
        return self.ends_at + timedelta(minutes=self.buffer_minutes)


def hold(visit: Visit, *, now: datetime, lasts: timedelta) -> Hold:
    """The time of a visit that may come of it; not beyond its beginning."""
    return Hold(visit.id, visit.patient_id, visit.patient_id, visit.doctor_id, visit.starts_at, visit.ends_at,
                min(now + lasts, visit.starts_at), 1, visit.buffer_minutes)


def again(kept: Hold, *, now: datetime, lasts: timedelta) -> Hold:
    """Held once more by the same patient: with the full time, but only the first time."""
    if kept.version > 1:
        return kept
    return replace(kept, expires_at=min(now + lasts, kept.starts_at), version=2)


def is_for(kept: Hold, visit: Visit, *, now: datetime) -> bool:
    return (kept.expires_at > now and kept.holder_id == visit.patient_id
            and (kept.doctor_id, kept.starts_at, kept.ends_at) == (visit.doctor_id, visit.starts_at, visit.ends_at))


def overlaps(kept: Hold, wanted: Visit | Hold) -> bool:
    """Whether they want the same time of a doctor or a patient."""
    return ((kept.doctor_id in wanted.doctors and kept.starts_at < wanted.busy_until and kept.busy_until > wanted.starts_at)
            or (kept.patient_id == wanted.patient_id and kept.starts_at < wanted.ends_at and kept.ends_at > wanted.starts_at))


def shown(kept: Hold) -> Held:
    return Held(hold_id=kept.id, patient_id=kept.patient_id, doctor_id=kept.doctor_id, starts_at=kept.starts_at,
                ends_at=kept.ends_at, expires_at=kept.expires_at)

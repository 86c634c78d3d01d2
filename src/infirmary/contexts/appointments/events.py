"""What appointments announces. Aggregate: the visit. Never why it was made: that is clinical."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.events import Event

from .contract import Mode, Participant, ParticipantKind, Status


class PartOf(StrEnum):
    """What many visits change together in, and which is announced as a whole, too."""

    MOVE_PLAN = "move_plan"
    MOVE_PLAN_UNDONE = "move_plan_undone"
    SERIES = "series"


class VisitChanged(Event, frozen=True, kw_only=True):
    """What every one of them says. `by_account` made the change, and need not be told of it."""

    status: Status
    patient_id: UUID
    patient_name: str
    doctor_id: UUID
    doctor_name: str
    department_id: UUID
    department_name: str
    starts_at: datetime
    ends_at: datetime
    mode: Mode
    location: str
    by_account: UUID | None
    created_at: datetime
    part_of: PartOf | None = None
    participants: tuple[Participant, ...] = ()


def doctors_among(participants: Iterable[Participant]) -> set[UUID]:
    """Further doctors; rooms and equipment left out."""
    return {one.id for one in participants if one.kind is ParticipantKind.DOCTOR}


class AppointmentRequested(VisitChanged, frozen=True, kw_only=True):
    """A patient asks for a time that the department wants to accept first."""


class AppointmentBooked(VisitChanged, frozen=True, kw_only=True):
    """A time is booked."""


class AppointmentAccepted(VisitChanged, frozen=True, kw_only=True):
    """A requested time is booked now."""


class AppointmentDeclined(VisitChanged, frozen=True, kw_only=True):
    """A requested time will not be; it is free again."""


class AppointmentRescheduled(VisitChanged, frozen=True, kw_only=True):
    """The visit has another time (and perhaps doctor); the old one is free again."""

    previous_starts_at: datetime
    previous_doctor_id: UUID
    previous_participants: tuple[Participant, ...] = ()


class AppointmentCancelled(VisitChanged, frozen=True, kw_only=True):
    """The visit will not be; its time is free again."""


class PatientCheckedIn(VisitChanged, frozen=True, kw_only=True):
    """The patient is here."""


class VisitStarted(VisitChanged, frozen=True, kw_only=True):
    """The doctor sees the patient."""


class VisitCompleted(VisitChanged, frozen=True, kw_only=True):
    """The visit is over."""


class PatientDidNotCome(VisitChanged, frozen=True, kw_only=True):
    """The patient did not come."""


class CallTakenBack(VisitChanged, frozen=True, kw_only=True):
    """The patient was called and was not there: the visit waits again, or was none."""


class ParticipantsChanged(VisitChanged, frozen=True, kw_only=True):
    """Others take part than before; the time is the same."""

    previous_participants: tuple[Participant, ...]


class VisitHandedOver(VisitChanged, frozen=True, kw_only=True):
    """The same visit, on another record of the same person."""

    previous_patient_id: UUID


class TimeOffered(Event, frozen=True, kw_only=True):
    """A time came free that somebody waits for; it is kept for them until `expires_at`. Aggregate: the place."""

    patient_id: UUID
    doctor_id: UUID
    doctor_name: str
    department_name: str
    starts_at: datetime
    expires_at: datetime


class WaitLapsed(Event, frozen=True, kw_only=True):
    """Nobody waits any more: the offer of `offered_at` was not answered, or (None) no time came free."""

    patient_id: UUID
    about_name: str
    offered_at: datetime | None


class Received(Struct, frozen=True):
    """How many visits a doctor has taken over."""

    doctor_id: UUID
    visits: int


class MovePlanDone(Event, frozen=True, kw_only=True):
    """The visits in a doctor's leave have been moved, or moved back; `standing` of them have not. Aggregate: the plan."""

    doctor_id: UUID
    doctor_name: str
    starts_at: datetime
    ends_at: datetime
    moved: int
    standing: int
    undone: bool
    received: list[Received]
    by_account: UUID | None


class NotSeenThatDay(Event, frozen=True, kw_only=True):
    """The day was over before this number of the queue was called. Aggregate: the number."""

    patient_id: UUID
    department_name: str
    number: int


class SeriesChange(StrEnum):
    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"


class SeriesChanged(Event, frozen=True, kw_only=True):
    """Visits of one series were booked, moved or cancelled together; `starts_at` are those visits. Aggregate: the series."""

    change: SeriesChange
    patient_id: UUID
    patient_name: str
    doctor_id: UUID
    doctor_name: str
    department_name: str
    starts_at: list[datetime]
    by_account: UUID | None


class FeedbackGathered(Event, frozen=True, kw_only=True):
    """So many patients of a department gave 1, 2, 3, 4 and 5: a group of five or more, so that nobody's answer can be told.
    Never what they wrote. Aggregate: the group."""

    department_id: UUID
    department_name: str
    distribution: list[int]

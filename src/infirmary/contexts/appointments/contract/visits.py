"""What a visit is, what is asked for and answered about it, and what may be in the way."""
from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY
from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, NURSE, OWN, PATIENT, RECEPTION, TREATING, Note

from .participants import Participant, ParticipantIds


class Status(StrEnum):
    """requested -> booked -> checked_in -> in_progress -> completed; or declined, cancelled, no_show."""

    REQUESTED = "requested"
    BOOKED = "booked"
    CHECKED_IN = "checked_in"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Overbooking(StrEnum):
    """Why a visit is booked over another: words of a list, for they are read by everybody who sees the diary."""

    URGENT = "urgent"
    DOCTOR_AGREED = "doctor_agreed"
    SHORT_QUESTION = "short_question"
    LIKELY_NO_SHOW = "likely_no_show"


class Mode(StrEnum):
    IN_PERSON = "in_person"
    VIDEO = "video"


Minutes = Annotated[int, Meta(ge=5, le=480, multiple_of=5)]


class Slot(Struct, frozen=True):
    doctor_id: UUID
    starts_at: Instant
    ends_at: Instant


class Slots(Struct, frozen=True):
    """Free times, earliest first."""

    items: list[Slot]


class Opening(Struct, frozen=True, kw_only=True):
    """A doctor and the next time they are free; `next` is None when nothing is free for a month."""

    doctor_id: UUID
    doctor_name: str
    specialty: str
    department_id: UUID
    department_name: str
    visit_minutes: int
    accepts_first: bool
    video: bool = True
    next: Slot | None


class BookAppointment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`minutes` is for staff, who may also book between the offered slots; patients take a slot as it is offered.

    `overbook` is for staff, too: if the time is taken, or the doctor's day full, the visit is booked over it, as often at a
    time as the doctor's hours allow. The patient's own time is never doubled.

    `participants`: further doctors, rooms and equipment that the visit takes, chosen by staff.

    `hold_id`: the time was held for this patient. It is theirs while the hold lasts, and for a
    while afterwards if nobody took it.
    """

    patient_id: UUID
    doctor_id: UUID
    starts_at: Instant
    reason: Note = ""
    mode: Mode = Mode.IN_PERSON
    minutes: Minutes | None = None
    overbook: Overbooking | None = None
    hold_id: UUID | None = None
    participants: ParticipantIds | None = None


class HoldSlot(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    patient_id: UUID
    doctor_id: UUID
    starts_at: Instant


class Held(Struct, frozen=True, kw_only=True):
    """A time that nobody else can book until `expires_at`."""

    hold_id: UUID
    patient_id: UUID
    doctor_id: UUID
    starts_at: Instant
    ends_at: Instant
    expires_at: Instant


class RescheduleAppointment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """To another time, and to another doctor if one is named; `overbook` as for a new visit. Who and what takes part comes
    along, unless `participants` says who does from now on."""

    starts_at: Instant
    doctor_id: UUID | None = None
    minutes: Minutes | None = None
    reason: Note = ""
    overbook: Overbooking | None = None
    participants: ParticipantIds | None = None


class Why(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Note = ""


class Because(Struct, frozen=True, forbid_unknown_fields=True):
    """A reason that has to be given."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class Appointment(Struct, frozen=True):
    """A visit. `local_start` and `zone` keep what was agreed with the patient, should the zone's rules change.

    `reason` is the patient's own; `status_reason` belongs to the last change (declined, cancelled). The doctor sees nobody
    for `buffer_minutes` after it. `lane` is 0, or which of the visits it is that are booked over others then. `series_id`: it is one
    of several that were booked together. `participants` are there besides the doctor, for the time of the visit without the
    break; `doctor_id` answers for it.
    """

    id: UUID
    patient_id: UUID
    patient_name: str
    doctor_id: UUID
    doctor_name: str
    department_id: UUID
    department_name: str
    starts_at: Instant
    ends_at: Instant
    local_start: str
    zone: str
    mode: Mode
    reason: str
    status: Status
    status_reason: str
    location: str
    created_at: Instant
    changed_at: Instant
    version: int
    buffer_minutes: int = 0
    lane: int = 0
    overbooked: Overbooking | None = None
    series_id: UUID | None = None
    participants: tuple[Participant, ...] = ()


class Step(Struct, frozen=True, kw_only=True):
    """One thing that happened to a visit."""

    version: int
    at: Instant
    status: Status
    by: str
    starts_at: Instant
    reason: str


class OpenVisits(Struct, frozen=True):
    count: int


class Overlapping(Struct, frozen=True, kw_only=True):
    """Two visits of one person at the same time: `visit` is on a record that was merged, `other` on the one that holds."""

    visit: Appointment
    other: Appointment


class ObstacleCode(StrEnum):
    RECORD_CLOSED = "record_closed"
    TOO_MANY_VISITS = "too_many_visits"
    NO_SUCH_DOCTOR = "no_such_doctor"
    NO_VIDEO = "no_video"
    TIME_PAST = "time_past"
    DOCTOR_AWAY = "doctor_away"
    OUTSIDE_HOURS = "outside_hours"
    BETWEEN_SLOTS = "between_slots"
    DAY_FULL = "day_full"
    DOCTOR_TAKEN = "doctor_taken"
    NO_OVERBOOKING = "no_overbooking"
    TIME_HELD = "time_held"
    PATIENT_TAKEN = "patient_taken"
    PATIENT_OFFERED = "patient_offered"
    RESOURCE_TAKEN = "resource_taken"
    PARTICIPANT_GONE = "participant_gone"
    ON_VISIT_ALREADY = "on_visit_already"


class Obstacle(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in the way, with the way out in its message; refusals have all of them in `conflicts`.

    `whose` time it is (`doctor`, `patient` or `resource`), from and until, where that is known and may be; never who has it.
    `appointment_id` is the patient's own other visit, for those who may see it. `participant_id` and `name` say which of the
    further doctors, rooms and equipment it is; `others` of its kind are free then.
    """

    code: ObstacleCode
    message: str
    whose: str = ""
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    appointment_id: UUID | None = None
    participant_id: UUID | None = None
    name: str = ""
    others: list[Participant] = []


class TimeIsTaken(Conflict):
    """This time has just gone. `conflicts` says all that blocks it, `alternatives` are the nearest free times."""


class DayIsFull(Conflict):
    """The doctor has as many visits that day as they take. `alternatives` are the nearest free times."""


class HoldIsGone(Conflict):
    """This time is not held any more. `alternatives` are the nearest free times: perhaps it is still one of them."""


class SlotNotOffered(Refusal):
    """The doctor does not see patients at that time. `alternatives` are the nearest free times."""


class TimeIsPast(Refusal):
    """This time has passed. Choose one to come."""


class DoctorNotAvailable(Refusal):
    """This doctor does not take visits here."""


class VideoNotOffered(Refusal):
    """This doctor does not see patients by video. Choose to come in person, or somebody else."""


class ParticipantNotAvailable(Refusal):
    """Somebody or something that was to take part cannot. Leave it out, or choose another."""


class DeskAsksColleagues(Refusal):
    """The time of a colleague is given by the front desk. Leave them out, or ask there."""


class DoctorOfVisitDecides(Refusal):
    """You take part in this visit; its doctor and the front desk decide what becomes of it. Ask one of them."""

    status = 403


class PatientNotActive(Refusal):
    """This patient's record is closed; no visit can be booked."""


class TooManyVisits(Refusal):
    """There are as many visits to come already as can be booked online. Call us to book another."""


class NotInThisState(Conflict):
    """The visit is no longer in a state that allows this. `visit_status` says how it stands."""


class TooEarly(Refusal):
    """This can be said when the time of the visit has come."""


COMES_BEFORE = timedelta(hours=2)   # who has a visit soon after midnight is there before it
DESK = {RECEPTION: ANY, ADMIN: ANY, NURSE: ANY}
BOOKERS = {PATIENT: OWN, RECEPTION: ANY, ADMIN: ANY, NURSE: ANY, DOCTOR: TREATING}
PATIENTS = {PATIENT: OWN, **DESK}
ON_THE_DAY = {RECEPTION: ANY, ADMIN: ANY, NURSE: ANY, DOCTOR: TREATING}
BOOKING = [TimeIsTaken, DayIsFull, SlotNotOffered, TimeIsPast, DoctorNotAvailable, VideoNotOffered,
           ParticipantNotAvailable, DeskAsksColleagues]
BOOKING_ANEW = [*BOOKING, NotFound, PatientNotActive, TooManyVisits]
STEPS = [NotFound, NotInThisState, DoctorOfVisitDecides]

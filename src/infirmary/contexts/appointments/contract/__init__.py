"""What may be asked about visits and free times."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Cursor, Done, File, Instant, Limit, Page, delete, get, post
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, NURSE, OWN, PATIENT, RECEPTION, SERVICE, TREATING, Note

from .waitlist import AlreadyWaiting, JoinWaitlist, OfferIsGone, Standing, Waiting, WaitIsOver


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
    next: Slot | None


class BookAppointment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`minutes` is for staff, who may also book between the offered slots; patients take a slot as it is offered.

    `hold_id`: the time was held for this patient. It is theirs while the hold lasts, and for a
    while afterwards if nobody took it.
    """

    patient_id: UUID
    doctor_id: UUID
    starts_at: Instant
    reason: Note = ""
    mode: Mode = Mode.IN_PERSON
    minutes: Minutes | None = None
    hold_id: UUID | None = None


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
    """To another time, and to another doctor if one is named."""

    starts_at: Instant
    doctor_id: UUID | None = None
    minutes: Minutes | None = None
    reason: Note = ""


class Why(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Note = ""


class Because(Struct, frozen=True, forbid_unknown_fields=True):
    """A reason that has to be given."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class Appointment(Struct, frozen=True):
    """A visit. `local_start` and `zone` keep what was agreed with the patient, should the zone's rules change.

    `reason` is the patient's own; `status_reason` belongs to the last change (declined, cancelled).
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


class ObstacleCode(StrEnum):
    RECORD_CLOSED = "record_closed"
    TOO_MANY_VISITS = "too_many_visits"
    NO_SUCH_DOCTOR = "no_such_doctor"
    TIME_PAST = "time_past"
    DOCTOR_AWAY = "doctor_away"
    OUTSIDE_HOURS = "outside_hours"
    BETWEEN_SLOTS = "between_slots"
    DOCTOR_TAKEN = "doctor_taken"
    TIME_HELD = "time_held"
    PATIENT_TAKEN = "patient_taken"
    PATIENT_OFFERED = "patient_offered"


class Obstacle(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in the way, with the way out in its message; refusals have all of them in `conflicts`.

    `whose` time it is (`doctor` or `patient`), from and until, where that is known and may be; never who has it.
    `appointment_id` is the patient's own other visit, for those who may see it.
    """

    code: ObstacleCode
    message: str
    whose: str = ""
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    appointment_id: UUID | None = None


class TimeIsTaken(Conflict):
    """This time has just gone. `conflicts` says all that blocks it, `alternatives` are the nearest free times."""


class HoldIsGone(Conflict):
    """This time is not held any more. `alternatives` are the nearest free times: perhaps it is still one of them."""


class SlotNotOffered(Refusal):
    """The doctor does not see patients at that time. `alternatives` are the nearest free times."""


class TimeIsPast(Refusal):
    """This time has passed. Choose one to come."""


class DoctorNotAvailable(Refusal):
    """This doctor does not take visits here."""


class PatientNotActive(Refusal):
    """This patient's record is closed; no visit can be booked."""


class TooManyVisits(Refusal):
    """There are as many visits to come already as can be booked online. Call us to book another."""


class NotInThisState(Conflict):
    """The visit is no longer in a state that allows this. `visit_status` says how it stands."""


class TooEarly(Refusal):
    """This can be said when the time of the visit has come."""


DESK = {RECEPTION: ANY, ADMIN: ANY, NURSE: ANY}
BOOKERS = {PATIENT: OWN, RECEPTION: ANY, ADMIN: ANY, NURSE: ANY, DOCTOR: TREATING}
ON_THE_DAY = {RECEPTION: ANY, ADMIN: ANY, NURSE: ANY, DOCTOR: TREATING}
BOOKING = [TimeIsTaken, SlotNotOffered, TimeIsPast, DoctorNotAvailable]
BOOKING_ANEW = [*BOOKING, NotFound, PatientNotActive, TooManyVisits]
STEPS = [NotFound, NotInThisState]


class Appointments(Contract, context="appointments"):
    @get("/slots", allow={ANYONE: ANY}, refuses=[NotFound])
    async def slots(self, caller: Caller, from_: Instant, to: Instant, doctor_id: UUID | None = None,
                    department_id: UUID | None = None) -> Slots:
        """Free slots of a doctor or a department, at most 62 days at a time; the past is left out."""

    @get("/slots/earliest", allow={ANYONE: ANY})
    async def earliest(self, caller: Caller, department_id: UUID | None = None) -> list[Opening]:
        """Every doctor with the next free time, soonest first."""

    @post("/slots/hold", status=201, allow=BOOKERS, refuses=BOOKING_ANEW)
    async def hold(self, caller: Caller, body: HoldSlot) -> Held:
        """Keep a time for a patient for some minutes (`booking.hold_minutes`), while they make up their mind.

        A patient has one hold: another time lets go of the first. The same again answers the same hold, once with the
        full time anew.
        """

    @get("/slots/hold/{hold_id}", allow=BOOKERS, refuses=[NotFound])
    async def held(self, caller: Caller, hold_id: UUID) -> Held:
        """A hold that lasts; 404 once it does not."""

    @delete("/slots/hold/{hold_id}", allow=BOOKERS, refuses=[NotFound])
    async def let_go(self, caller: Caller, hold_id: UUID) -> Done:
        """Give the time back."""

    @post("/appointments", status=201, allow=BOOKERS, refuses=[*BOOKING_ANEW, HoldIsGone])
    async def book(self, caller: Caller, body: BookAppointment) -> Appointment:
        """Book a visit; the slot is taken or the call is refused, never both."""

    @get("/appointments/collisions", allow={SERVICE: ANY})
    async def collisions(self, caller: Caller, patient_id: UUID, other_id: UUID) -> list[Appointment]:
        """Open visits of the first record at a time when the second has one too."""

    @get("/appointments", allow=BOOKERS, refuses=[NotFound])
    async def appointments(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                           department_id: UUID | None = None, day: date | None = None, from_: Instant | None = None,
                           to: Instant | None = None, status: Status | None = None, newest_first: bool = False,
                           limit: Limit = 25, cursor: Cursor | None = None) -> Page[Appointment]:
        """Visits by their start, within reach. `day` is a day in the hospital's zone."""

    @get("/appointments/open", allow={SERVICE: ANY})
    async def open_visits(self, caller: Caller, patient_id: UUID) -> OpenVisits:
        """How many visits this patient still has before them."""

    @get("/appointments/{appointment_id}", allow=BOOKERS, refuses=[NotFound])
    async def appointment(self, caller: Caller, appointment_id: UUID) -> Appointment:
        """One visit."""

    @get("/appointments/{appointment_id}/steps", allow=BOOKERS, refuses=[NotFound])
    async def steps(self, caller: Caller, appointment_id: UUID) -> list[Step]:
        """What happened to it, in order."""

    @get("/appointments/{appointment_id}/calendar.ics", allow=BOOKERS, refuses=[NotFound], media="text/calendar")
    async def calendar_file(self, caller: Caller, appointment_id: UUID) -> File:
        """The visit for a calendar (RFC 5545); without the reason, because calendars are shared."""

    @post("/appointments/{appointment_id}/accept", allow={DOCTOR: TREATING, RECEPTION: ANY, ADMIN: ANY}, refuses=STEPS)
    async def accept(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        """Accept a requested visit."""

    @post("/appointments/{appointment_id}/decline", allow={DOCTOR: TREATING, RECEPTION: ANY, ADMIN: ANY}, refuses=STEPS)
    async def decline(self, caller: Caller, appointment_id: UUID, body: Because,
                      if_match: int | None = None) -> Appointment:
        """Decline a requested visit and free its time; the patient reads the reason."""

    @post("/appointments/{appointment_id}/reschedule", allow=BOOKERS, refuses=[*STEPS, *BOOKING])
    async def reschedule(self, caller: Caller, appointment_id: UUID, body: RescheduleAppointment,
                         if_match: int | None = None) -> Appointment:
        """Move to another time: the new one is taken and the old one freed, or nothing happens."""

    @post("/appointments/{appointment_id}/cancel", allow=BOOKERS, refuses=STEPS)
    async def cancel(self, caller: Caller, appointment_id: UUID, body: Why, if_match: int | None = None) -> Appointment:
        """Cancel, and free the time at once."""

    @post("/appointments/{appointment_id}/check-in", allow=DESK, refuses=[*STEPS, TooEarly])
    async def check_in(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        """The patient is here."""

    @post("/appointments/{appointment_id}/start", allow=ON_THE_DAY, refuses=[*STEPS, TooEarly])
    async def start(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        """The doctor sees the patient."""

    @post("/appointments/{appointment_id}/complete", allow=ON_THE_DAY, refuses=STEPS)
    async def complete(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        """The visit is over."""

    @post("/appointments/{appointment_id}/no-show", allow=ON_THE_DAY, refuses=[*STEPS, TooEarly])
    async def no_show(self, caller: Caller, appointment_id: UUID, if_match: int | None = None) -> Appointment:
        """The patient did not come."""

    @post("/waitlist", status=201, allow=BOOKERS, refuses=[NotFound, AlreadyWaiting, PatientNotActive, DoctorNotAvailable])
    async def join_waitlist(self, caller: Caller, body: JoinWaitlist) -> Waiting:
        """Wait for a time with a doctor, or with anybody of a department, to come free.

        Whatever fits the wish and is free for the doctor and the patient is offered to who has waited longest among
        those whose wish it fits: kept for them for a while (`booking.offer_minutes`, never more than half of the time
        until the visit begins), and told in the app and by e-mail. Who does not answer makes room for the next.
        """

    @get("/waitlist", allow=BOOKERS, refuses=[NotFound])
    async def waitlist(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                       department_id: UUID | None = None, status: Standing | None = None, limit: Limit = 25,
                       cursor: Cursor | None = None) -> Page[Waiting]:
        """Places within reach, who has waited longest first. Doctors see those who wait for them by name."""

    @get("/waitlist/{waiting_id}", allow=BOOKERS, refuses=[NotFound])
    async def waiting(self, caller: Caller, waiting_id: UUID) -> Waiting:
        """One place on the waitlist."""

    @post("/waitlist/{waiting_id}/accept", allow=BOOKERS, refuses=[*BOOKING_ANEW, OfferIsGone])
    async def accept_offer(self, caller: Caller, waiting_id: UUID) -> Waiting:
        """Book the time that is offered; `appointment_id` is the visit. Accepted twice is one visit."""

    @post("/waitlist/{waiting_id}/leave", allow=BOOKERS, refuses=[NotFound, WaitIsOver])
    async def leave_waitlist(self, caller: Caller, waiting_id: UUID) -> Waiting:
        """Wait no longer; a time that was offered goes to the next."""

"""What may be asked about visits and free times."""
from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Cursor, Done, File, Instant, Limit, Page, Stream, delete, get, post
from infirmary.kernel.errors import NotFound
from infirmary.language import ADMIN, DOCTOR, RECEPTION, SERVICE, TREATING

from .feedback import FeedbackContract
from .feeds import CalendarFeeds
from .participants import MOST_PARTICIPANTS, Participant, ParticipantKind
from .plans import MovePlans
from .queue import QueueContract
from .resources import ResourceContract
from .series import RecurringVisits
from .video import VideoVisits
from .visits import (
    BOOKERS,
    BOOKING,
    BOOKING_ANEW,
    COMES_BEFORE,
    DESK,
    ON_THE_DAY,
    PATIENTS,
    STEPS,
    Appointment,
    Because,
    BookAppointment,
    DayIsFull,
    DeskAsksColleagues,
    DoctorNotAvailable,
    DoctorOfVisitDecides,
    Held,
    HoldIsGone,
    HoldSlot,
    Minutes,
    Mode,
    NotInThisState,
    Obstacle,
    ObstacleCode,
    Opening,
    OpenVisits,
    Overbooking,
    Overlapping,
    ParticipantNotAvailable,
    PatientNotActive,
    RescheduleAppointment,
    Slot,
    SlotNotOffered,
    Slots,
    Status,
    Step,
    TimeIsPast,
    TimeIsTaken,
    TooEarly,
    TooManyVisits,
    VideoNotOffered,
    Why,
)
from .waitlist import AlreadyWaiting, JoinWaitlist, OfferIsGone, Standing, Waiting, WaitIsOver

__all__ = [
    "COMES_BEFORE", "Appointment", "Appointments", "Because", "BookAppointment", "DayIsFull", "DeskAsksColleagues",
    "DoctorNotAvailable", "DoctorOfVisitDecides", "Held", "HoldIsGone", "HoldSlot", "Minutes", "Mode",
    "NotInThisState", "Obstacle", "ObstacleCode", "OpenVisits", "Opening", "Overbooking", "Overlapping",
    "Participant", "ParticipantKind", "ParticipantNotAvailable", "PatientNotActive", "RescheduleAppointment", "Slot",
    "SlotNotOffered", "Slots", "Status", "Step", "TimeIsPast", "TimeIsTaken", "TooEarly", "TooManyVisits",
    "VideoNotOffered", "Why"]


_ID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
ManyIds = Annotated[str, Meta(pattern=rf"^({_ID}(,{_ID}){{0,{MOST_PARTICIPANTS - 1}}})?$")]


class Appointments(MovePlans, QueueContract, CalendarFeeds, RecurringVisits, VideoVisits, FeedbackContract,
                   ResourceContract, context="appointments"):
    @get("/slots", allow={ANYONE: ANY}, refuses=[NotFound])
    async def slots(self, caller: Caller, from_: Instant, to: Instant, doctor_id: UUID | None = None,
                    department_id: UUID | None = None, with_: ManyIds = "") -> Slots:
        """Free slots of a doctor or a department, at most 62 days at a time; the past is left out. Patients are not offered
        times at which they have another visit. `with`: ids of further doctors, rooms and equipment, with commas between
        them, all of whom are free then, too."""

    @get("/slots/for/{patient_id}", allow=PATIENTS, refuses=[NotFound])
    async def slots_for(self, caller: Caller, patient_id: UUID, from_: Instant, to: Instant, doctor_id: UUID | None = None,
                        department_id: UUID | None = None, with_: ManyIds = "") -> Slots:
        """Those that this patient can take: without the times of their visits, with the time that is held for them."""

    @get("/slots/earliest", allow={ANYONE: ANY})
    async def earliest(self, caller: Caller, department_id: UUID | None = None) -> list[Opening]:
        """Every doctor with the next free time, soonest first."""

    @get("/slots/earliest/for/{patient_id}", allow=PATIENTS, refuses=[NotFound])
    async def earliest_for(self, caller: Caller, patient_id: UUID, department_id: UUID | None = None) -> list[Opening]:
        """The same, of the times that this patient can take."""

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

    @get("/appointments/overlapping", allow=DESK)
    async def overlapping(self, caller: Caller) -> list[Overlapping]:
        """Visits to sort out, the nearest first, at most a hundred: booked while two records were merged, at a time when the
        person has another. Once one of the two is moved or cancelled, the first goes to the record that holds by itself."""

    @get("/appointments", allow=BOOKERS, refuses=[NotFound])
    async def appointments(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                           department_id: UUID | None = None, day: date | None = None, from_: Instant | None = None,
                           to: Instant | None = None, status: Status | None = None, newest_first: bool = False,
                           limit: Limit = 25, cursor: Cursor | None = None) -> Page[Appointment]:
        """Visits by their start, within reach. `day` is a day in the hospital's zone; `doctor_id` sees to the visit, or takes
        part in it."""

    @get("/diaries/{doctor_id}/changes", allow={**DESK, DOCTOR: TREATING}, refuses=[NotFound], media="text/event-stream")
    async def diary_changes(self, caller: Caller, doctor_id: UUID, from_: Instant, to: Instant) -> Stream:
        """Server-sent events, `diary` whenever visits, free times or hours of this time are others than before; what they
        are is asked for as ever. At most 62 days at a time."""

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

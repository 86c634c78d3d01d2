"""What may be asked about the queue of a department's day: numbers, places, calls, and who may look at them without a name."""
from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Done, Instant, Stream, delete, get, post
from infirmary.kernel.errors import Conflict, NotFound
from infirmary.language import ADMIN, DOCTOR, NURSE, RECEPTION, TREATING, Line, Name, Note

from .visits import DESK, ON_THE_DAY, DoctorNotAvailable, PatientNotActive, TooEarly, Why

Secret = Annotated[str, Meta(min_length=32, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class TokenStatus(StrEnum):
    """waiting <-> called -> seen; or no_show (called, and not there), left (went home), closed (the day was over), merged
    (another number of the same patient, whose two records were made one, counts for both)."""

    WAITING = "waiting"
    CALLED = "called"
    SEEN = "seen"
    NO_SHOW = "no_show"
    LEFT = "left"
    CLOSED = "closed"
    MERGED = "merged"


class Precedence(StrEnum):
    """Why somebody stands before others: an emergency before all, and over whatever the doctor has then; the rest as if they
    had come half an hour sooner."""

    NONE = "none"
    ELDERLY = "elderly"
    PREGNANT = "pregnant"
    SMALL_CHILD = "small_child"
    DISABILITY = "disability"
    IN_PAIN = "in_pain"
    EMERGENCY = "emergency"


class Delay(StrEnum):
    """Why a place or a time was put back. Neither ever is without one."""

    EMERGENCY = "emergency"            # somebody had to be seen at once
    PRECEDENCE = "precedence"          # somebody who may not wait long was put before
    BOOKED_TIME = "booked_time"        # somebody with a booked time goes first
    UNTIL_BOOKED = "until_booked"      # somebody is seen while one waits for one's own booked time
    CAME_BACK = "came_back"            # somebody who was called before waits again
    REORDERED = "reordered"            # the desk changed the order
    NOT_THERE = "not_there"            # they were called and were not there
    DOCTOR_LEFT = "doctor_left"        # a doctor's hours changed
    TAKES_LONGER = "takes_longer"      # visits take longer than they did


class Token(Struct, frozen=True, kw_only=True):
    """A number in a department's queue of one day. `place` and `expected_at` while waiting: how many are called before
    and the first this one, and when about; `delay`: why either was put back. Who may not know whose it is finds
    `patient_id` None and no name."""

    id: UUID
    number: int
    department_id: UUID
    patient_id: UUID | None
    patient_name: str
    doctor_id: UUID | None
    doctor_name: str
    booked_at: Instant | None
    precedence: Precedence
    note: str
    status: TokenStatus
    arrived_at: Instant
    place: int | None
    expected_at: Instant | None
    delay: Delay | None
    calls: int
    called_at: Instant | None
    room: str
    appointment_id: UUID | None


class Queue(Struct, frozen=True, kw_only=True):
    """A department's queue of today: who is called, then who waits in their order. `minutes`: what a visit takes here
    lately; `version` grows with every change."""

    department_id: UUID
    department_name: str
    items: list[Token]
    doctors: int
    minutes: int
    version: int


class TakeNumber(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`reason` is what the patient comes for, `note` why they go first; without a doctor, whoever is free calls them."""

    patient_id: UUID
    department_id: UUID
    doctor_id: UUID | None = None
    precedence: Precedence = Precedence.NONE
    note: Line = ""
    reason: Note = ""


class PutBefore(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    precedence: Precedence
    note: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]


class CallNext(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """To this doctor; `room` where it is not the one of the doctor's hours."""

    doctor_id: UUID
    room: Line = ""


class Link(Struct, frozen=True):
    """Shown this once: only a digest is kept. Another one for the same thing ends it."""

    secret: Secret


class MyPlace(Struct, frozen=True, kw_only=True):
    """What the holder of a private link sees: never a name."""

    number: int
    department_name: str
    status: TokenStatus
    place: int | None
    expected_at: Instant | None
    delay: Delay | None
    room: str
    version: int


class OpenDisplay(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`name` says where the screen hangs."""

    department_id: UUID
    name: Name


class Display(Struct, frozen=True, kw_only=True):
    id: UUID
    department_id: UUID
    department_name: str
    name: str
    created_at: Instant


class OpenedDisplay(Struct, frozen=True, kw_only=True):
    display: Display
    secret: Secret


class Called(Struct, frozen=True, kw_only=True):
    number: int
    room: str
    called_at: Instant
    calls: int


class Board(Struct, frozen=True, kw_only=True):
    """For a screen on the wall: numbers and rooms, the latest call first, and the numbers that come next."""

    department_name: str
    called: list[Called]
    next: list[int]
    waiting: int
    version: int


class HasANumber(Conflict):
    """This patient has a number in this queue already. `token_id` and `number` say which."""


class NobodyToCall(Conflict):
    """Nobody can be called just now."""


class NotInThisPlace(Conflict):
    """This number is no longer where it was when you looked. Look at the queue again before you go on."""


TOKEN = [NotFound, NotInThisPlace]
CALLERS = {DOCTOR: TREATING, NURSE: ANY, RECEPTION: ANY, ADMIN: ANY}


class QueueContract(Contract):
    @get("/queue", allow=ON_THE_DAY, refuses=[NotFound])
    async def queue(self, caller: Caller, department_id: UUID | None = None, doctor_id: UUID | None = None) -> Queue:
        """The queue of today, of a department or of the department of a doctor; then without those who wait for others.
        Doctors find the numbers of all whom they may call, and the names of those who are theirs."""

    @post("/queue/tokens", status=201, allow=DESK, refuses=[NotFound, HasANumber, PatientNotActive, DoctorNotAvailable])
    async def take_number(self, caller: Caller, body: TakeNumber) -> Token:
        """Somebody without a booked time stands in line. Who is booked does so by checking in."""

    @get("/queue/tokens/{token_id}", allow=ON_THE_DAY, refuses=[NotFound])
    async def token_of(self, caller: Caller, token_id: UUID) -> Token:
        """One number."""

    @post("/queue/tokens/{token_id}/link", status=201, allow=DESK, refuses=TOKEN)
    async def link(self, caller: Caller, token_id: UUID) -> Link:
        """A new private link for the patient, to be printed; the one before ends."""

    @post("/queue/tokens/{token_id}/put-before", allow=DESK, refuses=TOKEN)
    async def put_before(self, caller: Caller, token_id: UUID, body: PutBefore) -> Token:
        """Give somebody who waits precedence, or take it back; the note says why."""

    @post("/queue/next", allow=CALLERS, refuses=[NobodyToCall, DoctorNotAvailable])
    async def call_next(self, caller: Caller, body: CallNext) -> Token:
        """Call whoever is next for this doctor: the first in line whom the doctor has time for. Their visit begins with it,
        and takes the doctor's time like any other; that of an emergency begins over others. Nobody is ever called twice."""

    @post("/queue/tokens/{token_id}/recall", allow=CALLERS, refuses=TOKEN)
    async def recall(self, caller: Caller, token_id: UUID) -> Token:
        """Call once more who was called and is not there yet."""

    @post("/queue/tokens/{token_id}/back", allow=CALLERS, refuses=TOKEN)
    async def back_in_line(self, caller: Caller, token_id: UUID) -> Token:
        """Called, and not there: they stand in line as if they had come just now, and their time is free again."""

    @post("/queue/tokens/{token_id}/no-show", allow=CALLERS, refuses=[*TOKEN, TooEarly])
    async def not_there(self, caller: Caller, token_id: UUID) -> Token:
        """Called, and did not come within the time of grace (`booking.grace_minutes`)."""

    @post("/queue/tokens/{token_id}/leave", allow=DESK, refuses=TOKEN)
    async def leave_queue(self, caller: Caller, token_id: UUID, body: Why) -> Token:
        """They went home. A booked visit is not cancelled by it."""

    @get("/queue/places/{secret}", allow={ANYONE: ANY}, refuses=[NotFound])
    async def my_place(self, caller: Caller, secret: Secret) -> MyPlace:
        """What a private link shows. It ends with the visit, or twelve hours after the number was given up."""

    @get("/queue/places/{secret}/stream", allow={ANYONE: ANY}, refuses=[NotFound], media="text/event-stream")
    async def my_place_stream(self, caller: Caller, secret: Secret) -> Stream:
        """`event: queue` whenever it may show something else (server-sent events)."""

    @post("/queue/displays", status=201, allow={RECEPTION: ANY, ADMIN: ANY}, refuses=[NotFound])
    async def open_display(self, caller: Caller, body: OpenDisplay) -> OpenedDisplay:
        """A link for a screen on the wall."""

    @get("/queue/displays", allow={RECEPTION: ANY, ADMIN: ANY})
    async def displays(self, caller: Caller) -> list[Display]:
        """The screens there are."""

    @delete("/queue/displays/{display_id}", allow={RECEPTION: ANY, ADMIN: ANY}, refuses=[NotFound])
    async def close_display(self, caller: Caller, display_id: UUID) -> Done:
        """End the link of a screen."""

    @get("/queue/boards/{secret}", allow={ANYONE: ANY}, refuses=[NotFound])
    async def board(self, caller: Caller, secret: Secret) -> Board:
        """What a screen on the wall shows."""

    @get("/queue/boards/{secret}/stream", allow={ANYONE: ANY}, refuses=[NotFound], media="text/event-stream")
    async def board_stream(self, caller: Caller, secret: Secret) -> Stream:
        """`event: queue` whenever it shows something else (server-sent events)."""

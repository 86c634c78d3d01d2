"""What may be asked about the room of a video visit. It is for the two of the visit, and for nobody else.

Pictures and sound go from browser to browser (WebRTC). Here the two find each other: who is in the room, and the small
messages by which browsers agree on how to connect (RFC 8829), kept for a minute and read by nobody else.
"""
from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Contract, Done, Instant, Stream, get, post
from infirmary.kernel.errors import Conflict, NotFound, Refusal, TooManyTries
from infirmary.language import DOCTOR, OWN, PATIENT, TREATING

from .visits import DoctorOfVisitDecides


class Side(StrEnum):
    PATIENT = "patient"
    DOCTOR = "doctor"


class RoomState(StrEnum):
    """waiting (nobody was let in yet) -> open -> over. It follows the visit: to start it is to let the patient in, to
    complete it is to end the call."""

    WAITING = "waiting"
    OPEN = "open"
    OVER = "over"


class IceServer(Struct, frozen=True, kw_only=True):
    """As a browser's RTCPeerConnection takes it. `credential` is good until the room closes, and belongs to nobody's
    account."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class Room(Struct, frozen=True, kw_only=True):
    """The room as the caller (`side`) finds it. `ice_servers` are told to who enters."""

    appointment_id: UUID
    side: Side
    state: RoomState
    opens_at: Instant
    closes_at: Instant
    patient_there: bool
    doctor_there: bool
    ice_servers: list[IceServer] = []


class EnterRoom(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`client` names the browser page that enters, by an id of its own making. Who enters again elsewhere moves there."""

    client: UUID


class Signal(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one browser tells the other: a description or candidates, as their own JSON."""

    client: UUID
    to: UUID
    data: Annotated[str, Meta(min_length=1, max_length=16_000)]


class NotByVideo(Refusal):
    """This visit is in person; there is no video room for it."""


class RoomNotOpen(Refusal):
    """The video room is not open yet. It opens ten minutes before the visit; `opens_at` says when."""


class RoomClosed(Conflict):
    """The video room of this visit is closed: the visit is over, or it will not be."""


class NotLetIn(Conflict):
    """The doctor has not let the patient in yet."""


class EnteredElsewhere(Conflict):
    """You are not in the room on this page: you entered it on another one, or left it. Enter here to go on here."""


THE_TWO = {PATIENT: OWN, DOCTOR: TREATING}
ABOUT_IT = [NotFound, NotByVideo, DoctorOfVisitDecides]
INSIDE = [*ABOUT_IT, RoomNotOpen, RoomClosed]


class VideoVisits(Contract):
    @get("/appointments/{appointment_id}/video", allow=THE_TWO, refuses=ABOUT_IT)
    async def room(self, caller: Caller, appointment_id: UUID) -> Room:
        """Who is in the room, and from when until when one can be: from ten minutes before the visit until an hour after."""

    @post("/appointments/{appointment_id}/video/enter", allow=THE_TWO, refuses=INSIDE)
    async def enter_room(self, caller: Caller, appointment_id: UUID, body: EnterRoom) -> Room:
        """Be in the room with this page, for as long as it watches. A patient who enters is checked in."""

    @get("/appointments/{appointment_id}/video/stream", allow=THE_TWO, refuses=[*INSIDE, EnteredElsewhere],
         media="text/event-stream")
    async def watch_room(self, caller: Caller, appointment_id: UUID, client: UUID) -> Stream:
        """What happens in the room (server-sent events): `room` (`state`, `patient_there`, `doctor_there`, and `peer`, the
        other's `client` once the patient is let in), `signal` (`id`, `from`, `data`; sent again to who comes back), and
        `elsewhere` when one has entered with another page."""

    @post("/appointments/{appointment_id}/video/signal", allow=THE_TWO,
          refuses=[*INSIDE, NotLetIn, EnteredElsewhere, TooManyTries])
    async def send_signal(self, caller: Caller, appointment_id: UUID, body: Signal) -> Done:
        """Tell the other's browser something. It is kept for a minute."""

    @post("/appointments/{appointment_id}/video/leave", allow=THE_TWO, refuses=ABOUT_IT)
    async def leave_room(self, caller: Caller, appointment_id: UUID, body: EnterRoom) -> Done:
        """Be in the room no more, and come back at will."""

"""The room of a video visit: from when until when, for whom, and how their browsers may reach each other."""
from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha1
from uuid import UUID

from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Mode, Status
from infirmary.contexts.appointments.contract.video import (
    IceServer,
    NotByVideo,
    Room,
    RoomClosed,
    RoomNotOpen,
    RoomState,
    Side,
)
from infirmary.kernel.access import Caller

from .visits import Visit

OPENS_BEFORE = timedelta(minutes=10)
CLOSES_AFTER = timedelta(minutes=60)
SIGNAL_KEPT = timedelta(seconds=60)
PRESENT_FOR = timedelta(seconds=12)   # since somebody's stream was last heard of
MOST_SIGNALS = 200                    # waiting in one room; two browsers need some twenty to connect
STATES = {Status.REQUESTED: RoomState.WAITING, Status.BOOKED: RoomState.WAITING, Status.CHECKED_IN: RoomState.WAITING,
          Status.IN_PROGRESS: RoomState.OPEN}


class Presence(Struct, frozen=True):
    """Who of the two is in the room, and with which page; until then, unless heard of again."""

    appointment_id: UUID
    side: Side
    client_id: UUID
    until: datetime


class KeptSignal(Struct, frozen=True):
    appointment_id: UUID
    id: UUID
    to_id: UUID
    from_id: UUID
    data: str
    expires_at: datetime


def side_of(caller: Caller, visit: Visit | Appointment) -> Side:
    """Of somebody who reaches the visit: its doctor, or else the patient's."""
    return Side.DOCTOR if caller.subjects.get("doctor_id") == visit.doctor_id else Side.PATIENT


def must_be_by_video(visit: Visit | Appointment) -> None:
    if visit.mode is not Mode.VIDEO:
        raise NotByVideo


def must_be_open(visit: Visit | Appointment, now: datetime) -> None:
    """Refuses before and after its time, and when the visit has come to an end."""
    must_be_by_video(visit)
    opens_at, closes_at = times(visit)
    if visit.status not in STATES or now >= closes_at:
        raise RoomClosed
    if now < opens_at or visit.status is Status.REQUESTED:
        raise RoomNotOpen(opens_at=opens_at.isoformat())


def times(visit: Visit | Appointment) -> tuple[datetime, datetime]:
    return visit.starts_at - OPENS_BEFORE, visit.ends_at + CLOSES_AFTER


def room(visit: Visit | Appointment, side: Side, there: Iterable[Presence], *, now: datetime,
         ice_servers: Sequence[IceServer] = ()) -> Room:
    opens_at, closes_at = times(visit)
    sides = {one.side for one in there if one.until > now}
    return Room(appointment_id=visit.id, side=side, opens_at=opens_at, closes_at=closes_at,
                state=RoomState.OVER if now >= closes_at else STATES.get(visit.status, RoomState.OVER),
                patient_there=Side.PATIENT in sides, doctor_there=Side.DOCTOR in sides, ice_servers=list(ice_servers))


def ice_servers(stun: str, turn: str, secret: bytes, *, until: datetime, user: str) -> list[IceServer]:
    """What the settings name. A relay's credential lasts until then (draft-uberti-behave-turn-rest-00, 2.2: the name is
    the expiry in Unix time and a user, the password the HMAC-SHA1 of that under the secret shared with the relay)."""
    found = [IceServer(urls=urls)] if (urls := _addresses(stun)) else []
    if urls := _addresses(turn):
        name = f"{int(until.timestamp())}:{user}"
        password = base64.b64encode(hmac.digest(secret, name.encode(), sha1)).decode()
        found.append(IceServer(urls=urls, username=name, credential=password))
    return found


def _addresses(listed: str) -> list[str]:
    return [one.strip() for one in listed.split(",") if one.strip()]

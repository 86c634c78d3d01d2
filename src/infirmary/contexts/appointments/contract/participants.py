"""Who and what takes part in a visit besides its patient and its doctor (FHIR: Appointment.participant)."""
from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

MOST_PARTICIPANTS = 8


class ParticipantKind(StrEnum):
    """A further doctor, or what hospitals have and share (FHIR: Location, Device)."""

    DOCTOR = "doctor"
    ROOM = "room"
    EQUIPMENT = "equipment"


class Participant(Struct, frozen=True):
    """Taken for the time of the visit, as its doctor is. `name` is as it was last announced."""

    id: UUID
    kind: ParticipantKind
    name: str


ParticipantIds = Annotated[list[UUID], Meta(max_length=MOST_PARTICIPANTS)]

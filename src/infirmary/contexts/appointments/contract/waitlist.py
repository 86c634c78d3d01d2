"""What may be asked about waiting for a time to come free."""
from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict


class Standing(StrEnum):
    """waiting -> offered -> booked; or lapsed (the offer was not answered, or no time came free), or left.

    merged: two records of the patient were made one, and both waited for the same; the other place stands for this one.
    """

    WAITING = "waiting"
    OFFERED = "offered"
    BOOKED = "booked"
    LAPSED = "lapsed"
    LEFT = "left"
    MERGED = "merged"


class JoinWaitlist(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Either a doctor, or anybody of a department; visits that begin from `earliest` to `latest`, at most 62 days later."""

    patient_id: UUID
    doctor_id: UUID | None = None
    department_id: UUID | None = None
    earliest: Instant
    latest: Instant


class Offer(Struct, frozen=True, kw_only=True):
    """A time that is kept for this patient until `expires_at`."""

    doctor_id: UUID
    doctor_name: str
    starts_at: Instant
    ends_at: Instant
    expires_at: Instant


class Waiting(Struct, frozen=True, kw_only=True):
    """A place on the waitlist. `ahead`: how many wait for the same and have waited longer, while waiting."""

    id: UUID
    patient_id: UUID
    patient_name: str
    doctor_id: UUID | None
    department_id: UUID | None
    about_name: str
    earliest: Instant
    latest: Instant
    status: Standing
    ahead: int | None
    offer: Offer | None
    appointment_id: UUID | None
    created_at: Instant


class AlreadyWaiting(Conflict):
    """The patient waits for this already. `waiting_id` is the place; leave it first to wait with another wish."""


class OfferIsGone(Conflict):
    """This offer does not stand any more. Join the waitlist again, or book a free time."""


class WaitIsOver(Conflict):
    """This place on the waitlist has ended already."""

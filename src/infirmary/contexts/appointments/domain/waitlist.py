"""Waiting for a time to come free: who is offered what, and for how long."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import PatientNotActive, Slot
from infirmary.contexts.appointments.contract.waitlist import JoinWaitlist, Offer, Standing, Waiting
from infirmary.contexts.patients.contract import PatientCard
from infirmary.kernel.errors import FieldError, Malformed

from . import hours
from .holds import Hold
from .hours import Schedule

WIDEST = timedelta(days=62, hours=2)    # as far as free times can be asked for
FURTHEST = timedelta(days=366)
NOTICE = timedelta(minutes=20)          # what begins sooner is offered to nobody: there would be no time to answer


class Place(Struct, frozen=True):
    """`open_about`: the doctor or department while the place is open, else None; one for each patient and wish."""

    id: UUID
    patient_id: UUID
    patient_name: str
    doctor_id: UUID | None
    department_id: UUID | None
    about_name: str
    earliest: datetime
    latest: datetime
    status: Standing
    open_about: UUID | None
    offer_doctor_id: UUID | None
    offer_doctor_name: str
    offer_starts_at: datetime | None
    offer_ends_at: datetime | None
    offer_expires_at: datetime | None
    appointment_id: UUID | None
    created_at: datetime
    changed_at: datetime
    version: int


def join(body: JoinWaitlist, *, place_id: UUID, patient: PatientCard, about_name: str, now: datetime) -> Place:
    wrong = []
    if (body.doctor_id is None) == (body.department_id is None):
        wrong.append(FieldError("doctor_id", "Name either a doctor or a department."))
    if not body.earliest <= body.latest or body.latest - body.earliest > WIDEST:
        wrong.append(FieldError("latest", "Choose a time after “earliest”, at most 62 days later."))
    elif not now < body.latest <= now + FURTHEST:
        wrong.append(FieldError("latest", "Choose a time to come, within a year."))
    if wrong:
        raise Malformed(errors=wrong)
    if patient.retired:
        raise PatientNotActive
    return Place(place_id, patient.id, patient.name, body.doctor_id, body.department_id, about_name, body.earliest,
                 body.latest, Standing.WAITING, body.doctor_id or body.department_id, None, "", None, None, None, None,
                 now, now, 1)


def wants(place: Place, schedule: Schedule) -> bool:
    return schedule.active and place.open_about in (schedule.doctor_id, schedule.department_id)


def fitting(place: Place, free: Iterable[Slot], *, now: datetime) -> list[Slot]:
    """Of these free times those that fit the wish, the soonest first."""
    since = max(place.earliest, now + NOTICE)
    return sorted((slot for slot in free if since <= slot.starts_at <= place.latest),
                  key=lambda slot: (slot.starts_at, slot.doctor_id))


def offered(place: Place, slot: Slot, doctor_name: str, *, now: datetime, lasts: timedelta) -> Place:
    """Kept for at most half of the time until the visit, so that the next has some too."""
    return replace(place, status=Standing.OFFERED, offer_doctor_id=slot.doctor_id, offer_doctor_name=doctor_name,
                   offer_starts_at=slot.starts_at, offer_ends_at=slot.ends_at,
                   offer_expires_at=now + min(lasts, (slot.starts_at - now) / 2), changed_at=now)


def hold(place: Place, slot: Slot, hold_id: UUID, expires_at: datetime, buffer_minutes: int) -> Hold:
    return Hold(hold_id, place.id, place.patient_id, slot.doctor_id, slot.starts_at, slot.ends_at, expires_at, 1,
                buffer_minutes)


def over(place: Place, status: Standing, *, now: datetime, appointment_id: UUID | None = None) -> Place:
    return replace(place, status=status, open_about=None, appointment_id=appointment_id, changed_at=now)


def of_record(place: Place, patient_id: UUID, name: str, *, now: datetime) -> Place:
    """The same place, on another record of the same person."""
    return replace(place, patient_id=patient_id, patient_name=name, changed_at=now)


def comes_first(place: Place) -> tuple[bool, datetime, UUID]:
    """Of two places of one person for the same: an offer goes on; else who has waited longer."""
    return place.status is not Standing.OFFERED, place.created_at, place.id


def waits_again(place: Place) -> Place:
    return replace(place, status=Standing.WAITING, open_about=place.doctor_id or place.department_id, offer_doctor_id=None,
                   offer_doctor_name="", offer_starts_at=None, offer_ends_at=None, offer_expires_at=None)


def shown(place: Place, ahead: int | None) -> Waiting:
    offer = None
    if (place.status is Standing.OFFERED and place.offer_doctor_id and place.offer_starts_at and place.offer_ends_at
            and place.offer_expires_at):
        offer = Offer(doctor_id=place.offer_doctor_id, doctor_name=place.offer_doctor_name,
                      starts_at=place.offer_starts_at, ends_at=place.offer_ends_at, expires_at=place.offer_expires_at)
    return Waiting(
        id=place.id, patient_id=place.patient_id, patient_name=place.patient_name, doctor_id=place.doctor_id,
        department_id=place.department_id, about_name=place.about_name, earliest=place.earliest, latest=place.latest,
        status=place.status, ahead=ahead, offer=offer, appointment_id=place.appointment_id, created_at=place.created_at)


def horizon(places: Iterable[Place]) -> datetime:
    """Until when their wishes reach."""
    return max(place.latest for place in places) + timedelta(seconds=hours.GRAIN)

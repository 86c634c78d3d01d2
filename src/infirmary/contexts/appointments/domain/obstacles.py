"""All that stands in the way of a visit, each with a way out: who hears of one after the other gives up at the third."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from infirmary.contexts.appointments.contract import (
    DayIsFull,
    DoctorNotAvailable,
    Obstacle,
    ObstacleCode,
    PatientNotActive,
    SlotNotOffered,
    TimeIsPast,
    TimeIsTaken,
    TooManyVisits,
    VideoNotOffered,
)
from infirmary.kernel.errors import Refusal

from . import hours
from .hours import Schedule


class Said(NamedTuple):
    """The refusal that it makes, what it is, and the way out."""

    refusal: type[Refusal]
    what: str
    way_out: str


WORDS = {
    ObstacleCode.RECORD_CLOSED: Said(
        PatientNotActive, "This patient's record is closed; no visit can be booked.",
        "Open the record again first, or find the one that goes on."),
    ObstacleCode.TOO_MANY_VISITS: Said(
        TooManyVisits, "There are as many visits to come already as can be booked online.",
        "Call us to book another, or cancel one that is not needed."),
    ObstacleCode.NO_SUCH_DOCTOR: Said(
        DoctorNotAvailable, "This doctor does not take visits here.", "Choose somebody else."),
    ObstacleCode.NO_VIDEO: Said(
        VideoNotOffered, "This doctor does not see patients by video.", "Choose to come in person, or somebody else."),
    ObstacleCode.TIME_PAST: Said(TimeIsPast, "This time has passed.", "Choose one to come."),
    ObstacleCode.DOCTOR_AWAY: Said(
        SlotNotOffered, "The doctor is away at that time.", "Choose another day, or somebody else."),
    ObstacleCode.OUTSIDE_HOURS: Said(
        SlotNotOffered, "The doctor does not see patients at that time.", "Choose a time within the hours."),
    ObstacleCode.BETWEEN_SLOTS: Said(
        SlotNotOffered, "No visit begins at that time.", "Choose one of the times that are offered."),
    ObstacleCode.DAY_FULL: Said(
        DayIsFull, "The doctor has as many visits that day as they take.", "Choose another day, or somebody else."),
    ObstacleCode.NO_OVERBOOKING: Said(
        TimeIsTaken, "No more visits can be booked over others at that time.",
        "Choose another time; how many there may be is set with the doctor's hours."),
    ObstacleCode.DOCTOR_TAKEN: Said(
        TimeIsTaken, "The doctor is taken at that time.", "Choose another time, or somebody else."),
    ObstacleCode.TIME_HELD: Said(
        TimeIsTaken, "Somebody is choosing this time just now.",
        "It may be free again in some minutes; or choose another."),
    ObstacleCode.PATIENT_TAKEN: Said(
        TimeIsTaken, "The patient has another visit at that time.",
        "Move or cancel that one, or choose another time."),
    ObstacleCode.PATIENT_OFFERED: Said(
        TimeIsTaken, "A time from the waitlist is kept for the patient then.",
        "Take or leave that offer, or choose another time."),
}
NO_OTHER_TIME_HELPS = {ObstacleCode.RECORD_CLOSED, ObstacleCode.TOO_MANY_VISITS, ObstacleCode.NO_SUCH_DOCTOR,
                       ObstacleCode.NO_VIDEO}


def obstacle(code: ObstacleCode, **more: object) -> Obstacle:
    said = WORDS[code]
    return Obstacle(code=code, message=f"{said.what} {said.way_out}", **more)   # type: ignore[arg-type]


def refusal(found: Sequence[Obstacle]) -> Refusal:
    """One for all of them, by the name of the first; whoever knows more adds it."""
    what = dict.fromkeys(WORDS[one.code].what for one in found)
    return WORDS[found[0].code].refusal(" ".join(what), conflicts=list(found))


def in_time(schedule: Schedule | None, starts_at: datetime, minutes: int | None, *, by_staff: bool, now: datetime,
            zone: ZoneInfo) -> list[Obstacle]:
    """Against this time, by the clock and the doctor's hours. Patients take a slot as it is offered; staff any five
    minutes within the hours. Whether somebody has it is not known here."""
    found = []
    if schedule is None or not schedule.active:
        found.append(obstacle(ObstacleCode.NO_SUCH_DOCTOR))
    if starts_at < now:
        found.append(obstacle(ObstacleCode.TIME_PAST))
    if schedule is None or not schedule.active:
        return found
    if abs(starts_at - now) > hours.FORESEEN:
        return found or [obstacle(ObstacleCode.OUTSIDE_HOURS, whose="doctor")]
    ends_at = starts_at + timedelta(minutes=minutes or schedule.visit_minutes)
    if away := hours.leave_at(schedule, starts_at, ends_at):
        # Until when is for those who plan with it.
        found.append(obstacle(ObstacleCode.DOCTOR_AWAY, whose="doctor", **(
            {"starts_at": away[0], "ends_at": away[1]} if by_staff else {})))
    if not hours.opens(schedule, starts_at, ends_at, zone):
        found.append(obstacle(ObstacleCode.OUTSIDE_HOURS, whose="doctor"))
    elif not _on_the_grid(schedule, starts_at, by_staff=by_staff, zone=zone):
        found.append(obstacle(ObstacleCode.BETWEEN_SLOTS, whose="doctor"))
    return found


def _on_the_grid(schedule: Schedule, starts_at: datetime, *, by_staff: bool, zone: ZoneInfo) -> bool:
    if by_staff:
        return starts_at == hours.instant(hours.seconds(starts_at) // hours.GRAIN * hours.GRAIN)
    at = hours.free(schedule, starts_at, starts_at + timedelta(seconds=1), zone, leave=False)
    return any(slot.starts_at == starts_at for slot in at)

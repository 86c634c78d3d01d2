"""All that stands in the way of a visit, each with a way out: who hears of one after the other gives up at the third."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from infirmary.contexts.appointments.contract import (
    DayIsFull,
    DoctorNotAvailable,
    Obstacle,
    ObstacleCode,
    ParticipantNotAvailable,
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
    """The refusal that it makes, what it is, and the way out. `{who}` is a further participant, or else the doctor."""

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
        SlotNotOffered, "{who} is away at that time.", "Choose another day, or somebody else."),
    ObstacleCode.OUTSIDE_HOURS: Said(
        SlotNotOffered, "{who} does not see patients at that time.", "Choose a time within the hours."),
    ObstacleCode.BETWEEN_SLOTS: Said(
        SlotNotOffered, "No visit begins at that time.", "Choose one of the times that are offered."),
    ObstacleCode.DAY_FULL: Said(
        DayIsFull, "The doctor has as many visits that day as they take.", "Choose another day, or somebody else."),
    ObstacleCode.NO_OVERBOOKING: Said(
        TimeIsTaken, "No more visits can be booked over others at that time.",
        "Choose another time; how many there may be is set with the doctor's hours."),
    ObstacleCode.DOCTOR_TAKEN: Said(
        TimeIsTaken, "{who} is taken at that time.", "Choose another time, or somebody else."),
    ObstacleCode.TIME_HELD: Said(
        TimeIsTaken, "Somebody is choosing this time just now.",
        "It may be free again in some minutes; or choose another."),
    ObstacleCode.PATIENT_TAKEN: Said(
        TimeIsTaken, "The patient has another visit at that time.",
        "Move or cancel that one, or choose another time."),
    ObstacleCode.PATIENT_OFFERED: Said(
        TimeIsTaken, "A time from the waitlist is kept for the patient then.",
        "Take or leave that offer, or choose another time."),
    ObstacleCode.RESOURCE_TAKEN: Said(
        TimeIsTaken, "{who} is taken at that time.", "Choose another that is free then, or another time."),
    ObstacleCode.PARTICIPANT_GONE: Said(
        ParticipantNotAvailable, "{who} cannot be booked any more.", "Leave it out of the visit, or choose another."),
    ObstacleCode.ON_VISIT_ALREADY: Said(
        ParticipantNotAvailable, "{who} takes part in this visit and cannot be its doctor as well.",
        "Take one of the two away, or choose somebody else."),
}
NO_OTHER_TIME_HELPS = {ObstacleCode.RECORD_CLOSED, ObstacleCode.TOO_MANY_VISITS, ObstacleCode.NO_SUCH_DOCTOR,
                       ObstacleCode.NO_VIDEO, ObstacleCode.PARTICIPANT_GONE, ObstacleCode.ON_VISIT_ALREADY}


def obstacle(code: ObstacleCode, *, name: str = "", **more: Any) -> Obstacle:
    return Obstacle(code=code, message=f"{_what(code, name)} {WORDS[code].way_out}", name=name, **more)


def whats(found: Sequence[Obstacle]) -> list[str]:
    """What is in the way, each said once."""
    return list(dict.fromkeys(_what(one.code, one.name) for one in found))


def _what(code: ObstacleCode, name: str) -> str:
    return WORDS[code].what.format(who=name or "The doctor")


def refusal(found: Sequence[Obstacle]) -> Refusal:
    """One for all of them, by the name of the first; whoever knows more adds it."""
    return WORDS[found[0].code].refusal(" ".join(whats(found)), conflicts=list(found))


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
    found += away(schedule, starts_at, ends_at, zone, by_staff=by_staff)
    if (all(one.code is not ObstacleCode.OUTSIDE_HOURS for one in found)
            and not _on_the_grid(schedule, starts_at, by_staff=by_staff, zone=zone)):
        found.append(obstacle(ObstacleCode.BETWEEN_SLOTS, whose="doctor"))
    return found


def away(schedule: Schedule, begins: datetime, ends: datetime, zone: ZoneInfo, *, by_staff: bool = False, **who: Any,
         ) -> list[Obstacle]:
    """Leave and hours of a doctor against a time; `who` it is, where that is not the doctor of the visit."""
    found = []
    if leave := hours.leave_at(schedule, begins, ends):
        until: dict[str, Any] = {"starts_at": leave[0], "ends_at": leave[1]} if by_staff else {}   # for those who plan with it
        found.append(obstacle(ObstacleCode.DOCTOR_AWAY, whose="doctor", **who, **until))
    if not hours.opens(schedule, begins, ends, zone):
        found.append(obstacle(ObstacleCode.OUTSIDE_HOURS, whose="doctor", **who))
    return found


def _on_the_grid(schedule: Schedule, starts_at: datetime, *, by_staff: bool, zone: ZoneInfo) -> bool:
    if by_staff:
        return starts_at == hours.instant(hours.seconds(starts_at) // hours.GRAIN * hours.GRAIN)
    at = hours.free(schedule, starts_at, starts_at + timedelta(seconds=1), zone, leave=False)
    return any(slot.starts_at == starts_at for slot in at)

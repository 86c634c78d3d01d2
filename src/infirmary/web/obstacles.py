"""Why a time cannot be had, in the voice of the pages: all that is in the way, and what is offered instead."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from infirmary.contexts.appointments.contract import (
    DayIsFull,
    DoctorNotAvailable,
    HoldIsGone,
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

from .menu import N_
from .page import Page
from .shown import Item, Told, Way, alternatives, told

# icons: clock-x user-off lock calendar-off video-off
TITLES: Mapping[type[Refusal], tuple[str, str]] = {
    TimeIsTaken: (N_("This time has just gone"), "clock-x"), HoldIsGone: (N_("This time is not held any more"), "clock-x"),
    SlotNotOffered: (N_("This time lies outside the hours"), "clock-x"), TimeIsPast: (N_("This time has passed"), "clock-x"),
    DayIsFull: (N_("This day is full"), "calendar-off"),
    DoctorNotAvailable: (N_("This doctor takes no visits any more"), "user-off"),
    PatientNotActive: (N_("This record is closed"), "lock"),
    ParticipantNotAvailable: (N_("Not everybody or everything asked for can take part"), "user-off"),
    VideoNotOffered: (N_("This doctor sees nobody by video"), "video-off"),
    TooManyVisits: (N_("There are many visits to come already"), "calendar-off")}
WORDS = {
    ObstacleCode.RECORD_CLOSED: N_("The record is closed: no visit can be booked with it."),
    ObstacleCode.TOO_MANY_VISITS: N_("No more can be booked online. Call us to book another, or cancel one that is not needed."),
    ObstacleCode.NO_SUCH_DOCTOR: N_("This doctor takes no visits any more. Choose somebody else."),
    ObstacleCode.NO_VIDEO: N_("This doctor does not see patients by video. Choose to come in person, or somebody else."),
    ObstacleCode.TIME_PAST: N_("The time has passed. Choose one that is still to come."),
    ObstacleCode.DOCTOR_AWAY: N_("%(doctor)s is away then. Choose another day, or somebody else."),
    ObstacleCode.OUTSIDE_HOURS: N_("%(doctor)s sees nobody at that time."),
    ObstacleCode.BETWEEN_SLOTS: N_("No visit begins at that time. Choose one of those offered."),
    ObstacleCode.DAY_FULL: N_("The doctor has as many visits that day as they take. Choose another day, or somebody else."),
    ObstacleCode.NO_OVERBOOKING: N_("No more can be booked over others then; how many may be is set with the hours."),
    ObstacleCode.DOCTOR_TAKEN: N_("%(doctor)s has a visit from %(from)s to %(to)s."),
    ObstacleCode.TIME_HELD: N_("Somebody is choosing the time from %(from)s to %(to)s just now. It may be free again in some minutes."),
    ObstacleCode.PATIENT_TAKEN: N_("%(patient)s has another visit from %(from)s to %(to)s."),
    ObstacleCode.PATIENT_OFFERED: N_("A time from the waitlist is kept for %(patient)s from %(from)s to %(to)s."),
    ObstacleCode.RESOURCE_TAKEN: N_("%(name)s is taken from %(from)s to %(to)s."),
    ObstacleCode.PARTICIPANT_GONE: N_("%(name)s cannot be booked any more. Leave it out, or choose another."),
    ObstacleCode.ON_VISIT_ALREADY: N_("%(name)s takes part in this visit and cannot be its doctor as well."),
}
TO_PATIENTS = {
    ObstacleCode.PATIENT_TAKEN: N_("You have another visit from %(from)s to %(to)s. Move or cancel that one, or choose another time."),
    ObstacleCode.PATIENT_OFFERED: N_("A time from the waitlist is kept for you from %(from)s to %(to)s. Take it or leave it first."),
}
AWAY_UNTIL = N_("%(doctor)s is away until %(day)s, %(time)s.")
IN_THE_TITLE = {ObstacleCode.RECORD_CLOSED, ObstacleCode.NO_SUCH_DOCTOR, ObstacleCode.TIME_PAST, ObstacleCode.OUTSIDE_HOURS, ObstacleCode.DAY_FULL}


def told_in_full(page: Page, refusal: Refusal, *, kept: str, visits_at: str, patient: str = "", ways: Iterable[Way] = (),
                 ) -> Told:
    """`kept` says that nothing was lost; `patient` is their name, or empty where the patient reads it."""
    if type(refusal) not in TITLES:
        return told(refusal, ways)
    _ = page.language.gettext
    title, icon = TITLES[type(refusal)]
    found = msgspec.convert(refusal.extra.get("conflicts", []), list[Obstacle])
    if len(found) == 1 and found[0].code in IN_THE_TITLE and not found[0].name:
        found = []
    now_what = (_("These are the nearest free times:") if alternatives(refusal) else
                _("Choose another day.") if isinstance(refusal, TimeIsTaken | SlotNotOffered | DayIsFull) else "")
    return Told(_(title), f"{kept} {now_what}".strip(), list(ways), icon=icon,
                items=[obstacle_item(page, one, visits_at=visits_at, patient=patient) for one in found])


def obstacle_item(page: Page, one: Obstacle, *, visits_at: str, patient: str) -> Item:
    _, speaks = page.language.gettext, page.language
    words = WORDS[one.code] if patient else TO_PATIENTS.get(one.code, WORDS[one.code])
    given = {"patient": patient, "doctor": one.name or _("The doctor"), "name": one.name}
    if one.starts_at and one.ends_at:
        starts_at, ends_at = page.local(one.starts_at), page.local(one.ends_at)
        given |= {"from": speaks.time(starts_at), "to": speaks.time(ends_at)}
        if one.code is ObstacleCode.DOCTOR_AWAY:
            words = AWAY_UNTIL
            given |= {"day": speaks.day(ends_at.date(), page.today), "time": speaks.time(ends_at)}
    free = speaks.listed([other.name for other in one.others])
    instead = " " + _("Free then: %(names)s.") % {"names": free} if free else ""
    return Item(_(words) % given + instead, f"{visits_at}/{one.appointment_id}" if one.appointment_id else "")

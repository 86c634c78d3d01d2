"""Values of contracts as pages show them: local times, words instead of codes, and where to go next."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from msgspec import Struct

from infirmary.contexts.appointments.contract import Appointment, Mode, Opening, Overbooking, Status, Step
from infirmary.kernel.errors import Refusal

from .menu import N_

Words = Callable[[str], str]
LIVE = (Status.REQUESTED, Status.BOOKED, Status.CHECKED_IN, Status.IN_PROGRESS)
VIDEO_LASTS = timedelta(hours=1)   # after the end of a visit, as the room says itself
MOVABLE = (Status.REQUESTED, Status.BOOKED)


class Way(Struct, frozen=True):
    """A button that leads on; with a `slot`, one of the form around it that asks for this time instead."""

    label: str
    href: str = ""
    slot: str = ""


class Item(Struct, frozen=True):
    """One of several things in the way; `href` leads to it."""

    text: str
    href: str = ""


class Told(Struct, frozen=True):
    """A refusal in the voice of the pages: what happened, all that is in the way, what it means, what to do."""

    title: str
    text: str
    choices: list[Way]
    tone: str = "attention"
    icon: str = "alert-circle"
    items: list[Item] = []


class Choice(Struct, frozen=True, kw_only=True):
    name: str
    sub: str
    href: str
    next_at: datetime | None
    icon: str = ""
    initials: str = ""


class ShownVisit(Struct, frozen=True, kw_only=True):
    """A visit on a patient's page; addresses are empty where something cannot be done."""

    id: UUID
    href: str
    number: str
    starts_at: datetime
    minutes: int
    status: str
    doctor: str
    department: str
    place: str
    reason: str
    note: str
    join_href: str
    feedback_href: str
    move_href: str
    cancel_href: str
    calendar_href: str
    series_id: UUID | None


# Why a visit is booked over another, as one chooses it.
OVERBOOKING = {Overbooking.URGENT: N_("It is urgent"), Overbooking.DOCTOR_AGREED: N_("The doctor agreed"),
               Overbooking.SHORT_QUESTION: N_("A short question"), Overbooking.LIKELY_NO_SHOW: N_("Somebody may not come")}


def overbooked(one: Appointment, _: Words) -> str:
    return _("Over another visit: %(why)s") % {"why": _(OVERBOOKING[one.overbooked])} if one.overbooked else ""


def initials(name: str) -> str:
    words = [word for word in name.split() if word != "Dr"]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


def told(refusal: Refusal, choices: Iterable[Way] = (), *, icon: str = "alert-circle") -> Told:
    return Told(refusal.title(), refusal.detail, list(choices), icon=icon)


def slot_value(doctor_id: UUID, starts_at: datetime) -> str:
    return f"{doctor_id}|{starts_at.isoformat()}"


def slot_of(value: str) -> tuple[UUID, datetime] | None:
    """The doctor and instant of a slot's value, or None when it is not one."""
    doctor, _, at = value.partition("|")
    try:
        moment = datetime.fromisoformat(at)
        return (UUID(doctor), moment) if moment.tzinfo else None
    except ValueError:
        return None


def alternatives(refusal: Refusal) -> list[tuple[UUID, datetime]]:
    """The free times that a refusal offers instead."""
    return [(UUID(str(one["doctor_id"])), datetime.fromisoformat(str(one["starts_at"])))
            for one in msgspec.to_builtins(refusal.extra.get("alternatives", []))]


def visit(one: Appointment, *, now: datetime, zone: Any, _: Words) -> ShownVisit:
    coming = one.starts_at > now
    movable = one.status in MOVABLE and coming
    note = {Status.REQUESTED: _("The department answers soon; the time is kept for you."),
            Status.DECLINED: one.status_reason, Status.CANCELLED: one.status_reason}.get(one.status, "")
    return ShownVisit(
        id=one.id, href=f"/visits/{one.id}", number=str(one.id)[-6:].upper(), starts_at=one.starts_at.astimezone(zone),
        minutes=int((one.ends_at - one.starts_at).total_seconds()) // 60, status=one.status.value,
        doctor=one.doctor_name, department=one.department_name,
        place=_("By video") if one.mode is Mode.VIDEO else one.location, reason=one.reason, note=note,
        join_href=video_href(one, now),
        feedback_href=f"/visits/{one.id}/feedback" if one.status is Status.COMPLETED else "",
        move_href=f"/visits/{one.id}/move" if movable else "", cancel_href=f"/visits/{one.id}/cancel" if movable else "",
        calendar_href=f"/visits/{one.id}/calendar.ics" if one.status in LIVE and coming else "", series_id=one.series_id)


def video_href(one: Appointment, now: datetime) -> str:
    """Where the two of a video visit meet, while there is something to come to."""
    return f"/visits/{one.id}/video" if one.mode is Mode.VIDEO and one.status in LIVE[1:] and \
        now < one.ends_at + VIDEO_LASTS else ""


def step_text(step: Step, before: Step | None, _: Words) -> str:
    """One line of a visit's history."""
    if before is not None and step.starts_at != before.starts_at:
        return _("Moved")
    if before is not None and step.status is before.status:   # its doctor, its length, or who takes part
        return _("Changed")
    words = {Status.REQUESTED: _("Asked for"), Status.BOOKED: _("Booked") if before is None else _("Accepted"),
             Status.CHECKED_IN: _("Checked in"), Status.IN_PROGRESS: _("Started"), Status.COMPLETED: _("Completed"),
             Status.DECLINED: _("Declined"), Status.CANCELLED: _("Cancelled"), Status.NO_SHOW: _("Did not come")}
    return f"{words[step.status]}: {step.reason}" if step.reason else words[step.status]


def doctor_choice(one: Opening, zone: Any) -> Choice:
    sub = " · ".join(dict.fromkeys((one.specialty, one.department_name)))
    return Choice(name=one.doctor_name, sub=sub, initials=initials(one.doctor_name),
                  next_at=one.next.starts_at.astimezone(zone) if one.next else None,
                  href="/book/when?" + urlencode({"doctor": one.doctor_id}))


def department_choices(openings: Iterable[Opening], icons: dict[UUID, str], zone: Any) -> list[Choice]:
    """One per department: who works there and the soonest time; soonest first, the full ones last."""
    by_department: dict[UUID, list[Opening]] = {}
    for one in openings:   # soonest first already
        by_department.setdefault(one.department_id, []).append(one)
    return [Choice(name=doctors[0].department_name, icon=icons.get(department, "building-hospital"),
                   sub=", ".join(sorted(one.doctor_name.split()[-1] for one in doctors)),
                   next_at=doctors[0].next.starts_at.astimezone(zone) if doctors[0].next else None,
                   href="/book?" + urlencode({"department": department}))
            for department, doctors in by_department.items()]

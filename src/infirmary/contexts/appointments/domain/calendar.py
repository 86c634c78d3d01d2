"""Visits as a calendar keeps them (RFC 5545). Never the reason or the patient: calendars are shared."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import icalendar

from infirmary.contexts.appointments.contract import Appointment, Mode, Status

from .visits import OPEN, Visit, doctors_of

_CONFIRMED = {Status.REQUESTED: "TENTATIVE", Status.DECLINED: "CANCELLED", Status.CANCELLED: "CANCELLED",
              Status.NO_SHOW: "CANCELLED"}
KEPT = (*OPEN, Status.COMPLETED)   # in a feed: what is called off is not there any more
ASKED_AGAIN = timedelta(hours=2)


def calendar_file(visit: Visit, *, hospital: str, address: str, host: str) -> bytes:
    """The same UID with a higher SEQUENCE replaces what a calendar has kept so far."""
    return _written(_calendar(), [_event(visit, f"{visit.doctor_name}, {hospital}", hospital, address, host)])


def feed(visits: Iterable[Appointment], *, doctor_id: UUID | None, hospital: str, address: str, host: str) -> bytes:
    """Many visits, to be asked for again and again (RFC 7986). To their doctor they are visits and nothing more."""
    kept = _calendar()
    kept.add("method", "PUBLISH")
    kept.add("name", hospital)
    kept.add("x-wr-calname", hospital)   # what calendars read that do not know RFC 7986
    kept.add("refresh-interval", ASKED_AGAIN, parameters={"value": "DURATION"})
    kept.add("x-published-ttl", icalendar.vDuration(ASKED_AGAIN))   # a name it does not know, so the type is said
    return _written(kept, [
        _event(one, f"Visit, {one.department_name}" if doctor_id in doctors_of(one) else f"{one.doctor_name}, {hospital}",
               hospital, address, host) for one in sorted(visits, key=lambda one: (one.starts_at, one.id))])


def _calendar() -> icalendar.Calendar:
    made = icalendar.Calendar()
    made.add("prodid", "-//Infirmary//Visits//EN")
    made.add("version", "2.0")
    return made


def _event(visit: Visit | Appointment, summary: str, hospital: str, address: str, host: str) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", f"{visit.id}@{host}")
    event.add("sequence", visit.version)
    event.add("dtstamp", visit.changed_at)
    event.add("dtstart", visit.starts_at)
    event.add("dtend", visit.ends_at)
    event.add("status", _CONFIRMED.get(visit.status, "CONFIRMED"))
    event.add("summary", summary)
    if visit.mode is Mode.IN_PERSON:
        event.add("location", ", ".join(filter(None, (visit.location, hospital, address))))
    return event


def _written(calendar: icalendar.Calendar, events: Iterable[icalendar.Event]) -> bytes:
    for event in events:
        calendar.add_component(event)
    made: bytes = calendar.to_ical()
    return made

"""A visit as a calendar keeps it (RFC 5545). Never the reason or the patient: calendars are shared."""
from __future__ import annotations

import icalendar

from infirmary.contexts.appointments.contract import Mode, Status

from .visits import Visit

_CONFIRMED = {Status.REQUESTED: "TENTATIVE", Status.DECLINED: "CANCELLED", Status.CANCELLED: "CANCELLED",
              Status.NO_SHOW: "CANCELLED"}


def calendar_file(visit: Visit, *, hospital: str, address: str, host: str) -> bytes:
    """The same UID with a higher SEQUENCE replaces what a calendar has kept so far."""
    event = icalendar.Event()
    event.add("uid", f"{visit.id}@{host}")
    event.add("sequence", visit.version)
    event.add("dtstamp", visit.changed_at)
    event.add("dtstart", visit.starts_at)
    event.add("dtend", visit.ends_at)
    event.add("status", _CONFIRMED.get(visit.status, "CONFIRMED"))
    event.add("summary", f"{visit.doctor_name}, {hospital}")
    if visit.mode is Mode.IN_PERSON:
        event.add("location", ", ".join(filter(None, (visit.location, hospital, address))))
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Infirmary//Visits//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    made: bytes = calendar.to_ical()
    return made

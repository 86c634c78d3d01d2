"""What doctors are told who take part in a visit that is another's."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from infirmary.contexts.appointments.events import (
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRescheduled,
    ParticipantsChanged,
    VisitChanged,
    doctors_among,
)

from . import Message, News, _, one_line, when


def about_taking_part(event: VisitChanged, *, tz: ZoneInfo, now: datetime) -> list[News]:
    """To each, one by one, also where the visit's own doctor hears of many visits together."""
    moved = event if isinstance(event, AppointmentRescheduled) else None
    words = {"patient": one_line(event.patient_name), "doctor": one_line(event.doctor_name),
             "department": one_line(event.department_name), "when": when(event.starts_at, tz=tz, now=now),
             "before": when(moved.previous_starts_at if moved else event.starts_at, tz=tz, now=now)}
    heard = {event.doctor_id, moved.previous_doctor_id} if moved else {event.doctor_id}   # they hear of it as its doctor
    return [News(Message(kind, title.format_map(words), title.format_map({**words, "patient": _("A patient")}),
                         body.format_map(words), "/doctor/diary", _("Open your diary")), doctor_id=doctor_id)
            for doctor_id, kind, title, body in _said(event) if doctor_id not in heard]


def _said(event: VisitChanged) -> Iterator[tuple[UUID, str, str, str]]:
    now = doctors_among(event.participants)
    before = doctors_among(event.previous_participants) if isinstance(
        event, AppointmentRescheduled | ParticipantsChanged) else set() if event.version == 1 else now
    if isinstance(event, AppointmentCancelled | AppointmentDeclined):
        for doctor_id in sorted(now):
            yield (doctor_id, "visit.cancelled", _("{patient} does not come on {when}"), _(
                "You were to take part in a visit to {doctor}, {department}. Your time is free again."))
        return
    for doctor_id in sorted(now - before):
        yield (doctor_id, "visit.booked", _("You take part in a visit: {patient}, {when}"), _(
            "{doctor}, {department}, sees the patient and asks you to be there. The time is taken in your diary."))
    for doctor_id in sorted(before - now):
        yield (doctor_id, "visit.cancelled", _("{patient} does not come to you on {before}"), _(
            "You do not take part in the visit to {doctor}, {department}, any more. Your time is free again."))
    if isinstance(event, AppointmentRescheduled):
        for doctor_id in sorted(now & before):
            yield (doctor_id, "visit.moved", _("{patient} is moved to {when}"), _(
                "You take part in this visit to {doctor}, {department}. It was on {before}; that time is free again."))

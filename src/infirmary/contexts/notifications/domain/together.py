"""What people are told when many visits change together: patients and doctors once each."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from infirmary.contexts.appointments.events import MovePlanDone, SeriesChange, SeriesChanged

from . import Message, News, _, one_line, when


def about_plan(event: MovePlanDone, *, tz: ZoneInfo, now: datetime) -> list[News]:
    """To the doctor whose visits were moved, and to those who have more of them now."""
    words = {"doctor": one_line(event.doctor_name), "from": when(event.starts_at, tz=tz, now=now),
             "to": when(event.ends_at, tz=tz, now=now), "moved": event.moved, "standing": event.standing}

    def news(doctor_id: UUID, title: str, body: str) -> News:
        title = title.format_map(words)
        return News(Message("plan.done", title, title, body.format_map(words), f"/doctor/moves/{event.aggregate}",
                            _("Open the plan")) if doctor_id == event.doctor_id else
                    Message("plan.done", title, title, body.format_map(words), "/doctor/diary", _("Open your diary")),
                    doctor_id=doctor_id)

    said = (_("Visits are moved back: {moved}. Not moved back: {standing}. They were planned away from {from} to {to}.")
            if event.undone else
            _("Visits moved from {from} to {to}: {moved}. Still standing there: {standing}."))
    title = _("Your visits are moved back") if event.undone else _("Your visits are moved")
    found = [news(event.doctor_id, title, said)]
    for one in event.received:
        if one.doctor_id != event.doctor_id:
            words["taken"] = one.visits
            found.append(news(one.doctor_id, _("You take over visits of {doctor}"), _(
                "New in your diary: {taken}. They were between {from} and {to}.")))
    return found


def about_series(event: SeriesChanged, *, tz: ZoneInfo, now: datetime) -> list[News]:
    """How many visits, and the first and the last of them."""
    words = {"patient": one_line(event.patient_name), "doctor": one_line(event.doctor_name), "n": len(event.starts_at),
             "first": when(event.starts_at[0], tz=tz, now=now), "last": when(event.starts_at[-1], tz=tz, now=now)}
    title, theirs = {
        SeriesChange.BOOKED: (_("Your visits are booked: {n}, from {first}"), _("{patient} is booked {n} times from {first}")),
        SeriesChange.MOVED: (_("Your visits are moved: {n}, from {first}"), _("{patient} is moved: {n} visits from {first}")),
        SeriesChange.CANCELLED: (_("Your visits are cancelled: {n}, from {first}"),
                                 _("{patient} does not come: {n} visits from {first}")),
    }[event.change]
    body = _("With {doctor}, the last on {last}. All of them are on the page of your visits.").format_map(words)
    own = _("The last is on {last}.").format_map(words)
    return [
        News(Message(f"series.{event.change}", title.format_map(words), title.format_map(words), body, "/visits",
                     _("Open your visits")), patient_id=event.patient_id),
        News(Message(f"series.{event.change}", theirs.format_map(words),
                     theirs.format_map({**words, "patient": _("A patient")}), own, "/doctor/diary", _("Open your diary")),
             doctor_id=event.doctor_id)]

"""What people are told and in which words, what an e-mail looks like, and when one is tried again."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime as rfc5322
from html import escape
from unicodedata import category
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Mode
from infirmary.contexts.appointments.events import (
    AppointmentAccepted,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRequested,
    AppointmentRescheduled,
    NotSeenThatDay,
    PartOf,
    TimeOffered,
    VisitChanged,
    VisitCompleted,
    WaitLapsed,
)
from infirmary.contexts.identity.contract import Recipient
from infirmary.contexts.patients.contract import GuardianKind, Guardianship
from infirmary.contexts.patients.events import GuardianNamed, GuardianshipEnded
from infirmary.language import Channel

TRIES = 8
BACK_OFF = timedelta(seconds=10)   # four times longer after each try: 10 s to 11 h, some 15 h in all (a bad night)
LEASE = timedelta(minutes=2)       # how long one process has for one try; longer than any try may take
KEPT = timedelta(days=400)
CODE = "sign_in.code"              # a kind of message
TEXTS_A_DAY = 20                   # to one number: who makes us send them pays nothing


def _(text: str) -> str:
    """Where translations will come in (gettext)."""
    return text


class Message(Struct, frozen=True):
    """What one person is told. `link` is a path of our own pages; where it is empty, it is a secret that is asked for
    when the e-mail is written, and kept nowhere. `mail_title` names no patient: mail is read by more than its owner.
    `private`: about the account itself, so nobody chooses how they are told."""

    kind: str
    title: str
    mail_title: str
    body: str
    link: str
    label: str
    private: bool = False


class News(Struct, frozen=True):
    """A message, and whose it is: a patient's or a doctor's."""

    message: Message
    patient_id: UUID | None = None
    doctor_id: UUID | None = None


class Letter(Struct, frozen=True):
    """What an e-mail says. `label` stands on a link, or before a code."""

    title: str
    body: str
    label: str
    code: str = ""


class Letterhead(Struct, frozen=True):
    """What every e-mail says about the hospital."""

    name: str
    address: str
    phone: str
    emergency: str
    sender: str


# --- Texts: who, which department and when; never why. ---------------------------------------------------------------


def when(at: datetime, *, tz: ZoneInfo, now: datetime) -> str:
    """`Thu 26 Nov, 09:20`; the year only when it is another one."""
    year = " y" if at.astimezone(tz).year != now.astimezone(tz).year else ""
    return format_datetime(at, f"EEE d MMM{year}, HH:mm", tzinfo=tz, locale="en")


def about_visit(event: VisitChanged, *, tz: ZoneInfo, now: datetime) -> list[News]:
    """What a change of a visit means for each of those whose visit it is, or was."""
    if event.part_of is PartOf.SERIES:   # people hear of the series as a whole
        return []
    before = event.previous_starts_at if isinstance(event, AppointmentRescheduled) else event.starts_at
    words = {name: one_line(value) for name, value in (
        ("patient", event.patient_name), ("doctor", event.doctor_name), ("place", _place(event)),
        ("when", when(event.starts_at, tz=tz, now=now)), ("before", when(before, tz=tz, now=now)))}

    def patient(kind: str, title: str, body: str, label: str = "", *, link: str = f"/visits/{event.aggregate}") -> News:
        title = title.format_map(words)
        return News(Message(kind, title, title, body.format_map(words), link,
                            label or _("Open the visit")), patient_id=event.patient_id)

    def doctor(kind: str, title: str, body: str, label: str = "", *, doctor_id: UUID = event.doctor_id) -> News:
        return News(Message(kind, title.format_map(words), title.format_map({**words, "patient": _("A patient")}),
                            body.format_map(words), "/doctor/today", label or _("Open your day")), doctor_id=doctor_id)

    match event:
        case AppointmentRequested():
            return [
                patient("visit.requested", _("You asked for {when}"), _(
                    "With {doctor}. {place}. The time is kept for you; we tell you when the request is answered.")),
                doctor("visit.requested", _("{patient} asks for {when}"), _(
                    "{place}. Nobody else can take this time until you accept or decline."), _("Answer the request"))]
        case AppointmentBooked():
            return [
                patient("visit.booked", _("Your visit is booked: {when}"), _(
                    "With {doctor}. {place}. If the time does not suit you, move or cancel the visit on its page.")),
                doctor("visit.booked", _("{patient} is booked for {when}"), _("{place}."))]
        case AppointmentAccepted():
            return [
                patient("visit.accepted", _("Your request is accepted: {when}"), _(
                    "With {doctor}. {place}. The time is yours.")),
                doctor("visit.accepted", _("{patient} is booked for {when}"), _("The request is accepted. {place}."))]
        case AppointmentDeclined():
            return [
                patient("visit.declined", _("Your request for {when} is declined"), _(
                    "{doctor} cannot see you then. The page of the visit says why, and you can ask for another time."),
                    _("See why")),
                doctor("visit.declined", _("{patient} does not come on {when}"), _(
                    "The request is declined. {place}. The time is free again."))]
        case AppointmentRescheduled():
            return _about_moved(event, patient, doctor)
        case AppointmentCancelled():
            return [
                patient("visit.cancelled", _("Your visit on {when} is cancelled"), _(
                    "It was with {doctor}. {place}. To be seen at another time, book again.")),
                doctor("visit.cancelled", _("{patient} does not come on {when}"), _(
                    "The visit is cancelled. {place}. The time is free again."))]
    return []


def _about_moved(event: AppointmentRescheduled, patient: Callable[..., News], doctor: Callable[..., News],
                 ) -> list[News]:
    if event.part_of is not None:   # doctors hear of the plan as a whole
        why = (_("It was on {before}; your doctor is away then.") if event.part_of is PartOf.MOVE_PLAN else
               _("It is back from {before}, where it had been moved to."))
        return [patient("visit.moved", _("Your visit is moved to {when}"), f"{why} " + _(
            "Now it is with {doctor}. {place}. If the time does not suit you, choose another."),
            _("Choose another time"), link=f"/visits/{event.aggregate}/move")]
    moved = patient("visit.moved", _("Your visit is moved to {when}"), _(
        "It was on {before}. Now it is with {doctor}. {place}. If the time does not suit you, move or cancel "
        "the visit on its page."))
    if event.previous_doctor_id == event.doctor_id:
        return [moved, doctor("visit.moved", _("{patient} is moved to {when}"), _(
            "{place}. It was on {before}; that time is free again."))]
    return [
        moved,
        doctor("visit.booked", _("{patient} is booked for {when}"), _(
            "{place}. The visit was with a colleague before, on {before}.")),
        doctor("visit.moved", _("{patient} does not come to you on {before}"), _(
            "The visit is moved to {when}, with {doctor}. Your time is free again."),
            doctor_id=event.previous_doctor_id)]


def _place(event: VisitChanged) -> str:
    where = _("by video, from the page of the visit") if event.mode is Mode.VIDEO else event.location
    return ", ".join(filter(None, (event.department_name, where)))


def about_feedback(event: VisitCompleted, *, tz: ZoneInfo, now: datetime) -> Message:
    """How was it?"""
    title = _("How was your visit on {when}?").format(when=when(event.starts_at, tz=tz, now=now))
    return Message("visit.feedback", title, title, _(
        "With {doctor}. Tell us in a minute what was good and what was not. Nobody who treated you sees your name with it."
        ).format(doctor=one_line(event.doctor_name)), f"/visits/{event.aggregate}/feedback", _("Say how it was"))


def about_waiting(event: TimeOffered | WaitLapsed | NotSeenThatDay, *, tz: ZoneInfo, now: datetime) -> Message:
    """What came of waiting: a time with a deadline, or that the wait is over."""
    if isinstance(event, NotSeenThatDay):
        title = _("You were not called before the day was over")
        return Message("queue.closed", title, title, _(
            "The queue of {department} closed before your number {number} was called. Book a free time, or take a new "
            "number on another day.").format(department=one_line(event.department_name), number=event.number), "/book",
            _("See free times"))
    if isinstance(event, TimeOffered):
        words = {"when": when(event.starts_at, tz=tz, now=now), "until": when(event.expires_at, tz=tz, now=now),
                 "doctor": one_line(event.doctor_name), "department": one_line(event.department_name)}
        title = _("A time came free: {when}").format_map(words)
        return Message("waitlist.offered", title, title, _(
            "With {doctor}, {department}. It is kept for you until {until}; then it goes to the next who waits. Take it or "
            "leave it on the page of your waitlist.").format_map(words), "/waitlist", _("Answer the offer"))
    if event.offered_at is not None:
        title = _("The time on {when} went to somebody else").format(when=when(event.offered_at, tz=tz, now=now))
        return Message("waitlist.lapsed", title, title, _(
            "It was kept for you, and the time to answer has run out. You do not wait any more; join the waitlist again "
            "if you still look for a visit."), "/waitlist", _("Open the waitlist"))
    title = _("No time came free for you")
    return Message("waitlist.lapsed", title, title, _(
        "The days that you chose are over, so you do not wait any more. Join the waitlist again with other days, or book "
        "one of the free times."), "/waitlist", _("Open the waitlist"))


def for_guardian(message: Message, ward: Guardianship) -> Message:
    """What the patient is told, for somebody who sees to them. The name is for the app alone."""
    return replace(message, title=_("For {patient}: {title}").format(patient=one_line(ward.ward_name), title=message.title),
                   mail_title=_("For somebody you see to: {title}").format(title=message.mail_title),
                   link=f"{message.link}?for={ward.ward_id}")


_RIGHTS = {GuardianKind.PARENT: _("parent"), GuardianKind.LEGAL_GUARDIAN: _("legal guardian"), GuardianKind.CARER: _("carer")}


def about_guardianship(event: GuardianNamed | GuardianshipEnded) -> tuple[Message, Message]:
    """For the guardian, and for the patient."""
    words = {"guardian": one_line(event.guardian_name), "patient": one_line(event.ward_name), "right": _(_RIGHTS[event.right])}
    if isinstance(event, GuardianNamed):
        begun = "guardian.named"
        return (_about_ward(begun, _("You act for {patient} here"), _("You act for somebody here"), _(
                    "As {right}. Choose them at the top of your pages to book, move and cancel their visits and to read "
                    "their record. If this is a mistake, call us."), "/home", _("Open your pages"), words),
                _about_ward(begun, _("{guardian} acts for you here"), _("Somebody acts for you here"), _(
                    "As {right}: they read your record, and book, move and cancel your visits. If you did not expect "
                    "this, call us."), "/record", _("See who acts for you"), words))
    ended = "guardian.ended"
    for_guardian, for_ward = _why_ended(event)
    return (_about_ward(ended, _("You do not act for {patient} any more"), _("You do not act for somebody any more"), _(
                "{why} Their record and their visits are out of your reach from now on. If this is a mistake, call us."),
                "/home", _("Open your pages"), {**words, "why": for_guardian}),
            _about_ward(ended, _("{guardian} does not act for you any more"), _("Somebody does not act for you any more"), _(
                "{why} Your record and your visits are out of their reach from now on."), "/record",
                _("See who acts for you"), {**words, "why": for_ward}))


def _why_ended(event: GuardianshipEnded) -> tuple[str, str]:
    if event.by_ward:
        return _("They ended it themselves."), _("You ended it.")
    if event.of_age:
        return (_("They are of age now. If they want you to go on as their carer, they say so at the front desk."),
                _("You are of age now, so what was agreed for you as a child is over. If you want somebody to go on as your "
                  "carer, say so at the front desk."))
    why = _("Its last day is over.") if event.by_itself else _("This was noted at the front desk.")
    return why, why


def _about_ward(kind: str, title: str, mail_title: str, body: str, link: str, label: str, words: dict[str, str]) -> Message:
    return Message(kind, title.format_map(words), mail_title, body.format_map(words), link, label)


def ways(to: Recipient, message: Message, chosen: Mapping[Channel, bool]) -> dict[Channel, str]:
    """By which channels this is told, and where: e-mail where nothing else can be done."""
    wanted = {channel: address for channel, address in ((Channel.EMAIL, to.email), (Channel.SMS, to.phone)) if address}
    if message.private or not any(chosen.get(channel) for channel in wanted):
        first = next(iter(wanted))
        return {first: wanted[first]}
    return {channel: address for channel, address in wanted.items() if chosen[channel]}


def one_line(text: str) -> str:
    """Names as people typed them, without what could break out of a line or a header."""
    return " ".join("".join(" " if category(one) == "Cc" else one for one in text).split())


# --- E-mail ----------------------------------------------------------------------------------------------------------


def email(letter: Letter, *, to: str, url: str, head: Letterhead, message_id: str, at: datetime) -> EmailMessage:
    """Text and HTML that say the same. Raises ValueError for an address that no mail can carry."""
    local, _at, domain = to.rpartition("@")
    foot = [
        f"{head.name}, {head.address}",
        _("Phone {phone}. In an emergency call {emergency}.").format(phone=head.phone, emergency=head.emergency),
        _("You get this because you have an account with us. Answers to this address are not read."),
    ]
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(one_line(head.name), addr_spec=head.sender)
    made["To"] = Address(username=local, domain=domain.encode("idna").decode())   # as every server understands it
    made["Subject"] = one_line(letter.title)
    made["Date"] = rfc5322(at)
    made["Message-ID"] = message_id
    made["Auto-Submitted"] = "auto-generated"   # RFC 3834: no out-of-office answers
    made.set_content("\n".join([letter.title, "", letter.body, "", f"{letter.label}:", letter.code or url, "", "-- ", *foot, ""]),
                     cte="quoted-printable")
    made.add_alternative(_html(letter, url, foot), subtype="html", cte="quoted-printable")
    return made


def _html(letter: Letter, url: str, foot: list[str]) -> str:
    title, body, label, link = (escape(text) for text in (letter.title, letter.body, letter.label, url))
    way_on = (f'{label}: <strong style="font-size: 1.5em; letter-spacing: 0.1em">{escape(letter.code)}</strong>' if letter.code
              else f'<a href="{link}" style="font-weight: bold">{label}</a>')
    last = "<br>\n".join(map(escape, foot))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="max-width: 36em; margin: 0 auto; padding: 1.5em; font: 16px/1.5 sans-serif">
<h1 style="font-size: 1.25em">{title}</h1>
<p>{body}</p>
<p>{way_on}</p>
<hr>
<p style="font-size: 0.875em">{last}</p>
</body>
</html>
"""


def masked(address: str) -> str:
    """`r…@example.org`, `…10`: enough to tell one from another, not enough to write to."""
    if "@" not in address:
        return f"…{address[-2:]}"
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


# --- Trying again ----------------------------------------------------------------------------------------------------


def next_try(attempts: int, *, now: datetime) -> datetime | None:
    """When to try again after so many attempts; None: enough."""
    return now + BACK_OFF * 4 ** (attempts - 1) if attempts < TRIES else None

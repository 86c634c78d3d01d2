"""What people are told, and how an e-mail looks."""
from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infirmary.contexts.appointments.contract import Mode
from infirmary.contexts.appointments.events import (
    AppointmentAccepted,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRequested,
    AppointmentRescheduled,
    PatientCheckedIn,
    VisitCompleted,
)
from infirmary.contexts.notifications import domain
from infirmary.contexts.notifications.domain import account
from infirmary.language import Email

from .builders import MARY, NOW, SILVA, THURSDAY, a_visit, mary, okafor, silva

DUBLIN = ZoneInfo("Europe/Dublin")
HEAD = domain.Letterhead("Harbour Lane Hospital", "Harbour Lane 4", "+353 1 555 010", "112",
                         "no-reply@hospital.example")


def news_of(event):
    return domain.about_visit(event, tz=DUBLIN, now=NOW)


def by_owner(event):
    return {one.patient_id or one.doctor_id: one.message for one in news_of(event)}


def an_email(letter, to="mary@byrne.example"):
    made = domain.email(letter, to=to, url="https://hospital.example/visits/1", head=HEAD,
                        message_id="<1@hospital.example>", at=NOW)
    return made, email.message_from_bytes(made.as_bytes(), policy=email.policy.default)


@pytest.mark.parametrize(("at", "said"), [
    (THURSDAY, "Thu 26 Nov, 09:20"),
    (datetime(2026, 7, 1, 8, 5, tzinfo=UTC), "Wed 1 Jul, 09:05"),             # summer time in the hospital's zone
    (datetime(2027, 1, 4, 9, 0, tzinfo=UTC), "Mon 4 Jan 2027, 09:00"),        # another year is said
    (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Thu 31 Dec, 23:30"),
])
def test_a_time_is_said_in_the_hospitals_zone(at, said):
    assert domain.when(at, tz=DUBLIN, now=NOW) == said


def test_the_year_is_compared_where_the_hospital_is():
    auckland = ZoneInfo("Pacific/Auckland")
    assert domain.when(datetime(2026, 12, 31, 20, 0, tzinfo=UTC), tz=auckland, now=NOW) == "Fri 1 Jan 2027, 09:00"


def test_a_request_is_the_doctors_to_answer_and_confirmed_to_the_patient():
    told = by_owner(a_visit(AppointmentRequested))
    assert told.keys() == {okafor.id, mary.id}
    assert told[mary.id].title == "You asked for Thu 26 Nov, 09:20"
    assert told[okafor.id].title == f"{MARY} asks for Thu 26 Nov, 09:20"
    assert told[okafor.id].link == "/doctor/today"


@pytest.mark.parametrize(("kind", "title"), [
    (AppointmentBooked, "Your visit is booked: Thu 26 Nov, 09:20"),
    (AppointmentAccepted, "Your request is accepted: Thu 26 Nov, 09:20"),
    (AppointmentDeclined, "Your request for Thu 26 Nov, 09:20 is declined"),
    (AppointmentRescheduled, "Your visit is moved to Thu 26 Nov, 09:20"),
    (AppointmentCancelled, "Your visit on Thu 26 Nov, 09:20 is cancelled"),
])
def test_a_patient_is_told_and_led_to_the_visit(kind, title):
    event = a_visit(kind)
    message = by_owner(event)[mary.id]
    assert message.title == title
    assert message.link == f"/visits/{event.aggregate}"
    assert okafor.id in by_owner(event)


def test_a_visit_that_moves_says_when_it_was():
    message = by_owner(a_visit(AppointmentRescheduled))[mary.id]
    assert "It was on Wed 25 Nov, 09:20." in message.body


def test_a_visit_that_changes_the_doctor_is_told_to_both():
    told = by_owner(a_visit(AppointmentRescheduled, doctor_id=silva.id, doctor_name=SILVA))
    assert set(told) == {mary.id, okafor.id, silva.id}
    assert told[silva.id].title == f"{MARY} is booked for Thu 26 Nov, 09:20"
    assert told[okafor.id].title == f"{MARY} does not come to you on Wed 25 Nov, 09:20"


def test_what_happens_on_the_day_is_no_news():
    assert news_of(a_visit(PatientCheckedIn)) == []


def test_who_was_seen_is_asked_how_it_was():
    event = a_visit(VisitCompleted)
    message = domain.about_feedback(event, tz=DUBLIN, now=NOW)
    assert message.title == "How was your visit on Thu 26 Nov, 09:20?"
    assert message.link == f"/visits/{event.aggregate}/feedback"


def test_a_video_visit_says_so_instead_of_a_room():
    body = by_owner(a_visit(mode=Mode.VIDEO, location="Room 4"))[mary.id].body
    assert "Cardiology, by video" in body
    assert "Room 4" not in body


def test_mail_names_no_patient():
    for kind in (AppointmentRequested, AppointmentBooked, AppointmentAccepted, AppointmentDeclined,
                 AppointmentRescheduled, AppointmentCancelled):
        for one in news_of(a_visit(kind)):
            assert MARY not in one.message.mail_title + one.message.body


def test_the_texts_blame_nobody_and_beg_for_nothing():
    messages = [one.message for kind in (AppointmentRequested, AppointmentBooked, AppointmentAccepted,
                                         AppointmentDeclined, AppointmentRescheduled, AppointmentCancelled)
                for one in news_of(a_visit(kind))]
    messages += [account.about_reset(invitation=invited, hospital="H") for invited in (True, False)]
    messages += [account.about_new_password(), account.about_copied_sign_in()]
    for message in messages:
        text = f"{message.title} {message.body} {message.label}"
        assert not [word for word in ("please", "error", "invalid", "successful", "!", "{", "}", "..")
                    if word in text.lower()], text


def test_a_name_with_line_breaks_stays_in_its_line():
    event = a_visit(patient_name="Mary\r\nBcc: everybody@example.org\x00", doctor_name="Dr\u2028X\x0b\x85Y")
    for one in news_of(event):
        for text in (one.message.title, one.message.mail_title, one.message.body):
            assert len(text.splitlines()) == 1
    assert by_owner(event)[okafor.id].title == "Mary Bcc: everybody@example.org is booked for Thu 26 Nov, 09:20"


def test_a_name_that_looks_like_a_placeholder_is_a_name():
    assert by_owner(a_visit(patient_name="{when} {doctor.x}"))[okafor.id].title.startswith("{when} {doctor.x} is")


@given(title=st.text(min_size=1), body=st.text(), label=st.text(min_size=1))
def test_no_text_breaks_out_of_the_headers(title, body, label):
    _, read = an_email(domain.Letter(title, domain.one_line(body), label))
    assert sorted(read.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"])
    assert [one.addr_spec for one in read["To"].addresses] == ["mary@byrne.example"]
    assert [part.get_content_type() for part in read.iter_parts()] == ["text/plain", "text/html"]


@given(st.from_regex(r"\A[^@\s]{1,60}@[a-z]{1,20}\.[a-z]{2,6}\Z"))
def test_any_address_that_an_account_may_have_is_one_recipient_or_refused(address):
    try:
        made, _ = an_email(domain.Letter("T", "B", "L"), to=address)
    except ValueError:
        return
    assert len(made["To"].addresses) == 1
    assert made["To"].addresses[0].domain == address.rpartition("@")[2]


def test_the_pattern_of_addresses_lets_no_space_in():
    assert r"[^@\s]" in Email.__metadata__[0].pattern   # what the test above leans on


def test_both_bodies_say_the_same_and_lead_to_the_page():
    _, read = an_email(domain.Letter("Your visit is booked", "With Dr <b>X</b> & co.", "Open the visit"))
    text, html = (read.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "With Dr <b>X</b> & co." in text
    assert "https://hospital.example/visits/1" in text

    seen, links = [], []

    class Look(HTMLParser):
        def handle_data(self, data):
            seen.append(data)

        def handle_starttag(self, tag, attrs):
            if tag == "a":
                links.append(dict(attrs)["href"])
            assert tag not in {"img", "script", "b", "iframe"}   # nothing fetched, nothing that a name brought along

    Look().feed(html)
    assert links == ["https://hospital.example/visits/1"]
    for line in ("Your visit is booked", "With Dr <b>X</b> & co.", "In an emergency call 112"):
        assert line in " ".join(seen)
        assert line in text
    assert '<html lang="en">' in html
    assert "<title>Your visit is booked</title>" in html


def test_an_address_is_masked():
    assert domain.masked("robert@example.org") == "r…@example.org"


def test_tries_come_slower_and_then_end():
    waits = [domain.next_try(attempts, now=NOW) - NOW for attempts in range(1, domain.TRIES)]
    assert waits[0] == timedelta(seconds=10)
    assert waits == sorted(waits)
    assert timedelta(hours=12) < sum(waits, timedelta()) < timedelta(days=1)
    assert domain.next_try(domain.TRIES, now=NOW) is None

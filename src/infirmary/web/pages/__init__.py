"""The visible list of page modules."""
from __future__ import annotations

from infirmary.web.page import Pages

from . import (
    account,
    accounts,
    admin,
    appoint,
    around,
    audit,
    booking,
    by_mail,
    calendar_feed,
    clients,
    codes,
    desk,
    desk_queue,
    desk_waitlist,
    diary,
    doctor,
    federation,
    feedback,
    guardians,
    hours,
    imports,
    label,
    merging,
    moves,
    passkeys,
    patient,
    people,
    register,
    resources,
    security,
    series,
    series_new,
    video,
    visits,
    waitlist,
    wall,
)

PAGES: tuple[Pages, ...] = (
    account.pages, security.pages, passkeys.pages, by_mail.pages, codes.pages, federation.pages,   # everybody
    patient.pages, booking.pages, waitlist.pages,                                  # patients
    calendar_feed.pages, wall.pages,                                               # who holds a link
    video.pages, feedback.pages,                                                   # the two of a visit
    doctor.pages, diary.pages, hours.pages, moves.pages,                           # doctors
    desk.pages, register.pages, around.pages, merging.pages, guardians.pages, label.pages,
    imports.pages,   # the front desk
    appoint.pages, visits.pages, desk_waitlist.pages, series_new.pages, series.pages, desk_queue.pages,
    admin.pages, people.pages, resources.pages, accounts.pages, clients.pages, audit.pages)                        # administration, audit

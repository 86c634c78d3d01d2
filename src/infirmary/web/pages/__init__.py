"""The visible list of page modules."""
from __future__ import annotations

from infirmary.web.page import Pages

from . import account, admin, audit, booking, desk, doctor, patient

PAGES: tuple[Pages, ...] = (account.pages, patient.pages, booking.pages, doctor.pages, desk.pages, admin.pages,
                            audit.pages)

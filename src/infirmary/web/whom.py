"""For whom a patient's pages are: themself, or somebody they stand for."""
from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from infirmary.contexts.patients.contract import Patients
from infirmary.kernel.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from .page import Page

FIELD = "_for"   # of a form: for whom it was shown
COOKIE = "for"
ABOUT_SOMEBODY = {"/home", "/visits", "/waitlist", "/record", "/record/consents", "/book"}   # the same page for another


class Whom(Struct, frozen=True):
    """Whose visits and record: the reader's own, or a ward's."""

    id: UUID
    name: str
    own: bool = False


def _oneself(page: Page) -> Whom:
    return Whom(page.caller.subjects["patient_id"], page.caller.name, own=True)


async def choose(page: Page) -> None:
    """What a form was shown for counts most (another tab may be about somebody else by now), then the address, then the
    last choice. Refuses (404) who is not within reach, or not any more; a last choice is then forgotten."""
    own, said, last = _oneself(page), page.form.get(FIELD) or page.query.get("for", ""), page.kept(COOKIE)
    try:
        page.wards = [Whom(one.ward_id, one.ward_name) for one in await page.ask(Patients).wards(page.caller, own.id)]
    except Unavailable:   # one's own pages can do without
        if said or last:
            raise
    known = {str(one.id): one for one in (own, *page.wards)}
    if said and said not in known:
        raise NotFound
    about(page, known.get(said or last, own).id)


def about(page: Page, patient_id: UUID) -> None:
    """This page, and those that follow, are for this one of the people within reach."""
    page.whom = next((one for one in page.wards if one.id == patient_id), _oneself(page))
    kept = "" if page.whom.own else str(page.whom.id)
    if kept != page.kept(COOKIE):
        page.keep(COOKIE, kept, seconds=None if kept else 0)

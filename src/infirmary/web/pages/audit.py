"""The audit explorer: who did what to whose record, when and from where."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response
from msgspec import Struct

from infirmary.contexts.audit.contract import Audit, AuditEvent
from infirmary.contexts.patients.contract import PatientCard, Patients
from infirmary.kernel.errors import NotFound
from infirmary.language import ADMIN, AUDITOR
from infirmary.web.found import number
from infirmary.web.menu import N_
from infirmary.web.page import Page, Pages
from infirmary.web.shown import Told, Way
from infirmary.web.typed import a_day, an_id

pages = Pages()
AUDIT = "/audit"
AT_A_TIME = 50

NOUNS = {"appointment": N_("Visit"), "patient": N_("Record"), "account": N_("Account"), "client": N_("Program"), "factor": N_("Factor"), "session": N_("Sign-in"),
         "password": N_("Password"), "doctor": N_("Doctor"), "staff": N_("Staff"), "department": N_("Department"),
         "hours": N_("Hours"), "leave": N_("Leave"), "delivery": N_("Message"), "notification": N_("Notification"),
         "audit": N_("Audit trail"), "access": N_("Access")}
VERBS = {"requested": N_("asked for"), "booked": N_("booked"), "accepted": N_("accepted"), "declined": N_("declined"),
         "rescheduled": N_("moved"), "cancelled": N_("cancelled"), "checked_in": N_("checked in"),
         "started": N_("started"), "completed": N_("completed"), "no_show": N_("noted a no-show"), "read": N_("read"), "made": N_("made"),
         "rotated": N_("given a new secret"), "revoked": N_("revoked"), "signed_in": N_("signed in"),
         "login_added": N_("login added"), "login_removed": N_("login removed"),
         "searched": N_("searched"), "matched": N_("compared"), "registered": N_("registered"),
         "amended": N_("changed"), "changed": N_("changed"), "retired": N_("closed"), "opened": N_("opened"),
         "closed": N_("closed"), "ended": N_("ended"), "refused": N_("refused"), "engaged": N_("engaged"),
         "set": N_("set"), "taken": N_("added"), "taken_back": N_("taken back"), "retried": N_("tried again"),
         "written": N_("written"), "all_read": N_("read all of them"), "denied": N_("denied"),
         "refresh_token_reused": N_("a copied token was used"), "reset_requested": N_("asked for a new one"),
         "reset": N_("set anew"), "change_refused": N_("change refused")}
KINDS = {"": N_("anything"), "appointment.": N_("Visits"), "patient.": N_("Records"), "patient.read": N_("Records: read"),
         "session.": N_("Sign-in"), "account.": N_("Accounts"), "client.": N_("Programs"), "password.": N_("Passwords"),
         "access.denied": N_("Access: denied"), "doctor.": N_("Doctors"), "staff.": N_("Staff"),
         "department.": N_("Departments"), "hours.": N_("Hours"), "leave.": N_("Leave"), "delivery.": N_("Messages"),
         "audit.": N_("The trail itself")}
FILTERS = ("actor", "patient", "action", "entity", "from", "to")


class Line(Struct, frozen=True):
    """An entry in words. `day` where a new day begins."""

    event: AuditEvent
    at: datetime
    day: date | None
    did: str
    what: str
    short: str
    detail: str


@pages.get("/audit", roles=[ADMIN, AUDITOR])
async def explorer(page: Page) -> Response[Any]:
    asked = page.query
    patient_id, said = await _patient_meant(page, asked.get("patient", "").strip())
    first, last = a_day(asked.get("from", "")), a_day(asked.get("to", ""))
    found = await page.ask(Audit).audit_events(
        page.caller, actor=asked.get("actor", "").strip()[:100] or None, patient_id=patient_id,
        action=asked.get("action", "")[:80] or None, entity=asked.get("entity", "")[:120] or None,
        from_=_midnight(page, first) if first else None,
        to=_midnight(page, last + timedelta(days=1)) if last else None, cursor=asked.get("cursor"), limit=AT_A_TIME)
    lines = _lines(page, found.items, a_day(asked.get("after", "")))
    further = {**asked, "cursor": found.next_cursor, "after": lines[-1].at.date()} if found.next_cursor else None
    more = "?" + urlencode(further) if further else ""
    names = await _names(page, {one for one in (patient_id, *(event.patient_id for event in found.items)) if one})
    return await page.render(
        "audit/events.html", here=AUDIT, lines=lines, more=more, names=names, refusal=said, asked=asked,
        patient_id=patient_id, kinds=[(kind, page.language.gettext(word)) for kind, word in KINDS.items()],
        by_name=ADMIN in page.caller.roles, filtered=any(asked.get(name) for name in FILTERS))


def _midnight(page: Page, day: date) -> datetime:
    return datetime.combine(day, time(), page.settings.hospital.tz)


def _lines(page: Page, events: Iterable[AuditEvent], before: date | None) -> list[Line]:
    """Grouped by day; `before` is the day that the part above ended with."""
    _, lines, day = page.language.gettext, [], before
    for one in events:
        noun, _dot, verb = one.action.partition(".")
        at = page.local(one.at)
        kind, _slash, its_id = one.entity.partition("/")
        lines.append(Line(
            one, at, at.date() if at.date() != day else None, _(VERBS.get(verb, verb.replace("_", " "))),
            _(NOUNS.get(kind if kind in NOUNS else noun, noun.replace("_", " ").capitalize())), its_id[-6:].upper(),
            ", ".join(f"{_words(name)} {_words(value)}" for name, value in one.detail.items() if value and not an_id(value))))
        day = at.date()
    return lines


def _words(code: str) -> str:
    """in_progress and appointments.AppointmentDeclined, as far as they can be read aloud."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code.rpartition(".")[2]).replace("_", " ").lower()


async def _patient_meant(page: Page, text: str) -> tuple[UUID | None, Told | None]:
    """An id, or for those who may look into the register a number or a name that fits one person."""
    _ = page.language.gettext
    if not text or an_id(text) is not None:
        return an_id(text), None
    if ADMIN not in page.caller.roles:
        return None, Told(_("The register is not open to you"),
                          _("Choose a patient by the sign that stands in the list."), [], icon="lock")
    found = (await page.ask(Patients).search(page.caller, q=text[:100], limit=6)).items
    if len(found) == 1:
        return found[0].id, None
    ways = [Way(f"{one.name}, {number(one.number)}", f"{AUDIT}?" + urlencode({**page.query, "patient": one.id}))
            for one in found]
    title = _("Several people fit “%(text)s”") if found else _("Nobody found for “%(text)s”")
    return None, Told(title % {"text": text}, _("These are the events of everybody. Choose whom you mean:") if found
                      else _("These are the events of everybody."), ways, icon="user-search")


async def _names(page: Page, ids: set[UUID]) -> dict[UUID, PatientCard]:
    """Only for those whom the register answers; others see the sign of the record."""
    if ADMIN not in page.caller.roles:
        return {}

    async def card(patient_id: UUID) -> PatientCard | None:
        try:
            return await page.ask(Patients).card(page.caller, patient_id)
        except NotFound:
            return None

    return {one.id: one for one in await asyncio.gather(*map(card, ids)) if one}

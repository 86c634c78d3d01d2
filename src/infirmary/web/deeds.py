"""What staff do with a visit: which deeds are open to whom, doing one, and telling why it was refused."""
from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from infirmary.contexts.appointments.contract import (
    COMES_BEFORE,
    Appointment,
    Appointments,
    Because,
    NotInThisState,
    Status,
    TooEarly,
    Why,
)
from infirmary.kernel.errors import FieldError, Malformed, Refusal, StaleVersion
from infirmary.language import ADMIN, DOCTOR, NURSE, RECEPTION

from .menu import N_
from .page import Page
from .shown import Told, step_text, told


class Deed(Struct, frozen=True):
    """`name` is its address. `asks`: a question comes first. `key`: Alt and this letter press its button."""

    name: str
    label: str
    icon: str
    done: str
    key: str = ""
    asks: bool = False


ACCEPT = Deed("accept", N_("Accept"), icon="check", done=N_("The time of %(name)s is accepted."))
DECLINE = Deed("decline", N_("Decline"), icon="calendar-x", done=N_("The time of %(name)s is declined."), asks=True)
OFFER = Deed("move", N_("Offer another time"), icon="calendar-time", done="", key="m")
CHECK_IN = Deed("check-in", N_("Check in"), icon="door-enter", done=N_("%(name)s is checked in."), key="c")
START = Deed("start", N_("Start the visit"), icon="stethoscope", done=N_("%(name)s is with the doctor."), key="s")
COMPLETE = Deed("complete", N_("Complete the visit"), icon="check", done=N_("The visit of %(name)s is completed."),
                key="s")
NO_SHOW = Deed("no-show", N_("Did not come"), icon="user-off", done=N_("%(name)s did not come."), asks=True)
MOVE = Deed("move", N_("Move"), icon="calendar-time", done="", key="m")
CANCEL = Deed("cancel", N_("Cancel the visit"), icon="ban", done=N_("The visit of %(name)s is cancelled."), asks=True)
BY_NAME = {one.name: one for one in (ACCEPT, DECLINE, CHECK_IN, START, COMPLETE, NO_SHOW, CANCEL)}

ANSWER = {DOCTOR, RECEPTION, ADMIN}   # a nurse may not answer for a department
WELCOME = {RECEPTION, NURSE, ADMIN}


def open_to(page: Page, one: Appointment) -> list[Deed]:
    """What this person can do with the visit as it stands; the first is the next one to do."""
    return list(_open(page.caller.roles, one, begun=page.now >= one.starts_at,
                      today=page.local(one.starts_at).date() <= page.today or page.now >= one.starts_at - COMES_BEFORE))


def _open(roles: Collection[str], one: Appointment, *, begun: bool, today: bool) -> list[Deed]:
    answers, welcomes = bool(ANSWER & set(roles)), bool(WELCOME & set(roles))
    match one.status:
        case Status.REQUESTED:
            return [ACCEPT, OFFER, DECLINE] if answers else [MOVE, CANCEL]
        case Status.BOOKED:
            now = [CHECK_IN if welcomes else START] if today else []
            return [*now, MOVE, *([NO_SHOW] if begun else []), CANCEL]
        case Status.CHECKED_IN:
            return [START]
        case Status.IN_PROGRESS:
            return [COMPLETE]
    return []


async def do(page: Page, deed: Deed) -> Appointment:
    """Do it to the visit of the address, as it stood when the page was made."""
    ask, visit_id = page.ask(Appointments), page.id("visit_id")
    text = page.form.get("version", "")
    if_match = int(text) if text.isdecimal() and len(text) < 18 else None
    reason = page.form.get("reason", "").strip()
    match deed.name:
        case "accept":
            return await ask.accept(page.caller, visit_id, if_match=if_match)
        case "decline":
            if not reason:
                says = page.language.gettext("Write why: the patient reads it.")
                raise Malformed(errors=[FieldError("reason", says)])
            return await ask.decline(page.caller, visit_id, Because(reason[:500]), if_match=if_match)
        case "check-in":
            return await ask.check_in(page.caller, visit_id, if_match=if_match)
        case "start":
            return await ask.start(page.caller, visit_id, if_match=if_match)
        case "complete":
            return await ask.complete(page.caller, visit_id, if_match=if_match)
        case "no-show":
            return await ask.no_show(page.caller, visit_id, if_match=if_match)
    return await ask.cancel(page.caller, visit_id, Why(reason[:500]), if_match=if_match)


def done(page: Page, deed: Deed, one: Appointment) -> str:
    return page.language.gettext(deed.done) % {"name": one.patient_name}


async def why_not(page: Page, refusal: Refusal, one: Appointment) -> Told:
    """The refusal with the visit as it stands now: what happened to it meanwhile, and by whom."""
    _ = page.language.gettext
    if isinstance(refusal, StaleVersion | NotInThisState):
        steps = await page.ask(Appointments).steps(page.caller, one.id)
        last, before = steps[-1], steps[-2] if len(steps) > 1 else None
        text = _("Nothing of yours was done. Since then: %(step)s, %(by)s, %(time)s. Look at it as it is now and go on "
                 "from there.")
        return Told(_("Somebody changed this visit while you looked at it"), text % {
            "step": step_text(last, before, _), "by": last.by or _("the hospital"),
            "time": page.language.time(page.local(last.at))}, [], icon="versions")
    if isinstance(refusal, TooEarly):
        return Told(_("It is too early for that"), refusal.detail, [], icon="clock-x")
    return told(refusal)

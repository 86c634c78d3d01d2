"""Where each role can go."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from infirmary.kernel.access import Caller
from infirmary.language import ADMIN, AUDITOR, CASHIER, DOCTOR, NURSE, PATIENT, PHARMACIST, RECEPTION, Role


def N_(text: str) -> str:   # noqa: N802 – gettext's own name for words that are translated where they are shown
    return text


class Tab(Struct, frozen=True):
    """`key`: with Alt it leads there, for those who work without a mouse."""

    href: str
    icon: str
    label: str
    key: str = ""


class User(Struct, frozen=True):
    name: str
    initials: str
    role_label: str
    roles: list[str]


LABELS = {PATIENT: N_("Patient"), DOCTOR: N_("Doctor"), NURSE: N_("Nurse"), RECEPTION: N_("Reception"), PHARMACIST: N_("Pharmacist"),
          CASHIER: N_("Cashier"), ADMIN: N_("Administrator"), AUDITOR: N_("Auditor")}

TABS: dict[Role, list[Tab]] = {
    PATIENT: [Tab("/home", "home", N_("Home")), Tab("/visits", "calendar", N_("Visits")),
              Tab("/notifications", "bell", N_("Messages")), Tab("/profile", "user", N_("Profile"))],
    DOCTOR: [Tab("/doctor/today", "stethoscope", N_("Today")), Tab("/doctor/diary", "calendar", N_("Diary")),
             Tab("/doctor/hours", "beach", N_("Hours")),
             Tab("/doctor/feedback", "star", N_("Feedback"))],
    RECEPTION: [Tab("/desk", "door-enter", N_("Front desk")), Tab("/desk/register", "user-plus", N_("Register")),
                Tab("/desk/queue", "list-numbers", N_("Queue")), Tab("/desk/visits", "calendar", N_("Visits")),
                Tab("/desk/waitlist", "hourglass", N_("Waitlist")), Tab("/desk/leave", "beach", N_("Leave")),
                Tab("/desk/imports", "table-import", N_("Import"))],
    NURSE: [Tab("/desk", "door-enter", N_("Front desk")), Tab("/desk/register", "user-plus", N_("Register")),
            Tab("/desk/queue", "list-numbers", N_("Queue")), Tab("/desk/visits", "calendar", N_("Visits")),
            Tab("/desk/waitlist", "hourglass", N_("Waitlist"))],
    ADMIN: [Tab("/admin", "chart-bar", N_("Hospital")), Tab("/desk/visits", "calendar", N_("Visits")),
            Tab("/admin/departments", "building-hospital", N_("Departments")), Tab("/admin/doctors", "stethoscope", N_("Doctors")),
            Tab("/admin/resources", "bed", N_("Rooms")), Tab("/desk/leave", "beach", N_("Leave")),
            Tab("/admin/staff", "users", N_("Staff")), Tab("/admin/accounts", "key", N_("Accounts")),
            Tab("/desk", "door-enter", N_("Front desk")), Tab("/desk/queue", "list-numbers", N_("Queue")),
            Tab("/desk/imports", "table-import", N_("Import")),
            Tab("/audit", "shield-check", N_("Events")),
            Tab("/admin/deliveries", "mail", N_("Mail")), Tab("/admin/feedback", "star", N_("Feedback")),
            Tab("/admin/system", "server", N_("System"))],
    AUDITOR: [Tab("/audit", "shield-check", N_("Events"))],
    PHARMACIST: [Tab("/notifications", "bell", N_("Messages"))],
    CASHIER: [Tab("/notifications", "bell", N_("Messages"))],
}
KEYS = {"/desk/register": "r", "/desk/queue": "q", "/desk/visits": "v", "/desk/waitlist": "w"}   # with Alt
ORDER = (ADMIN, DOCTOR, RECEPTION, NURSE, AUDITOR, PHARMACIST, CASHIER, PATIENT)


@lru_cache(maxsize=100)
def tabs_for(roles: frozenset[str]) -> list[Tab]:
    seen: dict[str, Tab] = {}
    for role in ORDER:
        if role in roles:
            for tab in TABS[role]:
                seen.setdefault(tab.href, tab)
    return list(seen.values())


def tabs_of(caller: Caller, _: Callable[[str], str]) -> list[Tab]:
    return [Tab(tab.href, tab.icon, _(tab.label), KEYS.get(tab.href, "")) for tab in tabs_for(caller.roles)]


def start_of(caller: Caller) -> str:
    """The page a person begins on."""
    tabs = tabs_for(caller.roles)
    return tabs[0].href if tabs else "/sign-in"


def user_of(caller: Caller, _: Callable[[str], str]) -> User | None:
    if caller.account_id is None:
        return None
    words = [word for word in caller.name.split() if word != "Dr"]
    initials = "".join(word[0] for word in (words[0:1] + words[-1:] if len(words) > 1 else words)).upper()
    role = next((role for role in ORDER if role in caller.roles), PATIENT)
    return User(caller.name, initials or "?", _(LABELS[role]), sorted(caller.roles))

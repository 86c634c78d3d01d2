"""Where each role can go."""
from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from infirmary.kernel.access import Caller
from infirmary.language import ADMIN, AUDITOR, CASHIER, DOCTOR, NURSE, PATIENT, PHARMACIST, RECEPTION, Role


class Tab(Struct, frozen=True):
    href: str
    icon: str
    label: str


class User(Struct, frozen=True):
    name: str
    initials: str
    role_label: str
    roles: list[str]


LABELS = {PATIENT: "Patient", DOCTOR: "Doctor", NURSE: "Nurse", RECEPTION: "Reception", PHARMACIST: "Pharmacist",
          CASHIER: "Cashier", ADMIN: "Administrator", AUDITOR: "Auditor"}

TABS: dict[Role, list[Tab]] = {
    PATIENT: [Tab("/home", "home", "Home"), Tab("/visits", "calendar", "Visits"),
              Tab("/notifications", "bell", "Messages"), Tab("/profile", "user", "Profile")],
    DOCTOR: [Tab("/doctor/today", "stethoscope", "Today"), Tab("/doctor/diary", "calendar", "Diary"),
             Tab("/doctor/hours", "beach", "Hours")],
    RECEPTION: [Tab("/desk", "door-enter", "Front desk"), Tab("/desk/register", "user-plus", "Register"),
                Tab("/desk/visits", "calendar", "Visits")],
    NURSE: [Tab("/desk", "door-enter", "Front desk"), Tab("/desk/register", "user-plus", "Register"),
            Tab("/desk/visits", "calendar", "Visits")],
    ADMIN: [Tab("/admin", "chart-bar", "Hospital"), Tab("/desk/visits", "calendar", "Visits"),
            Tab("/admin/departments", "building-hospital", "Departments"), Tab("/admin/doctors", "stethoscope", "Doctors"),
            Tab("/admin/staff", "users", "Staff"), Tab("/admin/accounts", "key", "Accounts"),
            Tab("/desk", "door-enter", "Front desk"), Tab("/audit", "shield-check", "Events"),
            Tab("/admin/deliveries", "mail", "Mail"), Tab("/admin/system", "server", "System")],
    AUDITOR: [Tab("/audit", "shield-check", "Events")],
    PHARMACIST: [Tab("/notifications", "bell", "Messages")],
    CASHIER: [Tab("/notifications", "bell", "Messages")],
}
ORDER = (ADMIN, DOCTOR, RECEPTION, NURSE, AUDITOR, PHARMACIST, CASHIER, PATIENT)


@lru_cache(maxsize=100)
def tabs_for(roles: frozenset[str]) -> list[Tab]:
    seen: dict[str, Tab] = {}
    for role in ORDER:
        if role in roles:
            for tab in TABS[role]:
                seen.setdefault(tab.href, tab)
    return list(seen.values())


def tabs_of(caller: Caller) -> list[Tab]:
    return tabs_for(caller.roles)


def start_of(caller: Caller) -> str:
    """The page a person begins on."""
    tabs = tabs_of(caller)
    return tabs[0].href if tabs else "/sign-in"


def user_of(caller: Caller) -> User | None:
    if caller.account_id is None:
        return None
    words = [word for word in caller.name.split() if word != "Dr"]
    initials = "".join(word[0] for word in (words[0:1] + words[-1:] if len(words) > 1 else words)).upper()
    role = next((role for role in ORDER if role in caller.roles), PATIENT)
    return User(caller.name, initials or "?", LABELS[role], sorted(caller.roles))

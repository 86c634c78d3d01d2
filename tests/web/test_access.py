"""Who may open which staff page: the table below is the promise, and every page must stand in it."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from infirmary.language import ADMIN, AUDITOR, DOCTOR, NURSE, PATIENT, RECEPTION, Role
from infirmary.web.pages import (
    accounts,
    admin,
    appoint,
    around,
    audit,
    clients,
    desk,
    desk_queue,
    desk_waitlist,
    diary,
    doctor,
    guardians,
    hours,
    imports,
    label,
    mail,
    merging,
    moves,
    people,
    register,
    series,
    series_new,
    visits,
)

from .conftest import EVERY_ROLE, Hospital, NoMails, a_copy

together = pytest.mark.asyncio(loop_scope="module")
DESK, PLANNERS = {RECEPTION, NURSE, ADMIN}, {RECEPTION, ADMIN}
ADMINS, DOCTORS, PATIENTS = {ADMIN}, {DOCTOR}, {PATIENT}
RECORD = "/desk/patients/{patient_id}"
MAY: dict[str, set[Role]] = {
    "/doctor/today": DOCTORS, "/doctor/queue": DOCTORS, "/doctor/visits/{visit_id}": DOCTORS,
    "/doctor/visits/{visit_id}/{deed}": DOCTORS, "/doctor/visits/{visit_id}/move": DOCTORS, "/doctor/book": DOCTORS,
    "/doctor/diary": DOCTORS, "/doctor/diary/events": DOCTORS, "/doctor/diary/hours": DOCTORS,
    "/desk/diaries/{doctor_id}": DESK, "/desk/diaries/{doctor_id}/events": DESK, "/desk/diaries/{doctor_id}/hours": DESK,
    "/diary/stream": DESK | DOCTORS, "/doctor/queue/call": DOCTORS,
    "/desk/queue": DESK, "/desk/queue/line": DESK, "/desk/queue/call": DESK, "/desk/queue/new": DESK,
    "/desk/queue/tokens/{token_id}/{deed}": DESK | DOCTORS, "/desk/queue/tokens/{token_id}/print": DESK,
    "/desk/queue/screens": PLANNERS, "/desk/queue/screens/{display_id}/close": PLANNERS,
    "/doctor/hours": DOCTORS, "/doctor/hours/leave": DOCTORS, "/doctor/hours/leave/{leave_id}/end": DOCTORS,
    "/desk": DESK, "/desk/find": DESK, "/desk/arrivals": DESK, "/desk/register": DESK, "/desk/register/matches": DESK,
    "/desk/patients/{patient_id}": DESK, "/desk/patients/{patient_id}/edit": DESK,
    **dict.fromkeys((f"{RECORD}/contacts/new", f"{RECORD}/contacts/{{contact_id}}",
                     f"{RECORD}/contacts/{{contact_id}}/remove", f"{RECORD}/coverages/new",
                     f"{RECORD}/coverages/{{coverage_id}}", f"{RECORD}/coverages/{{coverage_id}}/withdraw",
                     f"{RECORD}/consents", f"{RECORD}/label"), DESK),
    **dict.fromkeys(("/record", "/record/contacts/new", "/record/contacts/{contact_id}",
                     "/record/contacts/{contact_id}/remove", "/record/consents",
                     "/record/guardians/{guardianship_id}/end"), PATIENTS),
    f"{RECORD}/merge": {RECEPTION, ADMIN}, f"{RECORD}/unmerge/{{other_id}}": {RECEPTION, ADMIN},
    f"{RECORD}/guardians/new": {RECEPTION, ADMIN}, f"{RECORD}/guardians/{{guardianship_id}}/end": {RECEPTION, ADMIN},
    "/desk/patients/{patient_id}/close": {RECEPTION, ADMIN}, "/desk/book": DESK, "/desk/visits": DESK,
    "/desk/visits/overlapping": DESK,
    "/desk/visits/{visit_id}": DESK, "/desk/visits/{visit_id}/{deed}": DESK, "/desk/visits/{visit_id}/move": DESK,
    "/admin": ADMINS, "/admin/deliveries": ADMINS, "/admin/deliveries/{delivery_id}/retry": ADMINS,
    "/admin/system": ADMINS, "/admin/system/events/{context}/{event_id}/replay": ADMINS,
    "/admin/departments": ADMINS, "/admin/departments/new": ADMINS, "/admin/departments/{department_id}": ADMINS,
    "/admin/departments/{department_id}/end": ADMINS,
    "/admin/doctors": ADMINS, "/admin/doctors/new": ADMINS, "/admin/doctors/{doctor_id}": ADMINS,
    "/admin/doctors/{doctor_id}/end": ADMINS, "/admin/doctors/{doctor_id}/hours": ADMINS,
    "/admin/doctors/{doctor_id}/hours/leave": ADMINS, "/admin/doctors/{doctor_id}/hours/leave/{leave_id}/end": ADMINS,
    "/admin/staff": ADMINS, "/admin/staff/new": ADMINS, "/admin/staff/{staff_id}": ADMINS,
    "/admin/staff/{staff_id}/end": ADMINS,
    "/admin/accounts": ADMINS, "/admin/accounts/new": ADMINS, "/admin/accounts/{account_id}": ADMINS,
    "/admin/accounts/{account_id}/{deed}": ADMINS,
    "/admin/accounts/{account_id}/sessions/end": ADMINS,
    "/admin/accounts/{account_id}/sessions/{session_id}/end": ADMINS,
    "/admin/mail": ADMINS, "/admin/mail/{mail_id}": ADMINS, "/admin/mail/{mail_id}/html": ADMINS,
    "/desk/waitlist": DESK, "/desk/waitlist/{waiting_id}/{deed}": DESK,
    **dict.fromkeys(("/desk/leave", "/desk/leave/{doctor_id}", "/desk/leave/{doctor_id}/leave",
                     "/desk/leave/{doctor_id}/leave/{leave_id}/end", "/desk/moves", "/desk/moves/{plan_id}",
                     "/desk/moves/{plan_id}/{deed}", "/desk/moves/{plan_id}/visits/{visit_id}"), PLANNERS),
    **dict.fromkeys(("/doctor/moves", "/doctor/moves/{plan_id}", "/doctor/moves/{plan_id}/{deed}",
                     "/doctor/moves/{plan_id}/visits/{visit_id}"), DOCTORS),
    **dict.fromkeys(("/desk/series/new", "/desk/series/{series_id}", "/desk/series/{series_id}/move",
                     "/desk/series/{series_id}/cancel"), DESK),
    **dict.fromkeys(("/book/series", "/series/{series_id}", "/series/{series_id}/move", "/series/{series_id}/cancel"), PATIENTS),
    **dict.fromkeys(("/desk/imports", "/desk/imports/{import_id}", "/desk/imports/{import_id}/{deed}",
                     "/desk/imports/{import_id}/rows/{line}", "/desk/imports/{import_id}/to-mend.csv", "/desk/export"), PLANNERS),
    "/desk/patients/{patient_id}/export": DESK, "/record/export": PATIENTS,
    "/admin/clients": ADMINS, "/admin/clients/new": ADMINS, "/admin/clients/{client_id}": ADMINS,
    "/admin/clients/revoke": ADMINS,
    "/audit": {ADMIN, AUDITOR},
}
MODULES = (accounts, admin, appoint, around, audit, clients, desk, desk_queue, desk_waitlist, diary, doctor, guardians, hours,
           imports, label, merging, moves, people, register, series, series_new, visits)
DECLARED = [one for pages in (*(module.pages for module in MODULES), mail.pages_of(NoMails())) for one in pages.paths]
UNKNOWN = ("mail_id", "contact_id", "coverage_id", "plan_id", "series_id", "guardianship_id", "client_id", "token_id", "import_id",
           "display_id")   # there is none in this hospital
GETS = sorted({path for verb, path, _ in DECLARED if verb == "GET" and not path.endswith("/stream")})
POSTS = sorted({path for verb, path, _ in DECLARED if verb == "POST"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hospital(made: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    """One for all of these: nobody changes anything here."""
    async with a_copy(made, tmp_path_factory.mktemp("access") / "data") as opened:
        yield opened


def address(path: str, hospital: Hospital) -> str:
    people = hospital.people
    known: dict[str, Any] = {
        "visit_id": people.booked.id, "patient_id": people.rosa.id, "doctor_id": people.okafor.id,
        "staff_id": people.nurse.id, "department_id": people.general.id, "account_id": people.account.id,
        "deed": "complete", "line": 2, "context": "audit", "other_id": people.lan.id,
        **dict.fromkeys((*UNKNOWN, "waiting_id", "leave_id", "delivery_id", "event_id", "session_id"), people.rosa.id)}
    asked = {"/book/series": f"?slot={people.okafor.id}|2027-03-03T09:00:00Z", **dict.fromkeys(
        ("/desk/book", "/desk/queue/new", "/desk/series/new"), f"?patient_id={people.rosa.id}"), **dict.fromkeys(
        ("/desk/moves", "/doctor/moves"), f"?doctor_id={people.okafor.id}&from=2027-03-01T00:00:00Z&to=2027-03-02T00:00:00Z")}
    return path.format(**known) + asked.get(path, "")


def test_every_page_is_declared_as_the_table_promises() -> None:
    assert {path: roles for _, path, roles in DECLARED} == MAY


@together
@pytest.mark.parametrize("path", GETS)
async def test_only_its_roles_open_a_page(hospital: Hospital, path: str) -> None:
    for role in EVERY_ROLE:
        answer = await hospital.visitor(role).ask("GET", address(path, hospital))
        if role in MAY[path]:
            assert answer.status == (404 if any(name in path for name in UNKNOWN) else 200), (role, answer.status)
        else:
            assert answer.status == 403, (role, answer.status)
            assert "This is not open to you" in answer.words


@together
@pytest.mark.parametrize("path", GETS)
async def test_strangers_are_sent_to_sign_in_and_come_back_afterwards(hospital: Hospital, path: str) -> None:
    answer = await hospital.visitor().ask("GET", address(path, hospital))
    assert answer.status == 303
    assert answer.location.startswith("/sign-in?next=%2F")


@together
@pytest.mark.parametrize("path", POSTS)
async def test_nothing_is_done_without_the_token_of_a_page(hospital: Hospital, path: str) -> None:
    visitor = hospital.visitor(next(iter(MAY[path])))
    answer = await visitor.ask("POST", address(path, hospital), [("version", "1")])
    assert answer.status == 403
    assert "too old" in answer.words


@together
@pytest.mark.parametrize("path", POSTS)
async def test_nobody_else_does_it_either(hospital: Hospital, path: str) -> None:
    for role in set(EVERY_ROLE) - MAY[path]:
        visitor = hospital.visitor(role)
        await visitor.open("/profile")
        assert (await visitor.send(address(path, hospital), {"version": "1"})).status == 403, role


@together
async def test_every_page_has_a_strict_policy_and_is_kept_by_nobody(hospital: Hospital) -> None:
    for path, role in (("/doctor/today", DOCTOR), ("/desk", RECEPTION), ("/admin", ADMIN), ("/audit", AUDITOR)):
        answer = await hospital.visitor(role).open(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert " style=" not in answer.text
        assert "onclick" not in answer.text

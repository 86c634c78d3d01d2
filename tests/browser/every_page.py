"""Every page there is, by who opens it, as it is declared; and an example of each thing that addresses name.

`tests/web/test_every_page.py` goes red when a page is neither here nor among those that are none.
"""
from __future__ import annotations

from urllib.parse import quote, urlencode

from .conftest import Visitor
from .office import Office, soon

PAGES: dict[str, list[str]] = {
    "": ["/", "/sign-in", "/sign-up", "/forgot", "/sign-in/mail", "/reset?token=x", "/nothing-here", "/api/docs",
         "/wall/{display}", "/q/{place}", "/q/ended"],
    "patient": ["/home", "/visits", "/visits/{coming}", "/visits/{coming}?ask=cancel", "/visits/{coming}/move",
                "/visits/{coming}/video", "/visits/{seen}/feedback", "/book", "/book?q=nobody",
                "/book/when?doctor={night}", "/book/when?department={department_id}", "/book/confirm?slot={slot}",
                "/book/series?slot={slot}&frequency=weekly&count=3", "/series/{series_id}", "/waitlist",
                "/waitlist/join?doctor={doctor_id}", "/record", "/record/consents", "/record/contacts/new",
                "/record/contacts/{contact_id}", "/notifications", "/profile", "/calendar-feed", "/password", "/security",
                "/security/phone"],
    "doctor": ["/doctor/today", "/doctor/visits/{coming}", "/doctor/visits/{requested}?ask=decline", "/doctor/visits/{coming}/move",
               "/doctor/visits/{coming}/participants",
               "/doctor/book", "/doctor/book?patient_id={patient_id}", "/doctor/diary", "/doctor/diary?view=list",
               "/doctor/hours", "/doctor/moves?{days}", "/doctor/moves/{plan_id}",
               "/doctor/moves/{plan_id}/visits/{planned}", "/doctor/feedback", "/visits/{coming}/video",
               "/notifications", "/profile", "/calendar-feed", "/security/authenticator/remove"],
    "reception": ["/desk", "/desk?q=rosa", "/desk?q=zzzz", "/desk/register", "/desk/patients/{patient_id}",
                  "/desk/patients/{patient_id}/edit", "/desk/patients/{patient_id}/label",
                  "/desk/patients/{patient_id}/contacts/new", "/desk/patients/{patient_id}/contacts/{contact_id}",
                  "/desk/patients/{patient_id}/coverages/new", "/desk/patients/{patient_id}/coverages/{coverage_id}",
                  "/desk/patients/{patient_id}/consents", "/desk/patients/{patient_id}/merge",
                  "/desk/patients/{patient_id}/merge?other={other_id}",
                  "/desk/patients/{patient_id}/guardians/new?q=delgado", "/desk/visits", "/desk/visits/overlapping", "/desk/visits?day=&status=requested",
                  "/desk/visits/{coming}", "/desk/visits/{coming}?ask=cancel", "/desk/visits/{coming}/move",
                  "/desk/visits/{coming}/participants", "/desk/resources/{resource_id}",
                  "/desk/book?patient_id={patient_id}", "/desk/book?patient_id={patient_id}&doctor_id={night}",
                  "/desk/series/new?patient_id={patient_id}",
                  "/desk/series/new?patient_id={patient_id}&doctor_id={doctor_id}&{first}&frequency=weekly&count=4",
                  "/desk/series/{series_id}", "/desk/diaries/{doctor_id}", "/desk/waitlist", "/desk/leave",
                  "/desk/leave/{doctor_id}", "/desk/moves?doctor_id={doctor_id}&{days}", "/desk/moves/{plan_id}",
                  "/desk/moves/{plan_id}/visits/{planned}", "/desk/queue", "/desk/queue/new?patient_id={patient_id}",
                  "/desk/queue/screens", "/desk/imports", "/desk/imports/{import_id}", "/desk/imports/{import_id}?ask=undo",
                  "/desk/export", "/notifications"],
    "admin": ["/admin", "/admin?period=quarter", "/admin/departments", "/admin/departments/new",
              "/admin/departments/{department_id}", "/admin/doctors", "/admin/doctors/new", "/admin/doctors/{doctor_id}",
              "/admin/doctors/{doctor_id}?ask=end", "/admin/doctors/{doctor_id}/hours", "/admin/staff", "/admin/staff/new",
              "/admin/staff/{staff_id}", "/admin/accounts", "/admin/accounts/new", "/admin/accounts/{account_id}",
              "/admin/accounts/{account_id}?ask=disable", "/admin/clients", "/admin/clients/new",
              "/admin/clients/{client_id}", "/admin/resources", "/admin/resources/new", "/admin/resources/{resource_id}",
              "/admin/deliveries", "/admin/feedback", "/admin/mail", "/admin/mail/{mail_id}",
              "/admin/system", "/desk/visits"],
    "auditor": ["/audit", "/audit?action=appointment."],
}
TABLE = (b"given_name,family_name,birth_date,email\nEmma,Delgado Vega,2014-11-01,\nEmma,Vega,2014-11-01,\nAda,Moe,1980-01-02,\n"
         b",Nobody,2099-01-01,none\n")
PART, DATA, ONWARD = "a part of a page that is here", "no page: what a script or another program reads", "leads on"
NONE = {   # addresses that are no page of their own, and why
    **dict.fromkeys(("/notifications/bell", "/doctor/queue", "/desk/find", "/desk/arrivals", "/desk/queue/line",
                     "/wall/{secret}/numbers", "/q/{secret}/now"), PART),
    **dict.fromkeys(("/notifications/stream", "/passkeys/options", "/visits/{visit_id}/calendar.ics", "/diary/stream",
                     "/visits/{visit_id}/video/stream", "/doctor/diary/events", "/doctor/diary/hours",
                     "/desk/diaries/{doctor_id}/events", "/desk/diaries/{doctor_id}/hours", "/record/export",
                     "/desk/patients/{patient_id}/export", "/desk/imports/{import_id}/to-mend.csv"), DATA),
    **dict.fromkeys(("/notifications/{notification_id}/open", "/auth/oidc/{provider}/start",
                     "/auth/oidc/{provider}/callback"), ONWARD),
    "/{anything:path}": "here as /nothing-here",
    "/security/passkeys/{passkey_id}": "a key has to be made first: test_passkeys.py",
    "/admin/mail/{mail_id}/html": "an e-mail as it was sent, in its own words and colours",
}


def examples(visitor: Visitor) -> dict[str, str]:
    """An id for every name in PAGES, of something that can be looked at; what the demo has none of is made."""
    office = Office(visitor)

    def first(path: str, **asked: str) -> str:
        return str(office.ask("GET", path, params=asked)["items"][0]["id"])

    rosa, [doctor, department] = office.patient("Rosa Delgado"), [
        office.ask("GET", "/doctors", params={"q": "Okafor"})["items"][0][name] for name in ("id", "department_id")]
    night, _ = office.a_doctor()

    def free_for_rosa(doctor: str, *, after: int, within: int) -> list[dict[str, str]]:
        """In days."""
        return list(office.ask("GET", f"/slots/for/{rosa}", params={
            "doctor_id": doctor, "from": soon(days=after), "to": soon(days=within)})["items"])

    ahead = free_for_rosa(doctor, after=1, within=9)[-1]
    coming = office.a_visit(rosa, doctor, ahead["starts_at"], "video")
    free = free_for_rosa(night, after=0, within=2)
    seen = office.a_visit(rosa, night, free[0]["starts_at"])
    for deed in ("check-in", "start", "complete"):
        office.ask("POST", f"/appointments/{seen}/{deed}")
    series = office.ask("POST", "/series", data={
        "patient_id": rosa, "doctor_id": night, "starts_at": free[len(free) // 2]["starts_at"], "all_or_none": False,
        "recurrence": {"frequency": "weekly", "count": 4}})
    plan = office.ask("POST", "/move-plans", data={
        "doctor_id": doctor, "starts_at": ahead["starts_at"], "ends_at": ahead["ends_at"]})
    display = office.ask("POST", "/queue/displays", data={"department_id": department, "name": "Waiting room"})
    token = office.ask("GET", "/queue", params={"department_id": department})["items"][-1]
    client = office.ask("POST", "/clients", data={"name": "Laboratory", "roles": ["auditor"]})["client"]
    visitor.sign_in("admin@demo.test")
    page = visitor.open("/desk/imports")
    page.set_input_files("input[type=file]", {"name": "people.csv", "mimeType": "text/csv", "buffer": TABLE})
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("heading", name="Nobody is registered yet").wait_for()
    imported = page.url.rpartition("/")[2]
    mail = str(visitor.open("/admin/mail").locator(".in-rail a").first.get_attribute("href")).rpartition("/")[2]
    return {
        "patient_id": rosa, "other_id": office.patient("Emma Delgado"), "doctor_id": doctor, "department_id": department,
        "night": night, "coming": coming,
        "seen": seen, "requested": first("/appointments", doctor_id=doctor, status="requested"),
        "series_id": series["id"], "plan_id": plan["id"], "planned": plan["items"][0]["appointment_id"],
        "display": display["secret"], "place": office.ask("POST", f"/queue/tokens/{token['id']}/link")["secret"],
        "slot": quote(f"{night}|{free[-1]['starts_at']}"), "client_id": client["id"], "mail_id": mail,
        "import_id": imported,
        "contact_id": office.ask("GET", f"/patients/{rosa}/contacts")[0]["id"],
        "coverage_id": office.ask("GET", f"/patients/{rosa}/coverages")[0]["id"],
        "staff_id": first("/staff"), "resource_id": first("/resources"), "account_id": first("/accounts"),
        "days": urlencode({"from": soon(days=5), "to": soon(days=6)}),
        "first": urlencode({"day": soon(days=2)[:10], "time": "9:20"})}

"""What tests have done by the API, before or beside what they do in a browser."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from .conftest import PASSWORD, Visitor


def soon(**within: float) -> str:
    """The next five minutes after that."""
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(**within)
    return (at + timedelta(minutes=5 - at.minute % 5)).isoformat()


class Office:
    """The administration, by the API: whoever it makes works at any hour."""

    def __init__(self, visitor: Visitor) -> None:
        self._page, self._request, self._api = visitor.page, visitor.page.request, visitor.base + "/api/v1"
        self._headers = {"Authorization": f"Bearer {self.token('admin@demo.test')}"}

    def token(self, email: str) -> str:
        answer = self._request.post(self._api + "/auth/token", form={
            "grant_type": "password", "username": email, "password": PASSWORD})
        return str(answer.json()["access_token"])

    def ask(self, verb: str, path: str, **more: Any) -> Any:
        headers = {**self._headers, **more.pop("headers", {})}
        answer = self._request.fetch(self._api + path, method=verb, headers=headers, **more)
        assert answer.ok, answer.text()
        return answer.json()

    def patient(self, name: str) -> str:
        """The id of the first who is called so."""
        return str(self.ask("GET", "/patients", params={"q": name})["items"][0]["id"])

    def a_doctor(self) -> tuple[str, str]:
        """Who sees people by day and by night; answers the id and the e-mail to sign in with."""
        department = self.ask("POST", "/departments", data={"name": f"Night shift {uuid4().hex[:6]}"})
        doctor = self.ask("POST", "/doctors", data={
            "given_name": "Iris", "family_name": f"Night{uuid4().hex[:4]}", "specialty": "Medicine",
            "department_id": department["id"]})
        self.ask("PUT", f"/doctors/{doctor['id']}/hours", headers={"If-Match": '"0"'}, data={
            "visit_minutes": 20, "weekly": [{"weekday": day, "starts": "00:00", "ends": "24:00"} for day in range(1, 8)]})
        while not any(one["doctor_id"] == doctor["id"] and one["next"] for one in self.ask("GET", "/slots/earliest")):
            self._page.wait_for_timeout(100)   # the hours are heard of a moment later
        email = f"{uuid4().hex[:12]}@example.org"
        self.ask("POST", "/accounts", data={"email": email, "name": doctor["name"], "roles": ["doctor"],
                                            "password": PASSWORD, "doctor_id": doctor["id"]})
        return doctor["id"], email

    def a_visit(self, patient: str, doctor: str, at: str, mode: str = "in_person") -> str:
        """Its id."""
        return str(self.ask("POST", "/appointments", data={
            "patient_id": patient, "doctor_id": doctor, "starts_at": at, "mode": mode})["id"])

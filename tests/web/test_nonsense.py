"""Whatever stands in an address or a form, a page answers in its own voice: nothing breaks."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from infirmary.language import ADMIN, DOCTOR, PATIENT, Role

from .conftest import Hospital, a_copy
from .test_access import GETS, MAY, POSTS, address

together = pytest.mark.asyncio(loop_scope="module")
NOBODY = "018f0000-0000-7000-8000-000000000000"
NONSENSE = ["", "x", "-1", "0", "%00", "\x00", "\u0000a", "9" * 400, "é" * 3000, "9999-12-31", "0001-01-01", "2027-02-30", NOBODY,
            "<script>'", "'; drop table x", "😀", "../../etc/passwd", "24:00", "٣", "|", f"{NOBODY}|2027-03-01T09:00:00+00:00",
            f"{NOBODY}|9999-12-31T23:59:59+00:00", "[]", "{}", "null", "true"]
ASKED = ["q", "patient", "doctor_id", "department_id", "day", "from", "to", "date", "start", "end", "status", "view", "ask", "back", "in", "time", "visit", "period", "role", "occupation", "actor", "action", "entity", "after",
         "chosen", "show", "name", "instead", "slot", "frequency", "interval", "count", "until", "missing", "at-1"]
TYPED = ["version", "reason", "slot", "instead", "time", "minutes", "day", "doctor_id", "patient_id", "mode", "key", "back", "visit",
         "starts_at", "given_name", "family_name", "birth_date", "gender", "phone", "email", "address", "language", "different",
         "looked_at", "do", "weekday", "starts", "ends", "location", "visit_minutes", "buffer_minutes", "most_per_day", "overbook", "first_day", "first_time",
         "last_day", "last_time", "name", "icon", "accepts_first", "specialty", "room", "department_id", "occupation", "roles", "frequency", "interval", "count", "until", "missing", "at-1", "from", "which", "to"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hospital(made: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with a_copy(made, tmp_path_factory.mktemp("nonsense") / "data") as opened:
        yield opened


def somebody(path: str) -> Role:
    """Who may open it."""
    return next(role for role in (ADMIN, DOCTOR, PATIENT) if role in MAY[path])


@together
@pytest.mark.parametrize("path", GETS)
async def test_no_address_breaks_a_page(hospital: Hospital, path: str) -> None:
    visitor = hospital.visitor(somebody(path))
    base = address(path, hospital)
    for value in NONSENSE:
        for names in (ASKED, ["patient_id"], ["cursor", "past"]):   # what is refused first hides the others
            asked = base + ("&" if "?" in base else "?") + "&".join(f"{name}={quote(value)}" for name in names)
            answer = await visitor.ask("GET", asked)
            assert answer.status < 500, (names, value)
            assert "<script>'" not in answer.text


@together
@pytest.mark.parametrize("path", POSTS)
async def test_no_form_breaks_a_page(hospital: Hospital, path: str) -> None:
    visitor = hospital.visitor(somebody(path))
    await visitor.open("/profile")
    for value in NONSENSE:
        answer = await visitor.send(address(path, hospital).partition("?")[0], dict.fromkeys(TYPED, value))
        assert answer.status < 500, value

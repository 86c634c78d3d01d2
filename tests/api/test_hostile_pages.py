"""Pages keep their shape whatever names, reasons and addresses say: nothing comes back unescaped, nothing breaks."""
from __future__ import annotations

import re
from collections import UserDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest
import pytest_asyncio

import infirmary.web
from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.identity.contract import AmendAccount, Identity
from infirmary.contexts.patients.contract import Demographics, Patients
from infirmary.contexts.staff.contract import AmendDoctor, DepartmentForm, HoursForm, LeaveForm, Opening, Staff
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.http import build_app
from infirmary.language import PATIENT, Role
from infirmary.run.all_in_one import site_of
from infirmary.web.app import handlers
from infirmary.web.page import Page
from infirmary.web.pages import PAGES
from tests.architecture.world import OTHER, OWN, PEOPLE, ROOT, TREATED, World
from tests.web.visitor import Answer, Visitor

from .nonsense import BREAKOUT, MARK, TEXTS

HOSTILE = f"{MARK}{BREAKOUT}&amp;{{{{7*7}}}}"
SENT = tuple(text for text in TEXTS if len(text) < 2_000)[:40]
ENDLESS = "/stream"
_NAMES = re.compile(r"""query(?:\.get\(|\[)"(\w+)"|\bname="(\w+)\"""")
pytestmark = pytest.mark.asyncio(loop_scope="module")


def names_that_pages_read() -> list[str]:
    """Of queries and form fields, wherever the pages mention them."""
    folder = Path(infirmary.web.__file__).parent
    files = [*folder.rglob("*.py"), *(folder / "templates").rglob("*.html")]
    return sorted({name for file in files if "node_modules" not in file.parts
                   for found in _NAMES.findall(file.read_text()) for name in found if name})


class Watched(UserDict[str, str]):
    """What was sent in an address. Remembers the names that pages asked it for; who takes it whole may use them all."""

    asked: ClassVar[set[str]] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.asked.update(self.data)
        return super().__iter__()


async def say_hostile_things(world: World) -> None:
    """Every text that people can enter says something that would break a careless page."""
    staff, patients, appointments = (world.house.ask(one) for one in (Staff, Patients, Appointments))
    for department_id in world.departments.values():
        now = await staff.department(ROOT, department_id)
        await staff.replace_department(ROOT, department_id, DepartmentForm(
            name=f"{HOSTILE} {now.name}", location=HOSTILE, accepts_first=True), now.version)
    for doctor_id in {*world.doctors.values()}:
        now_doctor = await staff.doctor(ROOT, doctor_id)
        await staff.amend_doctor(ROOT, doctor_id, AmendDoctor(
            given_name=HOSTILE, family_name=HOSTILE, specialty=HOSTILE, room=HOSTILE), now_doctor.version)
        await staff.set_hours(ROOT, doctor_id, HoursForm(visit_minutes=20, weekly=[
            Opening(weekday=day, starts="00:00", ends="24:00", location=HOSTILE) for day in range(1, 8)]), if_match=1)
        soon = world.clock.now() + timedelta(days=30)
        await staff.take_leave(ROOT, doctor_id, LeaveForm(
            starts_at=soon, ends_at=soon + timedelta(hours=1), reason=HOSTILE))
    for whose, patient_id in world.patients.items():
        now_patient = await patients.patient(ROOT, patient_id)
        await patients.replace(ROOT, patient_id, Demographics(
            given_name=HOSTILE, family_name=HOSTILE, birth_date=date(1980, 1, 1), address=HOSTILE,
            phone="+353 1 234 5678", email=f"{'x' * 10}'\"{MARK}@home.test"), now_patient.version)
        if account := world.accounts.get({OWN: PATIENT}.get(whose, whose)):
            now_account = await world.house.ask(Identity).account(ROOT, account.id)
            await world.house.ask(Identity).amend_account(ROOT, account.id, AmendAccount(name=HOSTILE), now_account.version)
        doctor_id = world.doctors[OTHER if whose == OTHER else OWN]
        for minute in (0, 20, 40):
            booked = await appointments.book(ROOT, BookAppointment(
                patient_id=patient_id, doctor_id=doctor_id, reason=HOSTILE,
                starts_at=world.clock.now() + timedelta(hours=1 + list(world.patients).index(whose), minutes=minute)))
            world.things["visit_id"] = booked.id
    await world.house.deliver_facts()
    await world.house.deliver_facts()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visitors(world: World) -> AsyncIterator[dict[str, Visitor]]:
    """Somebody of every role, and a stranger, at the pages of this hospital."""
    await say_hostile_things(world)
    app = build_app([*world.house.api(), *handlers(site_of(world.house))])
    found = {"": Visitor(app)}
    for role in PEOPLE:
        found[role] = Visitor(app)
        found[role].cookies["__Host-access"] = world.token(role)
    yield found


def ids(world: World, role: str) -> dict[str, Any]:
    """What the placeholders in addresses of pages may stand for."""
    return {"patient_id": world.patients[TREATED], "doctor_id": world.doctors[OWN],
            "account_id": world.accounts[TREATED].id, "department_id": world.departments["Cardiology"],
            "visit_id": world.things["visit_id"], "deed": "cancel", "context": "staff", "anything": "x"}


def addresses(world: World, role: str) -> list[str]:
    """Of every page that this role may open."""
    known = ids(world, role)
    return [re.sub(r"{(\w+)(:\w+)?}", lambda found: str(known.get(found[1], new_id())), path)
            for pages in PAGES for verb, path, roles in pages.paths
            if verb == "GET" and not path.endswith(ENDLESS) and (roles is None or (role and Role(role) in roles))]


def faults(answer: Answer, what: str) -> list[str]:
    found = [f"{what}: {answer.status}"] if answer.status >= 500 else []
    if "html" in answer.headers.get("content-type", ""):
        found += [f"{what} says {raw!r} as it is: …{answer.text[max(at - 100, 0):at + 60]}…" for raw in (MARK, BREAKOUT)
                  if (at := answer.text.find(raw)) >= 0]
    return found + [f"{what} sets {name}" for name, value in answer.headers.items()
                    if "evil" in value and name != "location"]


@pytest.mark.parametrize("role", ["", *PEOPLE])
async def test_pages_show_hostile_data_as_text(world: World, visitors: dict[str, Visitor], role: str) -> None:
    shown, wrong = 0, list[str]()
    for address in addresses(world, role):
        answer = await visitors[role].open(address)
        wrong += faults(answer, address)
        shown += "xss-7f3" in answer.text
    assert not wrong
    if role in ("patient", "doctor", "reception", "admin"):
        assert shown, "nothing hostile was shown: what was tested?"


@pytest.mark.parametrize("role", ["", *PEOPLE])
async def test_pages_answer_nonsense_in_their_address(world: World, visitors: dict[str, Visitor], role: str,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """All names at once, and each that a page reads by itself: what reads it first may hide who reads it next."""
    wrong, names, read = list[str](), names_that_pages_read(), Page.query
    assert len(names) > 20
    monkeypatch.setattr(Page, "query", property(lambda page: Watched(read.fget(page))))   # type: ignore[misc]

    async def ask(address: str) -> None:
        wrong.extend(faults(await visitors[role].ask("GET", address), f"{role} {address[:200]}"))

    alone = 0
    for address in addresses(world, role):
        Watched.asked.clear()
        for query in ("", *(urlencode(dict.fromkeys(names, text)) for text in SENT[::3]),
                      "%ff=%ff", "%00=%00&q=%00", "q=%ed%a0%80"):
            await ask(f"{address}?{query}")
        tried = set[str]()
        while left := sorted(Watched.asked - tried):
            tried.add(left[0])
            await ask(f"{address}?{urlencode({left[0]: HOSTILE})}")
        alone += len(tried)
    assert not wrong
    assert alone, "no page was seen reading its address: what was tested?"


@pytest.mark.parametrize("role", ["", *PEOPLE])
async def test_forms_answer_nonsense_in_their_fields(world: World, visitors: dict[str, Visitor], role: str) -> None:
    visitor, wrong, forms = visitors[role], list[str](), {}
    for address in addresses(world, role):
        forms |= {form.action: form for form in (await visitor.open(address)).forms if form.method.lower() == "post"}
    forms.pop("/sign-out", None)
    assert forms
    for action, form in sorted(forms.items()):
        for text in (HOSTILE, *SENT[::5], "9" * 400, "00000000-0000-0000-0000-000000000000", "2027-02-30"):
            kept = {name: value for name, value in form.fields if name == "_csrf_token"}
            answer = await visitor.send(action, {**dict.fromkeys(form.values, text), **kept})
            wrong += faults(answer, f"{role} POST {action} with {text[:40]!r}")
            if answer.status == 303:
                wrong += faults(await visitor.open(answer.location), f"{role} after POST {action} with {text[:40]!r}")
    assert not wrong


async def test_a_careless_page_would_be_found(world: World, visitors: dict[str, Visitor]) -> None:
    site = site_of(world.house)
    site = replace(site, templates=site.templates.overlay(autoescape=False))   # which compiles for itself
    careless = Visitor(build_app([*world.house.api(), *handlers(site)]))
    careless.cookies |= visitors["reception"].cookies
    wrong = [one for address in addresses(world, "reception") for one in faults(await careless.open(address), address)]
    assert any(MARK in one for one in wrong)
    assert any("onx7f3" in one for one in wrong)

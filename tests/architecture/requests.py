"""How to ask each operation for something that it can do, about a person of one's choice.

A maker answers what `Ask` needs: path, query, body, if_match. It is called anew for every request, so that each finds
a thing in the state it needs. A new operation needs one here, and a row in access_matrix.toml.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from msgspec import to_builtins

from infirmary.contexts.appointments.contract import Appointments, BookAppointment, HoldSlot, Mode, Status
from infirmary.contexts.appointments.contract.feedback import GiveFeedback
from infirmary.contexts.appointments.contract.plans import MakePlan, MovePlan
from infirmary.contexts.appointments.contract.queue import OpenDisplay, OpenedDisplay, Precedence, TokenStatus
from infirmary.contexts.appointments.contract.series import BookSeries, Frequency, Recurrence
from infirmary.contexts.appointments.contract.video import Side
from infirmary.contexts.appointments.contract.waitlist import JoinWaitlist, Standing
from infirmary.contexts.appointments.domain import queue
from infirmary.contexts.appointments.domain.feedback import given
from infirmary.contexts.appointments.domain.video import Presence
from infirmary.contexts.appointments.tables.feedback import FEEDBACK
from infirmary.contexts.appointments.tables.feeds import END_FEED, FEEDS, FeedRow
from infirmary.contexts.appointments.tables.queue import IN_LINE_ABOUT, TOKENS
from infirmary.contexts.appointments.tables.video import PRESENCES
from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.contexts.patients.contract import (
    ContactForm,
    CoverageForm,
    Demographics,
    GuardianForm,
    GuardianKind,
    MergeForm,
    Patients,
)
from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, Occupation, Staff, StaffForm
from infirmary.kernel.access import NOBODY
from infirmary.kernel.capability import digest, new_secret
from infirmary.kernel.contract import Contract, Operation
from infirmary.kernel.database.columns import new_id
from infirmary.language import PATIENT, Role
from infirmary.run.catalogue import CONTEXTS
from infirmary.system import Backstage, System
from tests.authenticator import Authenticator, text

from .asks import Ask
from .world import EVERY_DAY, OTHER, OWN, PASSWORD, PROVIDER, ROOT, TREATED, Subject, World

CONTRACTS: tuple[type[Contract], ...] = (*(context.contract for context in CONTEXTS), System, Backstage)
OPERATIONS = {operation.id: operation for contract in CONTRACTS for operation in contract.operations.values()}
Make = Callable[[World, Subject], Awaitable[dict[str, Any]]]
PERSONS = (OWN, TREATED, OTHER)   # the things that this operation is about are somebody's
NOBODYS = (OTHER,)                # or nobody's in particular, and then one request stands for all
ONES_OWN = (OWN,)                 # or always the caller's


@dataclass(frozen=True)
class Maker:
    make: Make
    about: tuple[str, ...]

    async def __call__(self, operation: Operation, world: World, of: Subject) -> Ask:
        given = await self.make(world, of)
        unused = {"body": operation.body is None, "if_match": operation.wants_version is None}   # makers serve several
        return Ask(operation, **{name: value for name, value in given.items() if not unused.get(name)})


MAKERS: dict[str, Maker] = {}


def asks(*operations: str, about: tuple[str, ...] = NOBODYS) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        MAKERS.update({operation: Maker(make, about) for operation in operations})
        return make
    return keep


@asks("identity.me", "identity.sessions", "identity.second_factor", "identity.end_other_sessions", "identity.revocations", "identity.jwks", "identity.server_metadata",
      "identity.providers", "identity.logins", "identity.clients",
      "identity.passkeys", "identity.passkey_challenge",
      "staff.departments", "staff.doctors", "staff.members", "appointments.earliest", "notifications.notifications",
      "notifications.unread", "notifications.read_all", "notifications.stream", "notifications.deliveries",
      "reports.hospital", "appointments.displays", "system.services", "system.parked", "identity.accounts")
async def just_ask(world: World, of: Subject) -> dict[str, Any]:
    return {}


# --- identity --------------------------------------------------------------------------------------------------------

@asks("identity.register")
async def register(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"new.{world.count()}@door.test", "password": PASSWORD, "given_name": "New",
                     "family_name": "Comer", "birth_date": "1990-02-03", "phone": "+353 1 999 0000"}}


@asks("identity.token")
async def token(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(world.accounts["nurse"].id)
    return {"body": {"grant_type": "password", "username": world.accounts["nurse"].email, "password": PASSWORD}}


@asks("identity.revoke")
async def revoke(world: World, of: Subject) -> dict[str, Any]:
    session = await world.session(world.accounts["nurse"].id)
    return {"body": {"token": world.sign(world.accounts["nurse"].id, ["nurse"], {}, session_id=session)}}


@asks("identity.end_session", about=PERSONS)
async def end_session(world: World, of: Subject) -> dict[str, Any]:
    account = of.account_id if any(of.account_id == one.id for one in world.accounts.values()) else (
        world.accounts[OTHER].id)
    return {"path": {"session_id": await world.session(account)}}


@asks("identity.request_code")
async def request_code(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"unknown.{world.count()}@door.test"}}


@asks("identity.verify_code", "identity.sent_code")
async def sent_code(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(world.accounts[Role.PATIENT].id)
    asked, code = await world.code_by_mail()
    return {"path": {"code_id": asked}, "body": {"code_id": asked, "code": code}}


@asks("identity.forgot_password")
async def forgot_password(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"unknown.{world.count()}@door.test"}}


@asks("identity.reset_password")
async def reset_password(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"token": await world.reset_token(), "password": "four brown herons"}}


@asks("identity.change_password", about=ONES_OWN)
async def change_password(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    return {"body": {"current_password": PASSWORD, "new_password": "four brown herons"}}


@asks("identity.enroll_totp", about=ONES_OWN)
async def enroll_totp(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    await world.fresh(of.account_id)
    return {}


@asks("identity.step_up", about=ONES_OWN)
async def step_up(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    await world.fresh(of.account_id)
    return {"body": {"password": PASSWORD}}


@asks("identity.confirm_totp", about=ONES_OWN)
async def confirm_totp(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"body": {"code": await world.authenticator(of.account_id, confirmed=False)}}


@asks("identity.disable_totp", "identity.renew_recovery_codes", about=ONES_OWN)
async def with_totp(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"body": {"password": PASSWORD, "code": await world.authenticator(of.account_id)}}


@asks("identity.start_oidc")
async def start_oidc(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"provider": PROVIDER}}


@asks("identity.link_oidc", about=ONES_OWN)
async def link_oidc(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"path": {"provider": PROVIDER}}


@asks("identity.come_back")
async def come_back(world: World, of: Subject) -> dict[str, Any]:
    nurse = world.accounts["nurse"].id
    await world.usual_password(nurse)
    away = await world.house.ask(Identity).start_oidc(NOBODY, PROVIDER)
    brought = world.provider.signs_in(away.authorization_url, await world.known_there(nurse))
    return {"path": {"provider": PROVIDER}, "body": {**brought, "browser": away.browser}}


@asks("identity.unlink", about=PERSONS)
async def unlink(world: World, of: Subject) -> dict[str, Any]:
    account = of.account_id if any(of.account_id == one.id for one in world.accounts.values()) else (
        world.accounts[OTHER].id)
    await world.fresh(account)
    return {"path": {"login_id": await world.login(account)}}


@asks("identity.passkey_options", "identity.add_passkey", about=ONES_OWN)
async def make_passkey(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    await world.fresh(of.account_id)
    challenge = world.house.rooms["identity"].service._challenge(b"make" + of.account_id.bytes)
    made = Authenticator(world.house.settings.passkey_origin).makes(
        {"user": {"id": text(of.account_id.bytes)}, "challenge": text(challenge)})
    return {"body": {"name": "A phone", "credential": made}}


@asks("identity.rename_passkey", "identity.remove_passkey", about=PERSONS)
async def one_passkey(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    passkey_id, _ = await world.passkey(of.account_id)
    return {"path": {"passkey_id": passkey_id}, "body": {"name": "A laptop"}, "if_match": 1}


@asks("identity.passkey_token")
async def passkey_token(world: World, of: Subject) -> dict[str, Any]:
    return await use_passkey(world, world.accounts["nurse"].id)


@asks("identity.passkey_step_up", about=ONES_OWN)
async def passkey_step_up(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return await use_passkey(world, of.account_id)


async def use_passkey(world: World, account_id: UUID) -> dict[str, Any]:
    _, device = await world.passkey(account_id)
    asked = await world.house.ask(Identity).passkey_challenge(NOBODY)
    return {"body": {"credential": device.signs(asked.public_key)}}


@asks("identity.make_client")
async def make_client(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts["admin"].id)
    return {"body": {"name": "A program", "roles": ["reception"]}}


@asks("identity.client", "identity.amend_client", "identity.rotate_client", "identity.revoke_client")
async def client(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts["admin"].id)
    return {"path": {"client_id": await world.client()}, "if_match": 1, "body": {"name": "Another name"}}


@asks("identity.reset_second_factor", about=PERSONS)
async def reset_second_factor(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts[Role.ADMIN].id)
    await world.authenticator(of.account_id)
    return {"path": {"account_id": of.account_id}}


@asks("identity.open_account")
async def open_account(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"opened.{world.count()}@door.test", "name": "Newly Hired", "roles": ["nurse"]}}


@asks("identity.end_sessions_of", "identity.end_session_of")
async def sessions_of_somebody(world: World, of: Subject) -> dict[str, Any]:
    """Of an account made for it: those of the askers are still needed."""
    made = await world.house.ask(Identity).open_account(ROOT, OpenAccount(
        email=f"signed.in.{world.count()}@door.test", name="Signed In", roles=[Role.NURSE], password=PASSWORD))
    return {"path": {"account_id": made.id, "session_id": await world.session(made.id)}}


@asks("identity.account", "identity.second_factor_of", "identity.sessions_of", about=PERSONS)
async def account(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"account_id": of.account_id}}


@asks("identity.amend_account", about=PERSONS)
async def amend_account(world: World, of: Subject) -> dict[str, Any]:
    known = {one.id for one in world.accounts.values()}
    now = await world.house.ask(Identity).account(ROOT, of.account_id) if of.account_id in known else None
    return {"path": {"account_id": of.account_id}, "body": {"name": now.name if now else "Nobody"},
            "if_match": now.version if now else 1}


@asks("identity.recipients", about=PERSONS)
async def recipients(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}}


@asks("identity.reset_link")
async def reset_link(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"reset_id": await world.reset()}}


# --- staff -----------------------------------------------------------------------------------------------------------

@asks("staff.open_department")
async def open_department(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"name": f"Department {world.count()}"}}


@asks("staff.department")
async def department(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"department_id": world.departments["Dermatology"]}}


@asks("staff.replace_department", "staff.close_department")
async def changed_department(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Staff).open_department(ROOT, DepartmentForm(name=f"Department {world.count()}"))
    return {"path": {"department_id": made.id}, "if_match": made.version,
            "body": {"name": f"Department {world.count()}"}}


def a_doctor(world: World) -> dict[str, Any]:
    return {"given_name": "New", "family_name": "Doctor", "specialty": "Medicine",
            "department_id": world.departments["Cardiology"]}


@asks("staff.engage_doctor")
async def engage_doctor(world: World, of: Subject) -> dict[str, Any]:
    return {"body": a_doctor(world)}


@asks("staff.doctor", "staff.hours", about=PERSONS)
async def doctor(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id}}


@asks("staff.replace_doctor", about=PERSONS)
async def replace_doctor(world: World, of: Subject) -> dict[str, Any]:
    now = await world.house.ask(Staff).doctor(ROOT, of.diary_id)
    return {"path": {"doctor_id": of.diary_id}, "if_match": now.version,
            "body": {**a_doctor(world), "family_name": now.family_name, "department_id": now.department_id}}


@asks("staff.amend_doctor", about=PERSONS)
async def amend_doctor(world: World, of: Subject) -> dict[str, Any]:
    now = await world.house.ask(Staff).doctor(ROOT, of.diary_id)
    return {"path": {"doctor_id": of.diary_id}, "if_match": now.version, "body": {"room": "Room 7"}}


@asks("staff.retire_doctor")
async def retire_doctor(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Staff).engage_doctor(ROOT, DoctorForm(**a_doctor(world)))
    return {"path": {"doctor_id": made.id}, "if_match": made.version}


@asks("staff.set_hours", about=PERSONS)
async def set_hours(world: World, of: Subject) -> dict[str, Any]:
    now = await world.house.ask(Staff).hours(ROOT, of.diary_id)
    return {"path": {"doctor_id": of.diary_id}, "if_match": now.version, "body": to_builtins(EVERY_DAY)}


@asks("staff.leaves", about=PERSONS)
async def leaves(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id}}


@asks("staff.take_leave", about=PERSONS)
async def take_leave(world: World, of: Subject) -> dict[str, Any]:
    starts = world.clock.now() + timedelta(days=400 + world.count())
    return {"path": {"doctor_id": of.diary_id}, "body": {"starts_at": starts, "ends_at": starts + timedelta(hours=1)}}


@asks("staff.end_leave", about=PERSONS)
async def end_leave(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id, "leave_id": await world.leave(of.diary_id)}}


@asks("staff.engage")
async def engage(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"given_name": "New", "family_name": "Colleague", "occupation": "nurse"}}


@asks("staff.member", "staff.replace_member", "staff.retire_member")
async def member(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Staff).engage(ROOT, StaffForm(given_name="New", family_name="Colleague",
                                                               occupation=Occupation.NURSE))
    return {"path": {"staff_id": made.id}, "if_match": made.version,
            "body": {"given_name": "New", "family_name": "Colleague", "occupation": "other"}}


# --- patients --------------------------------------------------------------------------------------------------------

SOMEBODY = Demographics(given_name="Some", family_name="Body", birth_date=date(1975, 5, 5))


@asks("patients.register")
async def register_patient(world: World, of: Subject) -> dict[str, Any]:
    return {"body": to_builtins(SOMEBODY)}


@asks("patients.enrol")
async def enrol(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"patient_id": new_id(), "demographics": to_builtins(SOMEBODY)}}


@asks("patients.search", about=PERSONS)
async def search(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"q": of.family_name}, "hides": ("q",), "listing": True}


@asks("patients.matches", about=PERSONS)
async def matches(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"family_name": of.family_name}, "hides": ("family_name",)}


@asks("patients.patient", "patients.card", "patients.duplicates", "patients.merges", about=PERSONS)
async def patient(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


async def version_of(world: World, patient_id: UUID) -> int:
    return (await world.house.ask(Patients).patient(ROOT, patient_id)).version


@asks("patients.replace", about=PERSONS)
async def replace(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "if_match": await version_of(world, of.patient_id),
            "body": {**to_builtins(world.demographics[of.whose]), "language": f"en-{world.count():06}"}}


@asks("patients.amend", about=PERSONS)
async def amend(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "if_match": await version_of(world, of.patient_id),
            "body": {"language": f"de-{world.count():06}"}}


@asks("patients.retire", about=PERSONS)
async def retire(world: World, of: Subject) -> dict[str, Any]:
    """The known people have visits to come, so that nobody can retire them: 409 to whoever may."""
    return {"path": {"patient_id": of.patient_id}, "if_match": await version_of(world, of.patient_id)}


@asks("patients.merge")
async def merge(world: World, of: Subject) -> dict[str, Any]:
    one, other = [await world.house.ask(Patients).register(ROOT, SOMEBODY) for _ in range(2)]
    return {"path": {"patient_id": one.id}, "body": {"duplicate_id": other.id, "reason": "Entered twice."}}


@asks("patients.unmerge")
async def unmerge(world: World, of: Subject) -> dict[str, Any]:
    ask = world.house.ask(Patients)
    one, other = [await ask.register(ROOT, SOMEBODY) for _ in range(2)]
    await ask.merge(ROOT, one.id, MergeForm(duplicate_id=other.id, reason="Entered twice."))
    return {"path": {"patient_id": one.id}, "body": {"duplicate_id": other.id}}


@asks("patients.consent_texts")
async def consent_texts(world: World, of: Subject) -> dict[str, Any]:
    return {}


@asks("patients.contacts", "patients.coverages", "patients.consents", about=PERSONS)
async def what_hangs_on_a_record(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


@asks("patients.add_contact", about=PERSONS)
async def add_contact(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "body": {"name": f"{of.family_name}'s secret"}}


@asks("patients.replace_contact", "patients.remove_contact", about=PERSONS)
async def one_contact(world: World, of: Subject) -> dict[str, Any]:
    ask, form = world.house.ask(Patients), ContactForm(name=f"{of.family_name}'s secret")
    kept = await ask.contacts(ROOT, of.patient_id)
    one = kept[0] if kept else await ask.add_contact(ROOT, of.patient_id, form)
    return {"path": {"patient_id": of.patient_id, "contact_id": one.id}, "body": to_builtins(form),
            "if_match": one.version}


def an_insurance(world: World, of: Subject) -> CoverageForm:
    """Of a day that no other has."""
    day = date(1950, 1, 1) + timedelta(days=world.count())
    return CoverageForm(payer=f"{of.family_name}'s secret", member_number="1", valid_from=day, valid_until=day)


@asks("patients.add_coverage", about=PERSONS)
async def add_coverage(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}, "body": to_builtins(an_insurance(world, of))}


@asks("patients.coverage", "patients.replace_coverage", "patients.withdraw_coverage", about=PERSONS)
async def one_coverage(world: World, of: Subject) -> dict[str, Any]:
    ask, form = world.house.ask(Patients), an_insurance(world, of)
    kept = await ask.coverages(ROOT, of.patient_id)
    one = kept[0] if kept else await ask.add_coverage(ROOT, of.patient_id, form)
    return {"path": {"patient_id": of.patient_id, "coverage_id": one.id}, "body": to_builtins(form),
            "if_match": one.version}


@asks("patients.decide", about=PERSONS)
async def decide(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id},
            "body": {"purpose": "research", "decision": "given", "text_version": "1"}}


@asks("patients.acting", "patients.guardians", "patients.wards", about=PERSONS)
async def who_stands_for_whom(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


def a_guardian(guardian_id: UUID) -> GuardianForm:
    return GuardianForm(guardian_id=guardian_id, kind=GuardianKind.CARER, reason="Sees to them.", document="A signed consent")


@asks("patients.name_guardian", about=PERSONS)
async def name_guardian(world: World, of: Subject) -> dict[str, Any]:
    somebody = await world.house.ask(Patients).register(ROOT, SOMEBODY)
    return {"path": {"patient_id": of.patient_id}, "body": to_builtins(a_guardian(somebody.id))}


@asks("patients.end_guardianship", about=PERSONS)
async def end_guardianship(world: World, of: Subject) -> dict[str, Any]:
    ask = world.house.ask(Patients)
    somebody = await ask.register(ROOT, SOMEBODY)
    made = await ask.name_guardian(ROOT, of.patient_id, a_guardian(somebody.id))
    return {"path": {"patient_id": of.patient_id, "guardianship_id": made.id}, "if_match": made.version,
            "body": {"reason": "Moved away."}}


# --- appointments ----------------------------------------------------------------------------------------------------

@asks("appointments.collisions")
async def collisions(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id, "other_id": world.patients[OTHER]}}


@asks("appointments.slots")
async def slots(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"query": {"doctor_id": of.doctor_id, "from": now, "to": now + timedelta(days=2)}}


@asks("appointments.book", about=PERSONS)
async def book(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "starts_at": world.free_time(),
                     "reason": f"{of.family_name}'s secret"}, "hides": ("patient_id",)}


@asks("appointments.hold", about=PERSONS)
async def hold(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "starts_at": world.free_time()},
            "hides": ("patient_id",)}


@asks("appointments.held", "appointments.let_go", about=PERSONS)
async def held(world: World, of: Subject) -> dict[str, Any]:
    kept = await world.house.ask(Appointments).hold(ROOT, HoldSlot(
        patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=world.free_time()))
    return {"path": {"hold_id": kept.hold_id}}


@asks("appointments.join_waitlist", about=PERSONS)
async def join_waitlist(world: World, of: Subject) -> dict[str, Any]:
    await no_place(world, of)
    now = world.clock.now()
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "earliest": now,
                     "latest": now + timedelta(hours=1)}, "hides": ("patient_id",)}


async def no_place(world: World, of: Subject) -> None:
    """Nobody waits twice for the same."""
    ask = world.house.ask(Appointments)
    for status in (Standing.WAITING, Standing.OFFERED):
        for one in (await ask.waitlist(ROOT, patient_id=of.patient_id, status=status)).items:
            await ask.leave_waitlist(ROOT, one.id)


@asks("appointments.waitlist", about=PERSONS)
async def waitlist(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",), "listing": True}


@asks("appointments.waiting", "appointments.accept_offer", "appointments.leave_waitlist", about=PERSONS)
async def waiting(world: World, of: Subject) -> dict[str, Any]:
    """A place with an offer: the time they wait for is free."""
    await no_place(world, of)
    wanted = world.free_time()
    place = await world.house.ask(Appointments).join_waitlist(ROOT, JoinWaitlist(
        patient_id=of.patient_id, doctor_id=of.doctor_id, earliest=wanted, latest=wanted))
    await world.house.rooms["appointments"].service.offer_freed()
    return {"path": {"waiting_id": place.id}}


async def a_plan(world: World, of: Subject) -> MovePlan:
    wanted, ask = world.free_time(), world.house.ask(Appointments)
    await ask.book(ROOT, BookAppointment(patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=wanted))
    return await ask.make_plan(ROOT, MakePlan(doctor_id=of.doctor_id, starts_at=wanted,
                                              ends_at=wanted + timedelta(minutes=20)))


@asks("appointments.under_leave", about=PERSONS)
async def under_leave(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"query": {"doctor_id": of.doctor_id, "from": now, "to": now + timedelta(hours=1)}}


@asks("appointments.plans", about=PERSONS)
async def plans(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"doctor_id": of.doctor_id}}


@asks("appointments.make_plan", about=PERSONS)
async def make_plan(world: World, of: Subject) -> dict[str, Any]:
    plan = await a_plan(world, of)
    return {"body": {"doctor_id": of.doctor_id, "starts_at": plan.starts_at, "ends_at": plan.ends_at}}


@asks("appointments.plan", "appointments.apply_plan", "appointments.undo_plan", about=PERSONS)
async def plan(world: World, of: Subject) -> dict[str, Any]:
    made = await a_plan(world, of)
    return {"path": {"plan_id": made.id}, "if_match": made.version}


@asks("appointments.times_for", "appointments.set_target", about=PERSONS)
async def plan_item(world: World, of: Subject) -> dict[str, Any]:
    made = await a_plan(world, of)
    return {"path": {"plan_id": made.id, "appointment_id": made.items[0].appointment_id}, "if_match": made.version,
            "body": {}}


@asks("appointments.appointments", about=PERSONS)
async def appointments(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",), "listing": True}


@asks("appointments.diary_changes", about=PERSONS)
async def diary_changes(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"path": {"doctor_id": of.diary_id}, "query": {"from": now, "to": now + timedelta(days=7)}}


@asks("appointments.open_visits", about=PERSONS)
async def open_visits(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",)}


@asks("appointments.appointment", "appointments.steps", "appointments.calendar_file", about=PERSONS)
async def visit(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}}


def a_wish(world: World, of: Subject) -> BookSeries:
    return BookSeries(patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=world.free_time(),
                      reason=f"{of.family_name}'s secret", recurrence=Recurrence(frequency=Frequency.WEEKLY, count=2))


@asks("appointments.preview_series", "appointments.book_series", about=PERSONS)
async def book_series(world: World, of: Subject) -> dict[str, Any]:
    wish = a_wish(world, of)
    return {"body": {**to_builtins(wish), "patient_id": wish.patient_id, "doctor_id": wish.doctor_id},
            "hides": ("patient_id",)}


@asks("appointments.series", "appointments.cancel_series", about=PERSONS)
async def series(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Appointments).book_series(ROOT, a_wish(world, of))
    return {"path": {"series_id": made.id}, "body": {}}


@asks("appointments.move_series", about=PERSONS)
async def move_series(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Appointments).book_series(ROOT, a_wish(world, of))
    return {"path": {"series_id": made.id},
            "body": {"appointment_id": made.visits[0].id, "starts_at": world.free_time()}}


@asks("appointments.accept", about=PERSONS)
async def accept(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.REQUESTED)).id}, "if_match": 1}


@asks("appointments.decline", about=PERSONS)
async def decline(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.REQUESTED)).id}, "body": {"reason": "Full."}}


@asks("appointments.reschedule", about=PERSONS)
async def reschedule(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}, "body": {"starts_at": world.free_time()}}


@asks("appointments.cancel", about=PERSONS)
async def cancel(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}, "body": {"reason": "Well again."}, "if_match": 1}


@asks("appointments.check_in", "appointments.start", "appointments.no_show", about=PERSONS)
async def on_the_day(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}}


@asks("appointments.complete", about=PERSONS)
async def complete(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.IN_PROGRESS)).id}}


# --- appointments: the queue -----------------------------------------------------------------------------------------

async def department_of(world: World, doctor_id: UUID) -> UUID:
    return (await world.house.ask(Staff).doctor(ROOT, doctor_id)).department_id


async def in_line(world: World, of: Subject, doctor_id: UUID, status: TokenStatus = TokenStatus.WAITING) -> UUID:
    """A number of today, of somebody who is booked."""
    room, now = world.house.rooms["appointments"], world.clock.now()
    called = status is TokenStatus.CALLED
    visit = await world.visit(of, Status.IN_PROGRESS if called else Status.CHECKED_IN)
    department = await department_of(world, doctor_id)
    line = await room.service.open_line(department, "Somewhere")
    token = queue.Token(
        new_id(), line, department, 10_000 + world.count(), of.patient_id, f"{of.family_name}'s secret", doctor_id,
        "Dr Somebody", now, Precedence.NONE, "", "", status, visit.id, now, now, 0, now - timedelta(hours=1) if called else
        None, None, "", visit.id, None, 1)
    async with room.db.transaction() as tx:
        TOKENS.add(tx, token)
    return token.id


@asks("appointments.queue", about=PERSONS)
async def the_queue(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"doctor_id": of.diary_id}, "hides": ("doctor_id",)}


@asks("appointments.take_number", about=PERSONS)
async def take_number(world: World, of: Subject) -> dict[str, Any]:
    room, department = world.house.rooms["appointments"], await department_of(world, of.doctor_id)
    async with room.db.transaction() as tx:   # nobody stands in line twice
        line = room.service.line_today(department)
        if kept := await tx.one(IN_LINE_ABOUT, line_id=line, open_about=of.patient_id):
            await TOKENS.save(tx, queue.over(kept, TokenStatus.LEFT, now=world.clock.now()))
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "department_id": department,
                     "reason": f"{of.family_name}'s secret"}, "hides": ("patient_id",)}


@asks("appointments.token_of", "appointments.link", about=PERSONS)
async def a_number(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id)}}


@asks("appointments.leave_queue", about=PERSONS)
async def leave_queue(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id)}, "body": {"reason": "Well again."}}


@asks("appointments.put_before", about=PERSONS)
async def put_before(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id)},
            "body": {"precedence": "emergency", "note": "Chest pain."}}


@asks("appointments.recall", "appointments.back_in_line", "appointments.not_there", about=PERSONS)
async def called(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id, TokenStatus.CALLED)}}


@asks("appointments.call_next", about=PERSONS)
async def call_next(world: World, of: Subject) -> dict[str, Any]:
    await in_line(world, world.subject("", TREATED), of.diary_id)   # whose name the calling doctor may know
    return {"body": {"doctor_id": of.diary_id}, "hides": ("doctor_id",)}


@asks("appointments.my_place", "appointments.my_place_stream")
async def my_place(world: World, of: Subject) -> dict[str, Any]:
    token_id = await in_line(world, of, of.doctor_id)
    return {"path": {"secret": (await world.house.ask(Appointments).link(ROOT, token_id)).secret}}


async def a_feed(world: World, account_id: UUID) -> str:
    """Of an account, as if it had just made it."""
    room, now, secret = world.house.rooms["appointments"], world.clock.now(), new_secret()
    async with room.db.transaction() as tx:
        await tx.run(END_FEED, key=account_id)
        FEEDS.add(tx, FeedRow(account_id, None, None, digest(secret), now, None, 0, now, 1))
    return secret


@asks("appointments.calendar_feed", "appointments.end_calendar_feed", "appointments.make_calendar_feed", about=ONES_OWN)
async def calendar_feed(world: World, of: Subject) -> dict[str, Any]:
    await a_feed(world, of.account_id)
    return {}


@asks("appointments.calendar")
async def calendar(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"file": f"{await a_feed(world, world.accounts[PATIENT].id)}.ics"}}


async def a_display(world: World) -> OpenedDisplay:
    return await world.house.ask(Appointments).open_display(ROOT, OpenDisplay(
        department_id=world.departments["Cardiology"], name="Waiting room"))


@asks("appointments.open_display")
async def open_display(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"department_id": world.departments["Cardiology"], "name": "Waiting room"}}


@asks("appointments.close_display")
async def close_display(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"display_id": (await a_display(world)).display.id}}


@asks("appointments.board", "appointments.board_stream")
async def board(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"secret": (await a_display(world)).secret}}
@asks("appointments.room", about=PERSONS)
async def room(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, mode=Mode.VIDEO)).id}}


@asks("appointments.enter_room", "appointments.leave_room", about=PERSONS)
async def enter_room(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, mode=Mode.VIDEO)).id}, "body": {"client": new_id()}}


@asks("appointments.watch_room", about=PERSONS)
async def watch_room(world: World, of: Subject) -> dict[str, Any]:
    visit, client = await in_the_room(world, of)
    return {"path": {"appointment_id": visit}, "query": {"client": client}}


@asks("appointments.send_signal", about=PERSONS)
async def send_signal(world: World, of: Subject) -> dict[str, Any]:
    visit, client = await in_the_room(world, of)
    return {"path": {"appointment_id": visit}, "body": {"client": client, "to": new_id(), "data": "{}"}}


async def in_the_room(world: World, of: Subject) -> tuple[UUID, UUID]:
    """A visit that has begun, with one page on both sides of it."""
    visit, client = await world.visit(of, Status.IN_PROGRESS, mode=Mode.VIDEO), new_id()
    until = world.clock.now() + timedelta(minutes=1)
    async with world.house.rooms["appointments"].db.transaction() as tx:
        PRESENCES.add(tx, *(Presence(visit.id, side, client, until) for side in Side))
    return visit.id, client


# --- appointments: feedback ------------------------------------------------------------------------------------------

@asks("appointments.give_feedback", about=PERSONS)
async def give_feedback(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.COMPLETED)).id},
            "body": {"rating": 2, "comment": f"{of.family_name}'s secret"}}


@asks("appointments.feedback", "appointments.change_feedback", about=PERSONS)
async def feedback(world: World, of: Subject) -> dict[str, Any]:
    visit = await world.visit(of, Status.COMPLETED)
    async with world.house.rooms["appointments"].db.transaction() as tx:
        FEEDBACK.add(tx, given(visit, GiveFeedback(rating=1, comment=f"{of.family_name}'s secret"), world.clock.now()))
    return {"path": {"appointment_id": visit.id}, "body": {"rating": 2}, "if_match": 1}


@asks("appointments.feedback_for_doctor", about=PERSONS)
async def feedback_for_doctor(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id}}


@asks("appointments.feedback_for_department")
async def feedback_for_department(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"department_id": world.departments["Cardiology"]}}


# --- notifications, audit, system ------------------------------------------------------------------------------------

@asks("notifications.read", about=PERSONS)
async def read(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"notification_id": await world.notification(of.account_id, of)}}


@asks("notifications.retry")
async def retry(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"delivery_id": await world.delivery()}}


@asks("audit.audit_events", about=PERSONS)
async def audit_events(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",)}


@asks("backstage.state", "backstage.parked")
async def backstage(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"context": "appointments"}}


@asks("system.replay", "backstage.replay")
async def replay(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"context": "appointments", "event_id": await world.parked()}}

"""A whole hospital for a test: every context, real databases, a clock in the hand, and callers of every role."""
from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from infirmary.kernel.access import Caller
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.database.columns import new_id
from infirmary.language import ADMIN, AUDITOR, DOCTOR, NURSE, PATIENT, RECEPTION, Role
from infirmary.run.house import House
from infirmary.settings import Settings

MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)   # a Monday morning; Dublin is on UTC then


def a_caller(*roles: Role, patient_id: UUID | None = None, doctor_id: UUID | None = None, name: str = "Somebody",
             account_id: UUID | None = None) -> Caller:
    account = account_id or new_id()
    subjects = {"account_id": account, "patient_id": patient_id, "doctor_id": doctor_id}
    return Caller(account_id=account, name=name, roles=frozenset(roles), session_id=new_id(),
                  subjects={field: value for field, value in subjects.items() if value is not None})


def a_patient_caller(patient_id: UUID) -> Caller:
    return a_caller(PATIENT, patient_id=patient_id, name="Pat Ient")


def a_doctor_caller(doctor_id: UUID) -> Caller:
    return a_caller(DOCTOR, doctor_id=doctor_id, name="Doc Tor")


admin = a_caller(ADMIN, name="Ad Min")
reception = a_caller(RECEPTION, name="Re Ception")
nurse = a_caller(NURSE, name="Nur Se")
auditor = a_caller(AUDITOR, name="Au Ditor")


@contextlib.asynccontextmanager
async def a_house(folder: Path, *, database: str = "sqlite://{data}/{context}.db",
                  at: datetime = MONDAY) -> AsyncIterator[House]:
    """Opened, not started: facts move when the test says `await house.deliver_facts()`."""
    house = House(Settings(data=str(folder), database=database), clock=HeldClock(at))
    await house.open()
    try:
        yield house
    finally:
        await house.close()

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.identity.contract import Identity
from infirmary.contexts.patients.contract import Patients
from infirmary.contexts.patients.wiring import PATIENTS
from infirmary.kernel.bus import Consumer
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Database
from infirmary.settings import Settings

from .builders import MONDAY, Accounts, Register, Visits


@pytest.fixture
async def register(database_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Register]:
    clock, visits, accounts = HeldClock(MONDAY), Visits(), Accounts()
    db = await Database.open(database_url("patients"), "patients", clock=clock, size=16)
    await db.create(PATIENTS.metadata)

    def ask(contract: type[Any]) -> Any:
        return {Appointments: in_process(Appointments, lambda: (visits, db)),
                Identity: in_process(Identity, lambda: (accounts, db))}[contract]

    service = PATIENTS.service(Kit(settings=Settings(), clock=clock, db=db, ask=ask, data=tmp_path, master=b"m"))
    yield Register(in_process(Patients, lambda: (service, db)), db, clock, visits,
                   Consumer(db, PATIENTS.reactions(service)), service, accounts)
    await db.close()

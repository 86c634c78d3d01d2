"""How much a visit takes on disk, indexes included: `python -m bench.growth` prints the table of docs/scale.md.

Whole visits (booked by the desk, checked in, begun, looked up by the doctor, completed, both people told) through the
real house on real databases. The difference between few and many of them is what a visit takes; PostgreSQL is vacuumed
before each look, so what is measured is rows and indexes and the room that pages leave free.
"""
from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.contexts.patients.contract import Demographics, Patients
from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, HoursForm, Opening, Staff
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.request import changed
from infirmary.language import DOCTOR, PATIENT
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.settings import Settings
from tests import servers
from tests.hospital import settings_for
from tests.house import a_doctor_caller, admin, reception

FEW, MANY = 500, 2000
DOCTORS, PATIENTS = 20, 40
PASSING = {"outbox": "30 days", "inbox": "30 days", "answered": "3 days"}   # forgotten after that
MORNING = datetime(2027, 3, 1, 6, 0, tzinfo=UTC)
Sizes = Counter[tuple[str, str]]   # (context, table) -> bytes


class Filling:
    def __init__(self, house: House, clock: HeldClock) -> None:
        self.house, self.clock, self.made = house, clock, 0
        self.desk = house.ask(Appointments)

    async def people(self) -> None:
        staff, register = self.house.ask(Staff), self.house.ask(Patients).register
        accounts = self.house.ask(Identity)
        department = await staff.open_department(admin, DepartmentForm(name="General medicine"))
        self.doctors, self.patients = [], []
        for n in range(DOCTORS):
            doctor = await staff.engage_doctor(admin, DoctorForm(
                given_name="Caoimhe", family_name=f"Fitzgerald {n}", specialty="Medicine", department_id=department.id))
            await staff.set_hours(admin, doctor.id, HoursForm(visit_minutes=20, weekly=[
                Opening(weekday=day, starts="00:00", ends="24:00") for day in range(1, 8)]), if_match=0)
            await accounts.open_account(admin, OpenAccount(
                email=f"caoimhe.fitzgerald.{n}@hospital.example.org", name=f"Caoimhe Fitzgerald {n}", roles=[DOCTOR],
                password="not-a-secret-1", doctor_id=doctor.id))
            self.doctors.append(doctor)
        for n in range(PATIENTS):
            patient = await register(admin, Demographics(
                given_name="Bartholomew", family_name=f"O'Shaughnessy {n}", birth_date=MORNING.date() - timedelta(days=9000)))
            await accounts.open_account(admin, OpenAccount(
                email=f"bartholomew.oshaughnessy.{n}@example.org", name=f"Bartholomew O'Shaughnessy {n}", roles=[PATIENT],
                password="not-a-secret-1", patient_id=patient.id))
            self.patients.append(patient)
        await self.house.deliver_facts()

    async def visits(self, up_to: int) -> None:
        """Each doctor sees one patient every forty minutes, round the clock."""
        while self.made < up_to:
            starts_at = self.clock.now() + timedelta(minutes=20)
            turn = self.made // DOCTORS
            booked = await asyncio.gather(*(self._once(self.desk.book, reception, BookAppointment(
                patient_id=self.patients[(turn * DOCTORS + n) % PATIENTS].id, doctor_id=doctor.id, starts_at=starts_at,
                reason="Follow-up after the operation")) for n, doctor in enumerate(self.doctors)))
            await self.house.deliver_facts()   # from now on the doctor may open the record
            await asyncio.gather(*(self._visit(one) for one in booked))
            self.made += DOCTORS
            self.clock.advance(timedelta(minutes=40))
            await self.house.deliver_facts()

    async def _visit(self, booked: Any) -> None:
        await self._once(self.desk.check_in, reception, booked.id)
        await self._once(self.desk.start, reception, booked.id)
        await self.house.ask(Patients).patient(a_doctor_caller(booked.doctor_id), booked.patient_id)
        await self._once(self.desk.complete, reception, booked.id)

    @staticmethod
    async def _once(ask: Any, *given: Any) -> Any:
        with changed(id=str(uuid4()), key=str(uuid4())):   # as every client sends it
            return await ask(*given)


async def sizes(settings: Settings) -> Sizes:
    found: Sizes = Counter()
    for context in CONTEXTS:
        url = settings.database_url(context.name)
        tables = await _postgres(url) if url.startswith("postgresql") else _sqlite(url.removeprefix("sqlite://"))
        found.update({(context.name, table): taken for table, taken in tables.items()})
    return found


async def _postgres(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM")
        return dict(await connection.fetch("SELECT relname, pg_total_relation_size(oid) FROM pg_class "
                                           "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"))
    finally:
        await connection.close()


def _sqlite(file: str) -> dict[str, int]:
    connection = sqlite3.connect(file)
    try:
        return dict(connection.execute("SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master m USING (name) GROUP BY 1"))
    finally:
        connection.close()


async def measured(settings: Settings, few: int = FEW, many: int = MANY) -> dict[tuple[str, str], float]:
    """Bytes a visit, by context and table."""
    clock = HeldClock(MORNING)
    house = House(settings, clock=clock)
    await house.open()
    try:
        filling = Filling(house, clock)
        await filling.people()
        await filling.visits(few)
        before = await sizes(settings)
        await filling.visits(many)
        after = await sizes(settings)
    finally:
        await house.close()
    return {at: (after[at] - before[at]) / (many - few) for at in sorted(after) if after[at] > before[at]}


def main() -> None:
    found: dict[str, dict[tuple[str, str], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        found["SQLite"] = asyncio.run(measured(settings_for(Path(folder) / "sqlite")))
        if reason := servers.unavailable("postgresql"):
            print(reason, file=sys.stderr)
        else:
            with servers.postgres() as server:
                urls = [server.create(f"growth_{context.name}") for context in CONTEXTS]
                found["PostgreSQL"] = asyncio.run(measured(settings_for(
                    Path(folder) / "pg", urls[0].removesuffix(CONTEXTS[0].name) + "{context}")))
    print(f"{'bytes a visit':<28}" + "".join(f"{engine:>12}" for engine in found) + "   kept")
    for at in sorted({at for engine in found.values() for at in engine}):
        values = [engine.get(at, 0.0) for engine in found.values()]
        if max(values) >= 10:
            print(f"{'.'.join(at):<28}" + "".join(f"{value:>12,.0f}" for value in values) + f"   {PASSING.get(at[1], 'always')}")
    for word, wanted in (("kept always", False), ("passing", True)):
        totals = [sum(value for at, value in engine.items() if (at[1] in PASSING) is wanted) for engine in found.values()]
        print(f"{word:<28}" + "".join(f"{value:>12,.0f}" for value in totals))


if __name__ == "__main__":
    main()

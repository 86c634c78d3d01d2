"""The hospital that is measured: on PostgreSQL (or SQLite), as full of visits as asked for, served like a real one."""
from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from infirmary.contexts.patients.contract import Demographics, Patients
from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, HoursForm, Opening, Staff
from infirmary.language import RECEPTION
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.settings import Settings
from tests.hospital import Running, running, settings_for, token
from tests.house import admin
from tests.servers import Postgres

DOCTORS, PATIENTS = 100, 1000
FIRST_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=3)


@dataclass
class World:
    settings: Settings
    doctors: list[Any]
    patients: list[Any]

    @property
    def desk(self) -> str:
        return token(self.settings, RECEPTION)

    @contextmanager
    def served(self, workers: int) -> Iterator[Running]:
        with running(self.settings, workers=workers) as hospital:
            yield hospital


def on_postgres(server: Postgres, name: str, folder: Path) -> Settings:
    urls = [server.create(f"{name}_{context.name}") for context in CONTEXTS]
    return settings_for(folder, urls[0].removesuffix(CONTEXTS[0].name) + "{context}")


async def peopled(settings: Settings) -> World:
    """A hundred doctors who always work, a thousand patients, no visit."""
    house = House(settings)
    await house.open()
    try:
        staff, register = house.ask(Staff), house.ask(Patients).register
        department = await staff.open_department(admin, DepartmentForm(name="General medicine"))
        doctors = []
        for n in range(DOCTORS):
            doctor = await staff.engage_doctor(admin, DoctorForm(
                given_name="Doc", family_name=f"Number {n:03}", specialty="Medicine", department_id=department.id))
            await staff.set_hours(admin, doctor.id, HoursForm(visit_minutes=20, weekly=[
                Opening(weekday=day, starts="00:00", ends="24:00") for day in range(1, 8)]), if_match=0)
            doctors.append(doctor)
        patients = []
        for start in range(0, PATIENTS, 50):
            patients += await asyncio.gather(*(register(admin, Demographics(
                given_name="Pat", family_name=f"Number {n:04}", birth_date=datetime(1980, 1, 1, tzinfo=UTC).date()))
                for n in range(start, start + 50)))
        await house.deliver_facts()
    finally:
        await house.close()
    return World(settings, doctors, patients)


async def load_history(world: World, visits: int, *, since: int = 0) -> None:
    """Past visits with their grains and steps, made inside the database: number `since` up to `visits`."""
    connection = await asyncpg.connect(world.settings.database_url("appointments"))
    try:
        await connection.execute("SET synchronous_commit = off")
        doctor = "(ARRAY[" + ",".join(f"'{one.id}'" for one in world.doctors) + f"]::uuid[])[1 + n % {DOCTORS}]"
        patient = "(ARRAY[" + ",".join(f"'{one.id}'" for one in world.patients) + f"]::uuid[])[1 + n % {PATIENTS}]"
        first = int((FIRST_DAY - timedelta(days=400)).timestamp()) // 300
        # Each doctor's visits follow each other backwards in time, two grains each; a patient's likewise.
        grain = f"({first} - 2 * (n / {DOCTORS}))"
        source = f"FROM generate_series({since}, {visits - 1}) n"
        visit = "md5('visit' || n)::uuid"
        await connection.execute(f"""
            INSERT INTO appointment SELECT {visit}, {patient}, 'Pat Number', {doctor}, 'Dr Doc Number',
                '{world.doctors[0].department_id}', 'General medicine', to_timestamp({grain} * 300.0),
                to_timestamp({grain} * 300.0 + 600), '2025-01-01T00:00', 'Europe/Dublin', 'in_person', 'Check-up',
                'completed', '', '', now(), NULL, now(), 5 {source}""")
        await connection.execute(f"INSERT INTO occupancy SELECT {doctor}, {grain} + g, 0, {visit} {source}, "
                                 "generate_series(0, 1) g")
        await connection.execute(f"INSERT INTO occupancy SELECT {patient}, {grain} + g, 0, {visit} "
                                 f"{source}, generate_series(0, 1) g ON CONFLICT DO NOTHING")
        await connection.execute(f"INSERT INTO step SELECT {visit}, 1, 'completed', now(), 'Desk', NULL, now(), '' {source}")
        await connection.execute("ANALYZE")
    finally:
        await connection.close()

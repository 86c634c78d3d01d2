"""The hospital that is measured: on PostgreSQL (or SQLite), as full of visits as asked for, served like a real one."""
from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import asyncpg
from msgspec import structs

from infirmary.contexts.patients.contract import Demographics, Gender, Patient, Patients
from infirmary.contexts.patients.tables.people import Stored, stored
from infirmary.contexts.staff.contract import DepartmentForm, DoctorForm, HoursForm, Opening, Staff
from infirmary.language import RECEPTION
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.settings import Settings
from tests.hospital import Running, running, settings_for, token
from tests.house import admin
from tests.servers import Postgres

DOCTORS, PATIENTS = 100, 1000
CLINIC = 14   # doctors of a department of a usual size
FIRST_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=3)


@dataclass
class World:
    settings: Settings
    doctors: list[Any]
    patients: list[Any]
    clinic: list[Any]   # the doctors of one department, in its hours

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
    """A hundred doctors who always work, fourteen who work by day, a thousand patients, no visit."""
    house = House(settings)
    await house.open()
    try:
        staff, register = house.ask(Staff), house.ask(Patients).register

        async def doctors_of(name: str, count: int, weekly: list[Opening]) -> list[Any]:
            department = await staff.open_department(admin, DepartmentForm(name=name))
            doctors = [await staff.engage_doctor(admin, DoctorForm(
                given_name="Doc", family_name=f"Number {n:03}", specialty=name, department_id=department.id))
                for n in range(count)]
            for doctor in doctors:
                await staff.set_hours(admin, doctor.id, HoursForm(visit_minutes=20, weekly=weekly), if_match=0)
            return doctors

        doctors = await doctors_of("General medicine", DOCTORS, [
            Opening(weekday=day, starts="00:00", ends="24:00") for day in range(1, 8)])
        clinic = await doctors_of("Cardiology", CLINIC, [
            Opening(weekday=day, starts="09:00", ends="17:00") for day in range(1, 6)])
        patients = []
        for start in range(0, PATIENTS, 50):
            patients += await asyncio.gather(*(register(admin, Demographics(
                given_name="Pat", family_name=f"Number {n:04}", birth_date=datetime(1980, 1, 1, tzinfo=UTC).date()))
                for n in range(start, start + 50)))
        await house.deliver_facts()
    finally:
        await house.close()
    return World(settings, doctors, patients, clinic)


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
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def fill_clinic(world: World) -> None:
    """By day, every second time of the coming month is taken at each of its doctors."""
    connection = await asyncpg.connect(world.settings.database_url("appointments"))
    try:
        first = int(FIRST_DAY.timestamp()) // 300
        await connection.execute(f"""
            INSERT INTO occupancy SELECT doctor, {first} + 8 * n + g, 0, md5('clinic' || doctor || n)::uuid
            FROM unnest($1::uuid[]) doctor, generate_series(0, 31 * 36 - 1) n, generate_series(0, 3) g
            WHERE n % 36 BETWEEN 13 AND 24""",
            [one.id for one in world.clinic])
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def names(begin: str, middle: str, end: str) -> list[str]:
    """All that can be said with one of each."""
    return ["".join(parts) for parts in itertools.product(begin.split(), middle.split(), end.split())]


FAMILIES = names("Ba Co De Fi Ga Ho Ke Lu Mu Ne Pa Ri Sa To Wa", "do mi ra se ta ve na le rphi lte", "r n ski vic gh son")
GIVEN = names("A Be Ca Do E Fa Gi Ha I Jo", "li ma nu ro sse va", "a n el ina o")


def people(since: int, until: int, chance: random.Random) -> Iterator[Stored]:
    """A few names are frequent, many are rare."""
    for n in range(since, until):
        one = Patient(
            id=uuid5(NAMESPACE_OID, f"person {n}"), number=10_000_000 + n, family_name=_often(FAMILIES, chance),
            given_name=_often(GIVEN, chance), birth_date=date(1930, 1, 1) + timedelta(days=n * 7919 % 34_000),
            gender=Gender.UNKNOWN, phone=f"+35387{n * 7 % 10_000_000:07}", email=None, address="", language="en",
            created_at=FIRST_DAY, retired_at=None, version=1)
        yield stored(one)


def _often(of: list[str], chance: random.Random) -> str:
    return of[int(len(of) * chance.random() ** 3)]


async def load_register(world: World, patients: int, *, since: int = 0) -> None:
    """Patients as the register keeps them, put into the database at once: number `since` up to `patients`."""
    connection = await asyncpg.connect(world.settings.database_url("patients"))
    chance = random.Random(since)
    try:
        await connection.execute("SET synchronous_commit = off")
        for start in range(since, patients, 50_000):
            made = list(people(start, min(start + 50_000, patients), chance))
            await connection.copy_records_to_table(
                "patient", columns=list(Stored.__struct_fields__), records=[structs.astuple(one) for one in made])
            await connection.copy_records_to_table("patient_word", columns=["word", "patient_id"], records=[
                (word, one.id) for one in made for word in one.search.split()])
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()

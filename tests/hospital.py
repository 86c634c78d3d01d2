"""A hospital as its own process (or several), started the way an operator starts it, and seeded with a few people."""
from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from infirmary.contexts.patients.contract import Demographics, Patient, Patients
from infirmary.contexts.staff.contract import DepartmentForm, Doctor, DoctorForm, HoursForm, Opening, Staff
from infirmary.kernel.clock import SystemClock
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.tokens import KeyRing, Signer
from infirmary.language import Role
from infirmary.run.house import House
from infirmary.settings import Settings
from tests.house import admin

READY_WITHIN = 30.0   # seconds


@dataclass
class Seeded:
    doctors: list[Doctor]
    patients: list[Patient]
    first_day: datetime   # midnight UTC of the first day whose slots are all to come


async def seed(settings: Settings, *, doctors: int = 2, patients: int = 4, accepts_first: bool = False) -> Seeded:
    """A department, doctors who work every day from 00:00 to 24:00 in twenty minutes, and patients."""
    house = House(settings)
    await house.open()
    try:
        staff = house.ask(Staff)
        department = await staff.open_department(admin, DepartmentForm(name="Cardiology", accepts_first=accepts_first))
        engaged = []
        for n in range(doctors):
            doctor = await staff.engage_doctor(admin, DoctorForm(
                given_name="Doc", family_name=f"Number {n}", specialty="Cardiology", department_id=department.id))
            await staff.set_hours(admin, doctor.id, HoursForm(visit_minutes=20, weekly=[
                Opening(weekday=day, starts="00:00", ends="24:00") for day in range(1, 8)]), if_match=0)
            engaged.append(doctor)
        register = house.ask(Patients).register
        registered = [await register(admin, Demographics(
            given_name="Pat", family_name=f"Number {n}", birth_date=datetime(1980, 1, 1, tzinfo=UTC).date()))
            for n in range(patients)]
        await house.deliver_facts()
    finally:
        await house.close()
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
    return Seeded(engaged, registered, tomorrow)


def token(settings: Settings, *roles: Role, patient_id: UUID | None = None, doctor_id: UUID | None = None,
          account_id: UUID | None = None) -> str:
    """An access token as this installation would give it."""
    clock = SystemClock()
    signer = Signer(KeyRing(settings.folder / "keys", clock), issuer=settings.public_url, audience="infirmary", clock=clock)
    subjects = {name: value for name, value in (("patient_id", patient_id), ("doctor_id", doctor_id)) if value}
    return signer.sign(account_id=account_id or new_id(), session_id=new_id(), name="Somebody",
                       roles=[role.value for role in roles], subjects=subjects)


def zone_at(hour: int) -> str:
    """A zone somewhere on earth where it is this hour now: what is booked for later today can be lived today, at whatever
    hour the tests run, without anybody's clock being moved."""
    east = (hour - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    settings: Settings
    workers: int = 1
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "INFIRMARY_DATABASE": self.settings.database, "INFIRMARY_LOG_LEVEL": "warning",
                       "INFIRMARY_PUBLIC_URL": self.settings.public_url}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infirmary", "serve", "--port", str(self.port), "--data", self.settings.data,
             "--workers", str(self.workers)], env=environment, start_new_session=True)
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(self.base + "/health/ready", timeout=2) as reply:
                    if reply.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None:
                    break
            time.sleep(.05)
        raise RuntimeError("the hospital did not become ready")

    def kill(self) -> None:
        """SIGKILL to the server and its workers: nothing is tidied up."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.kill()


@contextlib.contextmanager
def running(settings: Settings, *, workers: int = 1) -> Iterator[Running]:
    hospital = Running(settings, workers)
    hospital.start()
    try:
        yield hospital
    finally:
        hospital.stop()


def settings_for(folder: Path, database: str = "sqlite://{data}/{context}.db") -> Settings:
    return Settings(data=str(folder), database=database, public_url="http://127.0.0.1:8000")


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    db = await Database.open(url, "somebody", size=2)
    try:
        yield db
    finally:
        await db.close()

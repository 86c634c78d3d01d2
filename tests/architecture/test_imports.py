"""Imports point one way. Each import contract of pyproject.toml holds, and is seen to fail when it is broken."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NAMES = LAYERS, ISOLATION, INSIDE, PURE, PAGES = tuple(contract["name"] for contract in CONTRACTS)

BREACHES = {   # what is planted: (in this file, an import of this module, which contract must notice)
    "the kernel imports a context": ("kernel/clock.py", "contexts.patients.contract", LAYERS),
    "the kernel imports the language": ("kernel/access.py", "language", LAYERS),
    "a context imports the pages": ("contexts/patients/service/register.py", "web.forms", LAYERS),
    "a context imports the house": ("contexts/patients/service/register.py", "run.house", LAYERS),
    "the pages import the sandbox": ("web/forms.py", "sandbox.mail", LAYERS),
    "a stray module": ("helpers.py", "", LAYERS),
    "a stray package": ("utils/__init__.py", "", LAYERS),
    "a context imports another's tables": ("contexts/staff/service.py", "contexts.reports.tables", ISOLATION),
    "a context imports another's service": ("contexts/patients/reactions.py", "contexts.staff.service", ISOLATION),
    "a part of a service imports another's tables": (
        "contexts/identity/service/registration.py", "contexts.patients.tables", ISOLATION),
    "a contract imports another's domain": ("contexts/patients/contract/people.py", "contexts.staff.domain", ISOLATION),
    "a domain imports its tables": ("contexts/patients/domain/finding.py", "contexts.patients.tables", INSIDE),
    "a service imports its reactions": ("contexts/patients/service/register.py", "contexts.patients.reactions", INSIDE),
    "a contract imports its events": ("contexts/staff/contract.py", "contexts.staff.events", INSIDE),
    "a stray file in a context": ("contexts/patients/helpers.py", "", INSIDE),
    "a domain reads the clock": ("contexts/patients/domain/finding.py", "kernel.clock", PURE),
    "a part of a domain asks the database": ("contexts/appointments/domain/hours.py", "kernel.database.db", PURE),
    "a domain knows of HTTP": ("contexts/staff/domain.py", "kernel.http", PURE),
    "a domain imports the web framework": ("contexts/staff/domain.py", "litestar", PURE),
    "a domain writes SQL": ("contexts/patients/domain/finding.py", "sqlalchemy", PURE),
    "a page imports a service": ("web/pages/patient.py", "contexts.patients.service", PAGES),
    "a page imports tables": ("web/forms.py", "contexts.staff.tables", PAGES),
    "a page imports a part of a domain": ("web/forms.py", "contexts.appointments.domain.hours", PAGES),
}


def broken(source: Path) -> tuple[set[str], str]:
    """The names of the contracts that this source breaks, and all that the linter says."""
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()",
         "--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo"],
        check=False, capture_output=True, text=True, cwd=source,
        env={**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200"})
    said = run.stdout + run.stderr
    found = {name for name in NAMES if re.search(re.escape(name) + r"\s+BROKEN", said)}
    assert bool(found) == (run.returncode != 0), said
    return found, said


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of src that a test may spoil."""
    left_out = shutil.ignore_patterns("node_modules", "static", "__pycache__")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=left_out)
    return tmp_path / "src"


def test_the_source_keeps_every_contract() -> None:
    found, said = broken(ROOT / "src")
    assert not found, said


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_noticed(source: Path, breach: str) -> None:
    file, module, contract = BREACHES[breach]
    ours = (source / "infirmary" / module.partition(".")[0]).is_dir() or module == "language"
    planted = f"import {'infirmary.' if ours else ''}{module}" if module else ""
    spoilt = source / "infirmary" / file
    spoilt.parent.mkdir(exist_ok=True)
    spoilt.write_text((spoilt.read_text() if spoilt.exists() else "") + f"\n{planted}\n")
    found, said = broken(source)
    assert contract in found, said


_READS_THE_CLOCK = re.compile(r"\b(datetime|date|time)\.(now|utcnow|today|time)\(")


def readers_of_the_clock(source: Path) -> list[str]:
    return [str(file.relative_to(source)) for file in sorted(source.rglob("*.py"))
            if "node_modules" not in file.parts and _READS_THE_CLOCK.search(file.read_text())]


def test_one_place_reads_the_clock(tmp_path: Path) -> None:
    assert readers_of_the_clock(ROOT / "src" / "infirmary") == ["kernel/clock.py"]
    (tmp_path / "planted.py").write_text("now = datetime.now(UTC)\n")
    assert readers_of_the_clock(tmp_path) == ["planted.py"]

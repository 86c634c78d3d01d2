"""What every test may ask for: an engine, empty databases on it, and an open one with the kernel's tables."""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import MetaData
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from infirmary.kernel.database.db import Database, with_kernel_tables

from . import servers

TOGETHER = ("tests/browser/", "tests/guesses/", "tests/kernel/kafka/", "tests/separate/")
KERNEL = with_kernel_tables(MetaData())
_server = cache(lambda engine: {"postgresql": servers.postgres, "mariadb": servers.mariadb}[engine]())


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest) -> str:
    """The test runs once on each engine."""
    name: str = request.param
    if reason := servers.unavailable(name):
        pytest.skip(reason)
    return name


@pytest.fixture
def database_url(engine: str, tmp_path: Path) -> Callable[[str], str]:
    """The URL of a context's own database: empty when it is first asked for in a test, the same one afterwards."""
    made: dict[str, str] = {}

    def url(context: str) -> str:
        if context not in made and engine == "sqlite":
            made[context] = f"sqlite://{tmp_path / context}.db"
        elif context not in made:   # few names, used again by each test: emptying is quicker than creating
            name = f"{os.environ.get('PYTEST_XDIST_WORKER', 'test')}_{len(made)}"
            made[context] = _server(engine).create(name)
        return made[context]
    return url


@pytest.fixture
async def db(database_url: Callable[[str], str]) -> AsyncIterator[Database]:
    database = await Database.open(database_url("kernel"), "kernel", size=16)
    await database.create(KERNEL)
    yield database
    await database.close()


class Together(LoadScopeScheduling):
    """Tests of one of these folders run in one process, as they share something costly; all others wherever there is room.

    By folder, since the marks of `--dist loadgroup` (pytest-xdist 3.8) are not seen under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_configure() -> None:
    servers.home()   # made before the workers are, so that they share what it holds


def pytest_unconfigure() -> None:
    servers.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip is a promise not checked: say so where it is read."""
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ")
                      for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple))
    for reason, count in reasons.items():
        terminalreporter.line(f"NOT RUN: {count} tests. {reason}", yellow=True)

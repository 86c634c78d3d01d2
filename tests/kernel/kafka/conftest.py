"""A bus on the real broker, with topics and groups of its own for each test, and journals that listen."""
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests import servers

from . import broker
from .journal import Journal, metadata

if TYPE_CHECKING:
    from infirmary.kernel.kafka import KafkaBus

MakeBus = Callable[..., Awaitable["KafkaBus"]]
MakeJournal = Callable[[str], Awaitable[Journal]]


@pytest.fixture(autouse=True)
def _there_is_kafka() -> None:
    if reason := broker.unavailable():
        pytest.skip(reason)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite is enough here, except where several processes write."""
    name: str = getattr(request, "param", "sqlite")
    if reason := servers.unavailable(name):
        pytest.skip(reason)
    return name


@pytest.fixture
def at() -> str:
    """The shared broker."""
    return broker.shared()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[broker.Broker]:
    """A broker that may be frozen and killed."""
    (tmp_path / "broker").mkdir()
    with broker.Broker(tmp_path / "broker") as started:
        yield started


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:8]}."


@pytest.fixture
async def make_journal(database_url: Callable[[str], str]) -> AsyncIterator[MakeJournal]:
    made: list[Journal] = []

    async def make(context: str) -> Journal:
        journal = await Journal.open(database_url(context), context)
        await journal.db.create(metadata)
        made.append(journal)
        return journal
    yield make
    for journal in made:
        await journal.db.close()


@pytest.fixture
async def make_bus(make_journal: MakeJournal, prefix: str) -> AsyncIterator[MakeBus]:
    """Open and started, for these journals; closed before their databases are."""
    from infirmary.kernel.kafka import KafkaBus

    made: list[KafkaBus] = []

    async def make(servers: str, *journals: Journal) -> KafkaBus:
        bus = KafkaBus(f"kafka://{servers}", ["kafka"], prefix=prefix)
        for journal in journals:
            bus.subscribe(journal.consumer)
        await bus.open()
        bus.start()
        made.append(bus)
        return bus
    yield make
    for bus in made:
        await bus.close()

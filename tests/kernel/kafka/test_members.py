"""Members of a group come, go and die, under way; each fact has its effect once, in order per aggregate."""
from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from infirmary.kernel.events import Fact

from .conftest import MakeBus, MakeJournal
from .journal import deliver, facts

EVENTS = int(os.environ.get("EVENTS", "20000"))   # a multiple of 200; EVENTS=100000 for the long run
ROUNDS = 10


async def test_partitions_move_only_when_what_is_in_hand_of_them_is_done(
        at: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal, produced = await make_journal("one"), facts(aggregates=60, versions=6)
    journal.slow = .3   # many are under way whenever somebody comes or goes
    with capture_logs() as said:
        first = await make_bus(at, journal)
        await deliver(first, produced)
        second = await make_bus(at, journal)
        await journal.reaches(120)
        await first.close()
        await journal.reaches(240)
        await make_bus(at, journal)
        await second.close()
        await journal.reaches(len(produced))
    await journal.must_be(produced)
    # Nobody began what another had in hand, unless the broker was too slow to be told what was done.
    if not any(one["event"] == "offsets_not_committed" for one in said):
        assert set(journal.tries.values()) == {1}


@contextmanager
def a_member(at: str, prefix: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the group; it never leaves by itself."""
    member = subprocess.Popen([sys.executable, "-m", "tests.kernel.kafka.member", at, prefix, url],
                              cwd=Path(__file__).parents[3], stderr=subprocess.PIPE)
    try:
        yield member
    finally:
        member.kill()
        _, errors = member.communicate()
        assert b"Traceback" not in errors, errors.decode()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_what_a_killed_member_had_in_hand_is_done_by_the_others(
        at: str, prefix: str, make_bus: MakeBus, make_journal: MakeJournal, database_url: Callable[[str], str]) -> None:
    journal, produced = await make_journal("journal"), list[Fact]()
    bus, url = await make_bus(at), database_url("journal")
    with a_member(at, prefix, url) as one, a_member(at, prefix, url) as unlucky:
        async with asyncio.timeout(60):
            while {each.pid for each in await journal.entries()} != {one.pid, unlucky.pid}:   # until both are at work
                produced += (some := facts(aggregates=20, versions=1))
                await deliver(bus, some)
                await asyncio.sleep(.2)
        produced += (many := facts(aggregates=100, versions=30))
        sending = asyncio.create_task(deliver(bus, many))
        await journal.reaches(len(produced) - len(many) // 2)
        unlucky.kill()   # its partitions are nobody's until the group has noticed
        assert await journal.count() < len(produced)
        await sending
        await journal.reaches(len(produced), patience=60)
    await journal.must_be(produced)


async def test_many_facts_through_restarts_and_rebalances(
        at: str, make_bus: MakeBus, make_journal: MakeJournal) -> None:
    journal, produced = await make_journal("one"), facts(aggregates=EVENTS // 20, versions=20)
    sender, dice = await make_bus(at), random.Random(3)
    members = [await make_bus(at, journal), await make_bus(at, journal)]

    async def one_restarts() -> None:
        await asyncio.sleep(dice.uniform(0, 1))
        await members.pop(dice.randrange(len(members))).close()
        members.append(await make_bus(at, journal))

    for first in range(0, len(produced), step := len(produced) // ROUNDS):
        await asyncio.gather(deliver(sender, produced[first:first + step]), one_restarts())
    await journal.reaches(len(produced), patience=60 + EVENTS / 200)
    await journal.must_be(produced)

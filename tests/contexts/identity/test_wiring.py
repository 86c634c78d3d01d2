"""How identity plugs into a process."""
from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable

import pytest

from infirmary.contexts.identity.service import IdentityService
from infirmary.contexts.identity.service.passwords import MEMORY_COST, NICENESS, TIME_COST, Passwords, _in_thread
from infirmary.contexts.identity.tables import metadata
from infirmary.contexts.identity.wiring import IDENTITY
from infirmary.kernel.database.migrate import check

from .builders import Door


async def test_the_migrations_make_the_tables_that_are_declared(database_url: Callable[[str], str]) -> None:
    assert await check(database_url("identity"), metadata, IDENTITY.migrations) == []


async def test_its_job_tidies_up(door: Door) -> None:
    await door.registers()
    tokens = await door.signs_in()
    [job] = IDENTITY.jobs(door.service)
    door.wait(days=2)
    await job.work()
    assert await door.ask.sessions(door.guard.read(tokens.access_token).caller) == []


async def test_a_hospital_hashes_with_what_is_recommended(door: Door) -> None:
    """OWASP and ASVS ask for 46 MiB in one pass, or more."""
    made = await Passwords().hashed("three unrelated words")
    assert made.startswith(f"$argon2id$v=19$m={MEMORY_COST},t={TIME_COST},p=1$")
    assert MEMORY_COST * TIME_COST >= 64 * 1024 * 2
    assert isinstance(IDENTITY.service(door.service.kit), IdentityService)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a niceness is the whole process's")
async def test_a_hash_gives_way_to_those_who_are_signed_in_and_nothing_else_does() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert (await _in_thread(niceness), await asyncio.to_thread(niceness), niceness()) == (NICENESS, 0, 0)

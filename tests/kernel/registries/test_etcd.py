"""Instances in etcd: found while they live, gone soon after they die, and never lost because etcd stumbles."""
from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from infirmary.kernel.registries import registry
from infirmary.kernel.registries.etcd import EtcdRegistry
from infirmary.kernel.registry import Instance
from tests.etcd import Etcd

ONE = Instance(service="toys", id="toys-1", url="http://127.0.0.1:8101", pid=41, version="1.0")
TWO = Instance(service="toys", id="toys-2", url="http://127.0.0.1:8102", pid=42, version="1.0")
OTHER = Instance(service="games", id="games-1", url="http://127.0.0.1:8103")
GONE_WITHIN = 7.0   # the lease, etcd's own half second, and a busy machine's


@asynccontextmanager
async def opened(etcd: Etcd, *own: Instance) -> AsyncIterator[EtcdRegistry]:
    made = EtcdRegistry(etcd.url)
    await made.open()
    try:
        for one in own:
            await made.register(one)
        yield made
    finally:
        await made.close()


async def until(condition: Callable[[], bool], *, within: float) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within, f"not so after {within} s"
        await asyncio.sleep(.02)
    return time.monotonic() - begun


async def sees(watcher: EtcdRegistry, *expected: Instance, within: float = 2.0) -> float:
    return await until(lambda: set(watcher.everybody()) == set(expected), within=within)


async def keeps(watcher: EtcdRegistry, *expected: Instance, seconds: float) -> None:
    """At no moment is any of these unknown."""
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        assert set(watcher.everybody()) == set(expected)
        await asyncio.sleep(.02)


async def test_who_registers_is_found_by_name_and_who_withdraws_is_not(etcd: Etcd) -> None:
    async with opened(etcd) as watcher, opened(etcd, ONE, OTHER) as here, opened(etcd, TWO):
        await sees(watcher, ONE, TWO, OTHER)
        assert watcher.instances("toys") == (ONE, TWO)
        assert watcher.instances("games") == (OTHER,)
        assert not watcher.instances("nobody")
        await here.withdraw(ONE)
        assert await sees(watcher, TWO, OTHER) < 1
    async with opened(etcd) as late:
        assert not late.everybody()   # who closes is gone at once


async def test_an_instance_that_registers_again_replaces_what_it_said(etcd: Etcd) -> None:
    async with opened(etcd) as watcher, opened(etcd, ONE) as here:
        await sees(watcher, ONE)
        later = msgspec.structs.replace(ONE, config_version=7)
        await here.register(later)
        await sees(watcher, later)


async def test_a_restarted_process_with_the_same_id_is_not_taken_away_by_the_one_before(etcd: Etcd) -> None:
    async with opened(etcd) as watcher, opened(etcd, ONE) as before:
        moved = msgspec.structs.replace(ONE, url="http://127.0.0.1:8199")
        async with opened(etcd, moved):
            await sees(watcher, moved)
            await before.withdraw(ONE)
            await keeps(watcher, moved, seconds=1)


async def test_listeners_are_told_of_the_first_answer_and_of_every_change(etcd: Etcd) -> None:
    watcher, told = EtcdRegistry(etcd.url), []

    async def failing() -> None:
        raise ZeroDivisionError

    async def listening() -> None:
        told.append(watcher.everybody())

    watcher.on_change(failing)   # one listener's trouble is not the others'
    watcher.on_change(listening)
    await watcher.open()
    try:
        assert told == [()]
        async with opened(etcd, ONE):
            await until(lambda: told[-1] == (ONE,), within=2)
        await until(lambda: told[-1] == (), within=2)
        assert told == [(), (ONE,), ()]
    finally:
        await watcher.close()


async def test_a_killed_process_is_gone_within_seconds(etcd: Etcd) -> None:
    code = ("import asyncio, sys, msgspec\n"
            "from infirmary.kernel.registries import registry\n"
            "from infirmary.kernel.registry import Instance\n"
            "async def main():\n"
            "    made = registry(sys.argv[1])\n"
            "    await made.open()\n"
            "    await made.register(msgspec.json.decode(sys.argv[2], type=Instance))\n"
            "    await asyncio.sleep(600)\n"
            "asyncio.run(main())\n")
    async with opened(etcd, TWO) as watcher:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, etcd.url, msgspec.json.encode(ONE).decode())
        try:
            await sees(watcher, ONE, TWO, within=20)
            await keeps(watcher, ONE, TWO, seconds=6)   # for longer than a lease lasts
        finally:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        assert await sees(watcher, TWO, within=GONE_WITHIN) > 2   # by its lease


async def test_a_restarted_etcd_loses_nobody(etcd: Etcd) -> None:
    async with opened(etcd, ONE) as watcher, opened(etcd, TWO) as other:
        await sees(watcher, ONE, TWO)
        etcd.stop()
        await keeps(watcher, ONE, TWO, seconds=1)
        etcd.start()
        await keeps(watcher, ONE, TWO, seconds=8)
        await other.withdraw(TWO)
        await sees(watcher, ONE)   # and the watch works again


async def test_an_emptied_etcd_is_told_again_and_nobody_is_missed_meanwhile(etcd: Etcd) -> None:
    async with opened(etcd, ONE) as watcher, opened(etcd, TWO):
        await sees(watcher, ONE, TWO)
        etcd.stop()
        etcd.forget()
        etcd.start()
        await keeps(watcher, ONE, TWO, seconds=4)
        async with opened(etcd) as late:
            assert set(late.everybody()) == {ONE, TWO}
        await keeps(watcher, ONE, TWO, seconds=4)


async def test_an_entry_that_somebody_deletes_comes_back(etcd: Etcd) -> None:
    async with opened(etcd, ONE) as here:
        await sees(here, ONE)
        await here._etcd.delete("/infirmary/services/toys/toys-1", lease=here._lease)
        await sees(here)
        await sees(here, ONE, within=3)


async def test_an_etcd_away_for_ten_seconds_leaves_what_was_known_known(etcd: Etcd) -> None:
    async with opened(etcd, ONE) as watcher, opened(etcd, TWO) as other:
        await sees(watcher, ONE, TWO)
        etcd.stop()
        await keeps(watcher, ONE, TWO, seconds=8)
        await other.withdraw(TWO)   # nobody hears it, nobody crashes
        await watcher.register(OTHER)
        await keeps(watcher, ONE, TWO, seconds=2)
        etcd.start()
        await until(lambda: OTHER in watcher.everybody(), within=4)
        assert ONE in watcher.everybody()
        await sees(watcher, ONE, OTHER, within=12)   # in the end, who withdrew is gone


async def test_a_frozen_etcd_whose_leases_have_ended_loses_nobody(etcd: Etcd) -> None:
    async with opened(etcd, ONE) as watcher, opened(etcd, TWO):
        await sees(watcher, ONE, TWO)
        etcd.freeze()
        try:
            await keeps(watcher, ONE, TWO, seconds=9)
        finally:
            etcd.thaw()
        await keeps(watcher, ONE, TWO, seconds=8)


async def test_who_starts_before_etcd_is_found_when_etcd_comes(etcd: Etcd) -> None:
    etcd.stop()
    async with opened(etcd, ONE) as early:
        assert not early.everybody()
        etcd.start()
        await sees(early, ONE, within=4)


async def test_another_member_is_asked_when_the_first_is_away(etcd: Etcd) -> None:
    made = registry(f"etcd://127.0.0.1:1,{etcd.url.removeprefix('etcd://')}")   # nobody listens at port 1
    await made.open()
    try:
        await made.register(ONE)
        await until(lambda: made.instances("toys") == (ONE,), within=2)
    finally:
        await made.close()


async def test_what_cannot_be_read_hides_nobody_else(etcd: Etcd) -> None:
    async with opened(etcd, ONE) as watcher:
        await watcher._etcd.put("/infirmary/services/toys/odd", b"{", lease="0")
        await watcher._etcd.put("/infirmary/services/toys/new", b'{"service": "toys", "id": "toys-3", "url": "x", "more": 1}',
                                lease="0")
        await until(lambda: [one.id for one in watcher.instances("toys")] == ["toys-1", "toys-3"], within=2)


async def test_a_change_too_long_for_one_line_is_noticed(etcd: Etcd) -> None:
    async with opened(etcd) as here:
        since = (await here._etcd.get("/long/x")).revision
        watching = asyncio.create_task(here._etcd.changed("/long/", after=since, within=20))
        await asyncio.sleep(.2)
        await here._etcd.put("/long/x", b"x" * 500_000, lease="0")
        await asyncio.wait_for(watching, 2)


@pytest.mark.parametrize("url", ["etcd://", "etcd://host", "etcd://host:2379/x", "etcd://me:word@host:2379", "zoo://h:1"])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"etcd://|2379|port"):
        registry(url)

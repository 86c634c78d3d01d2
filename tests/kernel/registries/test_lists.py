"""Registries that others keep: a list in the settings, and the names of a DNS."""
from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from infirmary.kernel.registries import dns, registry
from infirmary.kernel.registry import Instance


async def test_a_static_list_is_known_as_written_and_stays_so() -> None:
    made = registry("static://toys=http://127.0.0.1:8101,toys=http://127.0.0.1:8102/,games=http://127.0.0.1:8103")
    told = []

    async def listening() -> None:
        told.append(len(made.everybody()))

    made.on_change(listening)
    await made.open()
    await made.register(Instance(service="toys", id="new", url="http://127.0.0.1:8109"))
    await made.withdraw(made.instances("games")[0])
    assert [(one.id, one.url) for one in made.everybody()] == [
        ("games-1", "http://127.0.0.1:8103"), ("toys-1", "http://127.0.0.1:8101"), ("toys-2", "http://127.0.0.1:8102")]
    assert [one.id for one in made.instances("toys")] == ["toys-1", "toys-2"]
    assert told == [3]
    await made.close()


@pytest.mark.parametrize("url", ["static://", "static://toys", "static://toys=127.0.0.1:1", "static://=http://h:1",
                                 "dns://toys:8000", "dns://{service}.svc"])
async def test_a_list_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is written"):
        registry(url, services=["toys"])


async def test_a_name_has_an_instance_for_each_address() -> None:
    made = registry("dns://{service}:8000", services=["localhost"])   # the one name that every machine knows
    await made.open()
    try:
        await made.register(Instance(service="localhost", id="new", url="http://127.0.0.1:8109"))
        assert "http://127.0.0.1:8000" in [one.url for one in made.instances("localhost")]
        assert "localhost-127.0.0.1" in [one.id for one in made.everybody()]
    finally:
        await made.close()


async def test_a_dns_that_is_away_leaves_what_was_known_and_a_name_without_addresses_is_empty(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "EVERY", .01)
    answer: list[str] | int = ["127.0.0.1", "127.0.0.2", "::1"]
    asked = 0

    async def getaddrinfo(name: str, port: int, **_: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        assert name == "toys.example.svc"
        if isinstance(answer, int):
            raise socket.gaierror(answer, "")
        return [(0, 0, 0, "", (one, port)) for one in answer]

    async def some_rounds() -> int:
        before = asked
        while asked < before + 3:
            await asyncio.sleep(.01)
        return len(made.everybody())

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)   # no DNS here can be taken away
    made = registry("dns://{service}.example.svc:8000", services=["toys"])
    await made.open()
    try:
        assert {one.url for one in made.instances("toys")} == {
            "http://127.0.0.1:8000", "http://127.0.0.2:8000", "http://[::1]:8000"}
        answer = socket.EAI_AGAIN
        assert await some_rounds() == 3
        answer = ["127.0.0.2"]
        assert await some_rounds() == 1
        answer = socket.EAI_NONAME
        assert await some_rounds() == 0
    finally:
        await made.close()

"""Who is where: services register their instances, and whoever asks one finds it by name.

The embedded house needs none. `etcd` keeps instances under leases; a list in the settings or the names of a DNS
(Kubernetes) do the same for those who have them.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct


class Instance(Struct, frozen=True, kw_only=True):
    """One running copy of a service. `url` is where it answers (`http://127.0.0.1:8101`)."""

    service: str
    id: str
    url: str
    pid: int = 0
    version: str = ""
    config_version: int = 0


class Registry(Protocol):
    async def open(self) -> None:
        """Learn who is there, and keep learning until `close`. Never raises because the store is away: what was known
        stays known, and it is asked again."""

    async def register(self, instance: Instance) -> None:
        """Be found, for as long as this process lives: the entry ends by itself some seconds after it dies. Again with
        the same id, it replaces what was said before."""

    async def withdraw(self, instance: Instance) -> None:
        """Be found no more; whoever stops withdraws first and answers what is under way after that."""

    def instances(self, service: str) -> Sequence[Instance]:
        """As last heard; no waiting. Empty when nobody is known."""

    def everybody(self) -> Sequence[Instance]: ...

    def on_change(self, told: Callable[[], Awaitable[None]]) -> None:
        """`told` is awaited after every change. Who says so before `open` is told of the first answer too, even an
        empty one."""

    async def close(self) -> None: ...

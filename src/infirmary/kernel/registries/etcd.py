"""Instances in etcd, each under a lease of its process: one that dies is gone when the lease ends, some seconds later.

What is kept in etcd is only what the living say, and they say it again whenever it is missing there. So when etcd was
away (restarted, frozen, emptied), its word that somebody is gone is not believed until the living have had the time to
say that they are there. Nobody loses an address because etcd stumbled.
"""
from __future__ import annotations

import asyncio
import contextlib
from time import monotonic

import msgspec
import structlog

from infirmary.kernel.registry import Instance

from .gateway import Entry, Etcd, StoreAway, StoreRefused
from .known import Known

log = structlog.get_logger()
PREFIX = "/infirmary/services/"
LEASE = 5                # seconds that an entry outlives its process
KEPT_ALIVE_EVERY = 1.0
ASKED_EVERY = 1.5        # whole again, in case the watch missed something; and how a frozen etcd is noticed in time
TRIED_EVERY = .5         # while etcd is away
BELIEVED_AFTER = float(LEASE)
AWAY = (StoreAway, StoreRefused)


class EtcdRegistry(Known):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._etcd = Etcd(url)
        self._own: dict[str, Instance] = {}   # by key
        self._lease = ""
        self._missing = False                 # something of ours is not in etcd though it should be
        self._away, self._believed_from = False, 0.0
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await self._etcd.open()
        await self._look()
        self._tasks = [asyncio.create_task(self._follow(), name="registry"),
                       asyncio.create_task(self._stay(), name="registry-lease")]

    async def register(self, instance: Instance) -> None:
        """Also again with the same id, when something about it has changed."""
        async with self._writing:
            self._own[_key(instance)] = instance
            await self._enter()

    async def withdraw(self, instance: Instance) -> None:
        async with self._writing:
            if self._own.pop(_key(instance), None) is not None and self._lease:
                with contextlib.suppress(*AWAY):   # then its lease ends
                    await self._etcd.delete(_key(instance), lease=self._lease)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._lease:
            with contextlib.suppress(*AWAY):
                await self._etcd.revoke(self._lease)
        await self._etcd.close()

    async def _follow(self) -> None:
        while True:
            revision = await self._look()
            if revision is None:
                await asyncio.sleep(TRIED_EVERY)
                continue
            try:
                await self._etcd.changed(PREFIX, after=revision, within=ASKED_EVERY)
            except AWAY as error:
                self._went_away(error)

    async def _look(self) -> int | None:
        """Ask for everybody; answers at which revision, or None when etcd is away."""
        try:
            found = await self._etcd.under(PREFIX)
        except AWAY as error:
            self._went_away(error)
            return None
        if self._away:
            self._away, self._believed_from = False, monotonic() + BELIEVED_AFTER
            log.info("registry_back")
        fresh = [one for one in map(_instance, found.entries) if one is not None]
        self._missing = bool(self._own.keys() - {entry.key.decode() for entry in found.entries})
        if monotonic() < self._believed_from:
            heard = set(map(_key, fresh))
            fresh += [one for one in self.everybody() if _key(one) not in heard]
        await self._learn(fresh)
        return found.revision

    async def _stay(self) -> None:
        """Keep the lease alive, and enter everything again when it has ended or etcd has forgotten us."""
        while True:
            await asyncio.sleep(KEPT_ALIVE_EVERY)
            async with self._writing:
                if not self._own:
                    continue
                try:
                    if self._lease and not await self._etcd.keep_alive(self._lease):
                        self._lease = ""
                except AWAY:
                    continue   # the other task says so
                if not self._lease or self._missing:
                    await self._enter()

    async def _enter(self) -> None:
        try:
            self._lease = self._lease or await self._etcd.grant(LEASE)
            for key, instance in self._own.items():
                await self._etcd.put(key, msgspec.json.encode(instance), lease=self._lease)
        except StoreAway:
            self._missing = True
        except StoreRefused:   # the lease has ended meanwhile
            self._lease = ""

    def _went_away(self, error: Exception) -> None:
        if not self._away:
            log.warning("registry_away", why=str(error))
        self._away = True


def _key(instance: Instance) -> str:
    return f"{PREFIX}{instance.service}/{instance.id}"


def _instance(entry: Entry) -> Instance | None:
    try:
        return msgspec.json.decode(entry.value, type=Instance)
    except msgspec.DecodeError:
        log.error("registry_entry_unreadable", key=entry.key.decode(errors="replace"))
        return None

"""Where a process finds its configuration: in etcd, or in the folder itself."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from infirmary.kernel.registries.gateway import Etcd, StoreAway

from .layers import ConfigRefused, files_of, merged
from .versions import Head, Version, digest

PREFIX = "/infirmary/config/"
LOOKED_EVERY = 1.0   # seconds, at files; and at etcd, in case its watch missed something


class Store(Protocol):
    """Where a process reads its configuration."""

    async def open(self) -> None: ...

    async def head(self) -> Head:
        """The newest version; StoreAway, or ConfigRefused when it is unreadable."""

    async def changed(self) -> None:
        """Returns when `head` may answer something new."""

    async def close(self) -> None: ...


class EtcdStore:
    """`<environment>/head` is the newest version, `<environment>/versions/<number>` are all."""

    def __init__(self, url: str, environment: str) -> None:
        self._etcd, self._place = Etcd(url), f"{PREFIX}{environment}/"
        self._revision = 0   # of the whole store, when the head was last read

    async def open(self) -> None:
        await self._etcd.open()

    async def close(self) -> None:
        await self._etcd.close()

    async def head(self) -> Head:
        found = await self._etcd.get(self._place + "head")
        self._revision = found.revision
        return next((Head(_version(entry.value), entry.mod_revision) for entry in found.entries), Head(None, 0))

    async def changed(self) -> None:
        await self._etcd.changed(self._place, after=self._revision, within=LOOKED_EVERY)

    async def write(self, version: Version, *, after: Head) -> None:
        """With its history, in one transaction; refused when the head is not `after` any more."""
        raw = msgspec.json.encode(version)
        puts = {self._place + "head": raw, self._key(version.version): raw}
        if not await self._etcd.swap(puts, key=self._place + "head", revision=after.revision):
            now = (await self.head()).version
            who = f"version {now.version} by {now.author}" if now else "another version"
            raise ConfigRefused(f"Somebody was quicker: {who} was pushed meanwhile. Nothing of yours was written; "
                                "look at it (`infirmary config diff`) and push again.")

    async def version(self, number: int) -> Version:
        found = await self._etcd.get(self._key(number))
        if not found.entries:
            raise ConfigRefused(f"There is no version {number}; `infirmary config history` lists them.")
        return _version(found.entries[0].value)

    async def history(self) -> list[Version]:
        return [_version(entry.value) for entry in (await self._etcd.under(self._place + "versions/")).entries]

    def _key(self, number: int) -> str:
        return f"{self._place}versions/{number:08}"


class FolderStore:
    """The files themselves, looked at each second. Its version is when they last changed (seconds since 1970)."""

    def __init__(self, folder: Path, environment: str, into: type[Struct], services: Sequence[str]) -> None:
        self._folder, self._environment, self._into, self._services = folder, environment, into, services
        self._seen: list[tuple[str, int, int]] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def head(self) -> Head:
        self._seen = self._stamps()
        try:
            content = merged(self._folder, self._environment, self._into, self._services)
        except OSError as error:
            raise StoreAway(f"{self._folder} cannot be read: {type(error).__name__}") from error
        newest = max((changed for _, changed, _ in self._seen), default=0) // 1_000_000_000
        return Head(Version(version=newest, author="", at=datetime.fromtimestamp(newest, UTC), note=str(self._folder),
                            digest=digest(content), content=content), 0)

    async def changed(self) -> None:
        while True:
            await asyncio.sleep(LOOKED_EVERY)
            if self._stamps() != self._seen:
                return

    def _stamps(self) -> list[tuple[str, int, int]]:
        """Of files and folders: a file that goes changes only its folder."""
        try:
            return [(str(one), (stat := one.stat()).st_mtime_ns, stat.st_size) for one in
                    (self._folder, self._folder / self._environment, *files_of(self._folder, self._environment))]
        except OSError:   # one that went while we looked
            return []


def store(url: str, environment: str, *, into: type[Struct], services: Sequence[str]) -> Store:
    """`etcd://host:port[,host:port]`, or a folder."""
    if url.startswith("etcd://"):
        return EtcdStore(url, environment)
    return FolderStore(Path(url), environment, into, services)


def _version(raw: bytes) -> Version:
    try:
        made = msgspec.json.decode(raw, type=Version)
    except msgspec.DecodeError as error:
        raise ConfigRefused(f"The stored version cannot be read: {error}") from error
    if made.digest != digest(made.content):
        raise ConfigRefused(f"Version {made.version} is not what was pushed: its digest differs")
    return made

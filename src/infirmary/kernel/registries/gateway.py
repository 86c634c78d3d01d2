"""etcd, asked in JSON over HTTP: every etcd from 3.4 on carries this face, so no driver is needed beside aiohttp."""
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.http_exceptions import LineTooLong
from msgspec import Struct, field

TIMEOUT = 1.5   # seconds that one member has for an answer; a frozen one is left sooner than leases end


class StoreAway(Exception):
    """No member answers, or the answer broke off: whether a write was done is not known."""


class StoreRefused(Exception):
    """etcd answered, and said no."""


class Entry(Struct, frozen=True):
    key: bytes
    value: bytes = b""
    mod_revision: int = 0


class Found(NamedTuple):
    """Entries as they were at that revision of the whole store."""

    entries: list[Entry]
    revision: int


class _Header(Struct):
    revision: int = 0


class _Lease(Struct):
    ttl: int = field(name="TTL", default=0)


class _Answer(Struct):
    header: _Header = field(default_factory=_Header)
    kvs: list[Entry] = []
    succeeded: bool = False
    lease: str = field(name="ID", default="")
    result: _Lease = field(default_factory=_Lease)


class _Problem(Struct):
    error: str = ""


class _Seen(Struct):
    events: list[Any] = []
    canceled: bool = False


class _Line(Struct):
    """One line of a watch; without `result` it is an error."""

    result: _Seen | None = None


_answer = msgspec.json.Decoder(_Answer, strict=False)   # 64-bit numbers travel as text
_line = msgspec.json.Decoder(_Line, strict=False)
_problem = msgspec.json.Decoder(_Problem)


def hosts(url: str) -> list[str]:
    """`etcd://host:port[,host:port]` as addresses to ask."""
    found = [f"http://{host}" for host in url.partition("://")[2].strip("/").split(",")]
    for one in found:
        parts = urlsplit(one)
        if not parts.hostname or not parts.port or parts.path or parts.username is not None:
            raise ValueError("The address of etcd is written etcd://host:port[,host:port]")
    return found


class Etcd:
    """A client of a cluster: the member that answered last is asked first, the others when it is away."""

    def __init__(self, url: str) -> None:
        self._hosts = hosts(url)
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def get(self, key: str) -> Found:
        return await self._range({"key": key.encode()})

    async def under(self, prefix: str) -> Found:
        """Everything whose key begins like this, in the order of the keys."""
        return await self._range({"key": prefix.encode(), "range_end": _end(prefix)})

    async def put(self, key: str, value: bytes, *, lease: str) -> None:
        await self._ask("kv/put", key=key.encode(), value=value, lease=lease)

    async def delete(self, key: str, *, lease: str) -> None:
        """If it still hangs on this lease; it may be another's by now."""
        await self._ask("kv/txn", compare=[{"key": key.encode(), "target": "LEASE", "lease": lease}],
                        success=[{"request_delete_range": {"key": key.encode()}}])

    async def grant(self, seconds: int) -> str:
        """A new lease: what hangs on it goes when it is not kept alive."""
        return (await self._ask("lease/grant", TTL=seconds)).lease

    async def keep_alive(self, lease: str) -> bool:
        """False when the lease has ended, or this etcd never knew it."""
        return (await self._ask("lease/keepalive", ID=lease)).result.ttl > 0

    async def revoke(self, lease: str) -> None:
        await self._ask("lease/revoke", ID=lease)

    async def swap(self, puts: Mapping[str, bytes], *, key: str, revision: int) -> bool:
        """All of `puts` or nothing: if `key` was last changed at this revision (0: is not there)."""
        done = await self._ask(
            "kv/txn", once=True,
            compare=[{"key": key.encode(), "target": "MOD", "mod_revision": str(revision)}],
            success=[{"request_put": {"key": name.encode(), "value": value}} for name, value in puts.items()])
        return done.succeeded

    async def changed(self, prefix: str, *, after: int, within: float) -> None:
        """Returns when something under `prefix` has changed after that revision, or else after `within` seconds."""
        body = msgspec.json.encode({"create_request": {
            "key": prefix.encode(), "range_end": _end(prefix), "start_revision": str(after + 1)}})
        try:
            async with asyncio.timeout(within) as patience, self._session.post(
                    f"{self._hosts[0]}/v3/watch", data=body, timeout=aiohttp.ClientTimeout(total=None)) as reply:
                async for raw in reply.content:
                    said = _line.decode(raw).result
                    if said is None:
                        raise StoreAway("the watch was refused")
                    if said.events or said.canceled:   # cancelled: that revision is no longer kept
                        return
                raise StoreAway("the watch broke off")
        except TimeoutError:
            if not patience.expired():
                raise StoreAway("no answer in time") from None
        except (aiohttp.ClientError, msgspec.DecodeError) as error:
            raise StoreAway(_why(error)) from error
        except LineTooLong:   # only what has changed is told at such length
            return

    async def _range(self, asked: dict[str, Any]) -> Found:
        answer = await self._ask("kv/range", **asked)
        return Found(answer.kvs, answer.header.revision)

    async def _ask(self, path: str, *, once: bool = False, **body: Any) -> _Answer:
        """`once`: not said again to another member when the first may have heard it."""
        data, away = msgspec.json.encode(body), ""
        for host in list(self._hosts):
            try:
                async with self._session.post(f"{host}/v3/{path}", data=data,
                                              timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as reply:
                    raw = await reply.read()
                if reply.status < 400:
                    return _answer.decode(raw)
                if reply.status < 500:
                    raise StoreRefused(_problem.decode(raw).error)
                away = f"{host} answers {reply.status}"
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                away = f"{host}: {_why(error)}"
                if once and not isinstance(error, aiohttp.ClientConnectorError):
                    break
            self._hosts.append(self._hosts.pop(self._hosts.index(host)))
        raise StoreAway(away)

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise StoreAway("not opened")
        return self._http


def _end(prefix: str) -> bytes:
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])   # prefixes end in a slash, which has a successor


def _why(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__

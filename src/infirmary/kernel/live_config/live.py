"""A service's own view: the value that holds now."""
from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Generic

import structlog

from infirmary.kernel.registries.gateway import StoreAway, StoreRefused

from .layers import COMMON, ConfigRefused, S, check
from .stores import Store

log = structlog.get_logger()
TRIED_EVERY = .5   # seconds, while etcd is away


class Live(Generic[S]):
    """`value` is what holds now, for this service; read it each time, it changes. The defaults until something is heard."""

    def __init__(self, into: type[S], service: str, store: Store | None = None) -> None:
        self._into, self._service, self._store = into, service, store
        self.value, self.version = into(), 0
        self._digest = ""
        self._trouble = ""
        self._told: list[Callable[[], Awaitable[None] | None]] = []
        self._task: asyncio.Task[None] | None = None

    def on_change(self, told: Callable[[], Awaitable[None] | None]) -> None:
        """Called after every new version, when `value` and `version` are the new ones."""
        self._told.append(told)

    async def open(self) -> None:
        if self._store is not None:
            await self._store.open()
            await self._look()
            self._task = asyncio.create_task(self._follow(self._store), name="live-config")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._store is not None:
            await self._store.close()

    async def _follow(self, store: Store) -> None:
        while True:
            try:
                await store.changed()
            except (StoreAway, StoreRefused) as error:
                self._in_trouble("live_config_away", error)
                await asyncio.sleep(TRIED_EVERY)
            await self._look()

    async def _look(self) -> None:
        assert self._store is not None
        try:
            new = (await self._store.head()).version
            if new is None or (new.version, new.digest) == (self.version, self._digest):
                return
            value = check(new.content.get(self._service, new.content.get(COMMON, {})), self._into)
        except ConfigRefused as refused:
            self._in_trouble("live_config_refused", refused)
        except (StoreAway, StoreRefused) as error:
            self._in_trouble("live_config_away", error)
        except Exception as error:   # noqa: BLE001 – whatever it is, the service goes on with what it has
            self._in_trouble("live_config_refused", ConfigRefused(type(error).__name__))
        else:
            self.value, self.version, self._digest, self._trouble = value, new.version, new.digest, ""
            log.info("live_config", version=self.version, service=self._service)
            await self._tell()

    async def _tell(self) -> None:
        for told in self._told:
            try:
                done = told()
                if inspect.isawaitable(done):
                    await done
            except Exception as error:
                log.error("live_config_listener_failed", exc_info=error)

    def _in_trouble(self, event: str, error: Exception) -> None:
        """Said once, not every half second."""
        if self._trouble != event + str(error):
            log.warning(event, service=self._service, version=self.version, why=str(error))
        self._trouble = event + str(error)

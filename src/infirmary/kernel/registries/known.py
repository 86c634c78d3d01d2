"""What every registry does alike: remember who is there, answer at once, tell those who want to hear of changes."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter

import structlog

from infirmary.kernel.registry import Instance

log = structlog.get_logger()


class Known:
    """The instances as last heard."""

    def __init__(self) -> None:
        self._everybody: tuple[Instance, ...] | None = None   # None: nothing was heard yet
        self._by_service: dict[str, tuple[Instance, ...]] = {}
        self._told: list[Callable[[], Awaitable[None]]] = []

    def instances(self, service: str) -> Sequence[Instance]:
        return self._by_service.get(service, ())

    def everybody(self) -> Sequence[Instance]:
        return self._everybody or ()

    def on_change(self, told: Callable[[], Awaitable[None]]) -> None:
        self._told.append(told)

    async def _learn(self, heard: Iterable[Instance]) -> None:
        everybody = tuple(sorted(heard, key=attrgetter("service", "id")))
        if everybody == self._everybody:
            return
        self._everybody = everybody
        self._by_service = {service: tuple(ones) for service, ones in groupby(everybody, attrgetter("service"))}
        for told in self._told:
            try:
                await told()
            except Exception as error:
                log.error("registry_listener_failed", exc_info=error)

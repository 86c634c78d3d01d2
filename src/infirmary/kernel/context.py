"""A context as a process sees it: what it is made of, and what it is given."""
from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import MetaData

from .bus import Reaction
from .clock import Clock
from .contract import Contract
from .database.db import Database
from .events import Event

C = TypeVar("C", bound=Contract)


def derived(master: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose, from the installation's secret."""
    return hmac.digest(master, purpose.encode(), hashlib.sha256)


class Ask(Protocol):
    def __call__(self, contract: type[C], /) -> C:
        """A client for another context, wherever that runs."""


@dataclass(frozen=True)
class Kit:
    """What a context may use. `secret(purpose)` derives 32 bytes from the installation's secret, one key per purpose.

    `live.value` is what operators may change while it runs: to be read each time, never kept.
    """

    settings: Any
    clock: Clock
    db: Database
    ask: Ask
    data: Path
    master: bytes
    live: Any = None   # a kernel.live_config.Live

    def secret(self, purpose: str) -> bytes:
        return derived(self.master, purpose)


@dataclass(frozen=True)
class Job:
    """Work that returns by itself. It must be safe to run in several processes at once."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[object]]


def _no_reactions(_: Any) -> Mapping[type[Event], Reaction]:
    return {}


def _no_jobs(_: Any) -> Sequence[Job]:
    return ()


@dataclass(frozen=True)
class Context(Generic[C]):
    """How one context plugs into a process. `wiring.py` of each context makes exactly one."""

    contract: type[Contract]   # of which C, the service, is the implementation
    metadata: MetaData
    migrations: Path
    service: Callable[[Kit], C]
    reactions: Callable[[C], Mapping[type[Event], Reaction]] = _no_reactions
    jobs: Callable[[C], Sequence[Job]] = _no_jobs

    @property
    def name(self) -> str:
        return self.contract.context

"""The hospital in one process: every context with its database, its relay and its reactions, and one HTTP face."""
from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog

from infirmary.contexts.identity.contract import Identity
from infirmary.kernel.binding import Routes
from infirmary.kernel.bus import Consumer, LocalBus
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import Clock, SystemClock
from infirmary.kernel.context import Context, Job, Kit, derived
from infirmary.kernel.contract import Contract
from infirmary.kernel.database import migrate
from infirmary.kernel.database.db import Database
from infirmary.kernel.idempotency import forget_old_answers
from infirmary.kernel.outbox import Relay, forget_old_facts
from infirmary.kernel.tokens import KeyRing, Revocations, Verifier, public_keys
from infirmary.language import service
from infirmary.settings import Settings
from infirmary.system import System

from .catalogue import CONTEXTS
from .system import SystemService

log = structlog.get_logger()
C = TypeVar("C", bound=Contract)
REVOCATIONS_EVERY = 2.0   # seconds
POOL = 8   # connections per context and process; more only queue in the database


@dataclass
class Room:
    """One context at work."""

    context: Context[Any]
    db: Database
    service: Any
    consumer: Consumer

    @property
    def name(self) -> str:
        return self.context.name


class House:
    """All contexts of `catalogue` (or those given) in this process."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None,
                 contexts: Sequence[Context[Any]] = CONTEXTS) -> None:
        self.settings, self.clock, self.contexts = settings, clock or SystemClock(), contexts
        self.rooms: dict[str, Room] = {}
        self.bus = LocalBus()
        self.revocations = Revocations(self.clock)
        ring = KeyRing(settings.folder / "keys", self.clock)
        self.verifier = Verifier(public_keys(ring), issuer=settings.public_url, audience="infirmary", clock=self.clock,
                                 revocations=self.revocations)
        self.system = SystemService(self)
        self._clients: dict[type[Contract], Contract] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Bring every database up to date and build the services; nothing runs by itself yet."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._master = _master_secret(self.settings.folder / "secret")
        for context in self.contexts:
            url = self.settings.database_url(context.name)
            await migrate.upgrade(url, context.migrations)
            db = await Database.open(url, context.name, clock=self.clock, size=POOL)
            db.secret = self.secret("answers")
            kit = Kit(settings=self.settings, clock=self.clock, db=db, ask=self.ask, data=self.settings.folder,
                      master=self._master)
            made = context.service(kit)
            consumer = Consumer(db, context.reactions(made))
            self.rooms[context.name] = Room(context, db, made, consumer)
            self.bus.subscribe(consumer)
        await self.learn_revocations()

    def secret(self, purpose: str) -> bytes:
        return derived(self._master, purpose)

    def ask(self, contract: type[C], /) -> C:
        """A client for any context; in this house it is a plain call."""
        if contract not in self._clients:
            self._clients[contract] = in_process(contract, lambda: self._find(contract))
        return cast("C", self._clients[contract])

    def _find(self, contract: type[C]) -> tuple[C, Database]:
        if contract is System:
            return cast("C", self.system), self._any_db
        room = self.rooms[contract.context]
        return cast("C", room.service), room.db

    @property
    def _any_db(self) -> Database:
        """Where questions about the whole system keep their keys and audit entries."""
        return next(iter(self.rooms.values())).db

    def start(self) -> None:
        """Relays, jobs and the revocation feed, until `close`."""
        for room in self.rooms.values():
            self._tasks.append(asyncio.create_task(Relay(room.db, self.bus.deliver).run(), name=f"relay-{room.name}"))
            tidy = [Job("forget-answers", timedelta(hours=1), partial(forget_old_answers, room.db)),
                    Job("forget-facts", timedelta(hours=1), partial(forget_old_facts, room.db))]
            for job in [*room.context.jobs(room.service), *tidy]:
                self._tasks.append(asyncio.create_task(_again_and_again(job), name=f"{room.name}-{job.name}"))
        self._tasks.append(asyncio.create_task(_again_and_again(
            Job("revocations", timedelta(seconds=REVOCATIONS_EVERY), self.learn_revocations)), name="revocations"))

    async def learn_revocations(self) -> None:
        revoked = await self.ask(Identity).revocations(service("gatekeeper"))
        self.revocations.learn({one.id: one.since for one in revoked})

    async def deliver_facts(self) -> int:
        """Relay everything that waits, now; answers how many facts. For tests and for making the demo."""
        total = 0
        while moved := sum([await Relay(room.db, self.bus.deliver).once() for room in self.rooms.values()]):
            total += moved
        return total

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for room in self.rooms.values():
            await room.db.close()
        self.rooms.clear()

    @property
    def contracts(self) -> list[type[Contract]]:
        return [*(context.contract for context in self.contexts), System]

    def api(self) -> list[Any]:
        """The HTTP handlers of every contract."""
        handlers = [handler for room in self.rooms.values()
                    for handler in Routes(room.context.contract, room.service, room.db, self.verifier.caller).handlers]
        return [*handlers, *Routes(System, self.system, self._any_db, self.verifier.caller).handlers]


async def _again_and_again(job: Job) -> None:
    while True:
        try:
            await job.work()
        except Exception as error:
            log.warning("job_failed", job=job.name, exc_info=error)
        await asyncio.sleep(job.every.total_seconds())


def _master_secret(file: Path) -> bytes:
    """The installation's own secret; made at the first start, readable by its owner only."""
    with contextlib.suppress(FileExistsError), \
            open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:   # noqa: PTH123 – needs the mode
        out.write(secrets.token_bytes(32))
    return file.read_bytes()

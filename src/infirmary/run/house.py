"""A process of the hospital: the contexts that live here, each with its database, its relay and its reactions, the way to
those that live elsewhere, and one HTTP face.

In one process all of them are here, and the bus is here too. As separate services, the settings name the registry that
says who is where, and the broker that carries the facts.
"""
from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import aiohttp
import structlog
from msgspec.structs import replace

from infirmary import __version__
from infirmary.contexts.identity.contract import Identity
from infirmary.kernel import telemetry, tracing
from infirmary.kernel.binding import Routes
from infirmary.kernel.bus import Bus, Consumer, LocalBus
from infirmary.kernel.client import in_process
from infirmary.kernel.clock import Clock, SystemClock
from infirmary.kernel.context import Context, Job, Kit, derived
from infirmary.kernel.contract import Contract
from infirmary.kernel.database import migrate
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import Unavailable
from infirmary.kernel.idempotency import forget_old_answers
from infirmary.kernel.live_config import Live, store
from infirmary.kernel.outbox import Relay, forget_old_facts
from infirmary.kernel.registry import Instance, Registry
from infirmary.kernel.remote import over_http
from infirmary.kernel.settings import SettingsRefused
from infirmary.kernel.tokens import KeyRing, PublishedKeys, Revocations, Verifier, public_keys
from infirmary.language import service
from infirmary.live import LiveConfig
from infirmary.settings import Settings
from infirmary.system import Backstage, System

from .catalogue import CONTEXTS
from .config import SERVICES
from .system import BackstageService, SystemService
from .trust import Trust

log = structlog.get_logger()
C = TypeVar("C", bound=Contract)
REVOCATIONS_EVERY = 2.0   # seconds
KEYS_EVERY = 60.0
MEASURED_EVERY = 5.0
AWAY_SECONDS = 1.0    # until somebody who is away is asked again
SILENT_FOR = 10.0     # how long a connection is kept; shorter than any server of ours does: what hung up as we wrote might be lost
GATEKEEPER = service("gatekeeper")
SYSTEM_AT = Identity.context   # answers for the whole system: without identity nobody could ask anyway
NEVER = datetime.min.replace(tzinfo=UTC)
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
    """All contexts of `catalogue` (or those given) in this process; with a registry, the others are elsewhere."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None,
                 contexts: Sequence[Context[Any]] = CONTEXTS) -> None:
        self.settings, self.clock, self.contexts = settings, clock or SystemClock(), contexts
        self.rooms: dict[str, Room] = {}
        self.bus: Bus = LocalBus()
        self.revocations = Revocations(self.clock)
        self.published = PublishedKeys()   # identity's keys, where identity is elsewhere
        self.registry: Registry | None = None
        self._registered: list[Instance] = []
        self._lives: dict[str, Live[LiveConfig]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._system, self._backstage = SystemService(self), BackstageService(self)
        self._clients: dict[tuple[type[Contract], str], Contract] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Bring every database up to date and build the services; nothing runs by itself yet."""
        services = self.settings.services
        if services.traces:   # here, because a thread begins that a fork would not take along
            tracing.set_up(services.traces, service=f"infirmary-{self._named}", share=services.trace_share)
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._master = _master_secret(Path(self.settings.secret_file or self.settings.folder / "secret"))
        ring = KeyRing(self.settings.folder / "keys", self.clock)
        self.trust = Trust(public_keys(ring) if self._here(Identity) else self.published.public, self._master,
                           issuer=self.settings.public_url, clock=self.clock, revocations=self.revocations)
        await self._look_around()
        for context in self.contexts:
            url = self.settings.database_url(context.name)
            await self._migrated(url, context)
            db = await Database.open(url, context.name, clock=self.clock, size=POOL)
            db.secret = self.secret("answers")
            kit = Kit(settings=self.settings, clock=self.clock, db=db, ask=self.ask, data=self.settings.folder,
                      live=await self._live(context.name),
                      master=self._master)
            made = context.service(kit)
            consumer = Consumer(db, context.reactions(made))
            self.rooms[context.name] = Room(context, db, made, consumer)
            self.bus.subscribe(consumer)
        if self._here(Identity):
            await self.learn_revocations()
        else:
            self.revocations.heard_at = NEVER   # nobody is trusted before identity was heard

    async def _live(self, service: str) -> Live[LiveConfig]:
        """What operators may change while it runs. Its log level holds for the process once something was pushed."""
        settings = self.settings
        kept = store(settings.services.config, settings.environment.value, into=LiveConfig,
                     services=SERVICES) if settings.services.config else None
        live = Live(LiveConfig, service, kept)

        async def taken_up() -> None:
            telemetry.set_level(live.value.log_level)
            await self._report(service, live.version)

        live.on_change(taken_up)
        self._lives[service] = live
        await live.open()
        if live.version:
            telemetry.set_level(live.value.log_level)
        return live

    async def _report(self, service: str, version: int) -> None:
        """Tell the registry which version of the configuration runs here."""
        for at, one in enumerate(self._registered):
            if one.service == service and self.registry is not None:
                self._registered[at] = replace(one, config_version=version)
                await self.registry.register(self._registered[at])

    async def _migrated(self, url: str, context: Context[Any]) -> None:
        """One process brings its databases up to date itself. A service may not: its user owns no table, and others of
        its kind still run the code before."""
        if not self.settings.services.registry:
            await migrate.upgrade(url, context.migrations)
        elif missing := await migrate.pending(url, context.migrations):
            raise SettingsRefused(f"The database of {context.name} has not had {', '.join(missing)}: "
                                  f"run `infirmary migrate {context.name}` first.")

    async def _look_around(self) -> None:
        """Learn who is elsewhere, and reach the broker; neither needs to be there yet."""
        services = self.settings.services
        if services.bus:
            from infirmary.kernel.kafka import KafkaBus  # late: one process needs no Kafka
            self.bus = KafkaBus(services.bus, contexts=self.everywhere)
            await self.bus.open()
        if services.registry:
            from infirmary.kernel.registries import registry
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=SILENT_FOR))
            self.registry = registry(services.registry, services=[*self.everywhere, "web"])
            await self.registry.open()

    @property
    def verifier(self) -> Verifier:
        """For tokens of people."""
        return self.trust.people

    def secret(self, purpose: str) -> bytes:
        return derived(self._master, purpose)

    def ask(self, contract: type[C], /) -> C:
        """A client for any context: a plain call if it lives here."""
        return self._client(contract, SYSTEM_AT if contract is System else contract.context)

    def backstage(self, context: str) -> Backstage:
        """The process of this context, for questions about itself."""
        return self._client(Backstage, context)

    def _client(self, contract: type[C], at: str) -> C:
        if (contract, at) not in self._clients:
            self._clients[contract, at] = (
                in_process(contract, lambda: self._find(contract)) if at in self._contexts or self._http is None else
                over_http(contract, lambda: [one.url for one in self.instances(at)], self._http, sign=self.trust.sign))
        return cast("C", self._clients[contract, at])

    def _find(self, contract: type[C]) -> tuple[C, Database]:
        if contract is System or contract is Backstage:
            return cast("C", self._system if contract is System else self._backstage), self._any_db
        room = self.rooms[contract.context]
        return cast("C", room.service), room.db

    def instances(self, context: str) -> Sequence[Instance]:
        """Who runs it, as the registry knows; nobody where there is none."""
        return self.registry.instances(context) if self.registry else ()

    @property
    def everywhere(self) -> list[str]:
        """The contexts of the whole hospital, here or elsewhere."""
        return [context.name for context in (CONTEXTS if self.settings.services.registry else self.contexts)]

    def _here(self, contract: type[Contract]) -> bool:
        return contract.context in self._contexts

    @property
    def _named(self) -> str:
        """What this process is called among others."""
        return "-".join(one.name for one in self.contexts) or "web" if self.settings.services.registry else "hospital"

    @property
    def _contexts(self) -> set[str]:
        return {context.name for context in self.contexts}

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
                self._tasks.append(asyncio.create_task(again_and_again(job), name=f"{room.name}-{job.name}"))
        self.bus.start()
        jobs = [Job("revocations", timedelta(seconds=REVOCATIONS_EVERY), self.learn_revocations),
                Job("measure", timedelta(seconds=MEASURED_EVERY), self.measure)]
        if not self._here(Identity):
            jobs.append(Job("keys", timedelta(seconds=KEYS_EVERY), self.learn_keys))
        self._tasks += [asyncio.create_task(again_and_again(job), name=job.name) for job in jobs]

    async def learn_revocations(self) -> None:
        revoked = await self.ask(Identity).revocations(GATEKEEPER)
        self.revocations.learn({one.id: one.since for one in revoked})

    async def measure(self) -> None:
        """For the metrics: what waits and what was set aside."""
        for name in self.rooms:
            state = await self._backstage.state(GATEKEEPER, name)
            telemetry.FACTS_WAITING.labels(name).set(state.facts_waiting)
            telemetry.FACTS_OLDEST.labels(name).set(state.oldest_waits_seconds)
            telemetry.FACTS_PARKED.labels(name).set(state.parked)

    async def learn_keys(self) -> None:
        self.published.learn((await self.ask(Identity).jwks(GATEKEEPER)).keys)

    async def register(self, url: str, *more: str) -> None:
        """Be found under the names of the contexts here, and under those given."""
        assert self.registry is not None
        for name in [*self.rooms, *more]:
            live = self._lives.get(name) or await self._live(name)
            one = Instance(service=name, id=uuid4().hex, url=url, pid=os.getpid(), version=__version__,
                           config_version=live.version)
            await self.registry.register(one)
            self._registered.append(one)

    async def withdraw(self) -> None:
        """Be found no more. What is under way is still answered."""
        for one in self._registered:
            assert self.registry is not None
            await self.registry.withdraw(one)
        self._registered.clear()

    async def deliver_facts(self) -> int:
        """Relay everything that waits, now; answers how many facts. For tests and for making the demo."""
        total = 0
        while moved := sum([await Relay(room.db, self.bus.deliver).once() for room in self.rooms.values()]):
            total += moved
        return total

    async def close(self) -> None:
        await self.withdraw()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.bus.close()
        for live in self._lives.values():
            await live.close()
        for room in self.rooms.values():
            await room.db.close()
        self.rooms.clear()
        if self.registry is not None:
            await self.registry.close()
        if self._http is not None:
            await self._http.close()
        if self.settings.services.traces:
            await asyncio.to_thread(tracing.end)

    @property
    def contracts(self) -> list[type[Contract]]:
        """All that can be asked of the hospital, here or elsewhere."""
        return [*(context.contract for context in (CONTEXTS if self.registry else self.contexts)), System, Backstage]

    def api(self) -> list[Any]:
        """The HTTP handlers of every contract that is answered here."""
        served = [(room.context.contract, room.service, room.db) for room in self.rooms.values()]
        if served:
            served.append((Backstage, self._backstage, self._any_db))
        if self._here(Identity):   # who cannot sign in needs no view of the system
            served.append((System, self._system, self._any_db))
        return [handler for contract, answering, db in served
                for handler in Routes(contract, answering, db, self.trust.caller).handlers]


async def again_and_again(job: Job) -> None:
    while True:
        pause = job.every.total_seconds()
        try:
            await job.work()
        except Unavailable:   # somebody it asks is away, and comes back
            log.info("job_waits", job=job.name)
            pause = min(pause, AWAY_SECONDS)
        except Exception as error:
            log.warning("job_failed", job=job.name, exc_info=error)
        await asyncio.sleep(pause)


def _master_secret(file: Path) -> bytes:
    """The installation's own secret; made at the first start, readable by its owner only."""
    with contextlib.suppress(FileExistsError), \
            open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:   # noqa: PTH123 – needs the mode
        out.write(secrets.token_bytes(32))
    return file.read_bytes()

"""The hospital as separate processes on one machine: databases, broker, registry, services, gateway.

Everything listens on 127.0.0.1 and keeps what it keeps in one folder. Ports and passwords are chosen at the first start
and stay. `infirmary up` returns when the gateway answers; a supervisor in the background keeps the rest alive until
`infirmary down`.
"""
from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec

from infirmary.kernel.database import migrate
from infirmary.kernel.live_config import EtcdStore, push
from infirmary.live import LiveConfig
from infirmary.settings import Environment, Settings

from .catalogue import CONTEXTS
from .config import SERVICES as SERVED
from .demo import make_demo
from .native import etcd, kafka
from .native.databases import MariaDb, Postgres, Store
from .service import WEB
from .supervisor import Program, Supervisor

CONFIG = Path("deploy/config")   # where Git keeps it, seen from where `make up` runs
STORES, SERVICES, GATEWAY = range(3)   # the stages of a start
DATABASES: dict[str, type[Store]] = {"postgresql": Postgres, "mariadb": MariaDb}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided at the first start, kept in `plan.json`."""

    port: int
    database: str            # postgresql or mariadb
    replicas: int
    demo: bool
    ports: dict[str, int]
    password: str            # of databases on this machine, each user's derived from it


def services(plan: Plan) -> list[tuple[str, str, int]]:
    """(process, service, port) of every replica."""
    names = [*(context.name for context in CONTEXTS), WEB]
    return [(f"{name}-{n}", name, plan.ports[f"{name}-{n}"]) for name in names for n in range(1, plan.replicas + 1)]


def decided(folder: Path, *, port: int, database: str, replicas: int, demo: bool) -> Plan:
    """The plan of this folder, made at the first start; another database needs another folder."""
    file = folder / "plan.json"
    before = msgspec.json.decode(file.read_bytes(), type=Plan) if file.exists() else None
    if before is not None and before.database != database:
        raise ValueError(f"{folder} holds a hospital on {before.database}. Use another DATA folder for {database}.")
    names = [*("database", "kafka", "kafka-controller", "etcd", "etcd-peer", "envoy-admin"),
             *(f"{name}-{n}" for name in [*(context.name for context in CONTEXTS), WEB] for n in range(1, replicas + 1))]
    known = before.ports if before else {}
    missing = [name for name in names if name not in known]
    ports = {**known, **dict(zip(missing, _free_ports(len(missing)), strict=True))}
    plan = Plan(port=port, database=database, replicas=replicas, demo=before.demo if before else demo, ports=ports,
                password=before.password if before else secrets.token_hex(16))
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:   # noqa: PTH123 – needs the mode
        out.write(msgspec.json.encode(plan))
    return plan


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def environment(plan: Plan, folder: Path) -> dict[str, str]:
    """What every process of the hospital is told, beyond where its database is."""
    return {
        "INFIRMARY_DATA": str(folder),
        "INFIRMARY_ENVIRONMENT": (Environment.DEMO if plan.demo else Environment.DEVELOPMENT).value,
        "INFIRMARY_PUBLIC_URL": f"http://127.0.0.1:{plan.port}",
        "INFIRMARY_LOG_LEVEL": "warning",
        "INFIRMARY_SERVICES__BUS": f"kafka://127.0.0.1:{plan.ports['kafka']}",
        "INFIRMARY_SERVICES__REGISTRY": etcd.address(plan.ports["etcd"]),
        "INFIRMARY_SERVICES__CONFIG": etcd.address(plan.ports["etcd"]),
        "INFIRMARY_SERVICES__GATEWAY": "true",
    }


def programs(plan: Plan, folder: Path, store: Store, jars: Path) -> list[Program]:
    """Everything that has to run."""
    told, us = environment(plan, folder), [sys.executable, "-m", "infirmary"]
    properties = folder / "kafka.properties"
    return [
        Program(name=store.engine, role="database", stage=STORES, url=f"{store.engine}://127.0.0.1:{store.port}",
                command=store.command(), user=store.runs_as, ready=store.answers,
                stop=signal.SIGINT if store.engine == "postgresql" else signal.SIGTERM),   # its "fast" shutdown
        Program(name="kafka", role="broker", stage=STORES, url=f"kafka://127.0.0.1:{plan.ports['kafka']}",
                command=kafka.start_command(jars, properties), ready=_answers(plan.ports["kafka"])),
        Program(name="etcd", role="registry", stage=STORES, url=etcd.address(plan.ports["etcd"]),
                command=etcd.command(folder / "etcd", client=plan.ports["etcd"], peer=plan.ports["etcd-peer"]),
                ready=_answers(plan.ports["etcd"])),
        Program(name="mail", role="mail", stage=STORES, command=[*us, "catch-mail"], environment=told),
        *(Program(name=process, role="service", stage=SERVICES, url=f"http://127.0.0.1:{port}",
                  command=[*us, "serve", service, "--port", str(port)],
                  environment={**told, "INFIRMARY_DATABASE": store.url(service)},
                  ready=_healthy(f"http://127.0.0.1:{port}/health/ready"))
          for process, service, port in services(plan)),
        Program(name="gateway", role="gateway", stage=GATEWAY, url=f"http://127.0.0.1:{plan.port}", environment=told,
                command=[*us, "gateway", "--port", str(plan.port)],
                ready=_healthy(f"http://127.0.0.1:{plan.port}/api/v1/slots/earliest"))]


def _answers(port: int) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True

    return ready


def _healthy(url: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(url) as reply:
            return reply.status == 200

    return ready


async def _prepared(plan: Plan, folder: Path, store: Store, jars: Path, say: Callable[[str], None]) -> None:
    """What the stores need before their first start."""
    if reason := store.missing() or (None if shutil.which("etcd") else "etcd is not installed: apt-get install etcd-server"):
        raise ValueError(reason)
    if not list(jars.glob("kafka_*.jar")):   # noqa: ASYNC240 – before anything else runs
        raise ValueError(f"Kafka is not in {jars}: fetch it with deploy/kafka/fetch.sh {jars}")
    if not store.data.exists():
        say(f"  Setting up {store.engine}")
    await store.install()
    properties = folder / "kafka.properties"
    properties.write_text(kafka.configuration(folder / "kafka", plan.ports["kafka"], plan.ports["kafka-controller"]))
    format_ = await asyncio.create_subprocess_exec(*kafka.format_command(jars, properties),
                                                   stdout=asyncio.subprocess.DEVNULL)
    if await format_.wait():
        raise OSError("Kafka's folder could not be formatted")


async def _peopled(plan: Plan, folder: Path, store: Store, say: Callable[[str], None]) -> None:
    """Databases with their tables, and the demo in them if they are new and it is wanted."""
    names = [context.name for context in CONTEXTS]
    await store.create(names)
    for context in CONTEXTS:
        if await migrate.upgrade(store.owner_url(context.name), context.migrations):
            say(f"  {context.name}: tables made")
    await store.grant(names)
    await _configured(plan)
    if plan.demo:
        settings = Settings(data=str(folder), database=store.owner_url("{context}"), environment=Environment.DEMO,
                            public_url=f"http://127.0.0.1:{plan.port}")
        await make_demo(settings, say=say)


async def _configured(plan: Plan) -> None:
    """The first version of the configuration, as the files stand; later ones are pushed by people."""
    told = environment(plan, Path())
    kept = EtcdStore(told["INFIRMARY_SERVICES__CONFIG"], told["INFIRMARY_ENVIRONMENT"])
    await kept.open()
    try:
        if (await kept.head()).version is None and CONFIG.is_dir():   # noqa: ASYNC240 – once, at the start
            await push(CONFIG, told["INFIRMARY_ENVIRONMENT"], kept, into=LiveConfig, services=SERVED,
                       author="infirmary up", note="the first start")
    finally:
        await kept.close()


async def supervised(folder: Path, *, port: int, replicas: int, database: str, demo: bool, jars: Path,
                     say: Callable[[str], None], ready: Callable[[], None]) -> None:
    """Everything up, and kept so until SIGTERM or SIGINT."""
    plan = decided(folder, port=port, database=database, replicas=replicas, demo=demo)
    store = DATABASES[database](folder, plan.ports["database"], plan.password)
    await _prepared(plan, folder, store, jars, say)
    supervisor = Supervisor(programs(plan, folder, store, jars), folder, say=say,
                            between={SERVICES: lambda: _peopled(plan, folder, store, say)})
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            ready()
            await stopping
    finally:
        starting.cancel()
        await supervisor.stop()

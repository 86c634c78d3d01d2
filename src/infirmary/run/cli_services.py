"""`infirmary gateway`, `up` and `down`: the hospital as separate processes."""
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import msgspec

from infirmary.kernel.live_config import Live, store
from infirmary.kernel.settings import SettingsRefused
from infirmary.live import LiveConfig
from infirmary.settings import Settings, load

from .config import SERVICES
from .gateway.filters import Rate
from .gateway.traces import Traces
from .supervisor import Entry

DATA = click.option("--data", default="data-services", show_default=True, help="Folder for everything it keeps.",
                    type=click.Path(file_okay=False, path_type=Path))
DOWN_WITHIN = 120.0   # seconds


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM; with --key: HTTPS.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", default=None, help="Folder for its configuration.")
@click.option("--settings", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def gateway(host: str, port: int, certificate: Path | None, key: Path | None, data: str | None, file: Path | None) -> None:
    """Run Envoy as the one door to all services, in step with the registry."""
    from infirmary.kernel import telemetry
    from infirmary.kernel.registries import registry
    from infirmary.system import Backstage, System

    from .catalogue import CONTEXTS
    from .gateway.run import Gateway
    from .service import WEB

    try:
        settings = load(file, data=data)
        names = [*(context.name for context in CONTEXTS), WEB]
        known = registry(settings.services.registry, services=names)
    except (SettingsRefused, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together.")
    telemetry.set_up_logs(level=settings.log_level, with_messages=not settings.production)
    rate = asyncio.run(_rate(settings))
    door = Gateway(known, [*(context.contract for context in CONTEXTS), System, Backstage],
                   folder=settings.folder / "gateway", host=host, port=port, issuer=settings.public_url,
                   certificate=(certificate, key) if certificate and key else None, rate=rate,
                   traces=Traces(collector=settings.services.traces, share=settings.services.trace_share)
                   if settings.services.traces else None)
    sys.exit(asyncio.run(door.run()))


async def _rate(settings: Settings) -> Rate | None:
    """What the configuration grants each client; read at the start, as Envoy's own configuration is."""
    if not settings.services.config:
        return None
    live = Live(LiveConfig, "gateway", store(settings.services.config, settings.environment.value, into=LiveConfig,
                                             services=SERVICES))
    await live.open()
    await live.close()
    granted = live.value.gateway
    return Rate(requests=granted.requests_per_second, per_seconds=1, burst=granted.burst) if live.version else None


@click.command()
@click.option("--port", default=8000, show_default=True, help="Where the gateway listens.")
@DATA
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(1, 9), help="Copies of each service.")
@click.option("--db", "database", default="postgresql", show_default=True, type=click.Choice(["postgresql", "mariadb"]))
@click.option("--demo/--no-demo", default=True, show_default=True, help="Make the demo hospital in new databases.")
@click.option("--kafka", "jars", default="build/kafka", show_default=True, help="Where deploy/kafka/fetch.sh put the jars.",
              type=click.Path(file_okay=False, path_type=Path))
def up(port: int, data: Path, replicas: int, database: str, demo: bool, jars: Path) -> None:
    """Start the hospital as separate services on this machine, and return when it answers."""
    folder = data.resolve()
    if (pid := _supervisor(folder)) is not None:
        raise click.ClickException(f"It is up already (process {pid}). Stop it with: infirmary down --data {data}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    with (folder / "logs" / "supervisor.log").open("ab") as out:
        child = subprocess.Popen(   # noqa: S603 – ourselves
            [sys.executable, "-m", "infirmary", "supervise", "--port", str(port), "--data", str(folder), "--replicas",
             str(replicas), "--db", database, "--demo" if demo else "--no-demo", "--kafka", str(jars.resolve())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out, start_new_session=True, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == READY:
            break
        click.echo(line, nl=False)
    else:
        child.wait()
        raise click.ClickException(f"It did not start. See {folder / 'logs'}")
    click.echo(f"\n  The hospital is open at http://127.0.0.1:{port}\n")
    for one in _entries(folder):
        click.echo(f"    {one.name:<16} {one.role:<10} {one.pid:>8}  {one.url}")
    click.echo(f"\n  Who is where: {folder / 'topology.json'}    Logs: {folder / 'logs'}\n"
               f"  Stop it with: infirmary down --data {data}\n")


READY = "-- ready --"


@click.command(hidden=True)
@click.option("--port", type=int, required=True)
@DATA
@click.option("--replicas", type=int, required=True)
@click.option("--db", "database", required=True)
@click.option("--demo/--no-demo", required=True)
@click.option("--kafka", "jars", required=True, type=click.Path(path_type=Path))
def supervise(port: int, data: Path, replicas: int, database: str, demo: bool, jars: Path) -> None:
    """What `up` leaves in the background."""
    from infirmary.kernel import telemetry

    from .up import supervised

    def say(text: str) -> None:
        click.echo(text)
        sys.stdout.flush()

    telemetry.set_up_logs(level="info")
    try:
        asyncio.run(supervised(data, port=port, replicas=replicas, database=database, demo=demo, jars=jars, say=say,
                               ready=lambda: say(READY)))
    except (SettingsRefused, ValueError, OSError, TimeoutError) as error:
        say(f"Error: {error}")
        sys.exit(1)


@click.command()
@DATA
def down(data: Path) -> None:
    """Stop what `up` started with this folder: that, and nothing else."""
    folder = data.resolve()
    pid = _supervisor(folder)
    if pid is None:
        click.echo("Nothing is up.")
        return
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + DOWN_WITHIN
    while _supervises(pid, folder):
        if time.monotonic() > until:
            raise click.ClickException(f"Process {pid} does not stop. See {folder / 'logs'}")
        time.sleep(.1)
    click.echo("Everything is stopped.")


def _entries(folder: Path) -> list[Entry]:
    file = folder / "topology.json"
    return msgspec.json.decode(file.read_bytes(), type=list[Entry]) if file.exists() else []


def _supervisor(folder: Path) -> int | None:
    """The living supervisor of this folder; a number that now belongs to another process is not it."""
    return next((one.pid for one in _entries(folder) if one.role == "supervisor" and _supervises(one.pid, folder)), None)


def _supervises(pid: int, folder: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"supervise" in words and str(folder).encode() in words

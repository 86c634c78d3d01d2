"""`infirmary`: the commands of an operator."""
from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from infirmary import __version__
from infirmary.kernel.settings import SettingsRefused
from infirmary.settings import Environment, Settings, load

from .backup import backup_command, restore_command
from .cli_services import down, gateway, supervise, up
from .config import config

FILE = click.option("--settings", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                    help="Settings file (TOML). Environment variables INFIRMARY_… come on top.")
DATA = click.option("--data", default=None, help="Folder for databases, keys and mail.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="infirmary")
def main() -> None:
    """Infirmary, a hospital management system.

    `infirmary demo` starts a made-up hospital to look around in; `infirmary serve` starts yours.
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@DATA
def demo(host: str, port: int, data: str | None) -> None:
    """Start the demo hospital, making it first if it is not there."""
    from .demo import SIGN_INS

    settings = _load(None, environment=Environment.DEMO, data=data, public_url=f"http://{host}:{port}")
    _port_must_be_free(host, port)
    # In a process of its own: the server's workers are forks of this one, and threads do not survive a fork.
    making = multiprocessing.get_context("spawn").Process(target=_make_demo, args=(settings,))
    making.start()
    making.join()
    if making.exitcode:
        sys.exit(making.exitcode)
    click.echo(f"\n  {settings.hospital.name} is open at http://{host}:{port}\n")
    click.echo("  Sign in as (all with the password infirmary-demo-1):")
    for email, who in SIGN_INS:
        click.echo(f"    {email:<24} {who}")
    click.echo(f"\n  API: http://{host}:{port}/api/docs    Data: {settings.data}    Stop with Ctrl+C\n")
    _serve(settings, None, host, port, workers=1)


@main.command()
@click.argument("names", nargs=-1, metavar="[CONTEXT]...")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes; more than one needs a database server.")
@DATA
@FILE
def serve(names: tuple[str, ...], host: str, port: int, workers: int, data: str | None, file: Path | None) -> None:
    """Start the hospital, or only some of its contexts.

    Without a name the whole hospital runs here. With names (identity, patients, …, and `web` for the pages) only
    these do, as one service among others: the settings must say where the registry and the bus are.
    """
    settings = _load(file, data=data)
    if names:
        _serve_some(settings, list(names), host, port)
        return
    if workers > 1 and settings.database.startswith("sqlite"):
        raise click.UsageError("SQLite serves one process. Use --workers 1, or a database server.")
    if settings.environment is not Environment.DEMO and (settings.folder / "demo").exists():
        raise click.ClickException(f"{settings.data} holds the demo hospital, whose passwords everybody knows. "
                                   "Use another --data folder.")
    _port_must_be_free(host, port)
    _serve(settings, file, host, port, workers=workers)


@main.command("catch-mail")
@DATA
@FILE
def catch_mail(data: str | None, file: Path | None) -> None:
    """Take all e-mail and text messages instead of delivering them, for demos: an administrator reads them in the browser."""
    from infirmary.sandbox.catchers import Catchers

    async def catch(folder: Path) -> None:
        catchers = Catchers(folder)
        await catchers.start()
        try:
            await asyncio.Event().wait()
        finally:
            await catchers.stop()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(catch(_load(file, data=data).folder))


@main.command()
@click.argument("names", nargs=-1, metavar="[CONTEXT]...")
@DATA
@FILE
def migrate(names: tuple[str, ...], data: str | None, file: Path | None) -> None:
    """Bring every database (or those named) up to date, and stop."""
    from infirmary.kernel.database import migrate as migrations

    from .catalogue import CONTEXTS

    settings = _load(file, data=data)
    settings.folder.mkdir(parents=True, exist_ok=True)
    for context in (one for one in CONTEXTS if not names or one.name in names):
        changed = asyncio.run(migrations.upgrade(settings.database_url(context.name), context.migrations))
        click.echo(f"{context.name:<15} {'brought up to date' if changed else 'is up to date'}")


@main.command("open-account")
@click.argument("email")
@click.option("--name", required=True, help="How the person is called.")
@click.option("--role", "roles", multiple=True, required=True, help="admin, reception, …; may be given again.")
@DATA
@FILE
def open_account(email: str, name: str, roles: tuple[str, ...], data: str | None, file: Path | None) -> None:
    """Make an account from the command line: the first administrator of a new hospital.

    Asks for the password.
    """
    from infirmary.contexts.identity.contract import Identity, OpenAccount
    from infirmary.language import Role

    password = click.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def make(house: Any) -> None:
        from infirmary.kernel.access import Caller
        operator = Caller(account_id=None, name="operator", roles=frozenset({Role.ADMIN}))
        await house.ask(Identity).open_account(operator, OpenAccount(
            email=email, name=name, roles=[Role(role) for role in roles], password=password))

    _in_house(_load(file, data=data), make, only="identity")
    click.echo(f"{email} can sign in now.")


for _command in (gateway, up, supervise, down, config, backup_command, restore_command):
    main.add_command(_command)


@main.group()
def keys() -> None:
    """Keys that sign access tokens."""


@keys.command()
@DATA
@FILE
def rotate(data: str | None, file: Path | None) -> None:
    """Publish a new signing key; it is used ten minutes later, and old ones go when no token needs them."""
    from infirmary.kernel.clock import SystemClock
    from infirmary.kernel.tokens import KeyRing

    key = KeyRing(_load(file, data=data).folder / "keys", SystemClock()).rotate()
    click.echo(f"Key {key.kid} signs from {key.active_from:%Y-%m-%d %H:%M} UTC on.")


@main.group()
def events() -> None:
    """Events that could not be handled."""


@events.command()
@DATA
@FILE
def parked(data: str | None, file: Path | None) -> None:
    """List parked events."""
    async def show(house: Any) -> None:
        found = [(room.name, one) for room in house.rooms.values() for one in await room.consumer.parked()]
        for name, one in found:
            click.echo(f"{one.id}  {name:<14} {one.kind:<40} {one.parked_at:%Y-%m-%d %H:%M}  {one.why}")
        if not found:
            click.echo("Nothing is parked.")

    _in_house(_load(file, data=data), show)


@events.command()
@click.argument("event_id", required=False)
@DATA
@FILE
def replay(event_id: str | None, data: str | None, file: Path | None) -> None:
    """Try parked events again: one, or all of them."""
    async def again(house: Any) -> None:
        for room in house.rooms.values():
            for one in await room.consumer.parked():
                if event_id in (None, str(one.id)):
                    try:
                        await room.consumer.replay(one)
                        click.echo(f"{one.id}  done")
                    except Exception as error:   # noqa: BLE001 – it stays parked; the next one may do better
                        click.echo(f"{one.id}  still fails: {type(error).__name__}")

    _in_house(_load(file, data=data), again)


def _make_demo(settings: Settings) -> None:
    from .demo import make_demo

    try:
        asyncio.run(make_demo(settings, say=click.echo))
    except SettingsRefused as refused:
        click.echo(f"Error: {refused}", err=True)
        sys.exit(1)


def _load(file: Path | None, **overrides: Any) -> Settings:
    try:
        return load(file, **overrides)
    except (SettingsRefused, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _in_house(settings: Settings, work: Any, *, only: str = "") -> None:
    """`only`: the context that the work is about. As separate services, the database user may enter no other."""
    from infirmary.kernel.errors import Refusal

    from .catalogue import CONTEXTS
    from .house import House

    async def run() -> None:
        alone = only and settings.services.registry
        house = House(settings, contexts=[one for one in CONTEXTS if not alone or one.name == only])
        await house.open()
        try:
            await work(house)
        finally:
            await house.close()

    try:
        asyncio.run(run())
    except (Refusal, ValueError) as refusal:
        raise click.ClickException(str(refusal)) from refusal


def _port_must_be_free(host: str, port: int) -> None:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(f"Port {port} is taken. Choose another: --port 8123") from error


def _serve_some(settings: Settings, names: list[str], host: str, port: int) -> None:
    import uvloop

    from .catalogue import CONTEXTS
    from .service import WEB
    from .service import serve as serve_some

    known = [*(context.name for context in CONTEXTS), WEB]
    if unknown := sorted(set(names) - set(known)):
        raise click.UsageError(f"There is no {', '.join(unknown)}. Known are: {', '.join(known)}.")
    if set(names) < set(known) and not settings.services.registry:
        raise click.UsageError("The other services have to be found: set services.registry (INFIRMARY_SERVICES__REGISTRY).")
    if settings.services.bus == "" and 0 < len(set(names) - {WEB}) < len(CONTEXTS):
        raise click.UsageError("Facts have to travel: set services.bus (INFIRMARY_SERVICES__BUS).")
    _port_must_be_free(host, port)
    uvloop.run(serve_some(settings, names, host, port))


def _serve(settings: Settings, file: Path | None, host: str, port: int, *, workers: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    from .all_in_one import SETTINGS_FILE

    if file:
        os.environ[SETTINGS_FILE] = str(file.resolve())
    os.environ["INFIRMARY_DATA"] = settings.data
    os.environ["INFIRMARY_ENVIRONMENT"] = settings.environment.value
    os.environ["INFIRMARY_PUBLIC_URL"] = settings.public_url
    os.environ["INFIRMARY_WORKERS"] = str(workers)
    sys.stdout.flush()
    Granian("infirmary.run.all_in_one:app", address=host, port=port, interface=Interfaces.ASGI, workers=workers,
            websockets=False, log_level=LogLevels.warning, respawn_failed_workers=True, backlog=2048).serve()

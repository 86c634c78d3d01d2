"""`infirmary config`: what may change while the hospital runs goes from Git to the services, as versions."""
from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import yaml

from infirmary.kernel import live_config
from infirmary.kernel.live_config import COMMON, ConfigRefused, EtcdStore, Version
from infirmary.kernel.live_config.layers import check
from infirmary.kernel.registries.gateway import StoreAway, StoreRefused
from infirmary.live import LiveConfig

from .catalogue import CONTEXTS

T = TypeVar("T")
SERVICES = (*(context.name for context in CONTEXTS), "web", "gateway")   # who may have a file of its own

ENVIRONMENT = click.option("--environment", required=True, envvar="INFIRMARY_ENVIRONMENT", show_envvar=True,
                           help="Whose configuration: the name of a folder in deploy/config.")
STORE = click.option("--store", required=True, envvar="INFIRMARY_SERVICES__CONFIG", show_envvar=True,
                     help="etcd://host:port[,host:port]")
AUTHOR = click.option("--author", default="", help="Who is responsible for it. [default: who you are on this machine]")
NOTE = click.option("--note", default="", help="Why, in a few words.")


@click.group()
def config() -> None:
    """What may change while the hospital runs."""


@config.command()
@click.option("--folder", default=Path("deploy/config"), show_default=True,
              type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where Git keeps the files.")
@ENVIRONMENT
@STORE
@AUTHOR
@NOTE
def push(folder: Path, environment: str, store: str, author: str, note: str) -> None:
    """Check the files of an environment, and give them to all its services as a new version."""
    async def work(kept: EtcdStore) -> tuple[Version | None, Version]:
        before = (await kept.head()).version
        return before, await live_config.push(folder, environment, kept, into=LiveConfig, services=SERVICES,
                                              author=author or _me(), note=note)

    _report(*_with(store, environment, work))


@config.command()
@ENVIRONMENT
@STORE
def history(environment: str, store: str) -> None:
    """List all versions, the newest first."""
    found = _with(store, environment, EtcdStore.history)
    for one in reversed(found):
        click.echo(f"{one.version:>5}  {one.at:%Y-%m-%d %H:%M:%S} UTC  {one.author:<16} {one.digest[:12]}  {one.note}")
    if not found:
        click.echo(f"Nothing has been pushed for {environment}.")


@config.command()
@click.argument("before", type=int)
@click.argument("after", type=int, required=False)
@ENVIRONMENT
@STORE
def diff(before: int, after: int | None, environment: str, store: str) -> None:
    """What changed from version BEFORE to version AFTER (or the newest), by service and key."""
    async def work(kept: EtcdStore) -> list[str]:
        return live_config.diff(await kept.version(before), await _newest_or(after, kept))

    lines = _with(store, environment, work)
    click.echo("\n".join(lines) if lines else "They are the same.")


@config.command()
@click.argument("version", type=int)
@ENVIRONMENT
@STORE
@AUTHOR
@NOTE
def rollback(version: int, environment: str, store: str, author: str, note: str) -> None:
    """Make a new version with the content of VERSION. Git does not know of it: change the files, too."""
    async def work(kept: EtcdStore) -> tuple[Version | None, Version]:
        before = (await kept.head()).version
        return before, await live_config.rollback(version, kept, into=LiveConfig, author=author or _me(), note=note)

    _report(*_with(store, environment, work))


@config.command()
@click.argument("service", type=click.Choice([COMMON, *SERVICES]), default=COMMON)
@click.option("--version", type=int, default=None, help="Not the newest, but this one.")
@ENVIRONMENT
@STORE
def show(service: str, version: int | None, environment: str, store: str) -> None:
    """What SERVICE runs with, defaults included."""
    async def work(kept: EtcdStore) -> tuple[Version, LiveConfig]:
        found = await _newest_or(version, kept)
        return found, check(found.content.get(service, found.content[COMMON]), LiveConfig)

    found, value = _with(store, environment, work)
    click.echo(f"# {service}, version {found.version} by {found.author}, {found.at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False, allow_unicode=True), nl=False)


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:   # a user without a name, as in many containers
        raise ConfigRefused("This user has no name here: say who you are with --author") from error


async def _newest_or(number: int | None, kept: EtcdStore) -> Version:
    found = (await kept.head()).version if number is None else await kept.version(number)
    if found is None:
        raise ConfigRefused("Nothing has been pushed here yet: infirmary config push")
    return found


def _report(before: Version | None, made: Version) -> None:
    if before == made:
        click.echo(f"Nothing has changed: version {made.version} stays.")
        return
    click.echo(f"Version {made.version} is there, and the services take it up now.")
    for line in live_config.diff(before, made)[2:] if before else ():
        if not line.startswith("@@"):
            click.echo(f"  {line}")


def _with(url: str, environment: str, work: Callable[[EtcdStore], Awaitable[T]]) -> T:
    if not url.startswith("etcd://"):
        raise click.UsageError("Versions are kept in etcd (--store etcd://host:port). A folder has none: its history is "
                               "Git's, and the process that watches it takes up each change by itself.")

    async def run() -> Any:
        kept = EtcdStore(url, environment)
        await kept.open()
        try:
            return await work(kept)
        finally:
            await kept.close()

    try:
        made: T = asyncio.run(run())
    except StoreAway as away:
        raise click.ClickException(f"etcd does not answer ({away}). What was being written may be there or not: "
                                   "`infirmary config history` will tell.") from away
    except (ConfigRefused, StoreRefused, ValueError) as refused:
        raise click.ClickException(str(refused)) from refused
    return made

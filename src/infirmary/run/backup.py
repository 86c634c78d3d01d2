"""The whole hospital in one file, and back, onto any engine.

The file is a zip of one `context/table.jsonl` per table (`kernel/database/dump.py`) and `manifest.json`, which says
what is in it, down to the digests. `manifest.hmac` is made with the installation's secret: a file that was altered, cut
off or made elsewhere is refused before anything is written. It is not encrypted, and it is about people: keep it
accordingly.

All databases are read as they were at one moment. In one process that is all there is: what has left a context's outbox
has reached everybody. A broker holds what is neither in the one nor the other: after a restore, what had been published
without having reached everybody who listens waits in the outbox again, and inboxes keep it from having its effect
twice. So the broker itself is not backed up, and must be empty when the hospital is started on what was restored.

The secret and the keys that sign access tokens are in the file only if asked for (`--with-keys`). Without the secret,
kept elsewhere or in there, nobody can restore it.
"""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from infirmary import __version__
from infirmary.kernel.clock import SystemClock
from infirmary.kernel.context import Context, derived
from infirmary.kernel.database import migrate
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.dump import (
    NotEmpty,
    Open,
    Tally,
    at_one_moment,
    closed_to_others,
    dump,
    load,
    must_be_empty,
    send_again,
)
from infirmary.kernel.database.errors import DatabaseError
from infirmary.kernel.settings import SettingsRefused
from infirmary.settings import Services, Settings
from infirmary.settings import load as load_settings

from .catalogue import CONTEXTS
from .house import House

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "manifest.hmac"
KEPT_BY_BROKERS = timedelta(days=7)   # who has not listened for longer had lost facts before
LONGEST_MANIFEST = 4_000_000   # bytes
KEY_FILE = re.compile(r"secret|[0-9a-f]+\.key")
DAMAGED = (zipfile.BadZipFile, zlib.error, msgspec.ValidationError, msgspec.DecodeError, KeyError, EOFError,
           NotImplementedError, RuntimeError, UnicodeDecodeError)   # whatever zipfile makes of a damaged file
Say = Callable[[str], None]


class BackupRefused(Exception):
    """Why there will be no backup, or no restore; nothing was written."""


class Part(msgspec.Struct, frozen=True):
    revision: str
    tables: dict[str, Tally]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    version: str
    made_at: datetime
    broker: bool                # whether facts may have been under way
    demo: bool                  # everybody knows the passwords: it must not be served as a real hospital elsewhere
    contexts: dict[str, Part]
    keys: dict[str, str]        # names of files, and their SHA-256

    @property
    def rows(self) -> int:
        return sum(one.rows for part in self.contexts.values() for one in part.tables.values())


# --- making one ----------------------------------------------------------------------------------------------------

async def back_up(settings: Settings, file: Path, *, say: Say, with_keys: bool = False,
                  contexts: Sequence[Context[Any]] = CONTEXTS) -> Manifest:
    """Write it beside its name, read it back, and only then give it the name."""
    secret = _own_secret(settings)
    if secret is None:
        raise BackupRefused(f"{_secret_file(settings)} is not there: nothing has been started with these settings.")
    _must_be_new(file)
    part = file.with_name(file.name + ".part")
    async with _databases(settings, contexts) as databases:
        for context in contexts:
            if await migrate.pending(settings.database_url(context.name), context.migrations):
                raise BackupRefused(f"The database of {context.name} is not up to date. Run `infirmary migrate` first.")
        async with at_one_moment(databases) as snapshots:
            made_at = SystemClock().now()
            with _new_archive(part) as archive:
                parts = {}
                for context, snapshot in zip(contexts, snapshots, strict=True):
                    tallies = await dump(snapshot, context.metadata, _written_to(archive, context))
                    parts[context.name] = Part(snapshot.revision, tallies)
                    say(f"{context.name:<15} {_rows(parts[context.name])}")
                keys = _keys_of(settings) if with_keys else {}
                manifest = Manifest(
                    format=FORMAT, version=__version__, made_at=made_at, contexts=parts,
                    broker=bool(settings.services.bus), demo=(settings.folder / "demo").exists(),
                    keys={name: hashlib.sha256(key).hexdigest() for name, key in keys.items()})
                for name, key in keys.items():
                    archive.writestr(f"keys/{name}", key)
                _seal(archive, manifest, secret)
    verified(part, secret)
    part.rename(file)
    _sync(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    return manifest


def _written_to(archive: zipfile.ZipFile, context: Context[Any]) -> Open:
    return lambda table: archive.open(_entry(context.name, table), "w", force_zip64=True)


@contextlib.contextmanager
def _new_archive(part: Path) -> Iterator[zipfile.ZipFile]:
    """For its owner's eyes only; on the disk when this ends, gone if it fails."""
    part.unlink(missing_ok=True)   # of one that was interrupted
    try:
        with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as out:   # noqa: PTH123 – needs the mode
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                yield archive
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _seal(archive: zipfile.ZipFile, manifest: Manifest, secret: bytes) -> None:
    said = msgspec.json.encode(manifest)
    archive.writestr(MANIFEST, said)
    archive.writestr(SEAL, _mac(secret, said))


def _must_be_new(file: Path) -> None:
    if file.exists():
        raise BackupRefused(f"{file} is there already. A backup is never written over another one.")
    if not file.parent.is_dir():
        raise BackupRefused(f"{file.parent} is no folder.")


# --- believing one -------------------------------------------------------------------------------------------------

def verified(file: Path, secret: bytes | None) -> Manifest:
    """Read all of it. Without a secret of our own the file brings its own, and can only be held against itself."""
    try:
        with zipfile.ZipFile(file) as archive:
            said = _small(archive, MANIFEST)
            manifest = msgspec.json.decode(said, type=Manifest)
            if secret is None and "secret" not in manifest.keys:
                raise BackupRefused(f"{file} was made without --with-keys, so it needs the installation's secret.")
            if not hmac.compare_digest(_small(archive, SEAL), _mac(secret or _small(archive, "keys/secret"), said)):
                raise BackupRefused(f"{file} was altered, or made by another installation.")
            expected = {_entry(context, table): tally.sha256 for context, part in manifest.contexts.items()
                        for table, tally in part.tables.items()}
            expected |= {f"keys/{name}": digest for name, digest in manifest.keys.items()}
            if sorted(archive.namelist()) != sorted([*expected, MANIFEST, SEAL]):
                raise BackupRefused(f"{file} does not hold what its manifest says.")
            for name, digest in expected.items():
                with archive.open(name) as entry:
                    if _digest(entry) != digest:
                        raise BackupRefused(f"{file} was altered: {name} is not what its manifest says.")
    except DAMAGED as error:
        raise BackupRefused(f"{file} is damaged, or no backup.") from error
    return manifest


def _digest(entry: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := entry.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        return entry.read(LONGEST_MANIFEST)


def _mac(secret: bytes, said: bytes) -> bytes:
    return hmac.digest(derived(secret, "backup"), said, hashlib.sha256).hex().encode()


# --- taking one back -----------------------------------------------------------------------------------------------

async def restore(settings: Settings, file: Path, *, say: Say, with_keys: bool = False,
                  contexts: Sequence[Context[Any]] = CONTEXTS) -> Manifest:
    """Into empty databases, made up to date first. Nothing is written before all that may be refused was looked at.

    If it is interrupted, no process starts on the databases that are half full: empty them, and begin again.
    """
    secret = _own_secret(settings)
    if secret is None and not with_keys:
        raise BackupRefused(f"{_secret_file(settings)} is not there. Put the installation's secret in its place, "
                            "or use --with-keys if the backup brings it.")
    manifest = verified(file, secret)
    if with_keys and "secret" not in manifest.keys:
        raise BackupRefused(f"{file} was made without --with-keys.")
    _must_be_of_this_code(manifest, contexts)
    settings.folder.mkdir(parents=True, exist_ok=True)
    async with _databases(settings, contexts) as databases:
        for db, context in zip(databases, contexts, strict=True):
            await must_be_empty(db, context.metadata)
        with zipfile.ZipFile(file) as archive:
            _put_in_place(settings, manifest, archive if with_keys else None)
            for context in contexts:
                await migrate.upgrade(settings.database_url(context.name), context.migrations)
            async with closed_to_others(databases):
                for db, context in zip(databases, contexts, strict=True):
                    part = manifest.contexts[context.name]
                    await load(db, context.metadata, _read_from(archive, context), part.tables)
                    say(f"{context.name:<15} {_rows(part)}, verified")
    if manifest.broker and (again := await _send_again(settings, contexts, manifest.made_at - KEPT_BY_BROKERS)):
        say(f"{again} events had not reached everybody; they will be delivered when the hospital is started.")
    return manifest


def _read_from(archive: zipfile.ZipFile, context: Context[Any]) -> Open:
    return lambda table: archive.open(_entry(context.name, table))


def _must_be_of_this_code(manifest: Manifest, contexts: Sequence[Context[Any]]) -> None:
    ours = {context.name: max(one.stem[:4] for one in context.migrations.glob("[0-9]*.py")) for context in contexts}
    theirs = {name: part.revision for name, part in manifest.contexts.items()}
    columns = {name: {table: tally.columns for table, tally in part.tables.items()}
               for name, part in manifest.contexts.items()}
    declared = {context.name: {table.name: [str(one.name) for one in table.columns]
                               for table in context.metadata.sorted_tables} for context in contexts}
    if manifest.format != FORMAT or ours != theirs or columns != declared:
        raise BackupRefused(f"The backup was made by version {manifest.version}, whose tables are others. Restore it "
                            "with that version, and bring the databases up to date afterwards.")


def _put_in_place(settings: Settings, manifest: Manifest, archive: zipfile.ZipFile | None) -> None:
    if manifest.demo:
        (settings.folder / "demo").touch()
    for name in manifest.keys if archive else ():
        if not KEY_FILE.fullmatch(name):
            raise BackupRefused(f"{name} is not the name of a key.")
        file = _secret_file(settings) if name == "secret" else settings.folder / "keys" / name
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError), \
                open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:   # noqa: PTH123 – needs the mode
            out.write(archive.read(f"keys/{name}"))   # type: ignore[union-attr]


async def _send_again(settings: Settings, contexts: Sequence[Context[Any]], since: datetime) -> int:
    """A house knows who listens to what; nothing moves in it before it is started."""
    house = House(msgspec.structs.replace(settings, services=Services()), contexts=contexts)
    await house.open()
    try:
        consumers = [room.consumer for room in house.rooms.values()]
        return sum([await send_again(room.db, consumers, since=since) for room in house.rooms.values()])
    finally:
        await house.close()


# --- what both need ------------------------------------------------------------------------------------------------

@contextlib.asynccontextmanager
async def _databases(settings: Settings, contexts: Sequence[Context[Any]]) -> AsyncIterator[list[Database]]:
    async with contextlib.AsyncExitStack() as opened:
        databases = []
        for context in contexts:
            try:
                db = await Database.open(settings.database_url(context.name), context.name, size=2)
                opened.push_async_callback(db.close)
                async with db.reading() as reading:
                    await reading.ping()
            except Exception as error:   # a driver has its own names for what keeps it from connecting
                raise BackupRefused(f"The database of {context.name} cannot be reached: {error}") from error
            databases.append(db)
        yield databases


def _secret_file(settings: Settings) -> Path:
    return Path(settings.secret_file or settings.folder / "secret")


def _own_secret(settings: Settings) -> bytes | None:
    file = _secret_file(settings)
    return file.read_bytes() if file.exists() else None


def _keys_of(settings: Settings) -> dict[str, bytes]:
    """Each under the name of its file; the secret is `secret`."""
    keys = {one.name: one.read_bytes() for one in sorted((settings.folder / "keys").glob("*.key"))}
    return {"secret": _secret_file(settings).read_bytes(), **keys}


def _entry(context: str, table: str) -> str:
    return f"{context}/{table}.jsonl"


def _rows(part: Part) -> str:
    return f"{sum(one.rows for one in part.tables.values()):>9,} rows in {len(part.tables)} tables"


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- commands ------------------------------------------------------------------------------------------------------

DATA = click.option("--data", default=None, help="Folder for databases, keys and mail.")
FILE = click.option("--settings", "settings_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                    help="Settings file (TOML). Environment variables INFIRMARY_… come on top.")


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--with-keys", is_flag=True, help="Put the installation's secret and signing keys in too.")
@DATA
@FILE
def backup_command(file: Path, with_keys: bool, data: str | None, settings_file: Path | None) -> None:
    """Write the whole hospital into FILE, as it is at one moment, while it goes on working.

    The file can be restored onto another database engine. Database servers: use the user that may migrate.
    """
    settings, made = _run(data, settings_file, lambda settings: back_up(settings, file, say=click.echo,
                                                                        with_keys=with_keys))
    click.echo(f"{file}: {made.rows:,} rows of {len(made.contexts)} contexts, as of {made.made_at:%Y-%m-%d %H:%M:%S} "
               "UTC, read back and verified.")
    click.echo("It is not encrypted: keep it where only you can read it." if not with_keys else
               "It holds the installation's secret and signing keys: who has it can sign in as anybody.")
    if not with_keys:
        click.echo(f"Keep {_secret_file(settings)} too, somewhere else: without it this cannot be restored.")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--with-keys", is_flag=True, help="Take the secret and signing keys from the backup.")
@DATA
@FILE
def restore_command(file: Path, with_keys: bool, data: str | None, settings_file: Path | None) -> None:
    """Fill empty databases with what `infirmary backup` has written.

    Stop the hospital first. Database servers: use the user that may migrate, and an empty broker.
    """
    _, made = _run(data, settings_file, lambda settings: restore(settings, file, say=click.echo, with_keys=with_keys))
    click.echo(f"The hospital is as it was at {made.made_at:%Y-%m-%d %H:%M:%S} UTC: {made.rows:,} rows of "
               f"{len(made.contexts)} contexts, read back and verified.")


def _run(data: str | None, file: Path | None, work: Callable[[Settings], Coroutine[Any, Any, Manifest]],
         ) -> tuple[Settings, Manifest]:
    try:
        settings = load_settings(file, data=data)
        return settings, asyncio.run(work(settings))
    except (BackupRefused, NotEmpty, DatabaseError, SettingsRefused, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error

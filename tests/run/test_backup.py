"""`infirmary backup` and `infirmary restore`: the whole hospital in a file and back, onto any engine, or not at all."""
from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from infirmary.contexts.appointments import tables as appointments
from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.identity.contract import Identity, OpenAccount, TokenRequest
from infirmary.contexts.patients.contract import Demographics, Patients
from infirmary.contexts.patients.tables import people as patients
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.dump import NotEmpty, Snapshot, Tallies, at_one_moment, tally
from infirmary.kernel.database.statement import Query
from infirmary.kernel.outbox import WAITING, inbox, outbox
from infirmary.language import Role
from infirmary.run.backup import (
    MANIFEST,
    SEAL,
    BackupRefused,
    Manifest,
    _mac,
    back_up,
    backup_command,
    restore,
    restore_command,
    verified,
)
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.settings import Services, Settings
from tests import servers
from tests.hospital import Seeded, seed
from tests.house import admin, reception
from tests.races.test_crashes import effects_happened_once
from tests.races.test_double_booking import booked_once, everything

ENGINES = ("sqlite", "postgresql", "mariadb")
OTHERS = ("postgresql", "mariadb", "sqlite")   # where each moves to
PASSWORD = "correct horse battery"
EMAIL = "desk@example.org"


def empty(engine: str, folder: Path, name: str) -> Settings:
    """Settings of an installation with nothing in it."""
    if reason := servers.unavailable(engine):
        pytest.skip(reason)
    if engine == "sqlite":
        return Settings(data=str(folder / name))
    server = servers.postgres() if engine == "postgresql" else servers.mariadb()
    prefix = f"{os.environ.get('PYTEST_XDIST_WORKER', 'backup')}_{name}_"
    for context in CONTEXTS:
        server.create(prefix + context.name)
    return Settings(data=str(folder / name), database=server.url(prefix + "{context}"))


@asynccontextmanager
async def house_of(settings: Settings) -> AsyncIterator[House]:
    house = House(settings)
    await house.open()
    try:
        yield house
    finally:
        await house.close()


async def book(house: House, there: Seeded, n: int, patient: UUID | None = None) -> UUID:
    made = await house.ask(Appointments).book(reception, BookAppointment(
        patient_id=patient or there.patients[n % len(there.patients)].id, doctor_id=there.doctors[n % 2].id,
        starts_at=there.first_day + timedelta(minutes=20 * n), reason="Łoś & 🩺"))
    return made.id


async def signed_in(house: House) -> str:
    return (await house.ask(Identity).token(NOBODY, TokenRequest(
        grant_type="password", username=EMAIL, password=PASSWORD))).access_token


async def lived_in(settings: Settings) -> list[UUID]:
    """Somebody who has signed in, six visits, and the facts of the last three still waiting to leave."""
    there = await seed(settings)
    async with house_of(settings) as house:
        await house.ask(Identity).open_account(admin, OpenAccount(
            email=EMAIL, name="Re Ception", roles=[Role.RECEPTION], password=PASSWORD))
        await signed_in(house)
        visits = [await book(house, there, n) for n in range(3)]
        await house.deliver_facts()
        return visits + [await book(house, there, n) for n in range(3, 6)]


async def holds(settings: Settings) -> dict[str, Tallies]:
    databases = [await Database.open(settings.database_url(one.name), one.name, size=2) for one in CONTEXTS]
    try:
        async with at_one_moment(databases) as snapshots:
            return {one.name: await tally(snapshot, one.metadata)
                    for one, snapshot in zip(CONTEXTS, snapshots, strict=True)}
    finally:
        for db in databases:
            await db.close()


class Kept(NamedTuple):
    """An installation, its backup (with keys), its visits, and what it holds. Nobody changes them."""

    settings: Settings
    file: Path
    visits: list[UUID]
    told: dict[str, Tallies]


@pytest.fixture(scope="module")
def kept() -> Iterator[dict[str, Kept]]:
    """By engine, as far as they were needed."""
    yield (made := {})
    for one in made.values():
        shutil.rmtree(one.file.parent)


async def made_on(engine: str, kept: dict[str, Kept]) -> Kept:
    folder = Path(tempfile.mkdtemp(prefix="infirmary-backup-"))
    settings = empty(engine, folder, f"old_{engine}")
    visits = await lived_in(settings)
    await back_up(settings, folder / "the.backup", say=quiet, with_keys=True)
    kept[engine] = Kept(settings, folder / "the.backup", visits, await holds(settings))
    return kept[engine]


@pytest.fixture
async def made(kept: dict[str, Kept]) -> Kept:
    return kept.get("sqlite") or await made_on("sqlite", kept)


def quiet(_: str) -> None: ...


def with_the_secret_of(old: Settings, new: Settings) -> Settings:
    new.folder.mkdir(parents=True, exist_ok=True)
    (new.folder / "secret").write_bytes((old.folder / "secret").read_bytes())
    return new


@pytest.mark.parametrize(("source", "target"), [*zip(ENGINES, ENGINES, strict=True), *zip(ENGINES, OTHERS, strict=True)])
async def test_a_hospital_goes_on_where_it_was_on_any_engine(
        kept: dict[str, Kept], source: str, target: str, tmp_path: Path) -> None:
    if reason := servers.unavailable(source):
        pytest.skip(reason)
    old, file, visits, told = kept.get(source) or await made_on(source, kept)
    new = with_the_secret_of(old, empty(target, tmp_path, "new"))
    restored = await restore(new, file, say=quiet)
    assert restored.rows > 100
    assert await holds(new) == told == {name: part.tables for name, part in restored.contexts.items()}

    async with house_of(new) as house:
        assert house.verifier.caller(await signed_in(house)).name == "Re Ception"
        assert await _asked(house, "appointments", WAITING) == 6   # of three visits: that they were booked, and by whom
        await house.deliver_facts()
    await effects_happened_once(new, set(visits))


async def _asked(house: House, context: str, query: Query[Any]) -> Any:
    async with house.rooms[context].db.reading() as reading:
        return await reading.one(query)


async def test_what_had_left_without_reaching_everybody_is_delivered_once_more(tmp_path: Path) -> None:
    """As with a broker: appointments' facts are published, but reports and audit have not had them yet."""
    old, new, file = empty("sqlite", tmp_path, "old"), empty("sqlite", tmp_path, "new"), tmp_path / "the.backup"
    visits = await lived_in(old)
    async with house_of(old) as house:
        db = house.rooms["appointments"].db
        await db.driver.run_ddl("UPDATE outbox SET published_at = happened_at")
        assert await _asked(house, "appointments", WAITING) == 0
    await back_up(msgspec.structs.replace(old, services=Services(bus="kafka://127.0.0.1:1")), file, say=quiet)
    said: list[str] = []
    await restore(with_the_secret_of(old, new), file, say=said.append)
    assert "had not reached everybody" in said[-1]
    async with house_of(new) as house:
        await house.deliver_facts()
    await effects_happened_once(new, set(visits))


@pytest.mark.parametrize(("source", "target"), list(zip(ENGINES, OTHERS, strict=True)))
async def test_a_backup_while_people_are_at_work_is_of_one_moment(
        source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients are registered and booked for, facts travel; whatever a row says of a row elsewhere holds."""
    take = Snapshot.__aenter__

    async def take_slowly(self: Snapshot) -> Snapshot:   # as over a slow network
        await asyncio.sleep(.03)
        return await take(self)
    monkeypatch.setattr(Snapshot, "__aenter__", take_slowly)
    old, new, file = empty(source, tmp_path, "old"), empty(target, tmp_path, "new"), tmp_path / "the.backup"
    there = await seed(old)
    counting, done = itertools.count(), set()
    stop = asyncio.Event()

    async def at_the_desk(house: House) -> None:
        while not stop.is_set():
            n = next(counting)
            patient = await house.ask(Patients).register(reception, Demographics(
                given_name="Pat", family_name=f"Late {n}", birth_date=there.first_day.date().replace(year=1980)))
            done.add(await book(house, there, n, patient.id))

    async with house_of(old) as house:
        house.start()
        desks = [asyncio.create_task(at_the_desk(house)) for _ in range(3)]
        await asyncio.sleep(1)
        before = set(done)
        # In a thread with a loop of its own, as the command is a process of its own.
        await asyncio.to_thread(lambda: asyncio.run(back_up(old, file, say=quiet)))
        after = set(done)
        await asyncio.sleep(.5)
        stop.set()
        await asyncio.gather(*desks)
    await restore(with_the_secret_of(old, new), file, say=quiet)

    visits, grains = await everything(new)
    kept = {visit.id for visit in visits}
    assert before
    assert before <= kept
    assert kept < done   # and the hospital went on
    assert len(after - before) < len(done)
    booked_once(visits, grains)
    async with house_of(new) as house:
        async def all_of(context: str, column: Any) -> set[UUID]:
            async with house.rooms[context].db.reading() as reading:
                return set(await reading.all(Query(select(column), UUID)))

        assert await all_of("appointments", appointments.appointment.c.patient_id) <= await all_of(
            "patients", patients.patient.c.id)
        stored = set().union(*[await all_of(name, outbox.c.id) for name in house.rooms])
        assert set().union(*[await all_of(name, inbox.c.fact_id) for name in house.rooms]) <= stored
        await house.deliver_facts()
    await effects_happened_once(new, kept)


# --- what is refused -----------------------------------------------------------------------------------------------

def rewritten(file: Path, into: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Another archive, sound in itself, with other content."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return into


def _one_row_less(entries: dict[str, bytes]) -> None:
    name = "appointments/appointment.jsonl"
    entries[name] = entries[name].partition(b"\n")[2]


def _one_row_less_and_a_manifest_to_match(entries: dict[str, bytes]) -> None:
    name = "appointments/appointment.jsonl"
    before = hashlib.sha256(entries[name]).hexdigest()
    _one_row_less(entries)
    entries[MANIFEST] = entries[MANIFEST].replace(before.encode(), hashlib.sha256(entries[name]).hexdigest().encode())


def _two_tables_changed_places(entries: dict[str, bytes]) -> None:
    one, other = "identity/account.jsonl", "identity/session.jsonl"
    entries[one], entries[other] = entries[other], entries[one]


def _one_entry_more(entries: dict[str, bytes]) -> None:
    entries["../../etc/cron.d/evil"] = b"* * * * *"


def _one_entry_less(entries: dict[str, bytes]) -> None:
    del entries["audit/audit_event.jsonl"]


def _no_seal(entries: dict[str, bytes]) -> None:
    del entries[SEAL]


@pytest.mark.parametrize("change", [
    _one_row_less, _one_row_less_and_a_manifest_to_match, _two_tables_changed_places, _one_entry_more, _one_entry_less,
    _no_seal], ids=lambda change: change.__name__.strip("_"))
async def test_an_altered_backup_is_refused_and_nothing_is_written(
        made: Kept, tmp_path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    old, file, *_ = made
    altered = rewritten(file, tmp_path / "altered", change)
    new = with_the_secret_of(old, Settings(data=str(tmp_path / "new")))
    with pytest.raises(BackupRefused):
        await restore(new, altered, say=quiet)
    assert [one.name for one in new.folder.iterdir()] == ["secret"]


async def test_a_backup_that_is_cut_off_anywhere_is_refused(made: Kept, tmp_path: Path) -> None:
    old, file, *_ = made
    whole, cut = file.read_bytes(), tmp_path / "cut"
    new = with_the_secret_of(old, Settings(data=str(tmp_path / "new")))
    for length in [0, 1, 30, *range(100, len(whole), len(whole) // 40), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(BackupRefused):
            await restore(new, cut, say=quiet)
    assert [one.name for one in new.folder.iterdir()] == ["secret"]


def test_a_backup_with_a_changed_byte_is_refused_or_says_the_same(
        made: Kept, tmp_path: Path) -> None:
    """A zip has bytes that mean nothing, such as the time of an entry."""
    old, file, *_ = made
    secret, whole, changed = (old.folder / "secret").read_bytes(), bytearray(file.read_bytes()), tmp_path / "changed"
    sound, refused, chance = verified(file, secret), 0, random.Random(5)
    for _ in range(300):
        at, by = chance.randrange(len(whole)), chance.randrange(1, 256)
        whole[at] ^= by
        changed.write_bytes(whole)
        whole[at] ^= by
        try:
            assert verified(changed, secret) == sound
        except BackupRefused:
            refused += 1
    assert refused > 200


async def test_a_backup_of_another_installation_is_refused(made: Kept, tmp_path: Path) -> None:
    file = made.file
    new = Settings(data=str(tmp_path / "new"))
    new.folder.mkdir()
    (new.folder / "secret").write_bytes(b"x" * 32)
    for with_keys in (False, True):   # a secret of one's own is never exchanged for that of a file
        with pytest.raises(BackupRefused, match="another installation"):
            await restore(new, file, say=quiet, with_keys=with_keys)
    assert [one.name for one in new.folder.iterdir()] == ["secret"]


async def test_a_backup_of_other_tables_is_refused(made: Kept, tmp_path: Path) -> None:
    old, file, *_ = made
    secret = (old.folder / "secret").read_bytes()

    def newer(entries: dict[str, bytes]) -> None:
        manifest = msgspec.json.decode(entries[MANIFEST], type=Manifest)
        staff = msgspec.structs.replace(manifest.contexts["staff"], revision="0099")
        entries[MANIFEST] = msgspec.json.encode(msgspec.structs.replace(
            manifest, version="99.1", contexts={**manifest.contexts, "staff": staff}))
        entries[SEAL] = _mac(secret, entries[MANIFEST])

    new = with_the_secret_of(old, Settings(data=str(tmp_path / "new")))
    with pytest.raises(BackupRefused, match=r"version 99\.1"):
        await restore(new, rewritten(file, tmp_path / "newer", newer), say=quiet)
    assert [one.name for one in new.folder.iterdir()] == ["secret"]


async def test_a_hospital_is_never_restored_over_another_one(
        made: Kept, engine: str, tmp_path: Path) -> None:
    old, file, *_ = made
    new = with_the_secret_of(old, empty(engine, tmp_path, "new"))
    await seed(new, patients=1)
    before = await holds(new)
    with pytest.raises(NotEmpty, match="patients"):   # identity is empty, and stays so
        await restore(new, file, say=quiet)
    assert await holds(new) == before


async def test_without_the_secret_there_is_no_restore_unless_the_backup_brings_it(
        made: Kept, tmp_path: Path) -> None:
    old, file, visits, _ = made
    new = Settings(data=str(tmp_path / "new"))
    with pytest.raises(BackupRefused, match="--with-keys"):
        await restore(new, file, say=quiet)
    assert not new.folder.exists()
    async with house_of(old) as house:   # it is not changed by that: what is compared is in the file
        token = await signed_in(house)
    await restore(new, file, say=quiet, with_keys=True)
    for one in ("secret", *(f"keys/{key.name}" for key in (old.folder / "keys").glob("*.key"))):
        assert (new.folder / one).read_bytes() == (old.folder / one).read_bytes()
        assert stat.S_IMODE((new.folder / one).stat().st_mode) == 0o600
    async with house_of(new) as house:
        assert house.verifier.caller(token).name == "Re Ception"   # signed before, good now
        await house.deliver_facts()
    await effects_happened_once(new, set(visits))


# --- as an operator sees it ----------------------------------------------------------------------------------------

def test_the_commands_say_what_they_did_and_what_they_refuse(made: Kept, tmp_path: Path) -> None:
    old = made.settings
    file, run = tmp_path / "evening.backup", CliRunner().invoke
    said = run(backup_command, [str(file), "--data", old.data])
    assert said.exit_code == 0, said.output
    assert "read back and verified" in said.output
    assert f"Keep {old.folder / 'secret'} too" in said.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [file.name]   # nothing half-made beside it
    with zipfile.ZipFile(file) as archive:
        assert not [name for name in archive.namelist() if name.startswith("keys/")]

    again = run(backup_command, [str(file), "--data", old.data])
    assert again.exit_code == 1
    assert "is there already" in again.output
    new = with_the_secret_of(old, Settings(data=str(tmp_path / "new")))
    said = run(restore_command, [str(file), "--data", new.data])
    assert said.exit_code == 0, said.output
    assert "appointments" in said.output
    assert "read back and verified" in said.output
    again = run(restore_command, [str(file), "--data", new.data])
    assert again.exit_code == 1
    assert "is not empty" in again.output
    nothing = run(backup_command, [str(tmp_path / "none.backup"), "--data", str(tmp_path / "none")])
    assert nothing.exit_code == 1
    assert "nothing has been started" in nothing.output


async def test_a_demo_stays_a_demo(tmp_path: Path) -> None:
    """Everybody knows its passwords: `infirmary serve` refuses a folder that is marked so."""
    old = Settings(data=str(tmp_path / "old"))
    await seed(old, patients=1)
    (old.folder / "demo").touch()
    await back_up(old, tmp_path / "the.backup", say=quiet)
    new = with_the_secret_of(old, Settings(data=str(tmp_path / "new")))
    await restore(new, tmp_path / "the.backup", say=quiet)
    assert (new.folder / "demo").exists()


async def test_nobody_starts_on_a_restore_that_was_killed_and_it_can_be_begun_again(
        made: Kept, engine: str, tmp_path: Path) -> None:
    old, file, visits, _ = made
    new = with_the_secret_of(old, empty(engine, tmp_path, "new"))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", "from infirmary.run.backup import restore_command; restore_command()", str(file),
        "--data", new.data, env={**os.environ, "INFIRMARY_DATABASE": new.database}, stdout=asyncio.subprocess.PIPE)
    assert child.stdout
    while not (await child.stdout.readline()).startswith(b"patients"):
        pass
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    house = House(new)
    with pytest.raises(Exception, match="exists"):   # the first migration finds the tables of the one that was killed
        await house.open()
    await house.close()
    with pytest.raises(NotEmpty):
        await restore(new, file, say=quiet)
    new = with_the_secret_of(old, empty(engine, tmp_path / "again", "new"))
    await restore(new, file, say=quiet)
    async with house_of(new) as again:
        await again.deliver_facts()
    await effects_happened_once(new, set(visits))


def test_a_backup_that_fails_leaves_nothing_behind(made: Kept, tmp_path: Path) -> None:
    old = made.settings

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space"):
        asyncio.run(back_up(old, tmp_path / "the.backup", say=full))
    assert list(tmp_path.iterdir()) == []

"""A database and a user for every service: what they may do is enough for the whole hospital, and no more than that."""
from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from asyncmy.errors import MySQLError

from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.identity.contract import Identity, OpenAccount, TokenRequest
from infirmary.kernel.access import NOBODY
from infirmary.kernel.database import migrate
from infirmary.kernel.database.errors import DatabaseError
from infirmary.kernel.idempotency import forget_old_answers
from infirmary.kernel.outbox import forget_old_facts
from infirmary.language import Role
from infirmary.run.backup import back_up, restore
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.run.native.databases import MariaDb, Postgres, Store
from infirmary.settings import Settings
from tests.hospital import free_port, opened, seed
from tests.house import admin, reception
from tests.races.test_crashes import effects_happened_once

NAMES = [context.name for context in CONTEXTS]
DENIED = {1044, 1045, 1142, 1143, 1227, 1370}   # MariaDB's numbers for: not with your rights
PASSWORD = "correct horse battery"


class AsServices(Settings, frozen=True, kw_only=True):
    """Each context with the address that its own service is given."""

    urls: dict[str, str]

    def database_url(self, context: str) -> str:
        return self.urls[context].format(context=context)


@pytest.fixture(scope="module")
def of_another() -> Iterator[Path]:
    """A temporary table of another MariaDB on this machine."""
    file = Path(tempfile.gettempdir(), f"#sql-temptable-{os.getpid():x}-of-another")
    file.touch()
    if os.geteuid() == 0 and not MariaDb.missing():
        shutil.chown(file, MariaDb.user)
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture(scope="module", params=[Postgres, MariaDb], ids=lambda one: one.engine)
def store(request: pytest.FixtureRequest, of_another: Path) -> Iterator[Store]:
    """A server as `make up` has it, with tables in the databases."""
    kind: type[Store] = request.param
    if reason := kind.missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="infirmary-store-"))
    folder.chmod(0o711)   # the server's own user must pass through
    made = kind(folder, free_port(), "of this test")
    asyncio.run(made.install())
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    server = subprocess.Popen([*dies_with_us, *made.command()], cwd=made.folder, user=made.runs_as, group=made.runs_as,
                              extra_groups=None if made.runs_as is None else [], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_provided(made))
        yield made
    finally:
        server.send_signal(signal.SIGQUIT if kind is Postgres else signal.SIGKILL)
        server.wait()
        shutil.rmtree(folder)


async def _provided(store: Store) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await store.answers()
                break
            except Exception:   # noqa: BLE001 – not yet: each driver has its own names for it
                await asyncio.sleep(.1)
    for _ in range(2):   # twice: whoever starts again finds them there
        await store.create(NAMES)
    for context in CONTEXTS:
        await migrate.upgrade(store.owner_url(context.name), context.migrations)
    await store.grant(NAMES)


async def refused(url: str, sql: str) -> bool:
    """For want of rights, not for another reason; and it did not happen."""
    async with opened(url) as db:
        session = db.driver.session(writing=True)
        try:
            await session.run(sql, ())
        except (DatabaseError, asyncpg.PostgresError, MySQLError) as error:
            cause = error.__cause__ or error
            return isinstance(cause, asyncpg.InsufficientPrivilegeError | asyncpg.InvalidPasswordError
                              | asyncpg.InvalidAuthorizationSpecificationError) or cause.args[0] in DENIED
        finally:
            await session.rollback()
        return False


def of(store: Store, service: str, database: str) -> str:
    return store.url(service).format(context=database)


def test_a_server_that_is_made_and_started_leaves_the_temporary_tables_of_others_alone(
        store: Store, of_another: Path) -> None:
    assert of_another.exists()


async def test_the_whole_hospital_works_with_the_rights_of_its_services(store: Store, tmp_path: Path) -> None:
    settings = AsServices(data=str(tmp_path), urls={name: store.url(name) for name in NAMES})
    there = await seed(settings)
    house = House(settings)
    await house.open()
    try:
        await house.ask(Identity).open_account(admin, OpenAccount(
            email="desk@example.org", name="Re Ception", roles=[Role.RECEPTION], password=PASSWORD))
        await house.ask(Identity).token(NOBODY, TokenRequest(
            grant_type="password", username="desk@example.org", password=PASSWORD))
        visit = await house.ask(Appointments).book(reception, BookAppointment(
            patient_id=there.patients[0].id, doctor_id=there.doctors[0].id, starts_at=there.first_day))
        await house.deliver_facts()
        for room in house.rooms.values():   # what returns by itself
            await forget_old_answers(room.db)
            await forget_old_facts(room.db)
            for job in room.context.jobs(room.service):
                if job.every:
                    await job.work()
    finally:
        await house.close()
    await effects_happened_once(settings, {visit.id})

    # And the owner, who may migrate, may back it up.
    owner = AsServices(data=str(tmp_path), urls={name: store.owner_url(name) for name in NAMES})
    made = await back_up(owner, tmp_path / "the.backup", say=lambda _: None)
    elsewhere = Settings(data=str(tmp_path / "elsewhere"), secret_file=str(tmp_path / "secret"))
    assert (await restore(elsewhere, tmp_path / "the.backup", say=lambda _: None)).rows == made.rows


@pytest.mark.parametrize("sql", [
    "CREATE TABLE mine (id INTEGER)", "DROP TABLE outbox", "ALTER TABLE outbox ADD COLUMN more INTEGER",
    "TRUNCATE TABLE outbox", "CREATE INDEX mine ON outbox (kind)",
    "UPDATE alembic_version SET version_num = '0000'", "DELETE FROM alembic_version",
    "INSERT INTO alembic_version (version_num) VALUES ('0000')"])
async def test_a_service_keeps_its_hands_off_the_tables_themselves(store: Store, sql: str) -> None:
    for name in NAMES:
        assert await refused(of(store, name, name), sql), name


@pytest.mark.parametrize("sql", [
    "UPDATE audit_event SET action = 'nothing'", "DELETE FROM audit_event", "TRUNCATE TABLE audit_event",
    "DROP TABLE audit_event"])
async def test_the_trail_cannot_be_rewritten_by_the_service_that_writes_it(store: Store, sql: str) -> None:
    """Not only because of the triggers, which it cannot remove either."""
    assert await refused(of(store, "audit", "audit"), sql)
    triggers = (["ALTER TABLE audit_event DISABLE TRIGGER ALL", "DROP TRIGGER audit_event_only_grows ON audit_event",
                 "DROP FUNCTION audit_event_only_grows() CASCADE", "SET session_replication_role = replica"]
                if isinstance(store, Postgres) else
                ["DROP TRIGGER audit_event_no_update", "DROP TRIGGER audit_event_no_delete"])
    for one in triggers:
        assert await refused(of(store, "audit", "audit"), one), one


async def test_the_owner_meets_the_triggers(store: Store) -> None:
    async with opened(store.owner_url("audit")) as db:
        session = db.driver.session(writing=True)
        new_id = "gen_random_uuid()" if isinstance(store, Postgres) else "RANDOM_BYTES(16)"
        await session.run(
            "INSERT INTO audit_event (id, at, context, action, outcome, actor_name, actor_roles, entity, detail, "
            f"request_id, address, actor_key) VALUES ({new_id}, '2027-03-01 08:00:00', 'test', 'tested', 'done', '', "
            "'[]', '', '{}', '', '', '')", ())
        with pytest.raises(DatabaseError, match="only grows"):
            await session.run("UPDATE audit_event SET action = 'nothing'", ())
        await session.rollback()


async def test_a_service_sees_no_database_but_its_own(store: Store) -> None:
    for name in NAMES:
        for other in NAMES:
            assert await refused(of(store, name, other), "SELECT 1 FROM outbox") is (name != other), (name, other)
        if not isinstance(store, Postgres):   # one connection reaches them all
            for other in {*NAMES} - {name}:
                assert await refused(of(store, name, name), f"SELECT 1 FROM {other}.outbox"), (name, other)


async def test_nobody_is_let_in_without_the_password_of_that_user(store: Store) -> None:
    scheme, _, rest = of(store, "identity", "identity").partition("://")
    at = rest.rpartition("@")[2]
    for who in ("identity", f"identity:{store.password('patients')}", "identity:", "infirmary", "root", "postgres",
                "mysql"):
        assert await refused(f"{scheme}://{who}@{at}", "SELECT 1"), who


def test_it_listens_on_this_machine_only(store: Store) -> None:
    listening = [line.split()[1].split(":") for table in ("tcp", "tcp6")
                 for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:] if line.split()[3] == "0A"]
    assert {address for address, port in listening if int(port, 16) == store.port} == {"0100007F"}


def test_no_password_lies_where_others_can_read_it(store: Store) -> None:
    if store.runs_as is None:
        pytest.skip("Only root can look into the folder of a server that runs as another user.")
    words = [store.password(one).encode() for one in ("infirmary", *NAMES)]
    for file in store.folder.rglob("*"):
        if file.is_file() and any(word in file.read_bytes() for word in words):
            assert file.stat().st_mode & 0o077 == 0, file

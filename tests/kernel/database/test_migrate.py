"""A context's history makes the tables that it declares, once, whoever starts first, and keeps what is in them."""
from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, bindparam, delete, text
from sqlalchemy.exc import DBAPIError

from infirmary.kernel.database import migrate
from infirmary.kernel.database.columns import Id, new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.errors import DatabaseError, Transient
from infirmary.kernel.database.migrate import check, pending, upgrade, write
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement
from tests.kernel import model
from tests.kernel.model import PEOPLE, THINGS, a_person, a_thing

Url = Callable[[str], str]


class Ward(msgspec.Struct, frozen=True):
    id: UUID
    name: str


class Bed(msgspec.Struct, frozen=True):
    id: UUID
    ward_id: UUID


rooms = MetaData()
ward = Table("ward", rooms, Column("id", Id, primary_key=True), Column("name", String(20), nullable=False))
bed = Table("bed", rooms, Column("id", Id, primary_key=True),
            Column("ward_id", Id, ForeignKey("ward.id", ondelete="CASCADE"), nullable=False))
WARDS, BEDS = Rows(ward, Ward, version=None), Rows(bed, Bed, version=None)
CLOSE = Statement(delete(ward).where(ward.c.id == bindparam("key")))
ROOMS = """
    op.create_table("ward", sa.Column("id", Id(), primary_key=True), sa.Column("name", sa.String(20), nullable=False))
    op.create_table("bed", sa.Column("id", Id(), primary_key=True),
                    sa.Column("ward_id", Id(), sa.ForeignKey("ward.id", ondelete="CASCADE"), nullable=False))
"""


def a_context(folder: Path, name: str, tables: str = "", **revisions: str) -> Path:
    """A package with `tables.py` and revisions; answers its migrations. `_0002="op..."` is the body of number two."""
    package = folder / name
    (package / "migrations").mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "tables.py").write_text(tables)
    for number, body in revisions.items():
        revision = int(number[1:])
        before = f'"{revision - 1:04}"' if revision > 1 else None
        (package / "migrations" / f"{revision:04}_change.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\nfrom infirmary.kernel.database.columns import Id\n"
            f'revision = "{revision:04}"\ndown_revision = {before}\n'
            f"def upgrade() -> None:\n{textwrap.indent(textwrap.dedent(body), '    ')}\n")
    return package / "migrations"


@pytest.fixture(scope="session")
def model_migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the tests' small hospital, as the command writes them."""
    folder = tmp_path_factory.mktemp("contexts")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        scripts = a_context(folder, "a_small_hospital", f"from {model.__name__} import declared\nmetadata = declared()")
        assert write("a_small_hospital", "The first tables") == scripts / "0001_the_first_tables.py"
        assert write("a_small_hospital", "Nothing") is None
    return scripts


async def test_the_migrations_that_the_command_writes_make_exactly_the_declared_tables(
        database_url: Url, model_migrations: Path) -> None:
    url = database_url("small")
    assert await pending(url, model_migrations) == ["0001_the_first_tables"]
    assert await upgrade(url, model_migrations) is True
    assert await check(url, model.declared(), model_migrations) == []
    assert await pending(url, model_migrations) == []
    assert await upgrade(url, model_migrations) is False


async def test_what_is_kept_in_migrated_tables_comes_back_and_keys_are_exact(
        database_url: Url, model_migrations: Path) -> None:
    await upgrade(database_url("small"), model_migrations)
    db = await Database.open(database_url("small"), "small")
    thing = a_thing(data={"a": [1]}, born=None)
    async with db.transaction() as tx:
        THINGS.add(tx, thing)
        PEOPLE.add(tx, a_person(email="a"), a_person(email="A"), a_person(email="a "))
        assert await THINGS.get(tx, thing.id) == thing
    await db.close()


async def test_a_difference_between_the_tables_and_their_migrations_is_found(
        database_url: Url, model_migrations: Path) -> None:
    declared = model.declared()
    declared.tables["visit"].append_column(Column("room", String(20)))
    found = await check(database_url("small"), declared, model_migrations)
    assert [(one[0], one[3].name) for one in found] == [("add_column", "room")]


async def test_what_was_cut_off_between_two_tables_is_finished(database_url: Url, tmp_path: Path) -> None:
    """MySQL keeps the first."""
    url = database_url("cut-off")
    await upgrade(url, a_context(tmp_path, "cut_off", _1=ROOMS))
    db = await Database.open(url, "cut-off", size=1)
    await db.driver.run_ddl("ALTER TABLE ward ADD COLUMN floor INTEGER")
    await db.close()
    columns = "\n".join(f'add_column("{table}", sa.Column("floor", sa.Integer(), nullable=True))' for table in ("ward", "bed"))
    scripts = a_context(tmp_path, "cut_off", _1=ROOMS, _2=f"from {migrate.__name__} import add_column\n{columns}")
    declared = MetaData()
    for table in rooms.sorted_tables:
        table.to_metadata(declared).append_column(Column("floor", Integer))
    assert await check(url, declared, scripts) == []
    assert await pending(url, scripts) == []


async def test_several_processes_that_start_at_once_migrate_once(database_url: Url, model_migrations: Path) -> None:
    code = ("import asyncio, sys, pathlib; from infirmary.kernel.database.migrate import upgrade; "
            "print(asyncio.run(upgrade(sys.argv[1], pathlib.Path(sys.argv[2]))))")
    children = [await asyncio.create_subprocess_exec(sys.executable, "-c", code, database_url("small"),
                                                     str(model_migrations)) for _ in range(3)]
    assert [await child.wait() for child in children] == [0, 0, 0]
    assert await check(database_url("small"), model.declared(), model_migrations) == []


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)
async def test_who_waits_too_long_for_another_process_does_not_migrate_beside_it(
        database_url: Url, engine: str, model_migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "PATIENCE", 1)
    url = database_url("small")
    other = await Database.open(url, "other", size=1)
    await other.driver.run_ddl("SELECT pg_advisory_lock(hashtext('migrate'))" if engine == "postgresql" else
                               "SELECT GET_LOCK(CONCAT('migrate ', DATABASE()), 1)")
    with pytest.raises((Transient, DBAPIError)):
        await upgrade(url, model_migrations)
    assert len(await pending(url, model_migrations)) == 1
    await other.close()   # as when it ends, or dies
    assert await upgrade(url, model_migrations) is True


def test_a_start_with_nothing_to_do_does_not_load_alembic(tmp_path: Path, model_migrations: Path) -> None:
    url = f"sqlite://{tmp_path / 'small.db'}"
    asyncio.run(upgrade(url, model_migrations))
    code = ("import asyncio, sys, pathlib; from infirmary.kernel.database.migrate import upgrade; "
            "print(asyncio.run(upgrade(sys.argv[1], pathlib.Path(sys.argv[2]))), 'alembic' in sys.modules)")
    said = subprocess.run([sys.executable, "-c", code, url, model_migrations], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]


async def test_changing_a_column_keeps_the_rows_that_refer_to_its_table(database_url: Url, tmp_path: Path) -> None:
    """SQLite builds the table anew for it; with foreign keys on, dropping the old one would delete every bed."""
    scripts = a_context(tmp_path, "rooms", _0001=ROOMS)
    await upgrade(database_url("rooms"), scripts)
    db = await Database.open(database_url("rooms"), "rooms")
    north = Ward(new_id(), "North")
    async with db.transaction() as tx:
        WARDS.add(tx, north)
        await tx.all(WARDS.find())
        BEDS.add(tx, *[Bed(new_id(), north.id) for _ in range(3)])
    await db.close()
    a_context(tmp_path, "rooms", _0002="""
        with op.batch_alter_table("ward") as change:
            change.alter_column("name", existing_type=sa.String(20), type_=sa.String(40), existing_nullable=False)
    """)
    assert await upgrade(database_url("rooms"), scripts) is True
    db = await Database.open(database_url("rooms"), "rooms")
    async with db.transaction() as tx:
        assert await tx.all(WARDS.find()) == [north]
        assert len(await tx.all(BEDS.find())) == 3
        await tx.run(CLOSE, key=north.id)   # and the reference is still one
        assert await tx.all(BEDS.find()) == []
    await db.close()


async def test_a_migration_that_orphans_rows_is_undone_on_sqlite(tmp_path: Path) -> None:
    scripts, url = a_context(tmp_path, "rooms", _0001=ROOMS), f"sqlite://{tmp_path / 'rooms.db'}"
    await upgrade(url, scripts)
    a_context(tmp_path, "rooms", _0002="""op.execute("INSERT INTO bed (id, ward_id) VALUES ('bed', 'no ward')")""")
    with pytest.raises(DatabaseError, match="1 rows without"):
        await upgrade(url, scripts)
    assert await pending(url, scripts) == ["0002_change"]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)   # MariaDB commits each CREATE by itself
async def test_a_migration_that_fails_leaves_no_trace(database_url: Url, tmp_path: Path) -> None:
    scripts = a_context(tmp_path, "rooms", _0001=ROOMS, _0002="raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        await upgrade(database_url("rooms"), scripts)
    assert await pending(database_url("rooms"), scripts) == ["0001_change", "0002_change"]
    a_context(tmp_path, "rooms", _0002="pass")
    assert await upgrade(database_url("rooms"), scripts) is True
    assert await check(database_url("rooms"), rooms, scripts) == []


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
async def test_where_nothing_can_be_undone_each_revision_that_has_run_is_remembered(
        database_url: Url, tmp_path: Path) -> None:
    scripts = a_context(tmp_path, "rooms", _0001=ROOMS, _0002="raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        await upgrade(database_url("rooms"), scripts)
    assert await pending(database_url("rooms"), scripts) == ["0002_change"]


async def test_a_database_that_is_newer_than_this_code_has_nothing_pending(database_url: Url, tmp_path: Path) -> None:
    scripts = a_context(tmp_path, "rooms", _0001=ROOMS, _0002="pass")
    await upgrade(database_url("rooms"), scripts)
    (scripts / "0002_change.py").unlink()
    assert await pending(database_url("rooms"), scripts) == []
    assert await upgrade(database_url("rooms"), scripts) is False


def test_the_next_revision_holds_only_the_difference_and_its_types_read_well(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    tables = """
        from enum import Enum
        from sqlalchemy import Column, MetaData, String, Table
        from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
        from infirmary.kernel.database.db import with_kernel_tables
        metadata = with_kernel_tables(MetaData())
        Table("ward", metadata, Column("id", Id, primary_key=True), {columns})
    """
    before = 'Column("name", String(20))'
    after = """Column("name", String(40)), Column("kind", EnumText(Enum("Kind", "A B")), nullable=False),
        Column("opened_at", UtcDateTime), Column("badge", String(9), unique=True)"""
    scripts = a_context(tmp_path, "one_ward", textwrap.dedent(tables).format(columns=before))
    write("one_ward", "Wards")
    monkeypatch.delitem(sys.modules, "one_ward.tables")
    a_context(tmp_path, "one_ward", textwrap.dedent(tables).format(columns=after))
    path = write("one_ward", "What a ward is for, & when it opened!")
    assert path == scripts / "0002_what_a_ward_is_for_when_it_opened.py"
    body = path.read_text()
    assert "from infirmary.kernel.database.columns import UtcDateTime\n" in body
    assert 'with op.batch_alter_table("ward"' in body   # SQLite cannot change a column otherwise
    assert 'sa.Column("kind", sa.String(length=40), nullable=False)' in body
    assert 'sa.Column("opened_at", UtcDateTime(), nullable=True)' in body
    assert "outbox" not in body   # already there
    assert 'down_revision = "0001"' in body
    url = f"sqlite://{tmp_path / 'ward.db'}"
    asyncio.run(upgrade(url, scripts))
    assert asyncio.run(pending(url, scripts)) == []


async def test_a_migration_sees_and_changes_rows_by_the_declared_types(database_url: Url, tmp_path: Path) -> None:
    """SQLAlchemy's own engine runs data steps, so the column types must work there too, NULL included."""
    scripts = a_context(tmp_path, "rooms", _0001=ROOMS + """
    from infirmary.kernel.database.columns import Json, UtcDateTime, new_id
    from datetime import UTC, datetime
    kept = op.create_table("kept", sa.Column("id", Id(), primary_key=True), sa.Column("at", UtcDateTime()),
                           sa.Column("data", Json()))
    op.bulk_insert(kept, [{"id": new_id(), "at": datetime(2026, 1, 1, tzinfo=UTC), "data": {"a": 1}},
                          {"id": new_id(), "at": None, "data": None}])
    rows = op.get_bind().execute(sa.select(kept).order_by(kept.c.id)).all()
    assert [tuple(row)[1:] for row in rows] == [(datetime(2026, 1, 1, tzinfo=UTC), {"a": 1}), (None, None)]
""")
    await upgrade(database_url("rooms"), scripts)
    db = await Database.open(database_url("rooms"), "rooms")
    async with db.reading() as reading:
        assert await reading.one(Query(text("SELECT count(*) AS n FROM kept").columns(n=model.visit.c.minutes.type),
                                       int)) == 2
    await db.close()


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    a_context(tmp_path, "two_wards", f"from {model.__name__} import declared\nmetadata = declared()")
    said = subprocess.run([sys.executable, "-m", migrate.__name__, "two_wards", "First"], capture_output=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}, text=True,
                          check=True)
    assert said.stdout.strip().endswith("two_wards/migrations/0001_first.py")

"""Every context's history runs over a hospital that has been lived in, on each engine, and takes nothing from it.

From the first revision and from the latest few, the tables as they were then are filled with what a small demo hospital
holds, and brought up to date. A revision that changes what rows say, on purpose, is named in REWRITTEN.
"""
from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, column, select, text

from infirmary.kernel.context import Context
from infirmary.kernel.database.db import Database
from infirmary.kernel.database.dump import Snapshot, Tallies, dump, load, tally
from infirmary.kernel.database.errors import DatabaseError
from infirmary.kernel.database.migrate import check, pending, upgrade
from infirmary.kernel.database.statement import Query
from infirmary.run import demo
from infirmary.run.catalogue import CONTEXTS
from infirmary.settings import Settings
from tests.hospital import opened

REWRITTEN: dict[tuple[str, str], set[str]] = {}   # (context, revision) -> tables
NOT_IN_THE_DEMO = {"session", "refresh_token", "revocation", "throttle", "password_reset", "totp", "recovery_code",
                   "oidc_trip", "oidc_arrival", "oidc_login", "client",
                   "passkey", "spent_challenge", "sent_code", "contact_point", "preference", "texted",
                   "video_presence", "video_signal",
                   "hold", "waiting", "queue_display", "calendar_feed", "merge_of_records", "merged_record", "moved_visit", "moved_place",
                   "move_plan", "move_item", "series", "patient_import", "import_row",
                   "parked", "answered", "inbox", "outbox"}   # each of the last in some context
LATEST = 2   # all that came before them run from the first, too


def _worth_a_look(context: Context[Any]) -> list[str]:
    every = sorted(path.stem[:4] for path in context.migrations.glob("[0-9]*.py"))
    return sorted({every[0], *every[-LATEST:]})


REVISIONS = [(context, revision) for context in CONTEXTS for revision in _worth_a_look(context)]
Lived = dict[str, tuple[dict[str, bytes], Tallies]]   # by context: the lines of its tables, and what they hold


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A week of the demo hospital."""
    settings = Settings(data=str(tmp_path_factory.mktemp("demo")))
    with pytest.MonkeyPatch.context() as patch:
        for name, count in {"PAST_DAYS": 4, "COMING_DAYS": 3, "PATIENTS_COUNT": 80, "NEWCOMERS": 8}.items():
            patch.setattr(demo, name, count)
        asyncio.run(demo.make_demo(settings, say=lambda _: None))
    return asyncio.run(_told(settings))


async def _told(settings: Settings) -> Lived:
    found: Lived = {}
    for context in CONTEXTS:
        files: dict[str, bytes] = {}

        @contextmanager
        def into(name: str, files: dict[str, bytes] = files) -> Any:
            yield (out := io.BytesIO())
            files[name] = out.getvalue()

        async with opened(settings.database_url(context.name)) as db, Snapshot(db) as snapshot:
            found[context.name] = files, await dump(snapshot, context.metadata, into)
    return found


async def tables_there(db: Database, declared: MetaData) -> MetaData:
    """The declared tables with those of their columns that the database has: as they were at an older revision."""
    schema = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = "
    listed = {"sqlite": "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c",
              "postgresql": f"{schema} 'public'", "mysql": f"{schema} DATABASE()"}
    dialect = db.driver.dialect
    query = Query(text(listed[dialect.name]).columns(column("name", String), column("part", String)), Part)
    async with db.reading() as reading:
        there = {(one.name, one.part) for one in await reading.all(query)}
    found = MetaData()
    for table in declared.sorted_tables:
        if columns := [one for one in table.columns if (table.name, one.name) in there]:
            Table(table.name, found, *(   # with what refers to others, so that they are filled in the right order
                Column(one.name, one.type, *(ForeignKey(to.target_fullname) for to in one.foreign_keys),
                       primary_key=one.primary_key, nullable=one.nullable) for one in columns))
    return found


class Part(msgspec.Struct, frozen=True):
    name: str
    part: str


async def fill(db: Database, then: MetaData, lived: tuple[dict[str, bytes], Tallies]) -> Tallies:
    """What the hospital holds, without the columns that had not been thought of."""
    files, told = lived
    cut: dict[str, bytes] = {}
    for table in then.sorted_tables:
        keep = [told[table.name].columns.index(one.name) for one in table.columns]
        rows = msgspec.json.Decoder(list[Any]).decode_lines(files[table.name])
        cut[table.name] = msgspec.json.Encoder().encode_lines([[row[at] for at in keep] for row in rows])
    await load(db, then, lambda name: io.BytesIO(cut[name]), {})
    async with Snapshot(db) as snapshot:
        return await tally(snapshot, then)


def history(context: Context[Any], into: Path, *, until: str) -> Path:
    """The revisions up to this one, as they were when it was the newest."""
    into.mkdir(exist_ok=True)
    for path in context.migrations.glob("[0-9]*.py"):
        if path.stem[:4] <= until:
            shutil.copy(path, into)
    return into


@pytest.mark.parametrize(("context", "revision"), REVISIONS, ids=[f"{one.name}-{at}" for one, at in REVISIONS])
async def test_what_was_there_at_any_revision_is_there_at_the_newest(
        database_url: Callable[[str], str], lived_in: Lived, tmp_path: Path, context: Context[Any],
        revision: str) -> None:
    url = database_url(context.name)
    await upgrade(url, history(context, tmp_path / "then", until=revision))
    async with opened(url) as db:
        then = await tables_there(db, context.metadata)
        before = await fill(db, then, lived_in[context.name])
    await upgrade(url, context.migrations)
    later = {table for (name, at), tables in REWRITTEN.items() if name == context.name and at > revision
             for table in tables}
    async with opened(url) as db, Snapshot(db) as snapshot:
        after = await tally(snapshot, then)
    assert {name: one.rows for name, one in after.items()} == {name: one.rows for name, one in before.items()}
    assert {name: one for name, one in after.items() if name not in later} == {
        name: one for name, one in before.items() if name not in later}
    assert await pending(url, context.migrations) == []
    assert await check(url, context.metadata, context.migrations) == []


def test_the_hospital_is_lived_in(lived_in: Lived) -> None:
    """Otherwise the tests here would prove little."""
    rows = {name: sum(one.rows for one in told.values()) for name, (_, told) in lived_in.items()}
    assert sum(rows.values()) > 5000
    assert min(rows.values()) > 30
    empty = {name for _, told in lived_in.values() for name, one in told.items() if not one.rows}
    assert empty <= NOT_IN_THE_DEMO


# --- a revision that is yet to come --------------------------------------------------------------------------------

EXPAND = """
    op.add_column("appointment", sa.Column("ward", sa.String(40), nullable=True))
    op.create_index("appointment_by_ward", "appointment", ["ward", "starts_at"])
"""
BACKFILL = """
    if "seen" not in {one["name"] for one in sa.inspect(op.get_bind()).get_columns("appointment")}:
        op.add_column("appointment", sa.Column("seen", sa.Integer(), nullable=False, server_default="0"))
    visit = sa.table("appointment", sa.column("ward"), sa.column("status"), sa.column("department_name"))
    op.execute(visit.update().where(visit.c.ward.is_(None)).values(ward=visit.c.department_name))
    if os.environ.get("HALF_WAY"):
        print("half-way", flush=True)
        time.sleep(60)
    op.execute(visit.update().where(visit.c.status == "cancelled").values(ward=None))
"""


def appointments_to_come(into: Path) -> tuple[Context[Any], Path]:
    """The history so far and two revisions more: one that expands, one that changes rows and can be begun again."""
    context = next(one for one in CONTEXTS if one.name == "appointments")
    head = max(path.stem[:4] for path in context.migrations.glob("[0-9]*.py"))
    scripts = history(context, into, until=head)
    for by, body in ((1, EXPAND), (2, BACKFILL)):
        (scripts / f"{int(head) + by:04}_to_come.py").write_text(
            "import os\nimport time\nimport sqlalchemy as sa\nfrom alembic import op\n"
            f'revision = "{int(head) + by:04}"\ndown_revision = "{int(head) + by - 1:04}"\n'
            f"def upgrade() -> None:\n{textwrap.indent(textwrap.dedent(body), '    ')}\n")
    return context, scripts


async def test_a_migration_that_is_killed_half_way_is_finished_by_the_next_start(
        database_url: Callable[[str], str], lived_in: Lived, tmp_path: Path, engine: str) -> None:
    context, scripts = appointments_to_come(tmp_path / "to-come")
    url = database_url(context.name)
    await upgrade(url, context.migrations)
    async with opened(url) as db:
        before = await fill(db, context.metadata, lived_in[context.name])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import asyncio, sys, pathlib; from infirmary.kernel.database.migrate import upgrade; "
        "asyncio.run(upgrade(sys.argv[1], pathlib.Path(sys.argv[2])))", url, str(scripts),
        env={**os.environ, "HALF_WAY": "1"}, stdout=asyncio.subprocess.PIPE)
    assert child.stdout
    assert await child.stdout.readline() == b"half-way\n"
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL

    expand, backfill = sorted(path.stem for path in scripts.glob("*_to_come.py"))
    # MariaDB commits each change of a table by itself, so the first of the two stays; elsewhere nothing has happened.
    assert await pending(url, scripts) == ([backfill] if engine == "mariadb" else [expand, backfill])
    assert await upgrade(url, scripts) is True
    assert await pending(url, scripts) == []
    async with opened(url) as db:
        async with Snapshot(db) as snapshot:
            assert await tally(snapshot, context.metadata) == before
        visit = context.metadata.tables["appointment"]
        wards = Query(select(column("ward", String)).select_from(visit).where(column("ward").is_not(None)), str)
        async with db.reading() as reading:
            found = await reading.all(wards)
        assert len(found) > 50
        assert "Cardiology" in found


async def test_old_code_works_on_the_newer_schema(
        database_url: Callable[[str], str], lived_in: Lived, tmp_path: Path) -> None:
    """Expand, then contract: while instances are exchanged, those of yesterday read and write beside the new ones."""
    context, scripts = appointments_to_come(tmp_path / "to-come")
    url = database_url(context.name)
    await upgrade(url, scripts)
    async with opened(url) as db:   # today's tables are filled, through today's statements
        assert await fill(db, context.metadata, lived_in[context.name]) == lived_in[context.name][1]


async def test_the_trail_of_a_lived_in_hospital_still_only_grows(
        database_url: Callable[[str], str], lived_in: Lived) -> None:
    context = next(one for one in CONTEXTS if one.name == "audit")
    url = database_url(context.name)
    await upgrade(url, context.migrations)
    async with opened(url) as db:
        before = await fill(db, context.metadata, lived_in[context.name])
        assert before["audit_event"].rows > 200
        for sql in ("UPDATE audit_event SET action = 'nothing'", "DELETE FROM audit_event"):
            session = db.driver.session(writing=True)
            with pytest.raises(DatabaseError, match="only grows"):
                await session.run(sql, ())
            await session.rollback()
        async with Snapshot(db) as snapshot:
            assert await tally(snapshot, context.metadata) == before

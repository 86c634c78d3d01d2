"""A context's schema history: numbered Alembic revisions in its `migrations/` folder, run without any other file there.

`python -m infirmary.kernel.database.migrate infirmary.contexts.<name> "what changes"` writes the next one from the
difference between the migrations so far and the context's `tables.metadata`. Read it before it is committed.

Revisions are called 0001, 0002, ...: one line of history, and what is pending can be told from the names of the files,
so a start with nothing to do never imports Alembic (0.2 s). There is no way down: a release that must be undone is
followed by another one, and old code runs on the newer schema for as long as changes only add (expand, then contract).
"""
from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from . import columns
from .db import Database
from .errors import DatabaseError, Transient
from .statement import Query
from .unique import name_unique

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

__all__ = ["add_column", "check", "pending", "upgrade", "write"]

T = TypeVar("T")
PATIENCE = 60   # seconds to wait for another process that migrates the same database
_STORED = Query(sa.select(sa.column("version_num", sa.String)).select_from(sa.table("alembic_version")), str)
_REVISION = '''"""{message}."""
{imports}

revision = "{revision}"
down_revision = {before}


def upgrade() -> None:
{body}
'''


async def pending(url: str, scripts: Path) -> list[str]:
    """The revisions that this database has not had, oldest first. None when it is newer than this code."""
    db = await Database.open(url, "migrate", size=1)
    try:
        async with db.reading() as reading:
            stored = await reading.one(_STORED) or ""
    except DatabaseError:   # no such table: nothing has run here
        stored = ""
    finally:
        await db.close()
    return [name for name in _revisions(scripts) if name[:4] > stored]


async def upgrade(url: str, scripts: Path) -> bool:
    """Run what is pending; answers whether anything was. Of several processes at once one does the work."""
    if not await pending(url, scripts):
        return False
    await _connected(url, lambda connection: _to_head(connection, scripts))
    return True


async def check(url: str, metadata: MetaData, scripts: Path) -> list[Any]:
    """How the tables that the migrations make differ from those declared. Tests expect nothing."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    await upgrade(url, scripts)
    return await _connected(url, lambda connection: list(compare_metadata(
        MigrationContext.configure(connection, opts={"compare_server_default": True}), metadata)), read_json=json.loads)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """For a revision that does several things: MySQL commits each by itself, and what was cut off is run again."""
    from alembic import op

    bind = op.get_bind()
    if bind.dialect.name == "postgresql":   # which has words for it; and asyncpg cannot read its catalogue for SQLAlchemy
        op.add_column(table, column, if_not_exists=True)
    elif column.name not in {one["name"] for one in sa.inspect(bind).get_columns(table)}:
        op.add_column(table, column)


def write(context: str, message: str) -> Path | None:
    """The next revision of this context, as a file; None when nothing has changed."""
    package = Path(str(import_module(context).__file__)).parent
    metadata = import_module(f"{context}.tables").metadata
    scripts = package / "migrations"
    scripts.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}/so-far.db"
        asyncio.run(upgrade(url, scripts))
        made = _on_sqlite(url, lambda connection: _rendered(connection, metadata))
    if made is None:
        return None
    imports, body = made
    before = [name[:4] for name in _revisions(scripts)]
    revision = f"{len(before) + 1:04}"
    path = scripts / f"{revision}_{re.sub(r'[^a-z0-9]+', '_', message.lower())[:40].strip('_')}.py"
    path.write_text(_REVISION.format(message=message, imports=imports, revision=revision, body=body,
                                     before=f'"{before[-1]}"' if before else None))
    return path


def _revisions(scripts: Path) -> list[str]:
    return sorted(path.stem for path in scripts.glob("[0-9][0-9][0-9][0-9]_*.py"))


def _to_head(connection: Connection, scripts: Path) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(scripts, version_locations=[scripts])
    steps = script._upgrade_revs   # noqa: SLF001 – what Alembic's own command calls, after running an env.py
    with EnvironmentContext(Config(), script, fn=lambda current, _: steps("head", current)) as env:
        env.configure(connection=connection, version_table_pk=False)   # MySQL notes that it ignores the key's name
        env.run_migrations()


async def _connected(url: str, work: Callable[[Connection], T], *, read_json: Callable[[str], Any] = str) -> T:
    """Do it on a connection of SQLAlchemy's, in one transaction where the engine can, one process at a time.
    `read_json` is for PostgreSQL: our own Json decodes by itself, reflecting a collation needs the real thing."""
    match url.partition("://")[0]:
        case "sqlite":
            return _on_sqlite(url, work)
        case "postgresql":
            return await _on_server(url, "postgresql+asyncpg", [f"SET LOCAL lock_timeout='{PATIENCE}s'",
                                    "SELECT pg_advisory_xact_lock(hashtext('migrate'))"], work,
                                    json_deserializer=read_json)
    from .drivers.mysql import EXACT, MODES  # late, as in db.py

    # Each statement commits by itself: MySQL would do so anyway, except for the note of which revision has run.
    return await _on_server(url, "mysql+asyncmy", [f"SET SESSION sql_mode='{MODES}', time_zone='+00:00'", EXACT,
                            f"SELECT GET_LOCK(CONCAT('migrate ', DATABASE()), {PATIENCE})"], work,
                            isolation_level="AUTOCOMMIT")


async def _on_server(url: str, driver: str, first: list[str], work: Callable[[Connection], T], **options: Any) -> T:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(make_url(url).set(drivername=driver), poolclass=NullPool, **options)
    async with engine.begin() as connection:   # the locks end with the transaction or with the connection
        for sql in first:
            answer = await connection.exec_driver_sql(sql)
            if answer.returns_rows and answer.scalar() == 0:   # GET_LOCK does not raise
                raise Transient("another process has been migrating this database for too long")
        return await connection.run_sync(work)


def _on_sqlite(url: str, work: Callable[[Connection], T]) -> T:
    """SQLite changes a column by building the table anew, and dropping the old one would delete what refers to it:
    foreign keys are off, outside the transaction (inside it is ignored), and all rows are checked before it commits."""
    engine = create_engine(sa.URL.create("sqlite", database=url.partition("://")[2]), poolclass=NullPool,
                           connect_args={"timeout": PATIENCE, "isolation_level": None})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
    with engine.begin() as connection:
        done = work(connection)
        if orphans := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
            raise DatabaseError(f"the migration leaves {len(orphans)} rows without what they refer to")
        return done


def _rendered(connection: Connection, metadata: MetaData) -> tuple[str, str] | None:
    """(imports, body) of a revision. Our own types by name, an enum as the text that it is: a migration must not
    change when the members do."""
    from alembic.autogenerate import produce_migrations, render_python_code
    from alembic.migration import MigrationContext

    ours: set[str] = set()
    for table in metadata.sorted_tables:
        name_unique(table)

    def item(kind: str, thing: Any, _: AutogenContext) -> str | Literal[False]:
        if kind == "type" and isinstance(thing, columns.EnumText):
            return f"sa.String(length={thing.length})"
        if kind == "type" and type(thing).__module__ == columns.__name__:
            ours.add(type(thing).__name__)
            return f"{type(thing).__name__}()"
        return False

    operations = produce_migrations(MigrationContext.configure(connection), metadata).upgrade_ops
    if operations is None or operations.is_empty():
        return None
    changes = any(kind.startswith(("modify_", "add_con", "remove_con", "add_fk", "remove_fk", "remove_column"))
                  for kind in re.findall(r"'(\w+)'", " ".join(repr(one[0]) for one in operations.as_diffs())))
    code = render_python_code(operations, render_item=item, render_as_batch=changes)
    code = "\n".join(line for line in code.split("\n") if not line.strip().startswith("# ###"))
    imports = ["import sqlalchemy as sa", "from alembic import op"]
    if ours:
        imports += ["", f"from {columns.__name__} import {', '.join(sorted(ours))}"]
    return "\n".join(imports), _indented(code if '"' in code else code.replace("'", '"'))


def _indented(code: str) -> str:
    """Alembic begins what is inside parentheses where the line before began."""
    lines, depth = [], 0
    for line in code.split("\n"):
        closes = line.strip().startswith(")")
        lines.append("    " * (0 if closes else min(depth, 1)) + line.rstrip())
        depth += line.count("(") - line.count(")")
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    written = write(*sys.argv[1:3])
    print(written or "Nothing has changed.")   # noqa: T201 – a command for people

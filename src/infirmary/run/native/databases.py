"""PostgreSQL or MariaDB on one machine, with a database and a user of least rights for every service.

The owner makes the tables and changes them; a service's own user may only read and write rows of its own database. On
the audit trail it may not even change or remove them.
"""
from __future__ import annotations

import asyncio
import hmac
import os
import pwd
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

OWNER = "infirmary"
ONLY_GROWS = {"audit": "audit_event"}   # service -> the table of which it may not change a row
CONNECTIONS = 400


class Store(ABC):
    """One server in `folder`. All passwords come from `password`."""

    engine: ClassVar[str]
    user: ClassVar[str]   # who runs it when we are root: both servers refuse root

    def __init__(self, folder: Path, port: int, password: str) -> None:
        self.folder, self.port, self._password = folder / self.engine, port, password

    @staticmethod
    @abstractmethod
    def missing() -> str | None:
        """What has to be installed first; None when everything is there."""

    @property
    def runs_as(self) -> int | None:
        return pwd.getpwnam(self.user).pw_uid if os.geteuid() == 0 else None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def owner_url(self, service: str) -> str:
        return f"{self.engine}://{OWNER}:{self.password(OWNER)}@127.0.0.1:{self.port}/{service}"

    def url(self, service: str) -> str:
        """What the service itself is given. `{context}` stays: every context has a database of its own."""
        return f"{self.engine}://{service}:{self.password(service)}@127.0.0.1:{self.port}/{{context}}"

    def password(self, user: str) -> str:
        return hmac.digest(self._password.encode(), user.encode(), "sha256").hex()

    async def install(self) -> None:
        """Make the data folder, once."""
        if self.data.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"draft-{secrets.token_hex(4)}"   # half-made, it would look made
        word = self.folder / "password"
        word.touch(0o600)
        word.write_text(self.password(OWNER))
        if self.runs_as is not None:
            for one in (self.folder, word):
                shutil.chown(one, self.user, self.user)
        try:
            await self._run(self.install_command(draft, word))
        finally:
            word.unlink()
        draft.rename(self.data)

    async def _run(self, command: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, user=self.runs_as, group=self.runs_as,
            extra_groups=None if self.runs_as is None else [], stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        said, _ = await process.communicate()
        if process.returncode:
            raise OSError(f"{Path(command[0]).name} failed: {said.decode(errors='replace')[-2000:]}")

    @abstractmethod
    def install_command(self, data: Path, word: Path) -> list[str]: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    async def answers(self) -> bool: ...

    @abstractmethod
    async def create(self, services: Iterable[str]) -> None:
        """The databases and users that are not there yet."""

    @abstractmethod
    async def grant(self, services: Iterable[str]) -> None:
        """What each user may do with the tables that there are now."""


class Postgres(Store):
    engine, user = "postgresql", "postgres"

    @staticmethod
    def missing() -> str | None:
        return None if Postgres._bin() else "PostgreSQL is not installed: apt-get install postgresql"

    @staticmethod
    def _bin() -> Path | None:
        found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        if path := shutil.which("initdb"):
            found.append(Path(path).parent)
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0, default=None)

    def install_command(self, data: Path, word: Path) -> list[str]:
        return [f"{self._bin()}/initdb", "-D", str(data), "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={word}",
                "-E", "UTF8", "--locale=C.UTF-8"]

    def command(self) -> list[str]:
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"max_connections={CONNECTIONS}",
                    "shared_buffers=128MB")
        return [f"{self._bin()}/postgres", "-D", str(self.data), "-p", str(self.port),
                *(word for setting in settings for word in ("-c", setting))]

    async def answers(self) -> bool:
        await self._administer("postgres", "SELECT 1")
        return True

    async def create(self, services: Iterable[str]) -> None:
        import asyncpg

        await self._administer("postgres", "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        for one in services:
            for sql, there in (
                    (f"CREATE ROLE {one} LOGIN PASSWORD '{self.password(one)}'", asyncpg.DuplicateObjectError),
                    (f"CREATE DATABASE {one} TEMPLATE template0", asyncpg.DuplicateDatabaseError)):
                try:
                    await self._administer("postgres", sql)
                except there:
                    continue
            await self._administer(one, f"REVOKE ALL ON DATABASE {one} FROM PUBLIC",
                                   f"GRANT CONNECT ON DATABASE {one} TO {one}", "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                                   f"GRANT USAGE ON SCHEMA public TO {one}")

    async def grant(self, services: Iterable[str]) -> None:
        for one in services:
            await self._administer(one, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {one}",
                                   f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {one}",
                                   f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {one}",
                                   *(f"REVOKE UPDATE, DELETE ON {table} FROM {one}"
                                     for service, table in ONLY_GROWS.items() if service == one))

    async def _administer(self, database: str, *statements: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.owner_url(database))
        try:
            for sql in statements:
                await connection.execute(sql)
        finally:
            await connection.close()


class MariaDb(Store):
    engine, user = "mariadb", "mysql"

    @staticmethod
    def missing() -> str | None:
        there = _program("mariadbd") and _program("mariadb-install-db")
        return None if there else "MariaDB is not installed: apt-get install mariadb-server"

    @property
    def _tmpdir(self) -> str:
        """Its own: whoever starts removes the temporary tables of every other server that uses the same folder."""
        return f"--tmpdir={self.folder}"

    def install_command(self, data: Path, word: Path) -> list[str]:
        return [_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", self._tmpdir,
                "--auth-root-authentication-method=normal", "--skip-test-db"]

    def command(self) -> list[str]:
        first = self.folder / "first.sql"   # read at every start, by the server itself
        first.touch(0o600)
        first.write_text(";\n".join((
            "DELETE FROM mysql.global_priv WHERE User IN ('root', '')", "FLUSH PRIVILEGES",
            f"CREATE OR REPLACE USER {OWNER}@'127.0.0.1' IDENTIFIED BY '{self.password(OWNER)}'",
            f"GRANT ALL ON *.* TO {OWNER}@'127.0.0.1' WITH GRANT OPTION;\n")))
        if self.runs_as is not None:
            shutil.chown(first, self.user, self.user)
        return [_program("mariadbd"), "--no-defaults", f"--datadir={self.data}", self._tmpdir, f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid",
                f"--init-file={first}", "--skip-name-resolve", f"--max-connections={CONNECTIONS}",
                "--innodb-buffer-pool-size=128M"]

    async def answers(self) -> bool:
        await self._administer("SELECT 1")
        return True

    async def create(self, services: Iterable[str]) -> None:
        for one in services:
            await self._administer(f"CREATE DATABASE IF NOT EXISTS `{one}`",
                                   f"CREATE USER IF NOT EXISTS {one}@'127.0.0.1' IDENTIFIED BY '{self.password(one)}'")

    async def grant(self, services: Iterable[str]) -> None:
        """MariaDB cannot take back a part of what was given on all tables: each table is given by itself."""
        for one in services:
            tables = await self._administer(f"SHOW TABLES FROM `{one}`")
            for (table,) in tables:
                rights = ("SELECT" if table == "alembic_version" else
                          "SELECT, INSERT" if ONLY_GROWS.get(one) == table else "SELECT, INSERT, UPDATE, DELETE")
                await self._administer(f"GRANT {rights} ON `{one}`.`{table}` TO {one}@'127.0.0.1'")

    async def _administer(self, *statements: str) -> Sequence[tuple[str, ...]]:
        import asyncmy

        connection = await asyncmy.connect(host="127.0.0.1", port=self.port, user=OWNER, password=self.password(OWNER),
                                           autocommit=True)
        rows: Sequence[tuple[str, ...]] = ()
        try:
            for sql in ("SET sql_notes=0", *statements):   # asyncmy would log what IF NOT EXISTS notes
                async with connection.cursor() as cursor:
                    await cursor.execute(sql)
                    rows = await cursor.fetchall() if cursor.description else ()
        finally:
            await connection.ensure_closed()
        return rows


def _program(name: str) -> str:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""

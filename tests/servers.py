"""Real PostgreSQL and MariaDB for tests, the bench and tools: private, on free ports, gone with whoever asked for them.

    with servers.postgres() as pg:
        db = await Database.open(pg.create("bench"), "bench")

One server of each kind serves a process and its children (the workers of pytest-xdist): the first that needs it starts
it, the process that called `home()` first owns it. Each server has a keeper, a shell that waits for the owner's end
of a named pipe to close, which also happens on `kill -9`, and then ends the server by the pid that it started.

Durability stays at the engines' defaults (fsync, innodb_flush_log_at_trx_commit=1): without it our tests of what
survives would test nothing. On ending, the servers are killed and their data removed, which is quick.
"""
from __future__ import annotations

import asyncio
import atexit
import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

HOME = "TEST_SERVERS_OF_INFIRMARY"   # in the environment, so that children share their parent's servers
START_SECONDS = 60
CONNECTIONS = 600   # three workers with two hospitals each, at times; every part of a hospital has a pool of its own
_alive: dict[str, int] = {}       # the owner's ends of the pipes,
_owned: list[Path] = []           # and its directory
_keepers: dict[str, subprocess.Popen[bytes]] = {}   # those that this process started
_KEEPER = """
signal=$1; shift
dies_with_me=$(command -v setpriv) && dies_with_me="$dies_with_me --pdeathsig KILL"
$dies_with_me "$@" >log 2>&1 & server=$!
echo $server >pid.new; mv pid.new pid
cat >/dev/null
while kill -s $signal $server; do sleep .05; done   # again: a server that has only just begun ignores it
rm -rf data pid port
"""


def home() -> Path:
    """The directory shared by this process and its children; made, and then owned, by the first that asks."""
    inherited = Path(os.environ.get(HOME) or "/nonexistent")
    if inherited.is_dir():
        return inherited
    made = Path(tempfile.mkdtemp(prefix="infirmary-servers-"))
    made.chmod(0o711)   # the servers' own users must pass through
    _owned.append(made)
    for engine in _ENGINES:
        (made / engine).mkdir()
        os.mkfifo(made / engine / "alive")
        _hold(engine)
    os.environ[HOME] = str(made)
    atexit.register(close)
    return made


def close() -> None:
    """End all servers of this process. Nothing to do in a child, which owns none."""
    for engine in list(_alive):
        _let_go(engine)
    while _owned:
        shutil.rmtree(_owned.pop())
        del os.environ[HOME]


def _hold(engine: str) -> None:
    if _owned and engine not in _alive:   # read and write: otherwise it would wait for a reader
        _alive[engine] = os.open(_owned[-1] / engine / "alive", os.O_RDWR)


def _let_go(engine: str) -> None:
    if engine in _alive:
        os.close(_alive.pop(engine))
        pid = _owned[-1] / engine / "pid"
        _until(lambda: not pid.exists(), "end", engine)
        if engine in _keepers:
            _keepers.pop(engine).wait()


def unavailable(engine: str) -> str | None:
    """Why this engine cannot be started here; None when it can."""
    return _ENGINES[engine].lacking() if engine in _ENGINES else None


def postgres() -> Postgres:
    return Postgres()


def mariadb() -> MariaDb:
    return MariaDb()


class _Server:
    """A running server. `create` gives an empty database of that name, whether or not it was there before."""

    engine: str
    user: str       # who runs it when we are root: both servers refuse root
    signal: str

    def __init__(self) -> None:
        if reason := self.lacking():
            raise RuntimeError(reason)
        self.directory = home() / self.engine
        _hold(self.engine)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)   # released by close(), and by death
            self.port = self._running() or self._started()

    def url(self, database: str) -> str:
        return f"{self.engine}://infirmary@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        _apart(self._create(database))
        return self.url(database)

    def drop(self, database: str) -> None:
        _apart(self._drop(database))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the server if this process owns it; a worker's `with` leaves it to the others."""
        _let_go(self.engine)

    @classmethod
    def lacking(cls) -> str | None:
        raise NotImplementedError

    def _install(self, data: Path) -> list[str]:
        """The command that makes an empty data directory."""
        raise NotImplementedError

    def _serve(self, data: Path, port: int) -> list[str]:
        raise NotImplementedError

    async def _create(self, database: str) -> None:
        raise NotImplementedError

    async def _drop(self, database: str) -> None:
        raise NotImplementedError

    def _running(self) -> int | None:
        port = self.directory / "port"
        return int(port.read_text()) if port.exists() else None

    def _started(self) -> int:
        data, start = self.directory / "data", {**_become(self.user), "cwd": self.directory}
        if os.geteuid() == 0:
            shutil.chown(self.directory, self.user)
        shutil.rmtree(data, ignore_errors=True)   # of a start that failed
        installed = subprocess.run(self._install(data), **start, capture_output=True, text=True, check=False)
        if installed.returncode:
            raise RuntimeError(f"{self.engine}: {installed.stdout}{installed.stderr}")
        for _ in range(3):   # another process may take the free port before the server does
            port, pid = _free_port(), self.directory / "pid"
            with _open_to_read(self.directory / "alive") as alive:
                _keepers[self.engine] = keeper = subprocess.Popen(
                    ["/bin/sh", "-c", _KEEPER, "keeper", self.signal, *self._serve(data, port)], stdin=alive,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **start)  # no Ctrl-C
            _until(pid.exists, "start", self.engine)
            if self._comes_up(int(pid.read_text()), port):
                (self.directory / "port").write_text(str(port))
                return port
            keeper.kill()   # it waits for a pipe, and its server has ended by itself
            keeper.wait()
            pid.unlink(missing_ok=True)
        raise RuntimeError(f"{self.engine} does not start: {(self.directory / 'log').read_text()[-2000:]}")

    def _comes_up(self, server: int, port: int) -> bool:
        self.port = port

        def answers() -> bool:
            try:
                self.create("ready")
            except Exception:   # noqa: BLE001 – refused, not yet, half-way up: each driver has its own names for it
                return False
            return True
        _until(lambda: not _lives(server) or answers(), "start", self.engine)
        return _lives(server)


class Postgres(_Server):
    engine, user, signal = "postgresql", "postgres", "QUIT"

    @classmethod
    def lacking(cls) -> str | None:
        return None if cls._bin() else "PostgreSQL is not installed: apt-get install postgresql"

    @staticmethod
    def _bin() -> Path | None:
        """Debian's: what is called `postgres` on the PATH may be anything, and lacks initdb beside it."""
        found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        found += [path.parent for name in ("initdb",) if (path := Path(shutil.which(name) or "/nonexistent")).exists()]
        return max(found, key=lambda path: (path.parent.name.isdigit() and int(path.parent.name)), default=None)

    def _install(self, data: Path) -> list[str]:
        return [f"{self._bin()}/initdb", "-D", str(data), "-U", "infirmary", "--auth=trust", "-E", "UTF8",
                "--locale=C.UTF-8", "--no-sync"]   # a half-made directory after a power cut is not kept anyway

    def _serve(self, data: Path, port: int) -> list[str]:
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"max_connections={CONNECTIONS}",
                    "shared_buffers=64MB", "autovacuum_naptime=5s")
        return [f"{self._bin()}/postgres", "-D", str(data), "-p", str(port),
                *(word for setting in settings for word in ("-c", setting))]

    async def _create(self, database: str) -> None:
        import asyncpg

        try:
            connection = await asyncpg.connect(self.url(database))
        except asyncpg.InvalidCatalogNameError:
            await self._administer(f'CREATE DATABASE "{database}" TEMPLATE template0')
            return
        try:   # eight times faster than another database; the limit is for a test that forgot to close its own
            await connection.execute("SET lock_timeout='5s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        finally:
            await connection.close()

    async def _drop(self, database: str) -> None:
        await self._administer(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    async def _administer(self, sql: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


class MariaDb(_Server):
    engine, user, signal = "mariadb", "mysql", "KILL"

    @classmethod
    def lacking(cls) -> str | None:
        there = _program("mariadbd") and _program("mariadb-install-db")
        return None if there else "MariaDB is not installed: apt-get install mariadb-server"

    def _install(self, data: Path) -> list[str]:
        (self.directory / "init.sql").write_text(
            "CREATE USER infirmary@'127.0.0.1';\nGRANT ALL ON *.* TO infirmary@'127.0.0.1';\n")
        return [_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", f"--tmpdir={self.directory}",
                "--auth-root-authentication-method=normal", "--skip-test-db"]

    def _serve(self, data: Path, port: int) -> list[str]:
        return [_program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--tmpdir={self.directory}", f"--port={port}",
                "--bind-address=127.0.0.1", f"--socket={self.directory}/socket", f"--pid-file={data}/pid",
                f"--init-file={self.directory}/init.sql", "--skip-name-resolve",
                f"--max-connections={CONNECTIONS}", "--innodb-buffer-pool-size=64M"]

    async def _create(self, database: str) -> None:
        await self._administer(f"DROP DATABASE IF EXISTS `{database}`", f"CREATE DATABASE `{database}`")

    async def _drop(self, database: str) -> None:
        await self._administer(f"DROP DATABASE IF EXISTS `{database}`")

    async def _administer(self, *sql: str) -> None:
        import asyncmy

        at = urlsplit(self.url("mysql"))
        connection = await asyncmy.connect(host=at.hostname, port=at.port, user=at.username, autocommit=True)
        try:
            for statement in ("SET sql_notes=0", *sql):   # asyncmy would log what IF EXISTS notes
                await connection.cursor().execute(statement)
        finally:
            await connection.ensure_closed()


_ENGINES: dict[str, type[_Server]] = {"postgresql": Postgres, "mariadb": MariaDb}


def _program(name: str) -> str:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def _become(user: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    known = pwd.getpwnam(user)
    return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def _open_to_read(pipe: Path) -> Iterator[int]:
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)   # an owner that has just died must not make us wait for it
    os.set_blocking(end, True)
    try:
        yield end
    finally:
        os.close(end)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition: Callable[[], object], verb: str, engine: str) -> None:
    patience = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > patience:
            raise RuntimeError(f"{engine} does not {verb}")
        time.sleep(.02)


def _apart(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread with a loop of its own: tests call us from inside theirs."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:   # noqa: BLE001 – handed over, not swallowed
            failed.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]

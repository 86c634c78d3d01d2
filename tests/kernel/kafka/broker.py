"""A real Kafka for tests: private, on free ports, gone with whoever uses it.

    servers = broker.shared()            # one for all processes of a test run
    with broker.Broker(folder) as own:   # one to be frozen, killed and started again

Each broker has a keeper, a shell that waits for the users' end of a pipe to close, which also happens on `kill -9`, and
then ends the broker by the pid that it started. The jars are fetched once, into the user's cache.
"""
from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Self

from infirmary.run.native import kafka
from tests import servers

JARS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infirmary" / "kafka"
FETCH = Path(__file__).parents[3] / "deploy" / "kafka" / "fetch.sh"
START_SECONDS = 60
_held: list[object] = []   # until this process ends
_KEEPER = """
dies_with_me=$(command -v setpriv) && dies_with_me="$dies_with_me --pdeathsig KILL"
$dies_with_me "$@" >>log 2>&1 & broker=$!
echo $broker >pid.new; mv pid.new pid
cat >/dev/null
kill -s KILL $broker
wait
rm -f pid port
[ -p alive ] && rm -rf "$PWD" "$PWD.lock"
"""


@cache
def unavailable() -> str | None:
    """Why there can be no broker here; None when there can. Fetches the jars if they are not there yet."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        return "confluent-kafka is not installed: pip install 'infirmary[services]'"
    if not shutil.which("java"):
        return "Kafka needs Java 17: apt-get install openjdk-17-jre-headless"
    if not (JARS / "pom.xml").exists() and not shutil.which("mvn"):
        return "Kafka's jars are fetched by Maven: apt-get install maven"
    JARS.parent.mkdir(parents=True, exist_ok=True)
    with (JARS.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetched = subprocess.run([FETCH, JARS], capture_output=True, text=True, check=False)
    return None if fetched.returncode == 0 else f"Kafka's jars could not be fetched: {fetched.stderr[-300:]}"


class Broker:
    """A broker whose data is in `folder`. Its address stays the same however often it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._keeper = folder, None
        self.port, self._controller = servers._free_port(), servers._free_port()

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def start(self, alive: int | None = None) -> None:
        """`alive` is what the keeper reads from; without it, a pipe of our own."""
        properties = self.folder / "server.properties"
        properties.write_text(kafka.configuration(self.folder, self.port, self._controller))
        subprocess.run(kafka.format_command(JARS, properties), check=True, capture_output=True)
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", *kafka.start_command(JARS, properties)], cwd=self.folder,
            stdin=subprocess.PIPE if alive is None else alive, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)   # Ctrl-C is ours
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise RuntimeError(f"Kafka does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(.05)

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    def kill(self) -> None:
        """As a crash does; the data stays."""
        assert self._keeper and self._keeper.stdin
        self._keeper.stdin.close()
        self._keeper.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder / "topics")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return (self.folder / "pid").exists() and probe.connect_ex(("127.0.0.1", self.port)) == 0


@cache
def shared() -> str:
    """The address of the broker that this process and its relatives share; the last of them to end takes it along."""
    folder = Path(f"{servers.home()}-kafka")
    folder.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "alive").exists():
            os.mkfifo(folder / "alive")
        _held.append(os.open(folder / "alive", os.O_RDWR))   # read and write: otherwise it would wait for a reader
        if not (folder / "port").exists():
            started = Broker(folder)
            with servers._open_to_read(folder / "alive") as reading:
                started.start(reading)
            _held.append(started)
            atexit.register(setattr, started._keeper, "returncode", 0)   # it outlives us if others still need it
            (folder / "port").write_text(str(started.port))
        return f"127.0.0.1:{(folder / 'port').read_text()}"

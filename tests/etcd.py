"""A real etcd for tests: private, on free ports, gone with whoever started it, even after `kill -9`.

    with Etcd(tmp_path) as etcd:
        EtcdRegistry(etcd.url)

A keeper, a shell that waits for the owner's end of a pipe to close, ends the server by the pid that it started.
"""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Self

from infirmary.run.native import etcd as native

from .servers import _free_port

START_SECONDS = 30
PROGRAM = shutil.which("etcd")
LACKING = None if PROGRAM else "etcd is not installed: apt-get install etcd-server"
_KEEPER = """
dies_with_me=$(command -v setpriv) && dies_with_me="$dies_with_me --pdeathsig KILL"
$dies_with_me "$@" >>"$LOG" 2>&1 </dev/null & server=$!
echo $server
cat >/dev/null
kill -s KILL $server; wait $server
"""


class Etcd:
    """One node that can be stopped, frozen, emptied and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM, LACKING
        self._folder, self._log = folder / "etcd", folder / "etcd.log"
        self._client, self._peer = _free_port(), _free_port()
        self._keeper: subprocess.Popen[bytes] | None = None
        self.pid = 0

    @property
    def url(self) -> str:
        return native.address(self._client)

    def start(self) -> None:
        command = native.command(self._folder, client=self._client, peer=self._peer, program=PROGRAM or "")
        self._keeper = subprocess.Popen(["/bin/sh", "-c", _KEEPER, "keeper", *command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env={**os.environ, "LOG": str(self._log)},
                                        start_new_session=True)   # no Ctrl-C
        assert self._keeper.stdout
        self.pid = int(self._keeper.stdout.readline())
        patience = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > patience:
                self.stop()
                raise RuntimeError(f"etcd does not start: {self._log.read_text()[-2000:]}")
            time.sleep(.02)

    def stop(self) -> None:
        """At once, as by `kill -9`; what it has confirmed is kept."""
        if self._keeper is not None:
            assert self._keeper.stdin
            assert self._keeper.stdout
            self._keeper.stdin.close()
            self._keeper.wait()
            self._keeper.stdout.close()
            self._keeper = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def forget(self) -> None:
        """While it is stopped: it starts empty."""
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._client}/health", timeout=1) as reply:
                return b'"true"' in reply.read()
        except OSError:
            return False

"""The server of one process, and what becomes of it when whoever started it is gone."""
from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.hospital import running, settings_for


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif("sys.platform != 'linux'")
def test_a_starter_that_is_killed_takes_its_worker_along(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as hospital:
        starter = hospital.process
        assert starter and listens(hospital.port)
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
        until = time.monotonic() + 20
        while listens(hospital.port) and time.monotonic() < until:
            time.sleep(.05)
        assert not listens(hospital.port)

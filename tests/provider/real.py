"""A certified implementation of OpenID Connect (npm's oidc-provider) as a process of its own."""
from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infirmary.web.assets import build

from .lying import CLIENT, SECRET

HERE = Path(__file__).parent


def environment(port: int, secret_file: str) -> dict[str, str]:
    """Settings of a hospital whose people may sign in with it."""
    return {f"INFIRMARY_OIDC__HARBOUR__{name}": value for name, value in {
        "NAME": "Harbour ID", "ISSUER": f"http://127.0.0.1:{port}", "CLIENT_ID": CLIENT, "SECRET_FILE": secret_file}.items()}


@contextlib.contextmanager
def running(port: int, hospital: str) -> Iterator[str]:
    """Yields its address, when it answers."""
    tools = _tools()
    process = subprocess.Popen(
        [tools.node, HERE / "provider.mjs", str(port), CLIENT, SECRET, f"{hospital}/auth/oidc/harbour/callback"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError("the provider did not open") from None
                time.sleep(.1)
        yield issuer
    finally:
        process.terminate()
        process.wait(10)


def _tools() -> build.Tools:
    """Node, and the packages beside this file: fetched once."""
    found = build._tools()
    if not (HERE / "node_modules/oidc-provider").exists():
        done = subprocess.run([*found.npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"], cwd=HERE,
                              env=found.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot fetch oidc-provider: {done.stderr.strip().splitlines()[-1:]}")
    return found

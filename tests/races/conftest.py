"""Races run against servers that are processes of their own, on each engine: two of them where the engine allows it."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from infirmary.run.catalogue import CONTEXTS
from infirmary.settings import Settings
from tests import servers
from tests.hospital import settings_for


@pytest.fixture
def settings(engine: str, tmp_path: Path) -> Settings:
    """A hospital's settings on this engine, with an empty database for each context."""
    if engine == "sqlite":
        return settings_for(tmp_path)
    server = servers.postgres() if engine == "postgresql" else servers.mariadb()
    prefix = os.environ.get("PYTEST_XDIST_WORKER", "race")
    urls = [server.create(f"{prefix}_{context.name}") for context in CONTEXTS]
    return settings_for(tmp_path, urls[0].removesuffix(CONTEXTS[0].name) + "{context}")


@pytest.fixture
def workers(engine: str) -> int:
    return 1 if engine == "sqlite" else 2

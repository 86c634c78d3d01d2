"""An etcd of its own for each test: most of them end it, freeze it or empty it."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.etcd import LACKING, Etcd


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    if LACKING:
        pytest.skip(LACKING)
    with Etcd(tmp_path) as made:
        yield made

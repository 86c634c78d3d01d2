"""The broker's jars are where they were asked for, wherever one stands when asking."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernel.kafka.broker import FETCH, unavailable


@pytest.mark.skipif(not shutil.which("mvn"), reason="Kafka's jars are fetched by Maven: apt-get install maven")
def test_a_folder_is_named_from_where_one_stands(tmp_path: Path) -> None:
    if reason := unavailable():   # which fetched them, if need be: two Mavens at once would quarrel over what they keep
        pytest.skip(reason)
    jars = tmp_path / "build" / "kafka"
    jars.mkdir(parents=True)
    shutil.copy(FETCH.with_name("pom.xml"), jars)   # said to be whole, and is empty
    subprocess.run([FETCH, "build/kafka"], cwd=tmp_path, check=True, timeout=240)
    assert list(jars.glob("kafka_*.jar"))

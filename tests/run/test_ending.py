"""The hospital as one process: what the administration decides counts everywhere in it within seconds."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ending import amending_ends_it
from tests.hospital import Running, running, settings_for


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("ending")
    with running(settings_for(folder)) as opened:
        yield opened


async def test_a_disabled_account_is_out_within_five_seconds(hospital: Running) -> None:
    await amending_ends_it(hospital.base, hospital.settings, {"disabled": True}, then=401)


async def test_a_role_that_was_taken_away_counts_no_more_within_five_seconds(hospital: Running) -> None:
    await amending_ends_it(hospital.base, hospital.settings, {"roles": ["auditor"]}, then=403)

"""What the administration decides counts in every process of every service, and at the gateway, within seconds."""
from __future__ import annotations

import pytest

from tests.ending import amending_ends_it
from tests.services import Services


@pytest.mark.parametrize(("changes", "then"), [({"disabled": True}, 401), ({"roles": ["auditor"]}, 403)])
async def test_what_is_taken_away_counts_no_more_within_five_seconds(
        place: Services, changes: dict[str, object], then: int) -> None:
    await amending_ends_it(place.base, place.settings, changes, then=then)

"""The people that figures are measured with are as the register keeps them."""
from __future__ import annotations

import random

from bench.world import people


def test_people_are_kept_as_the_register_keeps_them() -> None:
    first, second = people(0, 2, random.Random(1))
    assert first.shown.number + 1 == second.shown.number
    assert f" {first.family_key} " in first.search

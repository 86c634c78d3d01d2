"""When two records may be made one."""
from __future__ import annotations

from collections.abc import Sequence

from infirmary.contexts.patients.contract import Coverage, CoveragesOverlap, HoldsOthers, Patient

from .around import overlap
from .people import must_be_open


def must_fit(survivor: Patient, duplicate: Patient, held: Sequence[object], ours: Sequence[Coverage],
             theirs: Sequence[Coverage]) -> None:
    """Both are open, the duplicate holds no others (so that each merge can be undone by itself), and all of their
    insurances can hold together."""
    must_be_open(survivor)
    must_be_open(duplicate)
    if held:
        raise HoldsOthers
    if both := [(one, other) for one in ours for other in theirs
                if one.priority == other.priority and overlap(one, other)]:
        raise CoveragesOverlap(
            "The two records have insurances of one priority for the same days. End one of them, or give it another "
            "priority; then merge.", coverage_ids=sorted({str(one.id) for pair in both for one in pair}))

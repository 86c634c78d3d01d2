"""What identity hears: records of patients that are made one, and two again."""
from __future__ import annotations

from collections.abc import Mapping

from infirmary.contexts.patients.events import PatientsMerged, PatientsUnmerged
from infirmary.kernel.bus import Reaction
from infirmary.kernel.events import Event

from .service import IdentityService


def reactions(service: IdentityService) -> Mapping[type[Event], Reaction]:
    return {PatientsMerged: service.learn_merged, PatientsUnmerged: service.learn_unmerged}

"""What visits hear from others: the doctors' hours, how people are called now, and who is one of them."""
from __future__ import annotations

from collections.abc import Mapping

from infirmary.contexts.patients.events import PatientAmended, PatientsMerged, PatientsUnmerged, PatientWasRetired
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.kernel.bus import Reaction
from infirmary.kernel.events import Event

from .service import AppointmentsService


def reactions(service: AppointmentsService) -> Mapping[type[Event], Reaction]:
    return {ScheduleChanged: service.learn_schedule, PatientAmended: service.learn_name,
            PatientWasRetired: service.learn_retired, PatientsMerged: service.learn_merged,
            PatientsUnmerged: service.learn_unmerged}

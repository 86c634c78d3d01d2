"""What reports listens to."""
from __future__ import annotations

from collections.abc import Mapping

from infirmary.contexts.appointments import events as visits
from infirmary.contexts.patients.events import PatientRegistered
from infirmary.contexts.staff.events import DepartmentChanged
from infirmary.kernel.bus import Reaction
from infirmary.kernel.events import Event

from .service import ReportsService


def reactions(service: ReportsService) -> Mapping[type[Event], Reaction]:
    changed: list[type[Event]] = [
        visits.AppointmentRequested, visits.AppointmentBooked, visits.AppointmentAccepted, visits.AppointmentDeclined,
        visits.AppointmentRescheduled, visits.AppointmentCancelled, visits.PatientCheckedIn, visits.VisitStarted,
        visits.VisitCompleted, visits.PatientDidNotCome, visits.CallTakenBack]
    return {**dict.fromkeys(changed, service.record_visit), DepartmentChanged: service.record_department,
            PatientRegistered: service.record_patient, visits.FeedbackGathered: service.record_feedback}

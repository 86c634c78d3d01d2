"""What the register learns from visits: which doctor treats whom."""
from __future__ import annotations

from collections.abc import Mapping

from infirmary.contexts.appointments.events import (
    AppointmentAccepted,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRequested,
    AppointmentRescheduled,
    CallTakenBack,
    ParticipantsChanged,
    VisitHandedOver,
    VisitStarted,
)
from infirmary.kernel.bus import Reaction
from infirmary.kernel.events import Event

from .service import PatientsService


def reactions(service: PatientsService) -> Mapping[type[Event], Reaction]:
    arranged = (AppointmentRequested, AppointmentBooked, AppointmentAccepted, AppointmentRescheduled, VisitStarted,
                ParticipantsChanged)
    return {**dict.fromkeys(arranged, service.visit_arranged),
            AppointmentCancelled: service.visit_called_off,
            AppointmentDeclined: service.visit_called_off,
            CallTakenBack: service.visit_as_it_stands,
            VisitHandedOver: service.visit_as_it_stands}

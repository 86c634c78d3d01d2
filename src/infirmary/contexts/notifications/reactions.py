"""What notifications does when others announce something."""
from __future__ import annotations

from collections.abc import Mapping

from infirmary.contexts.appointments import events as visits
from infirmary.contexts.identity.events import (
    FactorChanged,
    PasswordChanged,
    PasswordResetRequested,
    RefreshTokenReused,
    SignInCodeAsked,
)
from infirmary.contexts.patients.events import GuardianNamed, GuardianshipEnded
from infirmary.kernel.bus import Reaction
from infirmary.kernel.events import Event

from .service import NotificationsService


def reactions(service: NotificationsService) -> Mapping[type[Event], Reaction]:
    return {
        visits.AppointmentRequested: service.visit_changed,
        visits.AppointmentBooked: service.visit_changed,
        visits.AppointmentAccepted: service.visit_changed,
        visits.AppointmentDeclined: service.visit_changed,
        visits.AppointmentRescheduled: service.visit_changed,
        visits.AppointmentCancelled: service.visit_changed,
        visits.ParticipantsChanged: service.visit_changed,
        visits.VisitCompleted: service.visit_completed,
        visits.MovePlanDone: service.plan_done,
        visits.SeriesChanged: service.series_changed,
        visits.TimeOffered: service.waiting_changed,
        visits.WaitLapsed: service.waiting_changed,
        GuardianNamed: service.guardianship_changed,
        GuardianshipEnded: service.guardianship_changed,
        visits.NotSeenThatDay: service.waiting_changed,
        PasswordResetRequested: service.reset_requested,
        SignInCodeAsked: service.code_asked,
        PasswordChanged: service.password_changed,
        FactorChanged: service.factor_changed,
        RefreshTokenReused: service.sign_in_copied,
    }

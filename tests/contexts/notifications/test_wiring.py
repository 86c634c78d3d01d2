"""How notifications plugs into a process."""
from __future__ import annotations

from infirmary.contexts.notifications.tables import metadata
from infirmary.contexts.notifications.wiring import NOTIFICATIONS
from infirmary.kernel.database import migrate

from .builders import a_desk


async def test_the_migrations_make_the_tables_that_are_declared(database_url):
    assert await migrate.check(database_url("notifications"), metadata, NOTIFICATIONS.migrations) == []


async def test_it_listens_and_has_its_jobs(database_url, tmp_path):
    async with a_desk(database_url, tmp_path) as desk:
        assert {event.kind for event in NOTIFICATIONS.reactions(desk.service)} == {
            "appointments.AppointmentRequested", "appointments.AppointmentBooked", "appointments.AppointmentAccepted",
            "appointments.AppointmentDeclined", "appointments.AppointmentRescheduled",
            "appointments.AppointmentCancelled", "appointments.TimeOffered", "appointments.WaitLapsed",
            "appointments.NotSeenThatDay", "appointments.MovePlanDone", "appointments.SeriesChanged",
            "appointments.VisitCompleted", "appointments.ParticipantsChanged", "identity.PasswordResetRequested", "identity.PasswordChanged",
            "identity.FactorChanged", "identity.RefreshTokenReused", "identity.SignInCodeAsked",
            "patients.GuardianNamed", "patients.GuardianshipEnded"}
        assert [job.name for job in NOTIFICATIONS.jobs(desk.service)] == ["send-mail", "forget-notifications"]

"""The visible list of contexts. What is not here does not run."""
from __future__ import annotations

from typing import Any

from infirmary.contexts.appointments.wiring import APPOINTMENTS
from infirmary.contexts.audit.wiring import AUDIT
from infirmary.contexts.identity.wiring import IDENTITY
from infirmary.contexts.notifications.wiring import NOTIFICATIONS
from infirmary.contexts.patients.wiring import PATIENTS
from infirmary.contexts.reports.wiring import REPORTS
from infirmary.contexts.staff.wiring import STAFF
from infirmary.kernel.context import Context

CONTEXTS: tuple[Context[Any], ...] = (IDENTITY, PATIENTS, STAFF, APPOINTMENTS, NOTIFICATIONS, AUDIT, REPORTS)

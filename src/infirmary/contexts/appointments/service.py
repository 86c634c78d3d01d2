"""What can be done with visits."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from infirmary.contexts.patients.contract import Patients
from infirmary.contexts.patients.events import PatientAmended
from infirmary.contexts.staff.events import ScheduleChanged
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import File, Page
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, Malformed, NotFound, Refusal, StaleVersion
from infirmary.kernel.events import Fact
from infirmary.language import TREATING

from . import events, tables
from .contract import (
    Appointment,
    Appointments,
    Because,
    BookAppointment,
    Mode,
    Opening,
    OpenVisits,
    RescheduleAppointment,
    Slot,
    SlotNotOffered,
    Slots,
    Status,
    Step,
    TimeIsTaken,
    Why,
)
from .domain import hours, visits
from .domain.calendar import calendar_file
from .domain.hours import Schedule
from .domain.visits import Move, Visit

"""How visits plug into a process."""
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from infirmary.kernel.context import Context, Job

from .contract import Appointments
from .reactions import reactions
from .service import AppointmentsService
from .tables import metadata

APPOINTMENTS = Context(contract=Appointments, metadata=metadata, migrations=Path(__file__).parent / "migrations",
                       service=AppointmentsService, reactions=reactions,
                       jobs=lambda service: [Job("tidy-holds", timedelta(minutes=1), service.tidy_holds),
                                             Job("tidy-video", timedelta(minutes=1), service.tidy_video),
                                             Job("release-feedback", timedelta(minutes=10), service.release_feedback),
                                             Job("tend-waitlist", timedelta(0), service.tend_waitlist),
                                             Job("tend-plans", timedelta(0), service.tend_plans),
                                             Job("tend-queues", timedelta(seconds=20), service.tend_queues),
                                             Job("follow-records", timedelta(seconds=15), service.follow_records)])

"""How notifications plugs into a process."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from infirmary.kernel.context import Context, Job

from .contract import Notifications
from .reactions import reactions
from .service import NotificationsService
from .tables import metadata


def _jobs(service: NotificationsService) -> Sequence[Job]:
    return [Job("send-mail", timedelta(0), service.sender.work),   # it waits by itself, so that it can be woken
            Job("forget-notifications", timedelta(days=1), service.forget)]


NOTIFICATIONS = Context(contract=Notifications, metadata=metadata, migrations=Path(__file__).parent / "migrations",
                        service=NotificationsService, reactions=reactions, jobs=_jobs)

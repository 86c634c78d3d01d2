"""How identity plugs into a process."""
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from infirmary.kernel.context import Context, Job

from .contract import Identity
from .reactions import reactions
from .service import IdentityService
from .tables import metadata

IDENTITY = Context(
    contract=Identity,
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    service=IdentityService,
    reactions=reactions,
    jobs=lambda service: [Job("forget", timedelta(minutes=10), service.forget)])

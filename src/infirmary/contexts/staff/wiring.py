"""How staff plugs into a process."""
from __future__ import annotations

from pathlib import Path

from infirmary.kernel.context import Context

from .contract import Staff
from .service import StaffService
from .tables import metadata

STAFF = Context(contract=Staff, metadata=metadata, migrations=Path(__file__).parent / "migrations",
                service=StaffService)

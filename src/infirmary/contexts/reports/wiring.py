"""How reports plugs into a process."""
from __future__ import annotations

from pathlib import Path

from infirmary.kernel.context import Context

from .contract import Reports
from .reactions import reactions
from .service import ReportsService
from .tables import metadata

REPORTS = Context(contract=Reports, metadata=metadata, migrations=Path(__file__).parent / "migrations",
                  service=ReportsService, reactions=reactions)

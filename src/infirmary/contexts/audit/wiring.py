"""How the audit trail plugs into a process."""
from __future__ import annotations

from infirmary.kernel.context import Context

from .contract import Audit
from .reactions import reactions
from .service import AuditService
from .tables import MIGRATIONS, metadata

AUDIT = Context(contract=Audit, metadata=metadata, migrations=MIGRATIONS, service=AuditService, reactions=reactions)

"""Every entry of every context arrives as a fact."""
from __future__ import annotations

from collections.abc import Mapping

from infirmary.kernel.audit import Audited
from infirmary.kernel.bus import Reaction
from infirmary.kernel.events import Event

from .service import AuditService


def reactions(service: AuditService) -> Mapping[type[Event], Reaction]:
    return {Audited: service.keep}

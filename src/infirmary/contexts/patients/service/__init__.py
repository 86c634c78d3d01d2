"""The use cases of the register, by what people come for."""
from __future__ import annotations

from .around import Around
from .finding import Finding
from .holding import Holding
from .merging import Merging

__all__ = ["PatientsService"]


class PatientsService(Finding, Around, Merging, Holding):
    """All of the contract."""

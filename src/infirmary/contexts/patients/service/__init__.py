"""The use cases of the register, by what people come for."""
from __future__ import annotations

from .around import Around
from .finding import Finding
from .register import Registering

__all__ = ["PatientsService"]


class PatientsService(Registering, Finding, Around):
    """All of the contract."""

"""The same hospital as the architecture tests have: people and things whose owner is known."""
from __future__ import annotations

from tests.architecture.conftest import world

__all__ = ["world"]

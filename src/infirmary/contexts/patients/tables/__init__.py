"""Where the register is kept, and what is asked of it."""
from __future__ import annotations

from . import around, guardians, merging
from .people import MIGRATIONS, PATIENTS, metadata

__all__ = ["MIGRATIONS", "PATIENTS", "around", "guardians", "merging", "metadata"]

"""The kernel's tests keep a small hospital beside the kernel's own tables."""
from __future__ import annotations

import pytest

from infirmary.kernel.database.db import Database

from .model import metadata


@pytest.fixture
async def db(db: Database) -> Database:
    await db.create(metadata)
    return db

"""Where series are kept; their visits name them."""
from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from infirmary.contexts.appointments.domain.series import KeptSeries
from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows

from .base import metadata

series = Table(
    "series", metadata,
    Column("id", Id, primary_key=True),
    Column("rule", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Id),
    Column("version", Integer, nullable=False))

SERIES = Rows(series, KeptSeries)

"""All tables of the context, by which its schema is checked."""
from __future__ import annotations

from sqlalchemy import MetaData

from infirmary.kernel.database.db import with_kernel_tables

metadata = with_kernel_tables(MetaData())

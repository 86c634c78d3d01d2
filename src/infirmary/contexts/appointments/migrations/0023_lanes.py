"""Visits booked over others."""
import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("appointment", sa.Column("lane", sa.Integer(), nullable=False, server_default="0"))

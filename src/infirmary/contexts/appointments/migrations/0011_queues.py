"""Queues, by department and day."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, Json

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table("queue_line",
        sa.Column("id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("department_name", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("told", Json(), nullable=False),
        sa.Column("doctors", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id")
    )

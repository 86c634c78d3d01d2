"""Screens on the wall."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table("queue_display",
        sa.Column("id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("department_name", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("link", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("link", name="queue_display_link")
    )

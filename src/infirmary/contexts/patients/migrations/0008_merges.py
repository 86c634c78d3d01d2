"""Which records were made one, why, and when they were taken apart."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table("merge_of_records",
        sa.Column("id", Id(), nullable=False),
        sa.Column("survivor_id", Id(), nullable=False),
        sa.Column("duplicate_id", Id(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by_name", sa.String(length=255), nullable=False),
        sa.Column("undone_at", UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.Index("merge_by_survivor", "survivor_id", "id"),
        sa.Index("merge_by_duplicate", "duplicate_id", "id")
    )

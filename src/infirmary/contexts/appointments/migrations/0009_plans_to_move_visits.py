"""Plans to move visits together."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, Json, UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table("move_plan",
        sa.Column("id", Id(), nullable=False),
        sa.Column("doctor_id", Id(), nullable=False),
        sa.Column("doctor_name", sa.String(length=220), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("whither", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("left_over", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("by_account", Id(), nullable=True),
        sa.Column("by_name", sa.String(length=220), nullable=False),
        sa.Column("by_roles", Json(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id")
    )

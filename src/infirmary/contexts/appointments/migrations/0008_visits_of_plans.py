"""Which visits are moved together, and where to."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table("move_item",
        sa.Column("id", Id(), nullable=False),
        sa.Column("plan_id", Id(), nullable=False),
        sa.Column("appointment_id", Id(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("to_doctor_id", Id(), nullable=True),
        sa.Column("to_doctor_name", sa.String(length=220), nullable=False),
        sa.Column("to_starts_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("plan_id", "appointment_id", name="move_item_plan_id_appointment_id")
    )

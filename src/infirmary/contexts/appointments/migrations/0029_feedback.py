"""What patients said of their visits."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table("feedback",
        sa.Column("appointment_id", Id(), nullable=False),
        sa.Column("doctor_id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("department_name", sa.String(length=100), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.Column("to_doctor_at", UtcDateTime(), nullable=True),
        sa.Column("to_department_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id")
    )

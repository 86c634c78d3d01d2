"""Who pays."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table("coverage",
        sa.Column("id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("payer", sa.String(length=100), nullable=False),
        sa.Column("plan", sa.String(length=200), nullable=False),
        sa.Column("member_number", sa.String(length=60), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.Index("coverage_by_patient", "patient_id", "id")
    )

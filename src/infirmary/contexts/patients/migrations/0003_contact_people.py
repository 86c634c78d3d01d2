"""Whom to call."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table("contact_person",
        sa.Column("id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("relationship", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=25), nullable=True),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("next_of_kin", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.Index("contact_person_by_patient", "patient_id", "id")
    )

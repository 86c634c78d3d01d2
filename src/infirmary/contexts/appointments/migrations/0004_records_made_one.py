"""Whose record points to whose."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table("merged_record",
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("into_id", Id(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id")
    )

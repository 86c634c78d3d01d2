"""Whose places and held times were, of records made one."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table("moved_place",
        sa.Column("id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("for_id", Id(), nullable=True),
        sa.PrimaryKeyConstraint("id")
    )

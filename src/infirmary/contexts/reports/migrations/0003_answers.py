"""What patients say of departments."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table("answer",
        sa.Column("group_id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("group_id")
    )

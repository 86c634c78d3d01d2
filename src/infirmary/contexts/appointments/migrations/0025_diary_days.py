"""Days of which a doctor takes no more than so many visits."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table("diary_day",
        sa.Column("doctor_id", Id(), nullable=False),
        sa.Column("begins", UtcDateTime(), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("doctor_id", "begins")
    )

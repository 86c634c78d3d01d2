"""By whom and what visits are found."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    op.create_table("participation",
        sa.Column("participant_id", Id(), nullable=False),
        sa.Column("appointment_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("participant_id", "appointment_id")
    )

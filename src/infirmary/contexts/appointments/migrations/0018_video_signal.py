"""What the browsers of a video visit tell each other."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table("video_signal",
        sa.Column("appointment_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("to_id", Id(), nullable=False),
        sa.Column("from_id", Id(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id", "id")
    )
